#!/bin/sh
# deps.sh [--look|--note] GROUP... -- see that what the groups need is there,
# install the rest.
#
# Groups: core, http_core, hub_core and cluster_core (to build these modules), build (all
# but the last), run, cluster (the servers that several hubs need), test, check, bench, rock, package, page (the inspector's). The
# script asks for every command, header and Lua module, and installs only what is
# missing, with apt-get where there is one. Elsewhere it prints what is missing.
# --look installs nothing: it says what is missing, and fails.
# --note installs nothing: it says what is missing, and succeeds.
# Environment: CC, LUA, LUA_CFLAGS, LLHTTP_CFLAGS, LLHTTP_LIBS, PKG_CONFIG, PAHO, NATS
# as the Makefile sets them.
set -u

CC=${CC:-gcc}
LUA=${LUA:-lua5.4}
LUA_CFLAGS=${LUA_CFLAGS:--I/usr/include/lua5.4}
LLHTTP_CFLAGS=${LLHTTP_CFLAGS:--I/usr/share/include/llhttp -I/usr/share/llhttp}
LLHTTP_LIBS=${LLHTTP_LIBS:-}
PKG_CONFIG=${PKG_CONFIG:-pkg-config}

missing= # what was not found, for a person
packages= # what Debian calls it

miss() { # miss WHAT PACKAGE: more than one group may miss it
  case ", $missing, " in *", $1, "*) ;; *) missing="${missing:+$missing, }$1" ;; esac
  case " $packages " in *" $2 "*) ;; *) packages="$packages $2" ;; esac
}

compiles() { # compiles HEADER...: does the preprocessor find all of them
  # shellcheck disable=SC2086 # flags are words
  for header; do printf '#include "%s"\n' "$header"; done |
    $CC $LUA_CFLAGS $LLHTTP_CFLAGS -E -o /dev/null -x c - 2>/dev/null
}

need_commands() { # COMMAND=PACKAGE...
  for item; do
    command -v "${item%%=*}" >/dev/null 2>&1 || miss "${item%%=*}" "${item#*=}"
  done
}

need_headers() { # HEADER=PACKAGE...
  headers=
  for item; do headers="$headers ${item%%=*}"; done
  # shellcheck disable=SC2086 # one word a header
  compiles $headers && return
  for item; do
    compiles "${item%%=*}" || miss "${item%%=*}" "${item#*=}"
  done
}

need_modules() { # MODULE=PACKAGE...
  for item; do
    "$LUA" -e "require '${item%%=*}'" >/dev/null 2>&1 ||
      miss "Lua module ${item%%=*}" "${item#*=}"
  done
}

need_python() { # MODULE=PACKAGE...: of the system's Python, whatever else is in PATH
  for item; do
    PATH=/usr/bin:$PATH python3 -c "import ${item%%=*}" >/dev/null 2>&1 ||
      miss "Python module ${item%%=*}" "${item#*=}"
  done
}

# A library, or C sources: Debian 12 has the sources alone. The Makefile has found
# either and says which by LLHTTP_LIBS.
need_llhttp() {
  if [ -n "$LLHTTP_LIBS" ]; then compiles llhttp.h && return; fi
  "$PKG_CONFIG" --exists libllhttp 2>/dev/null && return
  compiles llhttp.h && compiles llhttp.c && return
  if apt-cache show libllhttp-dev >/dev/null 2>&1; then
    miss llhttp.h libllhttp-dev
  else
    miss llhttp.h node-llhttp
  fi
}

need_core() {
  need_commands "$CC=gcc" make=make "$PKG_CONFIG=pkg-config"
  need_headers stdlib.h=libc6-dev lua.h=liblua5.4-dev uv.h=libuv1-dev \
    openssl/ssl.h=libssl-dev
  [ "${PAHO:-yes}" = no ] || need_headers MQTTAsync.h=libpaho-mqtt-dev
}

need_http_core() {
  need_commands "$CC=gcc" make=make "$PKG_CONFIG=pkg-config"
  need_headers stdlib.h=libc6-dev lua.h=liblua5.4-dev uv.h=libuv1-dev \
    curl/curl.h=libcurl4-openssl-dev openssl/ssl.h=libssl-dev
}

need_hub_core() {
  need_commands "$CC=gcc" make=make "$PKG_CONFIG=pkg-config"
  need_headers stdlib.h=libc6-dev lua.h=liblua5.4-dev uv.h=libuv1-dev \
    openssl/ssl.h=libssl-dev sqlite3.h=libsqlite3-dev
  need_llhttp
}

need_cluster_core() {
  need_commands "$CC=gcc" make=make "$PKG_CONFIG=pkg-config"
  need_headers stdlib.h=libc6-dev lua.h=liblua5.4-dev uv.h=libuv1-dev \
    postgresql/libpq-fe.h=libpq-dev
  [ "${NATS:-yes}" = no ] || need_headers nats/nats.h=libnats-dev
}

need_build() {
  need_core
  need_http_core
  need_hub_core
}

need_run() {
  need_commands "$LUA=lua5.4"
  need_modules cjson=lua-cjson openssl=lua-luaossl argparse=lua-argparse \
    lpeg=lua-lpeg
}

need_cluster() {
  PATH=$PATH:/usr/sbin need_commands nats-server=nats-server psql=postgresql-client \
    setpriv=util-linux
  [ -n "$(ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null)" ] ||
    miss initdb postgresql
}

need_test() {
  need_modules busted=lua-busted luaunit=lua-unit luv=lua-luv \
    dbd.sqlite3=lua-dbi-sqlite3
  # Node may come from elsewhere, with which Debian's npm conflicts
  need_commands luarocks=luarocks git=git node=nodejs npm=npm openssl=openssl ip=iproute2 \
    busybox=busybox shellcheck=shellcheck curl=curl strace=strace faketime=faketime lua5.1=lua5.1 \
    sqlite3=sqlite3 chromium=chromium \
    groff=groff-base \
    mosquitto_pub=mosquitto-clients
  PATH=$PATH:/usr/sbin need_commands mosquitto=mosquitto nft=nftables
  need_headers postgresql/libpq-fe.h=libpq-dev nats/nats.h=libnats-dev
  need_cluster
  need_python prometheus_client.openmetrics=python3-prometheus-client \
    paho.mqtt.client=python3-paho-mqtt requests=python3-requests pytest=python3-pytest
}

need_check() {
  need_commands gcc=gcc clang=clang clang-format=clang-format \
    clang-tidy=clang-tidy cppcheck=cppcheck luacheck=lua-check nm=binutils \
    musl-gcc=musl-tools spin=spin
  need_fuzzer
}

need_fuzzer() { # clang's libFuzzer is in a package of its own
  echo 'int LLVMFuzzerTestOneInput(void); int LLVMFuzzerTestOneInput(void) { return 0; }' |
    clang -fsanitize=fuzzer -o /dev/null -x c - 2>/dev/null || miss libFuzzer libclang-rt-dev
}

need_bench() {
  PATH=$PATH:/usr/sbin need_commands mosquitto=mosquitto node=nodejs npm=npm \
    ip=iproute2
  need_headers mosquitto.h=libmosquitto-dev
}

need_rock() {
  need_commands luarocks=luarocks nm=binutils unzip=unzip zip=zip
}

need_page() {
  need_commands npm=npm
}

need_package() {
  [ -e /usr/share/build-essential ] || miss build-essential build-essential
  need_commands dpkg-buildpackage=dpkg-dev dh=debhelper lintian=lintian \
    fakeroot=fakeroot mmdebstrap=mmdebstrap autopkgtest=autopkgtest buildah=buildah \
    unshare=util-linux ip=iproute2
}

no_root() {
  echo "deps: not root and no sudo; as root: apt-get install$packages" >&2
  exit 1
}

as_root() { # as_root COMMAND...
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

apt() { # apt WORD...: prints errors only
  log=$(mktemp) || exit 1
  as_root env DEBIAN_FRONTEND=noninteractive apt-get "$@" >"$log" 2>&1 || {
    tail -n 25 "$log" >&2
    rm -f "$log"
    echo "deps: apt-get $1 failed for:$packages" >&2
    exit 1
  }
  rm -f "$log"
}

apt_install() {
  [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null 2>&1 || no_root
  apt update -qq
  look "$@" # now that the names of the packages are known
  echo "deps: installing$packages"
  # shellcheck disable=SC2086 # one word a package
  apt install -y -qq --no-install-recommends $packages
}

look() {
  missing=
  packages=
  for group; do
    case $group in
    core | http_core | hub_core | cluster_core) "need_$group" ;;
    build | run | cluster | test | check | bench | rock | package | page) "need_$group" ;;
    *) echo "deps: unknown group '$group'" >&2 && exit 2 ;;
    esac
  done
}

how=install
case ${1:-} in --look | --note) how=${1#--} && shift ;; esac

look "$@"
[ -n "$packages" ] || exit 0
if [ "$how" != install ]; then
  case $1 in *core) goal=build ;; *) goal=$1 ;; esac
  echo "missing to $goal: $missing" >&2
  echo "run \`make deps\`; on Debian they are called:$packages" >&2
  [ "$how" = note ]
  exit
fi
if command -v apt-get >/dev/null 2>&1; then
  apt_install "$@"
  look "$@"
  [ -n "$packages" ] || exit 0
  echo "deps: still missing after the installation: $missing" >&2
  exit 1
fi
cat >&2 <<END
deps: missing: $missing
Install them with this system's package manager; on Debian they are called:
 $packages
END
exit 1

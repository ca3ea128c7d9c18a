#!/bin/sh
# deps.sh GROUP... -- see that what the groups need is there, install the rest.
#
# Groups: build (and run), test, check, bench, rock. Every command, header and Lua
# module is asked for first, and only what is missing is installed, with apt-get
# where there is one. Elsewhere the list of what is missing is printed.
# Environment: CC, LUA, LUA_CFLAGS, LLHTTP_CFLAGS, LLHTTP_LIBS as the Makefile
# sets them.
set -u

CC=${CC:-gcc}
LUA=${LUA:-lua5.4}
LUA_CFLAGS=${LUA_CFLAGS:--I/usr/include/lua5.4}
LLHTTP_CFLAGS=${LLHTTP_CFLAGS:--I/usr/share/include/llhttp -I/usr/share/llhttp}
LLHTTP_LIBS=${LLHTTP_LIBS:-}

missing= # what was not found, for a person
packages= # what Debian calls it

miss() { # miss WHAT PACKAGE
  missing="$missing $1"
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

need_build() {
  need_commands "$CC=gcc" make=make pkg-config=pkg-config "$LUA=lua5.4"
  need_headers stdlib.h=libc6-dev lua.h=liblua5.4-dev uv.h=libuv1-dev \
    MQTTAsync.h=libpaho-mqtt-dev curl/curl.h=libcurl4-openssl-dev \
    openssl/ssl.h=libssl-dev llhttp.h=node-llhttp wslay/wslay.h=libwslay-dev
  [ -n "$LLHTTP_LIBS" ] || need_headers llhttp.c=node-llhttp
  need_modules cjson=lua-cjson openssl=lua-luaossl argparse=lua-argparse \
    lpeg=lua-lpeg dbd.sqlite3=lua-dbi-sqlite3
}

need_test() {
  need_modules busted=lua-busted luv=lua-luv
  # Node may come from elsewhere, with which Debian's npm conflicts
  need_commands node=nodejs npm=npm openssl=openssl ip=iproute2 \
    curl=curl strace=strace faketime=faketime
  need_python prometheus_client.openmetrics=python3-prometheus-client
}

need_check() {
  need_commands gcc=gcc clang=clang clang-format=clang-format \
    clang-tidy=clang-tidy cppcheck=cppcheck luacheck=lua-check nm=binutils \
    musl-gcc=musl-tools
}

need_bench() {
  PATH=$PATH:/usr/sbin need_commands mosquitto=mosquitto node=nodejs npm=npm \
    ip=iproute2
  need_headers mosquitto.h=libmosquitto-dev
}

need_rock() {
  need_commands luarocks=luarocks
}

apt_install() {
  as_root=
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || {
      echo "deps: not root and no sudo; as root: apt-get install$packages" >&2
      exit 1
    }
    as_root=sudo
  fi
  echo "deps: installing$packages"
  log=$(mktemp) || exit 1
  trap 'rm -f "$log"' EXIT
  # shellcheck disable=SC2086 # one word a package
  { $as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
      --no-install-recommends $packages; } >"$log" 2>&1 || {
    tail -n 25 "$log" >&2
    echo "deps: apt-get failed for:$packages" >&2
    exit 1
  }
}

look() {
  missing=
  packages=
  for group; do
    case $group in
    build | test | check | bench | rock) "need_$group" ;;
    *) echo "deps: unknown group '$group'" >&2 && exit 2 ;;
    esac
  done
}

look "$@"
[ -n "$packages" ] || exit 0
if command -v apt-get >/dev/null 2>&1; then
  apt_install
  look "$@"
  [ -n "$packages" ] || exit 0
  echo "deps: still missing after the installation:$missing" >&2
  exit 1
fi
cat >&2 <<END
deps: missing:$missing
Install them with this system's package manager; on Debian they are called:
 $packages
END
exit 1

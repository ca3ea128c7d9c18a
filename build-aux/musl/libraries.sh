#!/bin/sh
# libraries.sh DIR -- build what an agent on a router needs with musl-gcc, from
# Debian's sources: OpenSSL, libuv, Lua 5.4, lua-cjson and busybox.
#
# DIR/stage gets them as a root folder would have them, with headers. DIR/sources
# keeps the sources. What is there is not built again: OpenSSL alone takes minutes.
# Needs apt-get with Debian's archive, and musl-gcc.
set -eu

mkdir -p "$1"
dir=$(cd "$1" && pwd)
jobs=${JOBS:-2}
CC="musl-gcc -idirafter $dir/kernel"
SIZE=-Os

# apt: apt-get with package lists of its own, so the machine's are left alone
apt() {
  apt-get -q -o Dir::Etc::sourcelist="$dir/apt/sources.list" \
    -o Dir::Etc::sourceparts=- -o Dir::State::lists="$dir/apt/lists" \
    -o Dir::Cache="$dir/apt/cache" -o APT::Sandbox::User=root "$@"
}

# The mirror and the release of this machine; the archive's key is in its package.
mirror() {
  sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources 2>/dev/null |
    head -n 1 | grep . ||
    awk '$1 == "deb" { print $2; exit }' /etc/apt/sources.list
}

fetch() {
  [ -e "$dir/sources/fetched" ] && return
  mkdir -p "$dir/apt/lists/partial" "$dir/apt/cache/archives/partial" \
    "$dir/sources"
  # shellcheck disable=SC1091 # a file of the system
  . /etc/os-release
  echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]" \
    "$(mirror) $VERSION_CODENAME main" >"$dir/apt/sources.list"
  apt update
  (cd "$dir/sources" && apt source openssl libuv1 lua5.4 lua-cjson busybox)
  touch "$dir/sources/fetched"
}

# source NAME: the folder of unpacked sources
source_of() {
  find "$dir/sources" -mindepth 1 -maxdepth 1 -type d -name "$1-*" | head -n 1
}

# musl-gcc looks at musl's headers only; the kernel's are the same for all
kernel_headers() {
  mkdir -p "$dir/kernel"
  ln -sfn /usr/include/linux "$dir/kernel/linux"
  ln -sfn /usr/include/mtd "$dir/kernel/mtd"
  ln -sfn /usr/include/asm-generic "$dir/kernel/asm-generic"
  ln -sfn "/usr/include/$(gcc -print-multiarch)/asm" "$dir/kernel/asm"
}

# install_lib FILE NAME: a shared library into the stage, with its two names
install_lib() {
  install -D -m 755 "$1" "$stage/lib/$2"
  ln -sf "$2" "$stage/lib/${2%.so.*}.so"
}

build_openssl() {
  cd "$(source_of openssl)"
  ./Configure linux-x86_64 --prefix=/usr --libdir=lib --openssldir=/etc/ssl \
    CC="$CC" "$SIZE" shared no-tests no-async no-afalgeng no-engine \
    no-legacy no-comp no-dtls no-srp no-ssl3 no-idea no-md4 no-mdc2 no-rc2 \
    no-rc4 no-rc5 no-seed no-whirlpool no-camellia no-aria no-bf no-cast \
    no-sm2 no-sm3 no-sm4 no-rmd160 no-gost no-blake2 no-ct no-ts no-cms
  make -j"$jobs" build_sw
  make install_dev DESTDIR="$dir/stage"
  make install_runtime_libs DESTDIR="$dir/stage"
}

build_libuv() {
  cd "$(source_of libuv1)"
  files=
  for name in async core dl fs getaddrinfo getnameinfo loop-watcher loop pipe \
    poll process random-devurandom random-getrandom random-sysctl-linux signal \
    stream tcp thread tty udp linux linux-core linux-inotify linux-syscalls \
    epoll procfs-exepath proctitle; do
    [ ! -e "src/unix/$name.c" ] || files="$files src/unix/$name.c"
  done
  # shellcheck disable=SC2086 # names of files and flags
  $CC $SIZE -fPIC -shared -D_GNU_SOURCE -Iinclude -Isrc -o libuv.so.1 \
    -Wl,-soname,libuv.so.1 src/*.c $files -pthread
  install_lib libuv.so.1 libuv.so.1
  cp -R include/. "$stage/include"
}

build_lua() {
  cd "$(source_of lua5.4)/src"
  # Debian's luaconf.h asks for this one, which the package's build makes
  echo '#define DEB_HOST_MULTIARCH "musl"' >lua5.4-deb-multiarch.h
  rm -f luac.c
  # shellcheck disable=SC2086 # flags
  $CC $SIZE -DLUA_USE_POSIX -DLUA_USE_DLOPEN -Wl,-E -o lua5.4 l*.c -lm
  install -D -m 755 lua5.4 "$stage/bin/lua5.4"
  cp lua*.h lauxlib.h "$stage/include"
}

build_cjson() {
  cd "$(source_of lua-cjson)"
  # shellcheck disable=SC2086 # flags
  $CC $SIZE -fPIC -shared -I"$stage/include" -o cjson.so \
    lua_cjson.c strbuf.c fpconv.c
  install -D -m 755 cjson.so "$stage/lib/lua/5.4/cjson.so"
}

build_busybox() {
  cd "$(source_of busybox)"
  make defconfig >/dev/null
  sed -i -e 's/^# CONFIG_STATIC is not set/CONFIG_STATIC=y/' \
    -e 's/^CONFIG_TC=y/# CONFIG_TC is not set/' .config
  yes '' | make oldconfig >/dev/null
  make -j"$jobs" CC="$CC" HOSTCC=gcc busybox
  install -D -m 755 busybox "$stage/bin/busybox"
}

fetch
kernel_headers
stage=$dir/stage/usr
mkdir -p "$stage/include" "$stage/lib" "$stage/bin"
for part in openssl libuv lua cjson busybox; do
  [ ! -e "$dir/$part.built" ] || continue
  echo "musl: $part"
  "build_$part" >"$dir/$part.log" 2>&1 & # not before ||, where set -e is off
  wait $! || {
    tail -n 25 "$dir/$part.log" >&2
    echo "musl: $part was not built; all of it is in $dir/$part.log" >&2
    exit 1
  }
  touch "$dir/$part.built"
done

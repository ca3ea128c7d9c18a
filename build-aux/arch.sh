#!/bin/sh
# arch.sh ARCH -- build for another processor, and run the C tests and specs there.
#
# ARCH is Debian's name: armhf (32 bits), mipsel (32 bits), s390x (big-endian), riscv64.
# Its system is unpacked below ROOTS (/var/tmp/directmethods-arch), once. The cross compiler
# of this machine builds for it, and qemu-user runs the tests in it: root, mmdebstrap,
# qemu-user-static, binfmt-support and gcc for the processor are needed. Debian has mipsel
# up to 12 and riscv64 from 13 on. SPECS names other specs.
set -eu

arch=${1:?usage: arch.sh armhf|mipsel|s390x|riscv64}
case $arch in
armhf) suite=bookworm qemu=arm triplet=arm-linux-gnueabihf ;;
mipsel) suite=bookworm qemu=mipsel triplet=mipsel-linux-gnu ;;
s390x) suite=bookworm qemu=s390x triplet=s390x-linux-gnu ;;
riscv64) suite=trixie qemu=riscv64 triplet=riscv64-linux-gnu ;;
*) echo "arch: $arch is not known" >&2 && exit 2 ;;
esac
# what qemu-user can run: without network namespaces, ptrace, and other processors' programs
SPECS=${SPECS:-"spec/json_spec.lua spec/task_spec.lua spec/mqtt_uv_spec.lua
  spec/uv_tunnel_spec.lua spec/sql_spec.lua spec/store_spec.lua spec/twin_changes_spec.lua
  spec/device_connection_spec.lua spec/device_calls_spec.lua spec/device_machine_spec.lua
  spec/websocket_spec.lua spec/query_spec.lua spec/jobs_spec.lua
  spec/conformance/a_service_call_spec.lua spec/conformance/d_methods_spec.lua"}
PACKAGES=dash,bash,coreutils,grep,sed,findutils,procps,openssl,ca-certificates
PACKAGES=$PACKAGES,libc6-dev,liblua5.4-dev,lua5.4,libuv1-dev
PACKAGES=$PACKAGES,libpaho-mqtt-dev,libssl-dev,libcurl4-openssl-dev,libsqlite3-dev
PACKAGES=$PACKAGES,lua-cjson,lua-luaossl,lua-argparse,lua-lpeg,lua-busted,lua-luv
PACKAGES=$PACKAGES,lua-filesystem,lua-socket,lua-unit,lua-say,lua-term

here=$(cd "$(dirname "$0")/.." && pwd)
roots=${ROOTS:-/var/tmp/directmethods-arch}
root=$roots/$arch
tools=$root.tools
sources=/etc/apt/sources.list.d/debian.sources
mirror=${MIRROR:-$(sed -n 's/^URIs: *//p' "$sources" 2>/dev/null | head -n 1)}
[ -n "$mirror" ] ||
  { echo "arch: no mirror of Debian in $sources: give one, MIRROR=URL" >&2 && exit 2; }

ready() { # binfmt_misc knows the processor
  [ -e /proc/sys/fs/binfmt_misc/register ] ||
    mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
  [ -e "/proc/sys/fs/binfmt_misc/qemu-$qemu" ] || update-binfmts --enable "qemu-$qemu"
}

# Unpacked only: nothing of the other processor has to run for it.
make_root() {
  [ ! -e "$root/.ready" ] || return 0
  llhttp=node-llhttp
  [ "$suite" = bookworm ] || llhttp=libllhttp-dev
  rm -rf --one-file-system "$root"
  mmdebstrap --quiet --variant=extract --architectures="$arch" \
    --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
    --include="$PACKAGES,$llhttp" "$suite" "$root" "$mirror" >"$root.log" 2>&1 ||
    { tail -n 20 "$root.log" >&2 && return 1; }
  touch "$root/.ready"
}

# Compiler and pkg-config of this machine that look into the root alone.
make_tools() {
  mkdir -p "$tools"
  cat >"$tools/cc" <<END
#!/bin/sh
exec $triplet-gcc --sysroot=$root "\$@"
END
  cat >"$tools/pkg-config" <<END
#!/bin/sh
PKG_CONFIG_LIBDIR=$root/usr/lib/$triplet/pkgconfig:$root/usr/share/pkgconfig
PKG_CONFIG_SYSROOT_DIR=$root
export PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR
exec pkg-config "\$@"
END
  chmod +x "$tools/cc" "$tools/pkg-config"
}

finish() {
  for m in dev proc; do
    ! mountpoint -q "$root/$m" || umount -l "$root/$m"
  done
}

# inside SCRIPT: run it in the root, in the folder of the sources
inside() {
  env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 LUA=lua5.4 MODE=release \
    LUA_PATH="/src/lua/?.lua;/src/lua/?/init.lua;/src/?.lua;;" \
    LUA_CPATH="/src/build/release/?.so;;" \
    chroot "$root" sh -ec "cd /src; $1"
}

command -v "$triplet-gcc" >/dev/null ||
  { echo "arch: no $triplet-gcc: install gcc-$triplet" >&2 && exit 2; }
ready
mkdir -p "$roots"
make_root
make_tools
rm -rf --one-file-system "$root/src"
mkdir -p "$root/src"
(cd "$here" && git archive HEAD) | tar xf - -C "$root/src"
make -C "$root/src" -j"$(nproc)" CC="$tools/cc" PKG_CONFIG="$tools/pkg-config" \
  SYSROOT="$root" INTEROP= BROWSER= test-programs >"$root.make.log" 2>&1 ||
  { tail -n 20 "$root.make.log" >&2 && exit 1; }
trap finish EXIT
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --make-rslave "$root/dev"
# shellcheck disable=SC2016 # the shell inside expands it
inside 'lua5.4 -e "print((\"%s %d bits %s\"):format(_VERSION, string.packsize(\"T\") * 8,
  string.pack(\"=I2\", 1) == string.pack(\"<I2\", 1) and \"little-endian\" or \"big-endian\"))"
lua5.4 spec/support/run.lua --none build/release/c/*_test'
for spec in $SPECS; do
  inside "lua5.4 spec/support/run.lua $spec"
done
echo "arch: $arch ($suite) passed"

#!/bin/sh
# arch.sh ARCH -- build for another processor, and run the C tests and specs there.
#
# ARCH is Debian's name: armhf (32 bits), mipsel (32 bits), s390x (big-endian), riscv64.
# The system is made by debootstrap below ROOTS (/var/tmp/directmethods-arch), once, and
# runs under qemu-user: root, debootstrap, qemu-user-static and binfmt_misc are needed.
# Debian has mipsel up to 12 and riscv64 from 13 on. SPECS names other specs.
set -eu

arch=${1:?usage: arch.sh armhf|mipsel|s390x|riscv64}
case $arch in
armhf) suite=bookworm qemu=arm ;;
mipsel) suite=bookworm qemu=mipsel ;;
s390x) suite=bookworm qemu=s390x ;;
riscv64) suite=trixie qemu=riscv64 ;;
*) echo "arch: $arch is not known" >&2 && exit 2 ;;
esac
# what qemu-user can run: without network namespaces, ptrace, and other processors' programs
SPECS=${SPECS:-"spec/json_spec.lua spec/task_spec.lua spec/mqtt_uv_spec.lua
  spec/uv_tunnel_spec.lua spec/sql_spec.lua spec/store_spec.lua spec/twin_changes_spec.lua
  spec/device_connection_spec.lua spec/device_calls_spec.lua spec/device_machine_spec.lua
  spec/websocket_spec.lua spec/query_spec.lua spec/jobs_spec.lua
  spec/conformance/a_service_call_spec.lua spec/conformance/d_methods_spec.lua"}
PACKAGES=make,gcc,libc6-dev,pkg-config,ca-certificates,liblua5.4-dev,lua5.4,libuv1-dev
PACKAGES=$PACKAGES,libpaho-mqtt-dev,libssl-dev,libcurl4-openssl-dev,libsqlite3-dev
PACKAGES=$PACKAGES,lua-cjson,lua-luaossl,lua-argparse,lua-lpeg,lua-busted,lua-luv
PACKAGES=$PACKAGES,lua-filesystem,lua-socket,lua-unit,lua-say,lua-term

here=$(cd "$(dirname "$0")/.." && pwd)
roots=${ROOTS:-/var/tmp/directmethods-arch}
root=$roots/$arch
sources=/etc/apt/sources.list.d/debian.sources
mirror=${MIRROR:-$(sed -n 's/^URIs: *//p' "$sources" 2>/dev/null | head -n 1)}
[ -n "$mirror" ] ||
  { echo "arch: no mirror of Debian in $sources: give one, MIRROR=URL" >&2 && exit 2; }

ready() { # binfmt_misc knows the processor
  [ -e /proc/sys/fs/binfmt_misc/register ] ||
    mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
  [ -e "/proc/sys/fs/binfmt_misc/qemu-$qemu" ] || update-binfmts --enable "qemu-$qemu"
}

make_root() {
  [ ! -e "$root/.ready" ] || return 0
  llhttp=node-llhttp
  [ "$suite" = bookworm ] || llhttp=libllhttp-dev
  rm -rf --one-file-system "$root"
  mkdir -p "$root"
  script=
  [ -e "/usr/share/debootstrap/scripts/$suite" ] ||
    script=/usr/share/debootstrap/scripts/sid
  # shellcheck disable=SC2086 # no script is no word
  debootstrap --arch="$arch" --variant=minbase --include="$PACKAGES,$llhttp" "$suite" \
    "$root" "$mirror" $script >"$root.log" 2>&1 ||
    { tail -n 20 "$root.log" >&2 && return 1; }
  touch "$root/.ready"
}

finish() {
  for m in dev proc; do
    ! mountpoint -q "$root/$m" || umount -l "$root/$m"
  done
}

ready
make_root
rm -rf --one-file-system "$root/src"
mkdir -p "$root/src"
(cd "$here" && git archive HEAD) | tar xf - -C "$root/src"
trap finish EXIT
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --make-rslave "$root/dev"
# shellcheck disable=SC2016 # the shell inside expands it
env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 SPECS="$SPECS" \
  chroot "$root" sh -c '
  set -e
  cd /src
  make -j2 >/tmp/make.log 2>&1 || { tail -n 20 /tmp/make.log; exit 1; }
  lua5.4 -e "print((\"%s %d bits %s\"):format(jit or _VERSION, string.packsize(\"T\") * 8,
    string.pack(\"=I2\", 1) == string.pack(\"<I2\", 1) and \"little-endian\" or \"big-endian\"))"
  make test-c
  for spec in $SPECS; do make run-specs INTEROP= SPEC=$spec; done'
echo "arch: $arch ($suite) passed"

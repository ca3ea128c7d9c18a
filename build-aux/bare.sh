#!/bin/sh
# bare.sh FOLDER -- a bare Debian of this machine's release, with its package sources, as
# FOLDER/bare-RELEASE.tar; printed is its path. Made once.
set -eu

folder=$1
. /etc/os-release
tar=$folder/bare-$VERSION_CODENAME.tar
mkdir -p "$folder"
if [ ! -e "$tar" ]; then
  cat /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list \
    2>/dev/null >"$folder/sources" || true
  mmdebstrap --quiet --format=tar --variant=minbase "$VERSION_CODENAME" "$tar.part" - \
    <"$folder/sources" >"$folder/bare.log" 2>&1 || {
    cat "$folder/bare.log" >&2
    exit 1
  }
  mv "$tar.part" "$tar"
fi
echo "$tar"

#!/bin/sh
# dist.sh FOLDER -- pack the sources into FOLDER/directmethods-VERSION.tar.gz, as they are
# in the tree: the files that git knows, or all files of an unpacked archive. The archive
# builds, tests and packs itself.
#
# Files that are not in version control, such as those that come from npm, are made below
# build/dist-files by targets that `make dist-files` needs; the archive has them under the
# same paths without build/dist-files.
set -eu

folder=$1
version=$(sed -n 's/^#define DM_VERSION "\(.*\)"$/\1/p' csrc/base/version.h)
name=directmethods-$version
stage=$folder/stage.$$/$name
trap 'rm -rf "$folder/stage.$$"' EXIT

list() {
  if [ -e .git ]; then
    git ls-files
  else
    find . -name node_modules -prune -o -path ./build -prune -o ! -type d -print | sed 's:^\./::'
    sed 's/^[0-9a-f]*  //' build-aux/inspector.sha256
  fi
}

mkdir -p "$stage"
list | while read -r file; do [ ! -e "$file" ] || echo "$file"; done |
  tar cf - -T - | tar xf - -C "$stage"
[ ! -d build/dist-files ] || cp -R build/dist-files/. "$stage"

# the same sources give the same bytes
date=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$date" \
  -C "$stage/.." -cf - "$name" | gzip -9n >"$folder/$name.tar.gz"
echo "$folder/$name.tar.gz"

#!/bin/sh
# rock.sh FOLDER ARCHIVE -- try the rocks in FOLDER, from the archive of `make dist`: made
# in its sources, installed from packed source rocks, and installed from packed binary
# rocks, each into an empty tree. A tree must hold exactly what the rockspecs list, and
# run the examples that came with it. A hub must load the store in PostgreSQL.
# Variables: LUAROCKS, LUA, LUA_VERSION.
set -eu

folder=$1
archive=$2
name=$(basename "$archive" .tar.gz)
here=$(cd "$(dirname "$0")" && pwd)
. "$here/demo_ends.sh"
. "$here/unreachable_store.sh"
ROCKS="directmethods directmethods-hub directmethods-cluster"

MAKEFLAGS=-j$(nproc) # of the make that LuaRocks starts, not of the one that started this
export MAKEFLAGS

# LuaRocks, which says what it did only when it failed
rocks() {
  "$LUAROCKS" --lua-version "$LUA_VERSION" "$@" >"$folder/log" 2>&1 || {
    cat "$folder/log" >&2
    exit 1
  }
}

is_hardened() { # is_hardened FILE.so: by the Makefile's flags, as `make install`'s are
  if ! readelf -d "$1" | grep -q BIND_NOW || ! nm -D "$1" | grep -q __stack_chk_fail; then
    echo "rock: $1 is not hardened" >&2
    return 1
  fi
}

try() { # try TREE HOW: is the tree right, and do the examples of its rock run?
  tree=$folder/$1
  "$LUA" "$here/rock_tree.lua" "$tree" "$LUA_VERSION" "$specs"/*-"$version.rockspec"
  for so in "$tree/lib/lua/$LUA_VERSION"/directmethods/*.so; do
    sh "$here/symbols.sh" "$so"
    is_hardened "$so"
  done
  (
    cd /
    LUA_PATH="$tree/share/lua/$LUA_VERSION/?.lua;$tree/share/lua/$LUA_VERSION/?/init.lua;;"
    LUA_CPATH="$tree/lib/lua/$LUA_VERSION/?.so;;"
    export LUA_PATH LUA_CPATH
    doc=$tree/lib/luarocks/rocks-$LUA_VERSION/directmethods/$version/doc
    demo_ends "$LUA" "$doc/examples/demo.lua"
    "$tree/bin/directmethods" --version
    unreachable_store "$tree/bin/directmethods"
  )
  echo "rock: $2: good, in $tree"
}

rm -rf "$folder"
mkdir -p "$folder/specs"
tar xzf "$archive" -C "$folder"
version=${name#directmethods-}-1
specs=$folder/specs # rockspecs whose source is the archive beside them
for spec in "$folder/$name"/rockspec/*.rockspec; do
  "$LUAROCKS" lint "$spec"
  sed "s|^  url = .*|  url = \"file://$archive\",|" "$spec" >"$specs/${spec##*/}"
done

for rock in $ROCKS; do
  (cd "$folder/$name" && rocks make --deps-mode=none --tree "$folder/tree" \
    "rockspec/$rock-$version.rockspec")
done
try tree "made in the sources"

cd "$folder"
for rock in $ROCKS; do
  rocks pack "$specs/$rock-$version.rockspec"
  rocks install --deps-mode=none --tree "$folder/source-tree" "$rock-$version.src.rock"
done
try source-tree "from source rocks"

for rock in $ROCKS; do
  rocks pack --tree "$folder/source-tree" "$rock"
  rocks install --deps-mode=none --tree "$folder/binary-tree" "$rock-$version".linux-*.rock
done
try binary-tree "from binary rocks"

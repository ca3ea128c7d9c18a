#!/bin/sh
# debian.sh FOLDER ARCHIVE BARE -- make the Debian packages in FOLDER from the archive of
# `make dist`, and try them: lintian finds no error, they hold what the rocks hold, and on
# the bare system of bare.sh they are installed and pass debian/tests.
set -eu

folder=$1
archive=$2
bare=$3
name=$(basename "$archive" .tar.gz)

quiet() { # quiet COMMAND...: it says what it did only when it failed
  "$@" >"$folder/log" 2>&1 || {
    tail -n 60 "$folder/log" >&2
    echo "debian: failed: $*" >&2
    exit 1
  }
}

rm -rf "$folder"
mkdir -p "$folder"
tar xzf "$archive" -C "$folder"
source=$folder/$name
cd "$source"
quiet dpkg-buildpackage -us -uc "-j$(nproc)"
cd "$folder"
lintian --allow-root --fail-on error ./*.changes
echo "debian: built, lintian finds no error"

# the Lua files of a package, and those of the rock of the other name
same_files() { # same_files PACKAGE ROCK
  dpkg-deb --fsys-tarfile "$1"_*.deb | tar tf - |
    sed -n 's:^\./usr/share/lua/5.4/\(.*[^/]\)$:lua/\1:p' | sort >"$folder/packed"
  (cd "$source" && lua5.4 build-aux/rocks.lua --files "$2") | sort | diff - "$folder/packed"
}
same_files lua-directmethods directmethods
same_files directmethods-hub directmethods-hub
echo "debian: each package holds the files of its rock"

# In a mount namespace of its own, so that no mount is left behind. unshare cannot make
# the mounts of a chroot private, because its root is no mount point. nsenter can: it goes
# to the root of the namespace.
root=$folder/root
mkdir "$root"
tar xf "$bare" -C "$root" --exclude './dev/*'
echo "127.0.0.1 localhost" >"$root/etc/hosts"
cat >"$folder/test.sh" <<END
nsenter --mount=/proc/\$\$/ns/mnt mount --make-rprivate /
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
exec autopkgtest --apt-upgrade ./*_$(dpkg --print-architecture).deb "$source/" -- chroot "$root"
END
quiet unshare --mount --propagation unchanged sh -e "$folder/test.sh"
sed -n '/@@@@ summary/,$s/^\(.*PASS\)$/debian: installed on a bare system, \1/p' "$folder/log"
rm -rf --one-file-system "$root"

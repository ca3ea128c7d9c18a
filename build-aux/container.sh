#!/bin/sh
# container.sh FOLDER ARCHIVE BARE -- build the Containerfile in FOLDER with buildah, from the
# archive of `make dist` and on the bare system of bare.sh, and run the image: not as root,
# within its size, with its health check, reached from another network namespace's process
# by what its volume holds.
#
# The image's processes run in a chroot and a network namespace of their own, because that
# works in a container, too.
set -eu

folder=$1
archive=$2
bare=$3
name=$(basename "$archive" .tar.gz)
here=$(cd "$(dirname "$0")" && pwd)
SIZE=25 # MB that the image may have above the bare system

fail() {
  echo "container: $*" >&2
  exit 1
}

quiet() { # quiet COMMAND...: it says what it did only when it failed
  "$@" >"$folder/log" 2>&1 || {
    tail -n 60 "$folder/log" >&2
    fail "failed: $*"
  }
}

build() {
  buildah --root "$folder/storage" --runroot "$folder/run" --storage-driver vfs "$@"
}

space=
net= # the network namespace of the image's processes, once it is not this process's
container=
finish() {
  for link in ${net:+/proc/[0-9]*/ns/net}; do
    [ "$(readlink "$link")" != "$net" ] || kill "$(echo "$link" | cut -d / -f 3)" || true
  done
  [ -z "$container" ] || build rm "$container" >/dev/null
  rm -rf --one-file-system "$folder/storage" "$folder/run"
}

rm -rf "$folder"
mkdir -p "$folder/volume"
trap finish EXIT
tar xzf "$archive" -C "$folder"

base=$(build from scratch)
quiet build add "$base" "$bare" /
quiet build commit --rm "$base" localhost/debian
cd "$folder/$name"
quiet build bud --isolation chroot --format docker --build-arg BASE=localhost/debian \
  --tag localhost/directmethods-hub .

container=$(build from localhost/directmethods-hub)
root=$(build mount "$container")
# the folder is mounted in place of the image's own volume; buildah would mount both
build config --volume /var/lib/directmethods- "$container"
mb() { du -sm --one-file-system "$1" | cut -f 1; }
mkdir "$folder/bare"
tar xf "$bare" -C "$folder/bare"
rm -rf "$folder"/bare/var/lib/apt/lists "$folder"/bare/var/cache/apt
size=$(($(mb "$root") - $(mb "$folder/bare")))
rm -rf --one-file-system "$folder/bare"
[ "$size" -le "$SIZE" ] || fail "$size MB above the bare system, $SIZE are allowed"
echo "container: built, $size MB above the bare system"

# -- It runs -------------------------------------------------------------------------
# in a network namespace of its own, where its ports are free
inside() { nsenter --net="/proc/$space/ns/net" "$@"; }
in_image() { # in_image COMMAND...: in the image, as its user
  inside buildah --root "$folder/storage" --runroot "$folder/run" --storage-driver vfs \
    run --isolation chroot --volume "$folder/volume:/var/lib/directmethods" \
    --volume "$folder/config.json:/etc/directmethods/hub.json" \
    --volume "$folder/admin-token:/run/secrets/admin-token" "$container" -- "$@"
}

user=$(build inspect --type image --format '{{.OCIv1.Config.User}}' localhost/directmethods-hub)
[ "$user" = directmethods ] || fail "its user is '$user'"
uid=$(awk -F: '$1 == "directmethods" { print $3 }' "$root/etc/passwd")
chown "$uid:$uid" "$folder/volume"
cp "$folder/$name/examples/container/hub.json" "$folder/config.json"
echo 00112233445566778899aabbccddeeff >"$folder/admin-token"

unshare --net sleep infinity &
space=$!
while [ "$(readlink "/proc/$space/ns/net")" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.1; done
net=$(readlink "/proc/$space/ns/net")
inside ip link set lo up
inside sysctl -q net.ipv4.ip_unprivileged_port_start=443

# the command of compose.yaml, and the health check of the image
in_image directmethods hub --config=/etc/directmethods/hub.json \
  --admin-token-file=/run/secrets/admin-token --store=hub.db \
  --ready-file=/var/lib/directmethods/hub.json >"$folder/hub.log" 2>&1 &
hub=$!
tries=0
until [ -e "$folder/volume/hub.json" ]; do
  tries=$((tries + 1))
  if [ $tries -gt 300 ]; then cat "$folder/hub.log" >&2; fail "no ready file"; fi
  sleep 0.2
done
in_image directmethods device list --top 1 --quiet >/dev/null || fail "it is not healthy"

# what a Node test or another machine gets from the volume
cd "$folder/$name"
make -s "-j$(nproc)" all
cli() {
  inside env LUA_PATH="lua/?.lua;lua/?/init.lua;;" LUA_CPATH="build/release/?.so;;" \
    DIRECTMETHODS_READY_FILE="$folder/volume/hub.json" lua5.4 build-aux/directmethods "$@"
}
cli env dotenv --device fan >"$folder/env"
grep -q "^IOTHUB_CA_FILE='$folder/volume/hub.db.ca.pem'" "$folder/env" || fail "no CA by env"
cli device list | grep -q '"fan"' || fail "the device is not there"
inside curl -s --cacert "$folder/volume/hub.db.ca.pem" --connect-to hub:8080:127.0.0.1:8080 \
  -H "Authorization: Bearer $(cat "$folder/admin-token")" https://hub:8080/devices |
  grep -q fan || fail "the admin listener does not answer"
inside curl -s --cacert "$folder/volume/hub.db.ca.pem" --connect-to hub:8080:127.0.0.1:8080 \
  -o /dev/null -w '%{http_code}' https://hub:8080/devices | grep -q 401 ||
  fail "the admin listener answers without its token"
if [ -d "$here/../spec/interop/node_modules" ]; then
  cp -R "$folder/$name/examples/node" "$folder/node"
  ln -s "$here/../spec/interop/node_modules" "$folder/node/node_modules"
  (
    cd "$folder/node"
    quiet inside unshare --mount sh -c "echo 127.0.0.1 localhost hub >'$folder/hosts' &&
      mount --bind '$folder/hosts' /etc/hosts && mkdir -p /var/lib/directmethods &&
      mount --bind '$folder/volume' /var/lib/directmethods &&
      DIRECTMETHODS_READY_FILE=/var/lib/directmethods/hub.json HUB_ADMIN_URL=https://hub:8080 \
      NODE_EXTRA_CA_CERTS=/var/lib/directmethods/hub.db.ca.pem npm test"
  )
  echo "container: the tests of examples/node pass beside it"
fi
kill -TERM "$(sed -n 's/.*"pid":\([0-9]*\).*/\1/p' "$folder/volume/hub.json")"
wait "$hub" || fail "it did not end in good order"
[ ! -e "$folder/volume/hub.json" ] || fail "its ready file is still there"
echo "container: runs as $user, healthy, found by its volume; ends in good order"

#!/bin/sh
# namespaces.sh COMMAND... -- run a command beside four network namespaces that only it
# has: n1, n2 and n3 for hubs and NATS servers, db for PostgreSQL, with the addresses
# 10.9.0.1, .2, .3 and .9. The command itself is at 10.9.0.254. When it ends, all that
# runs in them is killed. Needs root.
set -eu
if [ "${IN_NAMESPACES:-}" != yes ]; then
  IN_NAMESPACES=yes exec unshare --net --mount --pid --fork --kill-child --mount-proc "$0" "$@"
fi
mount -t tmpfs tmpfs /run
ip link set lo up
ip link add br0 type bridge
ip addr add 10.9.0.254/24 dev br0
ip link set br0 up
for node in n1:1 n2:2 n3:3 db:9; do
  name=${node%:*}
  ip netns add "$name"
  ip link add "v$name" type veth peer name eth0 netns "$name"
  ip link set "v$name" master br0 up
  ip -n "$name" addr add "10.9.0.${node#*:}/24" dev eth0
  ip -n "$name" link set eth0 up
  ip -n "$name" link set lo up
  ip netns exec "$name" nft "add table inet proof"
  ip netns exec "$name" nft "add chain inet proof in { type filter hook input priority 0; }"
done
"$@"

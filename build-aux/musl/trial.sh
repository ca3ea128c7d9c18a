#!/bin/sh
# trial.sh DIR -- the agent of the feed on a router of musl and busybox, at a hub on the
# other side of a network: what it survives, and what it takes. `make musl` runs it.
#
# DIR is where libraries.sh has built. The router is a chroot in a network namespace of
# its own, the hub runs from this tree in another. Needs root, and the built hub.
set -eu

here=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$1"
dir=$(cd "$1" && pwd)
stage=$dir/stage/usr
root=$dir/root
hub_ns=dm-hub-$$
router_ns=dm-router-$$
files=$here/examples/openwrt/directmethods/files
core=$root/usr/lib/lua/5.4/directmethods/core.so
run=$dir/run

fail() {
  echo "musl: not so: $1" >&2
  tail -n 20 "$run/agent.log" >&2 || true
  exit 1
}

good() {
  echo "musl: $1"
}

# until SECONDS COMMAND...: wait for it to be true
until_true() {
  left=$(($1 * 10)) && shift
  until "$@" >/dev/null 2>&1; do
    left=$((left - 1))
    [ $left -gt 0 ] || return 1
    sleep 0.1
  done
}

# -- The router --------------------------------------------------------------------

build_core() {
  make -C "$here" -s CC=musl-gcc B="$dir/build" PAHO=no SIZE=1 \
    LUA_CFLAGS="-isystem $stage/include -idirafter $dir/kernel" LDFLAGS="-L$stage/lib" \
    NEEDS="$dir/needed" DESTDIR="$root" PREFIX=/usr install-device >"$dir/core.log" 2>&1 ||
    { tail -n 20 "$dir/core.log" >&2 && exit 1; }
  strip "$core"
  musl-gcc -shared -fPIC -O2 -o "$root/lib/wrong_clock.so" \
    "$here/build-aux/musl/wrong_clock.c"
}

make_root() {
  ! mountpoint -q "$root/proc" || umount -l "$root/proc"
  rm -rf --one-file-system "$root" "$run"
  mkdir -p "$run" "$root/bin" "$root/lib" "$root/usr/bin" "$root/usr/sbin" "$root/tmp" \
    "$root/usr/lib" "$root/usr/local/lib/lua/5.4" "$root/etc/directmethods/methods.d" \
    "$root/etc/directmethods/exec.d" "$root/etc/config" "$root/proc" "$root/dev" \
    "$root/usr/share/directmethods/agent"
  cp "$stage/bin/busybox" "$root/bin"
  chroot "$root" /bin/busybox --install -s /bin
  cp "$stage/bin/lua5.4" "$root/usr/bin"
  cp -L /lib/ld-musl-*.so.1 "$root/lib"
  for lib in libuv.so.1 libssl.so.3 libcrypto.so.3; do
    cp "$stage/lib/$lib" "$root/usr/lib"
    strip "$root/usr/lib/$lib"
  done
  cp "$stage/lib/lua/5.4/cjson.so" "$root/usr/local/lib/lua/5.4"
  cp "$files"/agent*.lua "$root/usr/share/directmethods/agent"
  cp "$files/methods.d/uptime.lua" "$root/etc/directmethods/methods.d"
  cat >"$root/bin/ubus" <<'END'
#!/bin/sh
echo "{\"board\":\"$3 $4\"}"
END
  chmod +x "$root/bin/ubus"
  mount -t proc proc "$root/proc"
  mknod -m 666 "$root/dev/null" c 1 3
  mknod -m 444 "$root/dev/urandom" c 1 9
  cp "$files/directmethods.init" "$root/etc/directmethods.init"
  cat >"$root/etc/rc.stub" <<'END'
config_load() { :; }
config_foreach() { "$1" main; }
config_get() { default=${4:-}; eval "$1=\${UCI_$3:-\$default}"; }
config_get_bool() { eval "$1=\${UCI_$3:-$4}"; }
config_list_foreach() { "$3" "system board"; }
procd_open_instance() { :; }
procd_set_param() { what=$1; shift; [ "$what" != command ] || words=; keep "$@"; }
procd_append_param() { what=$1; shift; keep "$@"; }
keep() {
  case $what in
  command) for word; do words="$words '$word'"; done ;;
  env) for word; do export "$word"; done ;;
  esac
}
procd_close_instance() {
  [ -z "${VM:-}" ] || ulimit -v "$VM"
  [ -z "${PRELOAD:-}" ] || export LD_PRELOAD="$PRELOAD"
  eval "exec $words"
}
END
}

# -- The network --------------------------------------------------------------------

lua_env() {
  LUA_PATH="$here/lua/?.lua;$here/lua/?/init.lua;;" \
    LUA_CPATH="$here/build/release/?.so;;" "$@"
}

make_network() {
  ip netns add "$hub_ns"
  ip netns add "$router_ns"
  ip link add dm-hub netns "$hub_ns" type veth peer name wan netns "$router_ns"
  ip -n "$hub_ns" addr add 10.83.0.1/24 dev dm-hub
  ip -n "$hub_ns" link set dm-hub up
  ip -n "$hub_ns" link set lo up
  ip -n "$router_ns" link set lo up
  ip -n "$router_ns" addr add 10.83.0.2/24 dev wan
  ip -n "$router_ns" link set wan up
}

start_hub() {
  rm -f "$run/ready"
  (cd "$run" && lua_env exec ip netns exec "$hub_ns" lua5.4 "$here/build-aux/directmethods" \
    hub --host 0.0.0.0 --hostname hub.test --mqtt-port 8883 --https-port 443 \
    --store "$run/hub.db" --ready-file "$run/ready" --device r1 >>"$run/hub.log" 2>&1) &
  hub_pid=$!
  until_true 30 test -s "$run/ready" || { tail -n 5 "$run/hub.log"; fail "the hub serves"; }
}

call() { # call METHOD [PAYLOAD]: status and answer in $run/call
  lua_env ip netns exec "$hub_ns" lua5.4 "$here/build-aux/directmethods" \
    invoke --ready-file "$run/ready" --connect-timeout 30 r1 "$@" \
    >"$run/call" 2>"$run/call.err"
}

is_called() {
  call uptime && grep -q seconds "$run/call"
}

# A call that was sent while the old connection seemed to live ends with it: try again.
answers() { # answers WHAT: the agent is called
  until_true 30 is_called || { cat "$run/call.err" >&2; fail "$1"; }
  good "$1"
}

# The agent, as init has procd start it. UCI_* and what stands before are its settings.
start_agent() {
  env -i PATH=/bin:/usr/bin:/sbin:/usr/sbin UCI_enabled=1 UCI_ca=/etc/ca.pem UCI_keepalive="${keepalive:-4}" \
    "$@" ip netns exec "$router_ns" /usr/sbin/chroot "$root" /bin/sh -c \
    '. /etc/rc.stub; . /etc/directmethods.init; start_service' \
    >>"$run/agent.log" 2>&1 &
  agent_pid=$!
}

end_agent() {
  kill -TERM "$agent_pid"
  status=0
  wait "$agent_pid" || status=$?
  [ "$status" -eq 0 ] || fail "SIGTERM ends the agent in good order ($status)"
}

lines() { # lines N TEXT: the log of the agent has it so often
  [ "$(grep -c "$2" "$run/agent.log")" -eq "$1" ]
}

finish() {
  status=$?
  trap - EXIT
  for pid in ${agent_pid:-} ${hub_pid:-}; do
    kill "$pid" 2>/dev/null || true
  done
  umount -l "$root/proc" 2>/dev/null || true
  ip netns del "$hub_ns" 2>/dev/null || true
  ip netns del "$router_ns" 2>/dev/null || true
  exit $status
}

# -- What it survives ----------------------------------------------------------------

survives_link() {
  ip -n "$router_ns" link set wan down
  until_true 60 lines 1 "offline: " || fail "a dead line is noticed"
  ip -n "$router_ns" link set wan up
  answers "it comes back when the link was down and is up"
  lines 1 "r1: offline: " || fail "one line tells that it is away"
  lines 1 "r1: online again" || fail "one line tells that it is back"
}

survives_address() {
  ip -n "$router_ns" addr flush dev wan
  ip -n "$router_ns" addr add 10.83.0.77/24 dev wan
  kill -HUP "$agent_pid" # as hotplug does
  answers "it has another address"
}

survives_silent_names() {
  grep -v hub.test "$root/etc/hosts" >"$run/hosts" || true
  cp "$run/hosts" "$root/etc/hosts"
  echo "nameserver 10.83.0.53" >"$root/etc/resolv.conf"
  # what is sent there gets lost
  ip -n "$router_ns" neigh add 10.83.0.53 lladdr 02:00:00:00:00:53 dev wan
  before=$(grep -c "offline: " "$run/agent.log" || true)
  sleep 6 # an address is kept for 5 s
  kill -HUP "$agent_pid"
  until_true 60 lines $((before + 1)) "offline: " || fail "a silent name server is told"
  echo "10.83.0.1 hub.test" >>"$root/etc/hosts"
  kill -HUP "$agent_pid"
  answers "no name server answered for a while"
}

survives_restart() {
  kill -9 "$hub_pid"
  wait "$hub_pid" 2>/dev/null || true
  start_hub
  answers "the hub was killed and started again"
}

survives_clock() {
  end_agent
  echo -40000000 >"$root/tmp/clock" # before the hub's certificate
  : >"$run/agent.log"
  start_agent WRONG_CLOCK=/tmp/clock PRELOAD=/lib/wrong_clock.so
  until_true 30 lines 1 "clock" || fail "a wrong clock is told"
  sleep 3
  lines 1 "offline: " || fail "a wrong clock is told once"
  echo 0 >"$root/tmp/clock"
  answers "the clock was behind, and was set"
}

# -- What it takes -------------------------------------------------------------------

memory() { # memory FIELD: KB of /proc/PID/smaps_rollup
  awk -v field="$1:" '$1 == field { print $2 }' "/proc/$agent_pid/smaps_rollup"
}

switches() {
  awk '/^voluntary_ctxt/ { print $2 }' "/proc/$agent_pid/status"
}

size_of() {
  wc -c <"$1"
}

measure() {
  end_agent
  keepalive=240 start_agent
  answers "it was started again"
  sleep 8 # until it has forgotten the hub's address
  first=$(switches)
  sleep 10
  wakeups=$(($(switches) - first))
  private=$(memory Private_Dirty)
  resident=$(memory Rss)
  make -C "$here" -s CC=musl-gcc B="$dir/build-fast" PAHO=no \
    LUA_CFLAGS="-isystem $stage/include -idirafter $dir/kernel" LDFLAGS="-L$stage/lib" NEEDS="$dir/needed" \
    MODULES=core "$dir/build-fast/directmethods/core.so" >"$dir/core.log" 2>&1
  strip -o "$run/fast.so" "$dir/build-fast/directmethods/core.so"
  (cd "$root" && tar czf "$run/package.tar.gz" usr/lib/lua usr/share/lua \
    usr/share/directmethods)
  (cd "$root" && tar czf "$run/all.tar.gz" usr lib/ld-musl-*)
  cat <<END
| what | measured | limit |
|---|---|---|
| core.so, stripped, \`PAHO=no\` | $(size_of "$run/fast.so") bytes | 153600 |
| the same with \`SIZE=1\` | $(size_of "$core") bytes | 138240 |
| device and agent, packed | $(size_of "$run/package.tar.gz") bytes | 102400 |
| private memory of the agent over TLS (what cannot be read again from files) | $private KB | 2048 |
| resident memory, with the code of the libraries | $resident KB | |
| wake-ups while idle, in 10 s | $wakeups | 0 |
| libcrypto, libssl | $(size_of "$root/usr/lib/libcrypto.so.3"), $(size_of "$root/usr/lib/libssl.so.3") bytes | |
| libuv, Lua, cjson | $(size_of "$root/usr/lib/libuv.so.1"), $(size_of "$root/usr/bin/lua5.4"), $(size_of "$root/usr/local/lib/lua/5.4/cjson.so") bytes | |
| all of it with musl, packed | $(size_of "$run/all.tar.gz") bytes | |
END
  [ "$(size_of "$run/fast.so")" -le 153600 ] || fail "core.so is small"
  [ "$(size_of "$core")" -le 138240 ] || fail "core.so with SIZE=1 is small"
  [ "$(size_of "$run/package.tar.gz")" -le 102400 ] || fail "the package is small"
  [ "$private" -le 2048 ] || fail "the agent needs little memory"
  [ "$wakeups" -eq 0 ] || fail "an idle agent sleeps"
}

survives_little_memory() {
  end_agent
  keepalive=4 start_agent VM="$1"
  answers "it has $1 KB of memory, libraries included"
}

trap finish EXIT
make_root
build_core
make_network
start_hub
cp "$(sed -n 's/.*"ca_file": *"\([^"]*\)".*/\1/p' "$run/ready")" "$root/etc/ca.pem"
sed -n 's/.*"r1": *"\(HostName=[^"]*\)".*/\1/p' "$run/ready" | head -n 1 \
  >"$root/etc/directmethods/connection_string"
echo "10.83.0.1 hub.test" >"$root/etc/hosts"
start_agent
answers "it connects over TLS and is called"
call ubus '{"object":"system","method":"board"}' || fail "ubus is called"
grep -q "system board" "$run/call" || fail "ubus is called: $(cat "$run/call")"
call ubus '{"object":"system","method":"reboot"}' || true
grep -q 403 "$run/call" "$run/call.err" || fail "another ubus call is refused"
good "ubus calls of its list are made, others are refused"
survives_link
survives_address
survives_silent_names
survives_restart
survives_clock
survives_little_memory 8192
measure
end_agent
good "SIGTERM ends it in good order"

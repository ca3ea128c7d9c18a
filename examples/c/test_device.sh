#!/bin/sh
# test_device.sh [HUB OPTION...] -- tests of ./device (docs/c.md). With options it starts a hub of its
# own; without, it uses the hub around it: `directmethods hub --device fan -- ./test_device.sh`.
set -eu
folder=$(mktemp -d)
started=
stop() {
  for pid in $started; do kill "$pid" 2>/dev/null || true; done
  wait
  rm -rf "$folder"
}
trap stop EXIT

if [ $# -gt 0 ]; then
  directmethods hub --ready-file "$folder/hub.json" --admin-port 0 "$@" >"$folder/log" 2>&1 &
  hub=$!
  started=$hub
  until [ -e "$folder/hub.json" ]; do # it is written, whole, when the hub listens
    kill -0 "$hub" || { cat "$folder/log" >&2; exit 1; }
    sleep 0.05
  done
  eval "$(directmethods env --ready-file "$folder/hub.json")" # the variables of `hub --`
  export DIRECTMETHODS_READY_FILE="$folder/hub.json"
fi

check() { # check WHAT COMMAND...
  what=$1
  shift
  "$@" >"$folder/out" 2>&1 || { echo "failed: $what"; cat "$folder/out"; exit 1; }
  echo "ok: $what"
}

check 'a device that is not there is reported at once' \
  directmethods invoke fan echo --expect 'code == 404103'

./device &
device=$!
started="$device $started" # the device first, then the hub
check 'the device answers' directmethods invoke fan echo '{"n":1}' \
  --connect-timeout 30 --expect 'status == 200 and payload.n == 1'
check 'nine calls at once' directmethods invoke fan echo '{"n":9}' \
  --repeat 9 --parallel 9 --expect 'payload.n == 9'

directmethods fault add response disconnect --device fan --times 1 >/dev/null
check 'a call whose answer is cut off is reported' \
  directmethods invoke fan echo --expect 'code == 404104'
wait "$device" && exit 1 || echo 'ok: the device says that its connection has ended'

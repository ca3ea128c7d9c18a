# unreachable_store.sh -- to be sourced: unreachable_store DIRECTMETHODS starts a hub with a
# store in PostgreSQL where no server is, and fails unless it says that it cannot connect:
# the module of the store is there, and libpq is linked.
# shellcheck shell=sh

unreachable_store() {
  said=$("$1" hub --store postgres://127.0.0.1:1/hub --mqtt-port 0 --https-port 0 2>&1) || true
  case $said in
  *"store postgres://127.0.0.1:1/hub: connection to server"*) ;;
  *) echo "$1: a hub with a store in PostgreSQL says '$said'" >&2 && return 1 ;;
  esac
}

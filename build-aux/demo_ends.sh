# demo_ends.sh -- to be sourced: demo_ends COMMAND... runs the example demo.lua by a command
# and fails unless its last line is the one of a demo in good order.
# shellcheck shell=sh

demo_ends() {
  end=$("$@" | tail -n 1)
  case $end in
  *"2 4 6 8 10 12 14 16 18 20 22 24 26 28 30 32 34 36 38 40") ;;
  *) echo "$*: the demo ends with '$end'" >&2 && return 1 ;;
  esac
}

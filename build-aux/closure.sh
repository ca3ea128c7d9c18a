#!/bin/sh
# closure.sh MODULE... -- print the Lua files under lua/ of these modules and of all
# modules that they `require "..."`, one a line. What a file loads by a name that it
# computes, such as dm.hub's, does not count.
set -eu

file_of() { # file_of MODULE: nothing for C modules and those of others
  path=lua/$(echo "$1" | tr . /)
  for file in "$path.lua" "$path/init.lua"; do
    [ ! -f "$file" ] || echo "$file"
  done
}

seen=
add() { # add MODULE
  case " $seen " in *" $1 "*) return ;; esac
  seen="$seen $1"
  for f in $(file_of "$1"); do
    echo "$f"
    for m in $(grep -Eo 'require,? ?\(?"directmethods[a-z0-9_.]*"' "$f" | sed 's/.*"\(.*\)"/\1/'); do
      add "$m"
    done
  done
}

for module; do add "$module"; done

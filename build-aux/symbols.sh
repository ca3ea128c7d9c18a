#!/bin/sh
# symbols.sh FILE.so -- a module exports its luaopen_ function alone, and none of
# the project's own functions is missing from it.
set -u

so=$1
name=luaopen_directmethods_$(basename "$so" .so)

exported=$(nm -D --defined-only "$so" | awk '{ print $NF }' | sort)
if [ "$exported" != "$name" ]; then
  echo "$so: exports '$exported' instead of $name alone" >&2
  exit 1
fi

# llhttp is a library of its own, or must be in the module
ours='^(dm_|l_|llhttp_)'
readelf -d "$so" | grep -q 'NEEDED.*libllhttp' && ours='^(dm_|l_)'
undefined=$(nm -D --undefined-only "$so" | awk -v ours="$ours" '$NF ~ ours { print $NF }')
if [ -n "$undefined" ]; then
  echo "$so: lacks '$undefined': a source file is missing in the Makefile" >&2
  exit 1
fi

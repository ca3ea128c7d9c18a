#!/bin/sh
# launcher.sh PREFIX LUA_VERSION -- print the program that `make install` leaves
# in PREFIX/bin: it knows its interpreter and its folders, so that it runs from
# anywhere with no environment variable set.
set -eu

prefix=$1
version=$2
lua=$(command -v "${LUA:-lua5.4}")

cat <<END
#!$lua
package.path = "$prefix/share/lua/$version/?.lua;"
  .. "$prefix/share/lua/$version/?/init.lua;" .. package.path
package.cpath = "$prefix/lib/lua/$version/?.so;" .. package.cpath
END
sed 1d "$(dirname "$0")/directmethods"

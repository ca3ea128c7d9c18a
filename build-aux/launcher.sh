#!/bin/sh
# launcher.sh INTERPRETER SHARE_DIR LIB_DIR -- print the program that `make install`
# leaves in PREFIX/bin: it knows its interpreter and its folders, so that it runs from
# anywhere with no environment variable set.
set -eu

cat <<END
#!$1
package.path = "$2/?.lua;$2/?/init.lua;" .. package.path
package.cpath = "$3/?.so;" .. package.cpath
END
sed 1d "$(dirname "$0")/directmethods"

#!/bin/sh
# release.sh VERSION -- make a release of what is committed, such as 1.2.3.
#
# Sets the version everywhere, dates the changelog, runs the checks, commits, tags the
# commit v1.2.3 and leaves build/directmethods-1.2.3.tar.gz. It pushes nothing: look at
# the result, then push the branch and the tag.
# Variables: LUA (lua5.4), CHECK (what must pass: make check), PACK (what makes the
# archive: make dist).
set -eu

LUA=${LUA:-lua5.4}
CHECK=${CHECK:-make check}
PACK=${PACK:-make dist}
version=${1:-}

fail() {
  echo "release: $1" >&2
  exit 1
}

cd "$(dirname "$0")/.."
echo "$version" | grep -Eqx '[0-9]+\.[0-9]+\.[0-9]+' ||
  fail "usage: release.sh VERSION, three numbers"
[ -z "$(git status --porcelain)" ] || fail "commit or remove what has changed first"
! git rev-parse -q --verify "refs/tags/v$version" >/dev/null ||
  fail "there is a tag v$version"
awk '/^## /{ found = /^## Unreleased$/ } found && /^- /{ n++ } END { exit n == 0 }' \
  CHANGELOG.md || fail "CHANGELOG.md has nothing under '## Unreleased'"

# From here on a failure leaves the tree changed: git reset --hard undoes it.
"$LUA" build-aux/version.lua --set "$version"
# a machine whose clock is before this day has a wrong one
sed -i "s/^M\.BUILT = [0-9]*\$/M.BUILT = $(date -u -d "$(date -u +%Y-%m-%d)" +%s)/" \
  lua/directmethods/device/token.lua
sed -i "s/^## Unreleased\$/&\n\n## $version, $(date -u +%Y-%m-%d)/" CHANGELOG.md
sed -i "s/^\( -- .*>  \).*/\1$(LC_ALL=C date -uR)/" debian/changelog
"$LUA" build-aux/version.lua --check
$CHECK
git add -A
git commit -q -m "release: $version"
git tag -a "v$version" -m "directmethods $version"
mkdir -p build
$PACK >build/pack.log
echo "release: build/directmethods-$version.tar.gz; push the branch and the tag v$version"

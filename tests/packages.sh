#!/usr/bin/env bash
# Installs the Debian packages that some tests need (packages.txt beside this file), where it may; else says how.
# Never fails: those tests skip, with the reason.
set -u
missing=()
while read -r package; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done < <(grep -v "^#" "$(dirname "$0")/packages.txt")
[ ${#missing[@]} = 0 ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing for the tests: ${missing[*]} ..."
    export DEBIAN_FRONTEND=noninteractive
    said=$(apt-get update 2>&1 && apt-get install --yes --no-install-recommends "${missing[@]}" 2>&1) && exit 0
    tail -3 <<<"$said" >&2
fi
echo "some tests will be skipped; for them: sudo apt install ${missing[*]}"

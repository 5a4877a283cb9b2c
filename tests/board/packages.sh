#!/bin/bash
# What virtual boards need of this machine (Debian 12 or newer): qemu, a way to unpack Debian for another processor, the
# tools that fill a disk image, and systemd-nspawn for boards in containers. Installs what is missing; root or sudo.
set -euo pipefail
packages=(qemu-system-arm qemu-utils qemu-user-static binfmt-support arch-test
          mmdebstrap e2fsprogs kmod cpio xz-utils openssh-client rsync systemd-container)
missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
echo "installing ${missing[*]}"
root=(); [ "$(id -u)" = 0 ] || root=(sudo)
"${root[@]}" apt-get update -qq
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null

#!/bin/bash
# The Debian mirror that boards are made from: BOARD_MIRROR, else where this machine's own apt looks.
mirror=${BOARD_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    grep -v security | head -n 1 || true)}
echo "${mirror:-http://deb.debian.org/debian}"

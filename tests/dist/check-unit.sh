#!/bin/bash
# SPDX-License-Identifier: MIT
# usage: check-unit.sh UNIT BROKERD: what systemd finds wrong with the unit (nothing may be), with the
# program that was built in the place of the one that will be installed; and how exposed it is.
set -euo pipefail
command -v systemd-analyze >/dev/null || { echo "skipped: systemd is not installed"; exit 77; }
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
sed "s#^ExecStart=[^ ]*#ExecStart=$(realpath "$2")#" "$1" >"$directory/vtd-brokerd.service"
said=$(systemd-analyze verify --man=no "$directory/vtd-brokerd.service" 2>&1) || true
[[ -z $said ]] || { echo "$said"; exit 1; }
# In tenths.  What is left: it is root, has SYS_ADMIN and devices, and may make namespaces.
systemd-analyze security --no-pager --offline=yes --threshold=30 "$directory/vtd-brokerd.service" |
        grep -E '✗|Overall'

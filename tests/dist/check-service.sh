#!/bin/bash
# SPDX-License-Identifier: MIT
# usage: check-service.sh BUILD: to be run by throwaway-root --systemd.
# Installs what is built, starts the service as it is installed, hardening and all, on the simulated
# host, and tells it the story; then ends it and looks at what is left.
set -euo pipefail
build=$1 here=$(dirname "$0")

fail() {
        echo "FAILED: $*"
        systemctl --no-pager status vtd-brokerd.service || true
        tail -n 20 /run/log-of-brokerd
        exit 1
}

meson install -C "$build" --no-rebuild --quiet
prefix=$(meson introspect "$build" --buildoptions | python3 -c '
import json, sys
print(next(o["value"] for o in json.load(sys.stdin) if o["name"] == "prefix"))')
etc=$prefix/etc
[[ $prefix != /usr ]] || etc=/etc
systemd-sysusers "$prefix/lib/sysusers.d/vtd-broker.conf"
systemd-tmpfiles --create "$prefix/lib/tmpfiles.d/vtd-broker.conf"
getent group vtd-broker >/dev/null || fail "no group vtd-broker"
[[ $(stat -c %a:%u "$etc/vtd-broker/policies") == 755:0 ]] || fail "the directory of policies"

"$prefix/bin/vtd-policy" check "$here/story.policy" || fail "the policy of the story"
install -m 644 "$here/story.policy" "$etc/vtd-broker/policies/blue.policy"
echo 'VTD_BROKERD_OPTIONS=--host simulated --audit-level requests' >"$etc/vtd-broker/options"
# The journal is not here; its place is.
mkdir -p /run/systemd/system/vtd-brokerd.service.d
printf '[Service]\nStandardError=append:/run/log-of-brokerd\n' >/run/systemd/system/vtd-brokerd.service.d/log.conf
systemctl daemon-reload

systemctl start vtd-brokerd.service || fail "it does not start"
[[ $(systemctl is-active vtd-brokerd.service) == active ]] || fail "not active"
main=$(systemctl show --value -p MainPID vtd-brokerd.service)
for line in 'NoNewPrivs:.1' 'Seccomp:.2'; do
        grep -q "$line" "/proc/$main/status" || fail "vtd-brokerd has not $line"
done
grep CapBnd "/proc/$main/status"
[[ $(stat -c %a:%u /run/vtd-broker/blue.sock) == 600:2001 ]] || fail "the tenant's socket"

python3 "$here/follow-vmm.py" "$build/tests/vmm/vtd-vmm" /run/vtd-broker/blue.sock ||
        fail "the story"

# A worker that is killed, as for want of memory, ends nobody else.
systemctl kill --kill-whom=main -s TERM vtd-brokerd.service
for ((i = 0; i < 100; i++)); do
        [[ $(systemctl is-active vtd-brokerd.service) == active ]] || break
        sleep 0.1
done
[[ $(systemctl show --value -p Result vtd-brokerd.service) == success ]] || fail "its end"
[[ -z $(ls /run/vtd-broker) ]] || fail "a socket was left behind"
grep -q '"reason":"memory-limit".*"rule":"blue.policy:' /run/log-of-brokerd || fail "no refusal was audited"
! grep -Ei 'not permitted|killed' /run/log-of-brokerd || fail "something was forbidden"
echo "the service told the story"

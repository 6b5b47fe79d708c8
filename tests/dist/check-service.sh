#!/bin/bash
# SPDX-License-Identifier: MIT
# usage: check-service.sh PREFIX VMM HOST
#
# Below the systemd of a machine that may be spoilt (throwaway-root, service-in-rig), with everything
# installed in PREFIX: starts the service as it is installed, hardening and all, on HOST, simulated or
# linux, tells it the story with the program VMM, ends it, and looks at what is left.
set -euo pipefail
prefix=$1 vmm=$2 host=$3 here=$(dirname "$0")
etc=$prefix/etc
[[ $prefix != /usr ]] || etc=/etc
log=/run/log-of-brokerd
audit=/var/log/vtd-broker/audit.json
metrics=/run/vtd-broker-metrics/socket
drop_ins=/run/systemd/system/vtd-brokerd.service.d

fail() {
        echo "FAILED: $*"
        systemctl --no-pager status vtd-brokerd.service || true
        tail -n 20 "$log" || true
        exit 1
}

# The story's policy for the devices of this host.
policy() {
        local device devices=()
        if [[ $host == simulated ]]; then
                cat "$here/story.policy"
                return
        fi
        for device in /sys/bus/pci/devices/*; do
                [[ $(<"$device/vendor"):$(<"$device/device") != 0x1234:0x11e8 ]] || devices+=("${device##*/}")
        done
        # The device at the highest address is the late one, the story's first.  Neither can be reset, nor
        # does their IOMMU control snooping.
        sed -e "/edu0/,/edu1/s/^simulated.*/pci = ${devices[-1]}\nallow = no-reset, no-snoop-control/" \
                -e "s/^simulated.*/pci = ${devices[0]}\nallow = no-reset, no-snoop-control/" \
                "$here/story.policy"
}

systemd-sysusers "$prefix/lib/sysusers.d/vtd-broker.conf"
systemd-tmpfiles --create "$prefix/lib/tmpfiles.d/vtd-broker.conf"
grep -q '^vtd-broker:' /etc/group || fail "no group vtd-broker"
[[ $(stat -c %a:%u "$etc/vtd-broker/policies") == 755:0 ]] || fail "the directory of policies"

policy >"$etc/vtd-broker/policies/blue.policy"
chmod 644 "$etc/vtd-broker/policies/blue.policy"
"$prefix/bin/vtd-policy" check "$etc/vtd-broker/policies/blue.policy" || fail "the policy of the story"
echo "VTD_BROKERD_OPTIONS=--host $host --audit-level requests --audit-file $audit --metrics $metrics" >"$etc/vtd-broker/options"
# There is no journal here.
mkdir -p "$drop_ins"
printf '[Service]\nStandardError=append:%s\n' "$log" >"$drop_ins/log.conf"
systemctl daemon-reload

systemctl start vtd-brokerd.service || fail "it does not start"
[[ $(systemctl is-active vtd-brokerd.service) == active ]] || fail "not active"
main=$(systemctl show --value -p MainPID vtd-brokerd.service)
for line in 'NoNewPrivs:.1' 'Seccomp:.2'; do
        grep -q "$line" "/proc/$main/status" || fail "vtd-brokerd has not $line"
done
"$prefix/bin/vtd-brokerctl" status --json | grep -q '"tenant": *"blue"' || fail "vtd-brokerctl does not know the tenant"
systemctl reload vtd-brokerd.service || fail "policies are not read again"
[[ $(stat -c %a:%u /run/vtd-broker/blue.sock) == 600:2001 ]] || fail "the tenant's socket"

python3 "$here/follow-vmm.py" "$vmm" /run/vtd-broker/blue.sock || fail "the story"

[[ $(stat -c %a:%G "$audit") == 640:vtd-broker ]] || fail "the audit file: $(ls -l "$audit")"
grep -q '"reason":"memory-limit".*"rule":"blue.policy:' "$audit" || fail "no refusal was audited"
[[ $(stat -c %a:%G "$metrics") == 660:vtd-broker ]] || fail "the socket of metrics"
# As logrotate does it.
mv "$audit" "$audit.1"
systemctl kill --kill-whom=main --signal=USR1 vtd-brokerd.service
for ((i = 0; i < 100; i++)); do
        [[ ! -e $audit ]] || break
        sleep 0.1
done
[[ -e $audit ]] || fail "no new audit file"

systemctl stop vtd-brokerd.service
[[ $(systemctl show --value -p Result vtd-brokerd.service) == success ]] || fail "its end"
[[ -z $(ls /run/vtd-broker) ]] || fail "a socket was left behind"
! grep -Ei 'not permitted|killed|kernels before' "$log" || fail "something was forbidden"
echo "the service told the story on the $host host"

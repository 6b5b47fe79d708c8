#!/bin/sh
# SPDX-License-Identifier: MIT
# Steps that look at what the kernel made of the virtual IOMMU.  Assumes debugfs.
# shellcheck source=tests/guest/inside/report.sh
. /guest/report.sh

intel=/sys/kernel/debug/iommu/intel
devices=/sys/bus/pci/devices

# The functions with which the steps transfer data: disks and network adapters.
functions() {
        for d in "$devices"/*; do
                case $(cat "$d/class") in
                0x010000 | 0x010802 | 0x020000) echo "${d##*/}" ;;
                esac
        done
}

# Function and type (PGTT: 1 first stage, 2 second stage, 3 nested, 4 pass-through) of each PASID-table
# entry for requests without PASID.
translations() {
        grep '^..:..\..' "$intel/dmar_translation_struct" | while read -r function _ _ pasid entry; do
                [ "$pasid" -ne 0 ] || echo "0000:$function $(((${entry##*:} >> 6) & 7))"
        done
}

# all_translated TYPE GROUP: every function has an entry of that type, in a group of that type.
step_all_translated() {
        for f in $(functions); do
                equal "$f: type of its PASID-table entry" "$(translations | sed -n "s/^$f //p")" "$1"
                equal "$f: type of its IOMMU group" "$(cat "$devices/$f/iommu_group/type")" "$2"
        done
        point 'there are functions to translate for' [ -n "$(functions)" ]
}

scalable() {
        point 'scalable mode is asked for' in_log 'DMAR: Enable scalable mode if hardware supports'
        point 'the unit was off when the kernel came' not in_log 'ranslation already enabled'
        point 'the unit translates' in_log 'DMAR: Intel(R) Virtualization Technology for Directed I/O'
        equal 'one unit' "$(find /sys/class/iommu -name 'dmar*' | wc -l)" 1
}

# DMA API, each unmapping invalidated before it returns, or many at once later.
step_strict() {
        scalable
        point 'invalidation policy: strict' in_log 'iommu: DMA domain TLB invalidation policy: strict mode'
        step_all_translated 1 DMA
}

step_lazy() {
        scalable
        point 'invalidation policy: lazy' in_log 'iommu: DMA domain TLB invalidation policy: lazy mode'
        step_all_translated 1 DMA-FQ
}

# iommu=pt
step_passthrough() {
        scalable
        step_all_translated 4 identity
}

# A unit without second-stage tables and a driver without scalable mode.
step_declined() {
        point 'the driver declines' in_log 'DMAR: Cannot get a valid agaw for iommu'
        equal 'no unit is in use' "$(find /sys/class/iommu -name 'dmar*')" ''
        for f in $(functions); do
                point "$f is in no IOMMU group" [ ! -e "$devices/$f/iommu_group" ]
        done
        point 'there are functions without translation' [ -n "$(functions)" ]
}

# remapped MODE: interrupts of every function pass the unit's table; after transfers.
remapped() {
        point "interrupt remapping in $1 mode" in_log "DMAR-IR: Enabled IRQ remapping in $1 mode"
        for f in $(functions); do
                point "$f has entries in the remapping table" \
                        grep -q "^ *[0-9]\{1,\} *${f#*:} " "$intel/ir_translation_struct"
                point "the messages of $f are remapped" grep -q " IR-PCI-MSIX\{0,1\}-$f " /proc/interrupts
        done
}

step_xapic() {
        remapped xapic
        point 'no x2APIC' not in_log 'x2apic enabled'
}

step_x2apic() {
        remapped x2apic
}

step_not_remapped() {
        point 'no interrupt remapping' not in_log 'DMAR-IR: Enabled'
        point 'no message is remapped' not grep -q ' IR-' /proc/interrupts
}

step_processors() { # COUNT
        equal 'processors' "$(nproc)" "$1"
}

# Each function has raised message-signalled interrupts; after transfers.
step_interrupts() {
        for f in $(functions); do
                count=$(awk -v "f=PCI-MSIX?-$f" \
                        '$0 ~ f { for (i = 2; $i ~ /^[0-9]+$/; i++) n += $i } END { print n + 0 }' /proc/interrupts)
                [ "$count" -gt 0 ] || sed 's/^/# /' /proc/interrupts
                point "$f raised message-signalled interrupts" [ "$count" -gt 0 ]
        done
}

# No fault, warning or lost request since boot.
step_clean_log() {
        dmesg >/tmp/log
        bad='DMAR: \[|DMAR: DRHD: handling fault|fault reason|DMAR:.*(rror|imeout|timed out|failed)|DMAR-IR:.*(rror|ail)'
        bad="$bad|WARNING:|BUG:|Oops|Call Trace|I/O error|NETDEV WATCHDOG|nvme.*(timeout|abort|reset)|nobody cared"
        grep -A 30 -E "$bad" /tmp/log | sed 's/^/# /' | head -n 80
        point 'the kernel log has no fault and no warning' not grep -qE "$bad" /tmp/log
}

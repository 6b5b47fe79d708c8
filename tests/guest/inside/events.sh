#!/bin/sh
# SPDX-License-Identifier: MIT
# Steps in which something happens to the machine or to a device of it.  After them, data must move as
# before: rows have steps that move it behind these.
# shellcheck source=tests/guest/inside/translation.sh
. /guest/translation.sh
# shellcheck source=tests/guest/inside/transfers.sh
. /guest/transfers.sh

state_sector=$((60 * mib / 512)) # on vda: how many boots there were, and what the first one wrote
busy_offset=$((48 * mib))        # on each disk: written while something else happens

# busy DISK: writes until it is killed.
busy() {
        while true; do
                dd if=/dev/zero "of=/dev/$1" bs=64k seek=$((busy_offset / 65536)) count=32 oflag=direct \
                        conv=notrunc 2>/dev/null || return 1
        done
}

recorded() { # FIELD
        dd if=/dev/vda bs=512 skip="$state_sector" count=1 2>/dev/null | tr -d '\0' | cut -s -d ' ' -f "$1"
}

record() { # BOOTS DIGEST
        echo "$1 $2 " | dd of=/dev/vda bs=512 seek="$state_sector" conv=sync,notrunc,fsync 2>/dev/null
}

# The first boot is reset by the host while it writes to both disks, the second reboots when it has run
# the steps behind this one, and the third ends the machine when it has run them.
step_resets() {
        case $(recorded 1) in
        '')
                step_disk vda
                record 1 "$(raw_read vda | digest)"
                ask reboots yes || return
                busy vda &
                busy nvme0n1 &
                sleep 0.3
                ask reset
                ;;
        1)
                equal 'what was written before the reset' "$(raw_read vda | digest)" "$(recorded 2)"
                record 2 -
                ;;
        2)
                point 'the next reboot ends the machine' ask reboots no
                ;;
        esac
}

root_port() {
        for d in "$devices"/*; do
                [ "$(cat "$d/class")" != 0x060400 ] || echo "$d"
        done
}

config_byte() { # FUNCTION OFFSET
        hexdump -v -s "$2" -n 1 -e '1/1 "%u"' "$1/config"
}

# pcie_capability FUNCTION: its offset; a list has at most 48 entries.
pcie_capability() {
        offset=$(config_byte "$1" 52)
        for _ in $(seq 48); do
                [ "$(config_byte "$1" "$offset")" -ne 16 ] || break
                offset=$(config_byte "$1" $((offset + 1)))
        done
        echo "$offset"
}

# slot_power on|off: the port's Slot Control register, power controller and indicator.  The kernel of the
# rig has no driver that would do it.
slot_power() {
        value='\000\001'
        [ "$1" = 'on' ] || value='\000\007'
        # shellcheck disable=SC2059 # octal bytes
        printf "$value" | dd of="$(root_port)/config" bs=2 \
                seek=$((($(pcie_capability "$(root_port)") + 24) / 2)) conv=notrunc 2>/dev/null
}

step_plug() { # MODEL BLOCK-DEVICE
        point "the host plugs $1" ask plug "$1" "$2"
        slot_power on
        echo 1 >/sys/bus/pci/rescan
        point "$1 is found and has a driver" within 20 [ -b "/dev/$2" ]
}

step_unplug() {
        function=$(basename "$(root_port)"/0000:*:00.0)
        echo 1 >"$devices/$function/remove"
        point "the host asks for $function back" ask unplug
        slot_power off
        point "$function is unplugged" ask unplugged
        echo 1 >/sys/bus/pci/rescan
        point "$function is gone" [ ! -e "$devices/$function" ]
        point "$function has no PASID-table entry" not grep -q "^${function#*:}" "$intel/dmar_translation_struct"
}

# The host saves the machine while it writes to a disk, ends QEMU, and restores it in another.
step_saved() {
        busy vda &
        writer=$!
        sleep 0.3
        point 'the machine is saved and restored' ask save
        sleep 0.3
        point 'a process that wrote meanwhile still writes' kill "$writer"
        wait "$writer"
}

# The edu device reads memory that nobody mapped for it; the unit must say so.
step_stray() {
        for d in "$devices"/*; do
                [ "$(cat "$d/vendor"):$(cat "$d/device")" != 0x1234:0x11e8 ] || edu=${d##*/}
        done
        [ ! -e "$devices/$edu/driver" ] || echo "$edu" >"$devices/$edu/driver/unbind"
        point 'edu does a stray DMA' /guest/stray-dma "$devices/$edu" 0x6789a000
        point 'the kernel reports it' within 5 in_log \
                "Request device [$edu] fault addr 0x6789a000"
}

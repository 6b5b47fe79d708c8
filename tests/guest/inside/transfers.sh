#!/bin/sh
# SPDX-License-Identifier: MIT
# Steps that move data through the virtual IOMMU: to disks and back, and from one network adapter to
# the other.  What was sent is compared with what arrived; the host looks at the disks' images again.
# shellcheck source=tests/guest/inside/report.sh
. /guest/report.sh

mib=1048576
raw_offset=$((32 * mib)) # on each disk, behind the file system
raw_size=$((8 * mib))
port=5000

digest() { # of standard input
        sha256sum | cut -d ' ' -f 1
}

drop_caches() {
        sync
        echo 3 >/proc/sys/vm/drop_caches
}

# random_file NAME: $raw_size bytes that no other file of this run has at the same places, and prints their
# digest.  Random bytes take a software processor long: they are made once, and turned by a random number.
random_file() {
        turn=$(($(hexdump -n 2 -e '1/2 "%u"' /dev/urandom) * 127 + 1))
        tail -c "+$turn" /tmp/random >"/tmp/$1"
        head -c $((turn - 1)) /tmp/random >>"/tmp/$1"
        digest <"/tmp/$1"
}

make_random() {
        [ -e /tmp/random ] || head -c "$raw_size" /dev/urandom >/tmp/random
}

# file_system DISK: a file in it, read back after it was unmounted.
file_system() {
        want=$(random_file "$1")
        mkdir -p "/mnt/$1"
        mke2fs -F "/dev/$1" $((raw_offset / 1024)) >/dev/null && mount -t ext4 "/dev/$1" "/mnt/$1" || return 1
        cp "/tmp/$1" "/mnt/$1/file"
        umount "/mnt/$1"
        drop_caches
        mount -t ext4 "/dev/$1" "/mnt/$1" || return 1
        equal "$1: a file of a file system, read back" "$(digest <"/mnt/$1/file")" "$want"
        umount "/mnt/$1"
}

# raw_read DISK: what is there, not from a cache.
raw_read() {
        drop_caches
        dd "if=/dev/$1" bs=64k skip=$((raw_offset / 65536)) count=$((raw_size / 65536)) iflag=direct 2>/tmp/dd-error ||
                cat /tmp/dd-error >&2
}

# raw_write DISK: and says what the host must find in the image.
raw_write() {
        want=$(random_file "$1")
        dd "if=/tmp/$1" "of=/dev/$1" bs=64k seek=$((raw_offset / 65536)) oflag=direct conv=notrunc 2>/tmp/dd-error ||
                cat /tmp/dd-error >&2
        equal "$1: a raw pattern, read back" "$(raw_read "$1" | digest)" "$want"
        echo "disk: $1 $raw_offset $raw_size $want"
}

step_disk() { # DISK
        make_random
        point "$1: a file system is made and mounted" file_system "$1"
        raw_write "$1"
        rm -f "/tmp/$1"
}

# Path, name and driver of each network adapter, in the order of their PCI functions.
adapters() {
        for i in /sys/class/net/*; do
                [ ! -e "$i/device" ] ||
                        echo "$(readlink -f "$i/device") $(basename "$i") $(basename "$(readlink "$i/device/driver")")"
        done | sort
}

# two_hosts: the first adapter stays here, the second goes to a network namespace, that of the process $other, for
# as long as the guest runs.
two_hosts() {
        [ -z "${other:-}" ] || return
        unshare -n sleep 600 &
        other=$!
        # shellcheck disable=SC2016 # to be expanded each time
        within 5 sh -c '[ "$(readlink /proc/$1/ns/net)" != "$(readlink /proc/self/ns/net)" ]' sh "$other"
        # shellcheck disable=SC2046 # they are words
        set -- $(adapters)
        here=$2 here_driver=$3 there=$5 there_driver=$6
        ip link set "$there" netns "$other"
        ip addr add 10.0.0.1/24 dev "$here"
        ip link set "$here" up
        nsenter -t "$other" -n ip addr add 10.0.0.2/24 dev "$there"
        nsenter -t "$other" -n ip link set "$there" up
        mkfifo /tmp/silent
}

# transfer NAME ADDRESS RECEIVER SENDER: each of these a command that puts another into a namespace.
# The receiver's standard input is one that never ends, because it would end the conversation.
transfer() {
        want=$(random_file sent)
        $3 nc -l -p "$port" <>/tmp/silent >/tmp/received &
        within 5 sh -c "$3 netstat -ltn | grep -q :$port"
        $4 nc "$2" "$port" </tmp/sent
        wait $!
        equal "$1: $((raw_size / mib)) MiB arrive" "$(digest </tmp/received)" "$want"
        rm -f /tmp/sent /tmp/received
        port=$((port + 1))
}

step_network() {
        make_random
        two_hosts
        point 'the adapters reach each other' within 20 ping -c 1 -W 1 10.0.0.2
        transfer "$here_driver to $there_driver" 10.0.0.2 "nsenter -t $other -n" env
        transfer "$there_driver back to $here_driver" 10.0.0.1 env "nsenter -t $other -n"
}

# transfers DISK...: all at once, so that they compete for the unit.
step_transfers() {
        make_random
        jobs=
        for d; do
                step_disk "$d" >"/tmp/log-$d" 2>&1 &
                jobs="$jobs $!"
        done
        step_network
        # shellcheck disable=SC2086 # they are words
        wait $jobs
        for d; do
                cat "/tmp/log-$d"
        done
}

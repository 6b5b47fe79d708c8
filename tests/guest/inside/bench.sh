#!/bin/sh
# SPDX-License-Identifier: MIT
# bench.sh COUNT: measures random transfers to and from a disk; prints "bench: NAME VALUE" lines, and asks
# the host to note the processor time that went by.
# Counting invalidations costs time, so it has transfers of its own.
# shellcheck source=tests/guest/inside/translation.sh
. /guest/translation.sh

count=$1
step_strict

# How many invalidations of translations the kernel has waited for since it began to count.
invalidations() {
        awk '$1 == "inv_iotlb" { for (i = 2; i <= 8; i++) n += $i; print n }' "$intel/dmar_perf_latency"
}

/guest/random-io read /dev/vda "$count" >/dev/null # warms up
for kind in read write; do
        ask mark
        elapsed=$(/guest/random-io "$kind" /dev/vda "$count")
        ask mark
        echo "bench: $kind $elapsed"
done
echo 1 >"$intel/dmar_perf_latency"
before=$(invalidations)
/guest/random-io read /dev/vda "$count" >/dev/null
echo "bench: invalidations $(($(invalidations) - before))"
step_clean_log

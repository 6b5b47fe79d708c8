#!/bin/sh
# SPDX-License-Identifier: MIT
# vtd-brokerctl check-host on made-up trees: BROKERCTL.  A host that has everything lacks nothing; each
# thing that is taken away is missed, under its name, with a way to mend it.
set -eu
umask 022
brokerctl=$(realpath "$1")
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory"

fail() {
        echo "FAILED: $*" >&2
        exit 1
}

release=6.18.0-1-vtd
# All of the bits of check_iommu.c: IR, SC, NEST, PASID, SMTS, FSTS.
ecap_all=890004000088

# function ADDRESS GROUP: one that has all, behind dmar0.
function_in() {
        device=root/sys/devices/pci0000:00/$1
        mkdir -p "$device/vfio-dev/vfio$2" "root/groups/$2/devices/$1"
        ln -sfn "../../../../groups/$2" "$device/iommu_group"
        ln -sfn ../../../bus/pci/drivers/vfio-pci "$device/driver"
        ln -sfn ../../../class/iommu/dmar0 "$device/iommu"
        echo 'flr bus' >"$device/reset_method"
        ln -sfn "../../../devices/pci0000:00/$1" "root/sys/bus/pci/devices/$1"
        ln -sfn "../../../../devices/pci0000:00/$1" "root/sys/bus/pci/drivers/vfio-pci/$1"
}

make_tree() {
        rm -rf root
        mkdir -p root/proc/sys/kernel root/proc/sys/user root/proc/self root/boot root/dev \
                root/sys/class/iommu/dmar0/intel-iommu root/sys/bus/pci/devices \
                root/sys/bus/pci/drivers/vfio-pci root/sys/kernel/security
        echo $release >root/proc/sys/kernel/osrelease
        echo 'BOOT_IMAGE=/vmlinuz root=/dev/sda1 quiet intel_iommu=on,sm_on' >root/proc/cmdline
        echo 15000 >root/proc/sys/user/max_user_namespaces
        echo 'Max locked memory         8388608              unlimited            bytes' >root/proc/self/limits
        printf 'Name:\tx\nCapEff:\t0000000000000000\n' >root/proc/self/status
        echo landlock,lockdown,yama >root/sys/kernel/security/lsm
        {
                echo '# Linux'
                for option in IOMMUFD VFIO_DEVICE_CDEV VFIO_PCI IRQ_REMAP INTEL_IOMMU SECURITY_LANDLOCK; do
                        echo "CONFIG_$option=y"
                done
                echo CONFIG_SECCOMP_FILTER=m
        } >root/boot/config-$release
        touch root/dev/iommu
        chmod 600 root/dev/iommu
        echo $ecap_all >root/sys/class/iommu/dmar0/intel-iommu/ecap
        function_in 0000:00:04.0 4
}

check() {
        got=0
        "$brokerctl" check-host --sysroot=root "$@" >out 2>err || got=$?
        [ ! -s err ] || { cat err >&2; fail "wrote to standard error"; }
}

# expect STATUS LINE: the last check had this exit status, and a line that begins so.
expect() {
        [ "$got" -eq "$1" ] || { cat out >&2; fail "exit status $got, expected $1"; }
        grep -Fq -e "$2" out || { cat out >&2; fail "did not say: $2"; }
}

# lacks STATE LINE: the same for something that was taken away, and how to mend it.
lacks() {
        check
        if [ "$1" = missing ]; then expect 1 "missing  $2"; else expect 0 "$1     $2"; fi
        grep -F -A1 -e "$2" out | grep -q 'to mend: ' || { cat out >&2; fail "$2: no way to mend it"; }
}

make_tree
check
expect 0 '0 missing, 0 to be noted, 0 unknown, '
expect 0 'ok       driver 0000:00:04.0: vfio-pci'
expect 0 'ok       reset 0000:00:04.0: flr bus'
expect 0 'ok       unit 0000:00:04.0: dmar0'
check --json
expect 0 '{"check":"IOMMU group","state":"ok","subject":"0000:00:04.0","found":"its own"}'
check --device 0000:00:05.0
expect 1 'missing  device 0000:00:05.0: there is no such function'
check --device ../../../etc
expect 1 'missing  device ../../../etc: there is no such function'

make_tree
echo 6.12.95-amd64 >root/proc/sys/kernel/osrelease
lacks missing 'kernel version: 6.12.95-amd64'
echo 6.14.0 >root/proc/sys/kernel/osrelease
lacks note 'kernel version: 6.14.0: no PASIDs'
echo 6.15.3 >root/proc/sys/kernel/osrelease
lacks note 'kernel version: 6.15.3: a tenant can hold up'

make_tree
sed -i 's/^CONFIG_IOMMUFD=y/# CONFIG_IOMMUFD is not set/' root/boot/config-$release
lacks missing "kernel configuration CONFIG_IOMMUFD: off"
grep -q "Debian's own kernels" out || fail "Debian's kernels are not named"
rm root/boot/config-$release
check
expect 0 'unknown  kernel configuration: neither'

make_tree
rm root/dev/iommu
lacks missing '/dev/iommu: it is not there'
touch root/dev/iommu
chmod 666 root/dev/iommu
lacks note '/dev/iommu: mode 0666, group'

make_tree
rm -r root/sys/class/iommu/dmar0
lacks missing 'IOMMU: the kernel uses no VT-d unit'
make_tree
sed -i 's/sm_on/sm_off/' root/proc/cmdline
lacks missing 'scalable mode boot: switched off'
sed -i 's/,sm_off//' root/proc/cmdline
lacks missing 'scalable mode boot: not switched on'
echo CONFIG_INTEL_IOMMU_SCALABLE_MODE_DEFAULT_ON=y >>root/boot/config-$release
check
expect 0 'ok       scalable mode boot: switched on'
echo 'intel_iommu=on,sm_on intremap=off' >root/proc/cmdline
lacks missing 'interrupt remapping boot: switched off'

# ECAP BITS: what is missing without them.
make_tree
ecap=root/sys/class/iommu/dmar0/intel-iommu/ecap
echo 810004000088 >$ecap
lacks missing 'scalable mode dmar0: the unit has none'
echo 90004000088 >$ecap
lacks missing 'first-stage translation dmar0: the unit has none'
echo 890000000088 >$ecap
lacks missing 'nested translation dmar0: the unit has none'
echo 890004000080 >$ecap
lacks missing 'interrupt remapping dmar0: the unit has none'
echo 890004000008 >$ecap
lacks note 'snoop control dmar0: the unit has none'
expect 0 'note     unit 0000:00:04.0: dmar0 lacks snoop control'
echo 880004000088 >$ecap
check
expect 0 'note     PASIDs dmar0: the unit has none'
echo nonsense >$ecap
check
expect 1 'missing  unit 0000:00:04.0: its IOMMU is not a VT-d unit'

make_tree
device=root/sys/bus/pci/devices/0000:00:04.0
rm "$device/reset_method"
lacks note 'reset 0000:00:04.0: it cannot be reset'
mkdir root/groups/4/devices/0000:00:04.1
lacks note 'IOMMU group 0000:00:04.0: the IOMMU cannot tell it from 0000:00:04.1'
rm "$device/iommu_group"
lacks missing 'IOMMU group 0000:00:04.0: none'
rm -r "$device/vfio-dev"
lacks missing 'driver 0000:00:04.0: vfio-pci, but without'
ln -sfn ../../../bus/pci/drivers/e1000e "$device/driver"
check --device 0000:00:04.0
expect 1 'missing  driver 0000:00:04.0: bound to e1000e, not to vfio-pci'

make_tree
bridge=root/sys/devices/pci0000:00/0000:00:1e.0
mkdir -p "$bridge"
mv root/sys/devices/pci0000:00/0000:00:04.0 "$bridge/0000:05:00.0"
ln -sfn ../../../devices/pci0000:00/0000:00:1e.0/0000:05:00.0 root/sys/bus/pci/devices/0000:05:00.0
check --device 0000:05:00.0
expect 1 'missing  bridges 0000:05:00.0: behind 0000:00:1e.0'

make_tree
echo lockdown,yama >root/sys/kernel/security/lsm
lacks missing 'Landlock: absent or switched off'
rm root/sys/kernel/security/lsm
check
expect 0 'unknown  Landlock: securityfs is not mounted'
make_tree
sed -i 's/unlimited  /8388608    /' root/proc/self/limits
lacks note 'locked memory: at most 8388608 bytes'
printf 'Name:\tx\nCapEff:\t0000000001000000\n' >root/proc/self/status
check
expect 0 'ok       locked memory: 8388608 bytes here'
echo 0 >root/proc/sys/user/max_user_namespaces
lacks note 'user namespaces: switched off'
rm root/proc/sys/user/max_user_namespaces
lacks note 'user namespaces: the kernel has none'
rm root/sys/bus/pci/drivers/vfio-pci/*
lacks note 'devices: none is bound to vfio-pci'

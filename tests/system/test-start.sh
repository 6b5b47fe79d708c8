#!/bin/sh
# SPDX-License-Identifier: MIT
# vtd-brokerd started wrongly: BROKERD EXAMPLE...; each mistake must be named on standard error, with
# the exit status of --help, and nothing may be left behind.  Runs as root and as an ordinary user.
set -eu
umask 022
brokerd=$(realpath "$1")
shift
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
mkdir "$directory/policies" "$directory/sockets" "$directory/bad"
uid=$(id -u)
for example; do
        case $example in
        */simulated.policy) sed "s/^uid = .*/uid = $uid/" "$example" >"$directory/policies/a.policy" ;;
        esac
done
cd "$directory"
[ "$uid" -eq 0 ] && uids=--worker-uids=60000-60063 || uids=
workers=--worker-dir=$(dirname "$brokerd")

fail() {
        echo "FAILED: $*" >&2
        exit 1
}

# refused STATUS TEXT ARGUMENT...: vtd-brokerd must end with STATUS and say TEXT.
refused() {
        want=$1 text=$2
        shift 2
        got=0
        timeout 10 "$brokerd" "$@" >out 2>err || got=$?
        [ "$got" -eq "$want" ] || { cat err >&2; fail "$*: exit status $got, expected $want"; }
        grep -Fq -e "$text" err || { cat err >&2; fail "$*: did not say: $text"; }
        [ ! -s out ] || fail "$*: wrote to standard output"
        [ -z "$(ls sockets)" ] || fail "$*: left a socket behind"
}

# refused_policy TEXT: the policies in bad/ must keep vtd-brokerd from starting.
refused_policy() {
        # shellcheck disable=SC2086
        refused 1 "$1" --host=simulated --policies=bad --sockets=sockets "$workers" $uids
}

"$brokerd" --help >out 2>err
grep -Fq 'vtd-brokerd [OPTION…]' out || fail "--help garbles its usage"
[ ! -s err ] || fail "--help wrote to standard error"

refused 2 '--host is missing: linux or simulated'
refused 2 '--host kvm: linux or simulated' --host=kvm
refused 2 '--policies is missing' --host=simulated
refused 2 '--sockets is missing' --host=simulated --policies=policies
refused 2 'there are only options' --host=simulated more
refused 2 'Unknown option --no-sandbox' --no-sandbox

set -- --host=simulated --policies=policies --sockets=sockets "$workers"
if [ "$uid" -eq 0 ]; then
        refused 2 '--worker-uids is missing' "$@"
        refused 2 '--worker-uids 5: FIRST-LAST' "$@" --worker-uids=5
        set -- "$@" "$uids"
        [ -e /dev/iommu ] || refused 1 '/dev/iommu: No such file or directory (the kernel needs CONFIG_IOMMUFD)' \
                "$@" --host=linux --landlock-abi-min=6
else
        refused 2 '--worker-uids needs root: leave it out' "$@" --worker-uids=60000-60063
        refused 2 'without root, only --host simulated' "$@" --host=linux
fi
refused 2 '--audit-fd 17: not open for writing' "$@" --audit-fd=17
refused 2 '--landlock-abi-min 0: at least 1' "$@" --landlock-abi-min=0
refused 1 'workers need at least 99' "$@" --landlock-abi-min=99
refused 1 'policies none: No such file or directory' "$@" --policies=none
refused 1 'policies bad: no file named *.policy' "$@" --policies=bad
refused 1 'sockets none: No such file or directory' "$@" --sockets=none
refused 1 'worker directory none: No such file or directory; --worker-dir names it' "$@" --worker-dir=none
refused 1 'worker cgroup .: not on a cgroup2 file system' "$@" --worker-cgroup=.

refused 2 '--control-group: needs --control PATH' "$@" --control-group=0
refused 2 '--control-group no-such-group: there is no such group' "$@" --control=control --control-group=no-such-group
refused 2 '--sockets: with --control, printable ASCII without blanks only' "$@" --sockets='a b' --control=control
refused 1 'control socket in none: No such file or directory' "$@" --control=none/control
mkdir --mode=777 open
refused 1 'control socket in open: mode 0777 lets its group or others replace sockets' "$@" --control=open/control
touch control
refused 1 'control: exists and is no socket' "$@" --control=control
rm control

sed 's/^pasids/pasid/' policies/a.policy >bad/a.policy
refused_policy 'a.policy:12:1: [vm] has no key "pasid"; allowed: memory,'
sed '/^uid/d' policies/a.policy >bad/a.policy
refused_policy 'a.policy:5:1: [tenant] lacks the key "uid", which is required'
sed 's/^\(uid = .*\)/\1\nuid = 5/' policies/a.policy >bad/a.policy
refused_policy 'a.policy:8:1: "uid" is on line 7 already'
cp policies/a.policy bad/a.policy
cp policies/a.policy bad/b.policy
refused_policy 'is defined in a.policy:5 already'
chmod 666 bad/b.policy
refused_policy 'b.policy: mode 0666'
ln -sf a.policy bad/b.policy
refused_policy 'b.policy: cannot be opened: it is a symbolic link'

rm bad/b.policy
chmod 777 bad
refused_policy 'policies bad: everybody may write it (mode 0777)'

if [ "$uid" -eq 0 ]; then
        chmod 755 bad
        sed 's/^uid = .*/uid = 60063/' policies/a.policy >bad/a.policy
        refused_policy 'user 60063 lies in the range of workers, 60000-60063'
fi
chmod 775 sockets
refused 1 'sockets sockets: mode 0775 lets its group or others replace sockets' "$@"
chmod 755 sockets

# A second instance, then what a killed one left behind.
started() {
        rm -f log # of an earlier one, which was ready
        "$brokerd" "$@" 2>log &
        pid=$!
        tries=0
        until grep -qs ready log; do
                tries=$((tries + 1))
                [ "$tries" -lt 100 ] || { cat log >&2; fail "$*: not ready"; }
                sleep 0.1
        done
}
started "$@"
got=0
timeout 10 "$brokerd" "$@" 2>err || got=$?
[ "$got" -eq 1 ] && grep -Fq 'another vtd-brokerd serves it' err || fail "a second instance started"
kill -9 "$pid"
wait "$pid" 2>/dev/null || true
[ -S sockets/trial.sock ] || fail "the socket should have outlived vtd-brokerd"
started "$@"
kill "$pid"
wait "$pid" || fail "exit status $? after SIGTERM"
[ -z "$(ls sockets)" ] || fail "a socket was left behind"

# The control socket likewise, and the sockets of VMs that were allowed.
brokerctl=$(dirname "$brokerd")/vtd-brokerctl
started "$@" --control=control
"$brokerctl" vm create --control=control --tenant=trial --device=edu0 --name=web1 >out
[ -S sockets/trial+web1.sock ] || fail "no socket for the VM"
mkdir others
got=0
timeout 10 "$brokerd" "$@" --sockets=others --control=control 2>err || got=$?
[ "$got" -eq 1 ] && grep -Fq 'control: somebody listens there: end that process, or give another path' err ||
        fail "a second instance took the control socket"
[ -z "$(ls others)" ] && "$brokerctl" status --control=control >out || fail "the first instance lost its socket"
kill -9 "$pid"
wait "$pid" 2>/dev/null || true
[ -S control ] || fail "the control socket should have outlived vtd-brokerd"
started "$@" --control=control
[ ! -e sockets/trial+web1.sock ] || fail "the socket of a VM that nobody waits for was left"
"$brokerctl" status --control=control >out
kill -HUP "$pid"
"$brokerctl" vm create --control=control --tenant=trial --device=edu0 >out
kill "$pid"
wait "$pid" || fail "exit status $? after SIGTERM"
[ -z "$(ls sockets)" ] && [ ! -e control ] || fail "a socket was left behind"
touch sockets/trial.sock
got=0
timeout 10 "$brokerd" "$@" 2>err || got=$?
[ "$got" -eq 1 ] && grep -Fq 'exists and is no socket' err || fail "a file was taken for a socket"
[ -f sockets/trial.sock ] || fail "the file was removed"

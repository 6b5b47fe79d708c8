#!/bin/sh
# SPDX-License-Identifier: MIT
# vtd-policy as a user meets it: TOOL EXAMPLE...; verdicts, output, exit status.
# Examples are copied first: a checkout may belong to somebody else or be group-writable, and the
# tool refuses such files.
set -eu
umask 077
tool=$(realpath "$1")
shift
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT

fail() {
        echo "FAILED: $*" >&2
        exit 1
}

# expect STATUS ARGUMENT...: runs the tool; its output is left in $directory/out and /err
expect() {
        want=$1
        shift
        got=0
        "$tool" "$@" >"$directory/out" 2>"$directory/err" || got=$?
        [ "$got" -eq "$want" ] || {
                cat "$directory/out" "$directory/err" >&2
                fail "vtd-policy $* exited with $got, expected $want"
        }
}

[ $# -ge 4 ] || fail "only $# examples"
cp "$@" "$directory"

for example in "$directory"/*.policy; do
        expect 0 check "$example"
        [ "$(cat "$directory/out")" = "$example: ok" ] || fail "check $example said something else"
        [ ! -s "$directory/err" ] || fail "check $example wrote errors"
        expect 0 show "$example"
        grep -Eq '^  memory +[0-9]+[KMGT]iB +line [0-9]+$' "$directory/out" || fail "show: memory"
        grep -Eq '^  vms +[0-9]+ +(line [0-9]+|default)$' "$directory/out" || fail "show: vms"
done
expect 0 check "$directory"/*.policy
[ "$(grep -c ': ok$' "$directory/out")" -eq $# ] || fail "not every example was checked"
expect 0 show "$directory/simulated.policy"
grep -Eq '^\[device edu0\]$' "$directory/out" || fail "show: device header"
grep -Eq '^  simulated +edu +line 17$' "$directory/out" || fail "show: simulated"
grep -Eq '^  regions +0:rw, config:rw +line 18$' "$directory/out" || fail "show: regions"
grep -Eq '^  allow +none +default$' "$directory/out" || fail "show: allow"
grep -Eq '^  invalidate-rate +200000 entries/s +default$' "$directory/out" || fail "show: rate"

# One bad file among good ones: it alone is refused, with its place.
printf 'format = 1\n[tenant]\nname = b\nuid = -1\n[vm]\nmemory = 1GiB\n' >"$directory/bad"
expect 1 check "$directory/minimal.policy" "$directory/bad"
[ "$(cat "$directory/out")" = "$directory/minimal.policy: ok" ] || fail "good file beside a bad one"
grep -q "^$directory/bad:4:7: uid is \"-1\": " "$directory/err" || fail "place of the error"
[ "$(wc -l <"$directory/err")" -eq 1 ] || fail "one error makes one line"
expect 1 show "$directory/bad"
[ ! -s "$directory/out" ] || fail "show printed a refused policy"

# What vtd-brokerd would not open.
chmod 660 "$directory/minimal.policy"
expect 1 check "$directory/minimal.policy"
grep -q "^$directory/minimal.policy: mode 0660 " "$directory/err" || fail "group-writable file"
ln -s typical.policy "$directory/link"
expect 1 check "$directory/link"
grep -q "symbolic link" "$directory/err" || fail "symbolic link"
expect 1 check "$directory/absent"
expect 1 check "$directory/absent/absent"
(cd "$directory" && "$tool" check typical.policy >/dev/null) || fail "name without a directory"

expect 0 --help
for word in check show --json diff explain FILE:LINE:COLUMN "Exit status" FORMAT.md; do
        grep -q -- "$word" "$directory/out" || fail "--help lacks $word"
done
# The policy that --help shows is one.
sed -n 's/^  \(format = 1\)$/\1/p; /^  \[tenant\]/,/^$/s/^  //p' "$directory/out" >"$directory/help"
expect 0 check "$directory/help"
for arguments in "" "check" "show" "show a b" "frobnicate x" "--check x"; do
        # shellcheck disable=SC2086
        expect 2 $arguments
        [ -s "$directory/err" ] || fail "usage error without a word"
done
if [ -w /dev/full ]; then
        got=0
        "$tool" --help >/dev/full 2>/dev/null || got=$?
        [ "$got" -eq 1 ] || fail "a full disk was not noticed"
        got=0
        "$tool" show "$directory/typical.policy" >/dev/full 2>/dev/null || got=$?
        [ "$got" -eq 1 ] || fail "a full disk was not noticed"
        got=0
        "$tool" diff "$directory/typical.policy" "$directory/typical.policy" >/dev/full 2>/dev/null || got=$?
        [ "$got" -eq 3 ] || fail "a full disk was not noticed"
fi

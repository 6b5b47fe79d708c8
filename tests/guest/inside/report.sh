#!/bin/sh
# SPDX-License-Identifier: MIT
# How the steps in a guest report: points of TAP without numbers, which the host adds up; what the host
# must compare itself, as lines "disk: ..."; and questions to the host, on the second serial port.

# point NAME COMMAND...: one point, by the command's status.
point() {
        if (shift && "$@"); then echo "ok - $1"; else echo "not ok - $1"; fi
}

# equal NAME GOT WANTED
equal() {
        [ "$2" = "$3" ] || printf '# %s: "%s" instead of "%s"\n' "$1" "$2" "$3"
        point "$1" [ "$2" = "$3" ]
}

# in_log TEXT: the kernel has said it.
in_log() {
        dmesg | grep -qF -- "$1"
}

# not COMMAND...
not() {
        ! "$@"
}

# within SECONDS COMMAND...: until the command succeeds, or that time has passed.
within() {
        tries=$(($1 * 20))
        shift
        until "$@" >/dev/null 2>&1; do
                tries=$((tries - 1))
                [ "$tries" -gt 0 ] || return 1
                sleep 0.05
        done
}

# ask WORD...: the host does it; fails with what it says if it could not.
ask() {
        stty -F /dev/ttyS1 raw -echo
        exec 3<>/dev/ttyS1
        echo "$*" >&3
        read -r answer <&3
        exec 3>&-
        [ "$answer" != 'done' ] || return 0
        echo "# the host, asked for '$*': $answer"
        return 1
}

#!/bin/sh
# SPDX-License-Identifier: MIT
# main.sh STEP[:ARGUMENT[,ARGUMENT...]]...: runs these steps, in their order, in the guest.
# Its last line says that none was left out.
# shellcheck source=tests/guest/inside/events.sh
. /guest/events.sh

for step; do
        arguments=
        case $step in *:*) arguments=$(echo "${step#*:}" | tr , ' ') ;; esac
        # shellcheck disable=SC2086 # the arguments are words
        "step_${step%%:*}" $arguments
done
point 'the guest came to its end' true

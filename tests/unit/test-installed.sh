#!/bin/sh
# SPDX-License-Identifier: MIT
# test-installed.sh BUILD SOURCE COMPILER...: installs what BUILD holds into a directory of its own, and
# compiles the example VMM against that with nothing else than a reader of README.md would type.
set -eu
build=$1 source=$2
shift 2
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT

fail() {
        echo "FAILED: $*" >&2
        exit 1
}

DESTDIR=$directory meson install -C "$build" --no-rebuild --tags runtime,devel >"$directory/log" 2>&1 ||
        { cat "$directory/log" >&2; fail "meson install"; }
PKG_CONFIG_PATH=$(dirname "$(find "$directory" -name libvtd-frontend.pc)")
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR="$directory"
# shellcheck disable=SC2046
"$@" -Wall -Wextra -Werror "$source" $(pkg-config --cflags --libs libvtd-frontend) -o "$directory/vmm"

LD_LIBRARY_PATH=$(dirname "$(find "$directory" -name libvtd-frontend.so.0)")
export LD_LIBRARY_PATH
ldd "$directory/vmm" | grep -F "libvtd-frontend.so.0 => $directory/" || fail "not linked with what was installed"

# fails_with TEXT ARGUMENT...: the VMM must end with status 1 and say TEXT.
fails_with() {
        text=$1 got=0
        shift
        "$directory/vmm" "$@" 2>"$directory/err" || got=$?
        cat "$directory/err"
        [ "$got" -eq 1 ] || fail "exit status $got, expected 1"
        grep -Fq "$text" "$directory/err" || fail "did not say: $text"
}
fails_with 'usage: '
fails_with 'none.sock: No such file or directory' "$directory/none.sock" edu0 /dev/null

# SPDX-License-Identifier: MIT OR Apache-2.0
# A state of barebox in a file, for barebox-state of dt-utils; made to be sourced after common.sh.
# shellcheck shell=bash

# Where dt-utils looks for the partition that barebox-state.dts names.
barebox_link=/dev/disk/by-partuuid/1de00001-0000-4000-8000-000000000001

# barebox_store FILE DTB: makes FILE the partition of the state, and DTB its description. Undo with barebox_forget.
# shellcheck disable=SC2154 # common.sh sets it
barebox_store() {
    dtc -q -I dts -O dtb -o "$2" "$repository/tests/bench/barebox-state.dts"
    truncate --size=64K "$1"
    mkdir -p "$(dirname "$barebox_link")"
    ln -sfn "$1" "$barebox_link"
}

barebox_forget() { rm -f "$barebox_link"; }

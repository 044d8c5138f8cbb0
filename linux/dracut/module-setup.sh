#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# dracut: what `apply` needs in the initramfs, where `identity-setup enable` has asked for it; with systemd in it or without.
# shellcheck disable=SC2154 # dracut sets them

check() {
    [[ -h ${dracutsysrootdir-}/etc/systemd/system/sysinit.target.wants/identity.service ]] || return 255
    require_binaries identity cat find ip mount readlink sed sleep tr
}

depends() { :; }

installkernel() { hostonly='' instmods '=drivers/mmc'; }

install() {
    local drop_in=/etc/systemd/system/systemd-repart.service.d/identity.conf
    inst_multiple identity cat find ip mount readlink sed sleep tr
    inst_multiple -o /etc/default/identity
    inst_simple /usr/lib/identity/apply
    inst_rules 75-identity.rules
    inst_hook pre-mount 05 "$moddir/pre-mount.sh"
    inst_hook pre-pivot 95 "$moddir/pre-pivot.sh"
    if [[ -e ${dracutsysrootdir-}$drop_in ]]; then inst_simple "$drop_in"; fi
}

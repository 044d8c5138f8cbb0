# SPDX-License-Identifier: MIT OR Apache-2.0
# Debian systems for the vexpress board, and cards of them. Sourced after common.sh and packages.sh.
# shellcheck shell=bash
# shellcheck disable=SC2154 # $repository is common.sh's

# Mebibytes.
partition_start=4

# Programs of the board run here through QEMU; the kernel is told how.
register_qemu() {
    local registry=/proc/sys/fs/binfmt_misc
    [[ -e $registry/register ]] || mount -t binfmt_misc binfmt_misc "$registry"
    [[ -e $registry/qemu-arm ]] || cat /usr/lib/binfmt.d/qemu-arm.conf >"$registry/register"
}

# debian SUITE PACKAGES DIRECTORY: root.tar there, with what is essential and these packages, for armhf.
debian() {
    local suite=$1 include=$2
    register_qemu
    # armhf's packages are on the mirror that this machine uses, whatever else it uses.
    mmdebstrap --quiet --mode=root --architectures=armhf --variant=essential --skip=check/qemu --include="$include" \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        "$suite" "$3/root.tar" "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(debian_mirror) $suite main"
}

# unpack_debian TAR LINUX ROOT: with the kernel of tests/lib/linux-armhf, which its initramfs will have modules of. Prints
# the kernel's release.
unpack_debian() {
    local linux=$2 root=$3 release
    mkdir "$root"
    tar -C "$root" -xf "$1"
    release=$(ls "$linux/root/lib/modules")
    cp -r "$linux/root/lib/modules" "$root/lib"
    cp "$linux/root/boot/config-$release" "$root/boot"
    cp "$linux/zImage" "$root/boot/vmlinuz-$release"
    printf 'MODULES=list\nCOMPRESS=gzip\nFSTYPE=ext4\n' >"$root/etc/initramfs-tools/conf.d/board"
    printf '%s\n' armmmci smsc911x ext4 >>"$root/etc/initramfs-tools/modules"
    printf '%s\n' "$release"
}

# card SIZE DIRECTORY: card.img there, a card of so many mebibytes (QEMU wants a power of two) whose only partition is the root
# file system of root/, which goes.
card() {
    local size=$1
    shift
    truncate --size="${size}M" "$1/card.img"
    printf 'label: dos\nstart=%dMiB, type=83\n' "$partition_start" | sfdisk --quiet "$1/card.img"
    truncate --size="$((size - partition_start))M" "$1/partition"
    mke2fs -q -t ext4 -d "$1/root" "$1/partition"
    dd if="$1/partition" of="$1/card.img" bs=1M seek="$partition_start" conv=sparse,notrunc status=none
    rm -r "$1/partition" "$1/root"
}

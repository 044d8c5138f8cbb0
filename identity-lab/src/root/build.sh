#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# What `identity-lab root build` runs as root, its own or that of a user namespace, with mounts of its own that end with it.
# From the environment:
#   work       an empty directory, in which $work/in has the files that the root gets, and $work/out is made
#   arch       Debian's architecture; cpu: QEMU's name for it, empty where programs of it run here as they are
#   from       a tarball, squashfs or directory to adapt; else suite and mirror of a new one
#   packages   packages to install, debs: package files, the kernel's package in kernel_package, or none with a pack
#   pack       a directory with a kernel's packages, or unpacked, in place of a kernel in the root; or nothing
#   fdt        the device tree's name, or nothing
#   epoch      SOURCE_DATE_EPOCH, or nothing
# On standard output: "step TEXT", "packages UNPACKED SET-UP", "fact NAME VALUE", "refused TEXT" (then it ends with 6). All else is a
# log; a line in it that begins with "I: " is mmdebstrap's, and says what it does.
set -eu
umask 022
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

: "${work?}" "${arch?}" "${cpu?}" "${from?}" "${suite?}" "${mirror?}" "${packages?}" "${kernel_package?}" "${debs?}" "${pack?}" "${fdt?}" "${epoch?}"
tree=$work/tree in=$work/in out=$work/out

exec 3>&1 1>&2
step() { printf 'step %s\n' "$1" >&3; }
fact() { printf 'fact %s %s\n' "$1" "$2" >&3; }
refuse() {
    printf 'refused %s\n' "$*" >&3
    exit 6
}

# Programs of the board run here through QEMU; the kernel is told how, in a user namespace for that alone.
register_qemu() {
    registry=/proc/sys/fs/binfmt_misc
    if [ -n "${rootless-}" ] || [ ! -e "$registry/register" ]; then mount -t binfmt_misc binfmt_misc "$registry" || :; fi
    [ ! -e "$registry/qemu-$cpu" ] || return 0
    cat "/usr/lib/binfmt.d/qemu-$cpu.conf" >"$registry/register" ||
        refuse "programs for $arch cannot run here: the kernel takes no binfmt_misc entry for qemu-$cpu; install qemu-user-static, or run as root"
}

# download PATH FILE: from the mirror, as apt does it.
download() { /usr/lib/apt/apt-helper -q download-file "$mirror/$1" "$2"; }

# machine_mirror: that of this machine's apt.
machine_mirror() {
    # shellcheck disable=SC2016 # the $(...) are for apt-get
    apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
        awk '$1 ~ /^((old)*stable|testing|unstable|sid|bullseye|bookworm|trixie|forky)$/ { print $2; exit }'
}

# Tells again and again how many packages are unpacked in the new root, and how many of them are set up.
count_packages() {
    while sleep 2; do
        [ ! -e "$tree/var/log/dpkg.log" ] || awk '
            / status unpacked / { unpacked[$5] }
            / status installed / { done[$5] }
            END { print "packages", length(unpacked), length(done) }' "$tree/var/log/dpkg.log" >&3
    done
}

new_root() {
    if [ -z "$mirror" ]; then mirror=$(machine_mirror); fi
    [ -n "$mirror" ] || refuse "this machine's apt has no mirror of Debian; name one in [build] mirror"
    mirror=${mirror%/}
    step "install Debian $suite for $arch with mmdebstrap"
    download "dists/$suite/Release" "$work/Release" ||
        refuse "the mirror $mirror has no suite $suite, or cannot be reached: $mirror/dists/$suite/Release cannot be fetched"
    if [ -z "$epoch" ]; then epoch=$(date --utc --date="$(sed -n 's/^Date: //p' "$work/Release")" +%s); fi
    # No initramfs yet: it is made once, at the end. A root that is lost with the power is made again, so nothing waits for the
    # disk.
    count_packages &
    counter=$!
    INITRD=No SOURCE_DATE_EPOCH=$epoch mmdebstrap --mode=root --variant=minbase --architectures="$arch" \
        --skip=check/qemu,output/mknod --dpkgopt=force-unsafe-io --format=directory --include="$(printf '%s' "$packages $kernel_package" | tr -s ' ' ',')" \
        "$suite" "$tree" "$mirror"
    kill "$counter"
    # Of this machine, not of the root.
    rm -f "$tree/etc/resolv.conf" "$tree/etc/hostname" "$tree/etc/dpkg/dpkg.cfg.d/99mmdebstrap"
}

old_root() {
    step "unpack $from"
    mkdir "$tree"
    if [ -d "$from" ]; then
        cp -a --one-file-system "$from/." "$tree"
    elif [ "$(head -c 4 "$from")" = hsqs ]; then
        unsquashfs -quiet -no-progress -force -dest "$tree" "$from"
    else
        # Device files are the kernel's own, and only root can make them.
        tar --extract --file="$from" --directory="$tree" --numeric-owner --same-permissions --xattrs --xattrs-include='*' \
            --exclude='./dev/*' --exclude='dev/*'
    fi
    rm -rf "${tree:?}/dev"
    mkdir "$tree/dev"
    [ -s "$tree/var/lib/dpkg/status" ] || refuse "$from has no Debian system: var/lib/dpkg/status is not there"
    # The files' own times tell the root's.
    if [ -z "$epoch" ]; then epoch=$(find "$tree" -xdev -type f -printf '%T@\n' | sort -n | tail -n 1 | cut -d. -f1); fi
    is=$(awk '/^Package: / { package = $2 } /^Architecture: / && package == "dpkg" { print $2 }' "$tree/var/lib/dpkg/status")
    [ "$is" = "$arch" ] || refuse "$from is for ${is:-an unknown architecture}, the profile for $arch"
}

# manifest FILE: what the root has: each path with what it is, and each file's content.
manifest() {
    (
        cd "$tree"
        find . -mindepth 1 -xdev ! -type f -printf '%P\t%y %m %U:%G %l\n' >"$1.part"
        find . -mindepth 1 -xdev -type f -printf '%P\t%y %m %U:%G\n' >>"$1.part"
        find . -mindepth 1 -xdev -type f -printf '%P\0' | xargs -0 -r sha256sum -- | sed 's/^\([0-9a-f]*\)  \(.*\)/\2\t\1/' >>"$1.part"
    )
    sort "$1.part" >"$1"
    rm "$1.part"
}

# changes BEFORE AFTER: added, changed and removed paths.
changes() {
    comm -23 "$1" "$2" | cut -f1 | sort -u >"$work/before"
    comm -13 "$1" "$2" | cut -f1 | sort -u >"$work/after"
    {
        comm -12 "$work/before" "$work/after" | sed 's/^/changed /'
        comm -23 "$work/before" "$work/after" | sed 's/^/removed /'
        comm -13 "$work/before" "$work/after" | sed 's/^/added /'
    } | sort -k 2
}

mounts() {
    mount -t proc proc "$tree/proc"
    mount -t tmpfs -o mode=0755 netroot "$tree/dev"
    for device in null zero full random urandom tty; do
        : >"$tree/dev/$device"
        mount --bind "/dev/$device" "$tree/dev/$device"
    done
    mkdir "$tree/dev/shm" "$tree/dev/pts"
    ln -s /proc/self/fd "$tree/dev/fd"
    mount -t tmpfs -o mode=0755 netroot "$tree/run"
    mount -t tmpfs -o mode=1777 netroot "$tree/tmp"
}
unmount() {
    for name in tmp run dev proc; do umount --recursive "$tree/$name"; done
}
remove() {
    # Whatever is mounted below it, the last one first.
    awk -v tree="$tree/" 'index($2, tree) == 1 { print $2 }' /proc/self/mounts | sort -r | xargs -r umount --lazy || :
    rm -rf --one-file-system "$tree" "$work/pack"
}

inside() {
    chroot "$tree" /usr/bin/env -i PATH="$PATH" LC_ALL=C HOME=/root DEBIAN_FRONTEND=noninteractive INITRD=No \
        SOURCE_DATE_EPOCH="$epoch" ${http_proxy:+http_proxy="$http_proxy"} "$@"
}

is_installed() { [ "$(dpkg-query --admindir="$tree/var/lib/dpkg" -Wf '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# What an adapted root does not have, from the mirror that the profile names, else from its own sources.
install_missing() {
    missing=''
    for package in $packages; do is_installed "$package" || missing="$missing $package"; done
    if [ -n "$kernel_package" ] && ! ls "$tree"/boot/vmlinuz-* >/dev/null 2>&1; then missing="$missing $kernel_package"; fi
    [ -n "$missing" ] || return 0
    if [ -n "$suite" ] && [ -z "$mirror" ]; then mirror=$(machine_mirror); fi
    step "install$missing"
    : >"$tree/run/resolv.conf"
    cat /etc/resolv.conf >"$tree/run/resolv.conf" || :
    had_resolver=yes
    if [ ! -e "$tree/etc/resolv.conf" ] && [ ! -h "$tree/etc/resolv.conf" ]; then had_resolver='' && : >"$tree/etc/resolv.conf"; fi
    [ -h "$tree/etc/resolv.conf" ] || mount --bind "$tree/run/resolv.conf" "$tree/etc/resolv.conf"
    # No service is started here.
    if [ ! -e "$tree/usr/sbin/policy-rc.d" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$tree/usr/sbin/policy-rc.d"
        chmod 755 "$tree/usr/sbin/policy-rc.d"
        policy=ours
    fi
    mkdir -p "$tree/tmp/lists/partial" "$tree/tmp/cache/archives/partial"
    set -- -o Dir::State::lists=/tmp/lists -o Dir::Cache=/tmp/cache -o Dir::Log=/tmp -o Dpkg::Options::=--log=/tmp/dpkg.log -o Dpkg::Options::=--force-unsafe-io \
        -o APT::Install-Recommends=false -o APT::Sandbox::User=root
    if [ -n "$mirror" ] && [ -n "$suite" ]; then
        printf 'deb %s %s main\n' "$mirror" "$suite" >"$tree/tmp/sources.list"
        set -- "$@" -o Dir::Etc::sourcelist=/tmp/sources.list -o Dir::Etc::sourceparts=/dev/null
    fi
    inside apt-get "$@" update || :
    # shellcheck disable=SC2086 # words
    inside apt-get "$@" install --yes $missing || refuse "the root lacks$missing, which cannot be installed; see the lines above, and [build] mirror"
    if [ -n "${policy-}" ]; then rm "$tree/usr/sbin/policy-rc.d"; fi
    mountpoint -q "$tree/etc/resolv.conf" && umount "$tree/etc/resolv.conf"
    if [ -z "$had_resolver" ]; then rm "$tree/etc/resolv.conf"; fi
}

install_debs() {
    for deb in $debs; do
        cp "$in/$deb" "$tree/tmp/$deb"
        step "install $deb"
        inside dpkg --log=/tmp/dpkg.log --force-unsafe-io --force-confold --install "/tmp/$deb"
    done
    [ -x "$tree/usr/sbin/identity-setup" ] ||
        refuse "the root has no package sd-card-identity, so its boards would not take their identity: make it, \`linux/build-deb $arch\`, and name the file in [build] packages"
    [ -x "$tree/usr/lib/identity/netroot" ] ||
        refuse "the root's package sd-card-identity is older than this program, and cannot attach a root: make a new one, \`linux/build-deb $arch\`, and name the file in [build] packages"
}

# put MODE FILE PATH
put() { install -D -m "$1" "$in/$2" "$tree/$3"; }

configure() {
    step "configure the root"
    put 644 05-netroot.network etc/systemd/network/05-netroot.network
    put 644 functions etc/initramfs-tools/scripts/netroot
    put 755 nbd etc/initramfs-tools/scripts/local-top/nbd
    put 755 netroot etc/initramfs-tools/scripts/local-top/netroot
    put 755 overlay etc/initramfs-tools/scripts/local-bottom/overlay
    put 755 hook etc/initramfs-tools/hooks/netroot
    put 644 modules etc/initramfs-tools/netroot.modules
    printf '# By identity-lab: drivers are those in ../netroot.modules.\nMODULES=list\nBUSYBOX=y\nRESUME=none\n' >"$in/conf"
    put 644 conf etc/initramfs-tools/conf.d/netroot
    # Nothing here makes an initramfs that nobody wants.
    printf '#!/bin/sh\n' >"$work/nothing"
    chmod 755 "$work/nothing"
    mount --bind "$work/nothing" "$tree/usr/sbin/update-initramfs"
    inside identity-setup enable
    umount "$tree/usr/sbin/update-initramfs"
    inside systemctl enable systemd-networkd.service
    # Its partitions are not there, and systemd would wait for them.
    if [ -e "$tree/etc/fstab" ] && grep -qE '^[[:space:]]*[^#[:space:]]' "$tree/etc/fstab"; then
        sed -i -E 's/^([[:space:]]*[^#[:space:]].*)/#netroot# \1/' "$tree/etc/fstab"
    fi
}

# What would make all boards one: the image has none of it.
clean() {
    : >"$tree/etc/machine-id"
    chmod 444 "$tree/etc/machine-id"
    if [ -f "$tree/var/lib/dbus/machine-id" ] && [ ! -h "$tree/var/lib/dbus/machine-id" ]; then
        rm "$tree/var/lib/dbus/machine-id"
        ln -s /etc/machine-id "$tree/var/lib/dbus/machine-id"
    fi
    rm -f "$tree"/etc/ssh/ssh_host_*_key "$tree"/etc/ssh/ssh_host_*_key.pub "$tree/etc/ssh/identity-uuid" "$tree/etc/hostname" \
        "$tree/var/lib/systemd/random-seed" "$tree/var/lib/urandom/random-seed" "$tree/var/lib/random-seed" \
        "$tree/boot/loader/random-seed" "$tree/boot/efi/loader/random-seed" "$tree/var/lib/systemd/credential.secret"
    rm -rf "$tree/var/lib/NetworkManager/secret_key" "$tree"/var/lib/dhcp/*.leases
    # What depends on the hour of the build.
    rm -f "$tree/var/cache/ldconfig/aux-cache" "$tree"/var/cache/apt/*.bin
}

# newest_kernel: the version of the newest one in $kernel/boot.
newest_kernel() { find "$kernel/boot" -maxdepth 1 -name 'vmlinuz-*' -printf '%f\n' | sed 's/^vmlinuz-//' | sort -V | tail -n 1; }

# The hardware pack, laid out as /usr of a Debian root is: usr/lib/modules, usr/lib/firmware, boot, device trees.
unpack_pack() {
    step "unpack the hardware pack $pack"
    kernel=$work/pack
    mkdir -p "$kernel/usr/lib"
    if ls "$pack"/*.deb >/dev/null 2>&1; then
        for deb in "$pack"/*.deb; do dpkg-deb --fsys-tarfile "$deb" | tar --extract --directory="$kernel" --keep-directory-symlink; done
    else
        cp -a --no-preserve=ownership "$pack/." "$kernel"
    fi
    if [ -d "$kernel/lib" ] && [ ! -h "$kernel/lib" ]; then
        cp -a "$kernel/lib/." "$kernel/usr/lib"
        rm -r "${kernel:?}/lib"
    fi
    if [ ! -d "$kernel/usr/lib/modules" ] || [ -z "$(newest_kernel)" ]; then
        refuse "the hardware pack $pack has neither packages of a kernel nor boot/vmlinuz-VERSION and lib/modules/VERSION"
    fi
    [ -h "$tree/lib" ] || refuse "the root has a directory lib of its own, so modules cannot be laid over it; use a root with merged /usr"
    # Nobody's but root's.
    chown -R 0:0 "$kernel"
}

initramfs() {
    kernel=$tree
    if [ -n "$pack" ]; then unpack_pack; fi
    release=$(newest_kernel)
    [ -n "$release" ] || refuse "the root has no kernel, boot/vmlinuz-VERSION; name its package in [build] packages, or set [hardware] pack"
    [ -e "$tree/usr/sbin/mkinitramfs" ] || refuse "the root has no initramfs-tools, which makes its initramfs"
    fact kernel "$release"
    step "make the initramfs for Linux $release"
    if [ -n "$pack" ]; then
        # A package has neither: its maintainer's script makes them.
        depmod --basedir "$kernel/usr" "$release" 2>/dev/null || depmod --basedir "$kernel" "$release"
        mkdir -p "$tree/usr/lib/modules"
        mount --bind "$kernel/usr/lib/modules" "$tree/usr/lib/modules"
        mount --bind "$kernel/boot" "$tree/boot"
    fi
    # Other hooks would take each driver of a class; the list alone decides.
    { cat "$tree/usr/share/initramfs-tools/hook-functions" && printf '\nauto_add_modules() { :; }\n'; } >"$work/hook-functions"
    mount --bind "$work/hook-functions" "$tree/usr/share/initramfs-tools/hook-functions"
    inside mkinitramfs -c gzip -l 1 -o /tmp/initrd "$release"
    umount "$tree/usr/share/initramfs-tools/hook-functions"
    if [ -n "$pack" ]; then umount "$tree/usr/lib/modules" "$tree/boot"; fi
    gzip -dc "$tree/tmp/initrd" | zstd --quiet -19 --threads=1 >"$out/initrd"
}

# The boot files go beside the image; nobody boots from within it.
split_off() {
    cp "$kernel/boot/vmlinuz-$release" "$out/kernel"
    if [ -n "$fdt" ]; then
        found=$(find "$kernel/usr/lib/linux-image-$release" "$kernel/boot/dtbs/$release" "$kernel/boot/dtb-$release" "$kernel/dtbs" \
            -name "$fdt" 2>/dev/null | head -n 1)
        [ -n "$found" ] || refuse "Linux $release has no device tree $fdt; see usr/lib/linux-image-$release in the root or pack"
        cp "$found" "$out/$fdt"
    fi
    rm -f "$tree"/boot/vmlinuz-* "$tree"/boot/initrd.img-* "$tree"/boot/System.map-* "$tree/vmlinuz" "$tree/vmlinuz.old" \
        "$tree/initrd.img" "$tree/initrd.img.old"
}

# squash DIRECTORY IMAGE [OPTION...]
squash() {
    # Newer times than the build's would differ in the next one.
    from_directory=$1 to=$2
    shift 2
    SOURCE_DATE_EPOCH=$epoch mksquashfs "$from_directory" "$to" -comp zstd -Xcompression-level 15 -noappend -no-progress -quiet "$@"
}

image() {
    step "pack the image"
    squash "$tree" "$out/root.squashfs" -wildcards -e 'proc/*' 'sys/*' 'run/*' 'tmp/*' 'dev/*'
    if [ -n "$pack" ]; then
        # Only what is laid over the root.
        find "$kernel" -mindepth 1 -maxdepth 1 ! -name usr -exec rm -r {} +
        find "$kernel/usr" -mindepth 1 -maxdepth 1 ! -name lib -exec rm -r {} +
        find "$kernel/usr/lib" -mindepth 1 -maxdepth 1 ! -name modules ! -name firmware -exec rm -r {} +
        squash "$kernel" "$out/modules.squashfs"
    fi
}

trap remove EXIT
trap 'exit 130' INT TERM HUP
mkdir "$out"
if [ -n "$cpu" ]; then register_qemu; fi
if [ -n "$from" ]; then old_root; else new_root; fi
fact epoch "$epoch"
manifest "$work/manifest"
mounts
if [ -n "$from" ]; then install_missing; fi
install_debs
configure
initramfs
split_off
clean
unmount
manifest "$work/manifest.after"
changes "$work/manifest" "$work/manifest.after" >"$out/changes"
dpkg-query --admindir="$tree/var/lib/dpkg" -Wf '${Package}:${Architecture} ${Version}\n' | sort >"$out/packages"
image
chmod 644 "$out"/*

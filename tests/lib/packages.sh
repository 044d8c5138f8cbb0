# SPDX-License-Identifier: MIT OR Apache-2.0
# Debian packages: which ones the tests need, and how to fetch from Debian without touching the machine's own apt setup.
# Sourced after common.sh.
# shellcheck shell=bash
# shellcheck disable=SC2034 # the lists are for tests/run

# What `tests/run --quick` needs beside Rust.
quick_packages=(
    ca-certificates gcc libc6-dev
    python3 uuid-runtime             # second opinions on the derived values
    dosfstools mtools fdisk gdisk parted    # make and judge real cards
    libubootenv-tool u-boot-tools    # an environment that U-Boot would read
    e2fsprogs f2fs-tools exfatprogs cryptsetup-bin ntfs-3g jfsutils udftools gfs2-utils bcache-tools    # users of the whole
                                     # device, for blkid to judge
    bzip2 xz-utils zstd zip unzip    # images as others pack them
    lz4 lzip lzop pigz ncompress lrzip p7zip-full qemu-utils android-sdk-libsparse-utils mame-tools
    bmap-tools gnupg                 # block maps, and their signatures
    grub2-common grub-pc-bin         # what others write to the gap; and systemd-repart, see below
    valgrind                         # the C interface
    busybox zsh openssh-client strace udev    # shells of an initramfs and others; what apply and the tests call
    groff-base bash                  # manual pages and completion are tried
    dnsmasq-base nbdkit nbd-server libnbd-bin nginx-light iproute2 git    # what a lab's files are for
    ansible-core kea-dhcp4-server python3-jinja2 python3-yaml python3-venv
    libpq-dev postgresql sqlite3     # the journal of a lab
    zbar-tools librsvg2-bin poppler-utils fonts-dejavu-core    # labels
    chromium                         # a lab's page
    shellcheck
)

# Node.js from elsewhere has its own npm, which excludes Debian's.
if ! command -v npm >/dev/null; then quick_packages+=(npm); fi

# A package of its own since Debian 13.
if grep -qs '^VERSION_CODENAME=bookworm' /etc/os-release; then quick_packages+=(systemd); else quick_packages+=(systemd-repart); fi

# What the boards need on top.
board_packages=(
    make bison flex bc swig python3-dev python3-setuptools device-tree-compiler libssl-dev libgnutls28-dev uuid-dev efitools
    bzip2 xz-utils cpio kmod patch ccache
    gcc-arm-linux-gnueabi gcc-arm-linux-gnueabihf gcc-aarch64-linux-gnu gcc-riscv64-linux-gnu
    libc6-dev-armhf-cross libc6-dev-arm64-cross
    qemu-system-arm qemu-system-misc ipxe-qemu
    qemu-user-static lintian    # our own package
)

# What a Debian system for the boards is made with, and a PC for its Linux.
debian_root_packages=(mmdebstrap qemu-user-static e2fsprogs fdisk kmod qemu-system-x86)

# What `identity-lab root build` runs, where it makes a new root too.
root_packages=(mmdebstrap squashfs-tools zstd)

# A Rust compiler with its libraries' sources, for a machine where rustup's has none (rustup component add rust-src).
# Debian 12 has a current one under names of its own.
rust_packages=(rustc cargo rust-src)
if grep -qs '^VERSION_CODENAME=bookworm' /etc/os-release; then rust_packages=(rustc-web cargo-web rust-web-src); fi

# need_packages PACKAGE...: installs what is missing when root, says how to otherwise.
need_packages() {
    local missing
    if ! command -v dpkg-query >/dev/null; then
        say "no dpkg here: taking it that these (or their like) are installed: $*"
        return
    fi
    mapfile -t missing < <(missing_packages "$@")
    if ((!${#missing[@]})); then return; fi
    need_newest_packages "${missing[@]}"
    # Where one is there in a version from elsewhere (backports), apt may have removed it for those that came.
    mapfile -t missing < <(missing_packages "$@")
    if ((${#missing[@]})); then need_newest_packages "${missing[@]}"; fi
}

# missing_packages PACKAGE...: those that are not installed, a line each.
missing_packages() {
    local status package
    local -A have=()
    while read -r status package; do
        if [[ $status == installed ]]; then have[$package]=1; fi
    done < <(dpkg-query --show --showformat '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || true)
    for package; do
        if [[ -z ${have[$package]:-} ]]; then printf '%s\n' "$package"; fi
    done
}

# need_newest_packages PACKAGE...: the same for packages that are missing, or installed and too old.
need_newest_packages() {
    if ((EUID)); then
        die "packages are missing; this installs them:" \
            "sudo apt-get update; sudo apt-get install --no-install-recommends $*"
    fi
    logged "install $# packages" install_packages "$@"
}

# A machine's package lists may be as old as the machine: what they name may be gone, or too old. Whether fetching them went
# well is judged by the installation, as one index of many being unavailable counts as an error too.
install_packages() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get update || true
    apt-get install --yes --no-install-recommends "$@"
}

# debian_mirror: prints the address of the Debian mirror that the machine already uses.
debian_mirror() {
    local codename mirror
    codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
    # shellcheck disable=SC2016 # the $(...) are for apt-get
    mirror=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
        awk -v codename="$codename" '
            $1 == codename || $1 ~ /^((old)*stable|testing|unstable|sid|bullseye|bookworm|trixie|forky)$/ { print $2; exit }')
    [[ -n $mirror ]] || die "no Debian mirror among this machine's package sources"
    printf '%s\n' "$mirror"
}

# private_apt_setup DIR ARCHITECTURE TYPE SUITE...: prepares package lists of their own in DIR, from the Debian mirror that
# the machine already uses.
private_apt_setup() {
    local dir=$1 architecture=$2 type=$3 mirror suite target=Packages
    shift 3
    command -v apt-get >/dev/null || die "this needs apt, which this system does not have"
    mirror=$(debian_mirror)
    if [[ $type == deb-src ]]; then target=Sources; fi
    mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
    touch "$dir/status"
    for suite; do
        # "target" leaves out what else a machine's apt may be set up to fetch, software catalogues and the like.
        printf '%s [target=%s signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' \
            "$type" "$target" "$mirror" "$suite"
    done >"$dir/sources.list"
    printf '%s\n' "$architecture" >"$dir/architecture"
    # See install_packages about the exit status.
    private_apt "$dir" apt-get update || true
}

# private_apt DIR COMMAND ARGUMENT...: an apt command on those lists. It sees no installed package.
private_apt() {
    local dir=$1 command=$2 architecture
    architecture=$(<"$dir/architecture")
    shift 2
    "$command" \
        -o Dir::Etc::sourcelist="$dir/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
        -o Dir::State="$dir" -o Dir::State::lists=lists -o Dir::State::status="$dir/status" -o Dir::Cache="$dir/cache" \
        -o APT::Architecture="$architecture" -o APT::Architectures="$architecture" \
        -o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none \
        "$@"
}

# SPDX-License-Identifier: MIT OR Apache-2.0
# Which Rust compiler builds for a foreign target. Sourced after common.sh.
# shellcheck shell=bash

# What Cargo.toml demands.
# shellcheck disable=SC2154 # common.sh sets it
rust_minimum=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$repository/Cargo.toml")

# knows_target RUSTC TARGET: whether this compiler is new enough for us, and for TARGET.
knows_target() {
    local version
    version=$("$1" --version | cut -d ' ' -f 2)
    [[ $(printf '%s\n' "$rust_minimum" "$version" | sort --version-sort | head -n 1) == "$rust_minimum" ]] &&
        "$1" --print target-list | grep -qxF "$2"
}

# choose_rust TARGET KIND...: takes the first toolchain, the active one before the distribution's, that can build for TARGET
# in one of these ways, and sets rust_bin (where its cargo and rustc are), rust_arguments (for cargo) and rust_version.
#   prebuilt  its libraries for TARGET are installed
#   sources   the libraries' sources are (rustup's component rust-src, Debian's rust-web-src or rust-src), so that they can
#             be compiled with the same flags as our code
choose_rust() {
    local target=$1 kind bin sysroot
    shift
    for kind; do
        for bin in "$(dirname "$(command -v cargo || echo /usr/bin/cargo)")" /usr/bin; do
            [[ -x $bin/cargo && -x $bin/rustc ]] || continue
            knows_target "$bin/rustc" "$target" || continue
            sysroot=$("$bin/rustc" --print sysroot)
            rust_bin=$bin rust_arguments=(--target "$target")
            case $kind in
                prebuilt) [[ -d $sysroot/lib/rustlib/$target/lib ]] || continue ;;
                sources)
                    [[ -f $sysroot/lib/rustlib/src/rust/library/core/Cargo.toml ]] || continue
                    rust_arguments+=(-Zbuild-std)
                    ;;
            esac
            rust_version=$("$bin/rustc" -vV)
            return
        done
    done
    die "no Rust compiler here, $rust_minimum or later, has its libraries' sources, which $target needs" \
        "with rustup: rustup component add rust-src" \
        "on Debian 12: apt-get update; apt-get install --no-install-recommends rustc-web cargo-web rust-web-src"
}

# rust_directory: prints where the chosen compiler's builds go. Kept, so that core and the macros are compiled once; cargo
# keeps builds with other flags apart.
rust_directory() { printf '%s/target-%s\n' "$cache" "$(hash_of "$rust_version")"; }

# run_cargo ARGUMENT...: the chosen cargo with the compiler beside it, whatever comes first in PATH. -Zbuild-std has been as
# it is for years, but a stable compiler wants to be told that it is meant.
run_cargo() { PATH=$rust_bin:$PATH RUSTC=$rust_bin/rustc RUSTC_BOOTSTRAP=1 "$rust_bin/cargo" "$@"; }

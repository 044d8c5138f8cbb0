# SPDX-License-Identifier: MIT OR Apache-2.0
# Shared by the scripts in tests/, and by others that build; made to be sourced.
# Progress goes to stderr, so that a script's only line on stdout can be its result.
# shellcheck shell=bash
set -euo pipefail
# Without this a failure inside $( ) would be lost.
shopt -s inherit_errexit
. "$(dirname -- "${BASH_SOURCE[0]}")/usage.sh"

repository=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${IDENTITY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/identity}
mkdir -p "$cache/logs"

say() { printf '%s\n' "$*" >&2; }

# logged LABEL COMMAND...: one line of progress with the seconds taken. What COMMAND prints goes to a log, whose end is
# shown when it fails, with the lines before that tell of errors. What a test says that it left out is always shown.
logged() {
    local label=$1 status start=$SECONDS log
    shift
    log=$cache/logs/${label//[^A-Za-z0-9._-]/-}.log
    printf '%s ... ' "$label" >&2
    # Not `|| status=$?`: that would switch errexit off inside COMMAND when it is a function.
    set +e
    (
        set -e
        "$@"
    ) >"$log" 2>&1 </dev/null
    status=$?
    set -e
    if ((status)); then
        say "failed after $((SECONDS - start)) s"
        # A parallel build, or test, goes on for a while after its first error.
        {
            grep -nE -A 1 '(^|[: ])error(:|\[)|\*\*\*|undefined reference|panicked at' "$log" | head -n 20 || true
            echo ...
            tail -n 15 "$log"
        } | sed 's/^/  | /' >&2
        die "$label failed (exit status $status)" "the whole log: $log"
    fi
    say "$((SECONDS - start)) s"
    grep '^SKIPPED' "$log" | sort -u >&2 || true
}

# hash_of WORD...: a short name for these words; for the contents of files, pass files_hash as one of them.
hash_of() { printf '%s\0' "$@" | sha256sum | cut -c1-16; }

# files_hash PATH...: of the names and contents of the files at and below PATHs, which are relative to the repository.
files_hash() {
    (
        cd "$repository"
        find "$@" -name target -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
    ) | sha256sum | cut -c1-64
}

# What the program `identity` is made of: names of files and directories, for files_hash.
# shellcheck disable=SC2034 # for linux/build-cli and others
rust_sources=(Cargo.toml Cargo.lock identity-core identity-layout identity-host identity-ui identity-cli)

# shared_build DIRECTORY COMMAND...: runs COMMAND, which lets cargo build in a DIRECTORY that all checkouts have in common, one
# at a time. Cargo goes by the times of sources, and takes another checkout's for these: what it has made of others is
# forgotten first.
shared_build() (
    directory=$1
    shift
    mkdir -p "$directory"
    exec {lock}>"$directory/checkout.lock"
    flock "$lock"
    # All crates, whatever is added.
    mapfile -t crates < <(cd "$repository" && printf '%s\n' identity-*)
    sources=$(files_hash Cargo.toml Cargo.lock "${crates[@]}" uboot-patch fixtures fuzz)
    if [[ $(cat "$directory/checkout" 2>/dev/null) != "$sources" ]]; then
        find "$directory" -regex '.*/\.fingerprint/\(sd-card-\)?identity-[^/]*' -prune -exec rm -r {} +
        printf '%s\n' "$sources" >"$directory/checkout"
    fi
    "$@"
)

# cached NAME KEY COMMAND...: prints the path of a cache entry. If there is none, COMMAND is run with an empty directory as
# one more argument, and the directory becomes the entry only when COMMAND has succeeded. One run at a time makes an entry
# of a NAME, always in the same place, so that ccache recognises what it compiles.
cached() {
    local name=$1 entry=$cache/$1-$2 work=$cache/$1.part lock
    shift 2
    exec {lock}>"$cache/$name.lock"
    if ! flock --nonblock "$lock"; then
        say "waiting for another run that is making $name"
        flock "$lock"
    fi
    if [[ -d $entry ]]; then
        touch "$entry"
    else
        rm -rf "$work"
        mkdir "$work"
        "$@" "$work" >&2 {lock}>&-
        mv -T "$work" "$entry"
        # What nobody asked for in two weeks comes from old sources.
        find "$cache" -maxdepth 1 -name "$name-????????????????" -mtime +14 -exec rm -rf {} +
    fi
    exec {lock}>&-
    printf '%s\n' "$entry"
}

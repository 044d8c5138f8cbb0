# SPDX-License-Identifier: MIT OR Apache-2.0
# How a script speaks to the person who calls it; made to be sourced, by most through common.sh. A script with `--help` has a
# function `usage`, which prints the line "Usage: ...", or two; an empty line; what the script does; its options; examples.
# It is a here-document, without backticks and dollars but for what is to be filled in.
# shellcheck shell=bash

program=${0##*/}

# die FACT [WAY-OUT]...: one line each.
die() {
    printf '%s: %s\n' "$program" "$1" >&2
    shift
    if (($#)); then printf '  %s\n' "$@" >&2; fi
    exit 1
}

# wrong_usage FACT: what was wrong, and how it is right.
wrong_usage() {
    printf '%s: %s\n' "$program" "$1" >&2
    usage | sed '/^$/,$d' >&2
    exit 2
}

# offer_help ARGUMENT...: prints the help and ends, if that is what is asked for. What follows -- is for another program.
offer_help() {
    local argument
    for argument; do
        case $argument in
            --help | -h)
                usage
                exit
                ;;
            --) return ;;
        esac
    done
}

# only_words MOST ARGUMENT...: for a script that has no option but --help, and takes so many arguments.
only_words() {
    local most=$1 argument
    shift
    offer_help "$@"
    for argument; do
        if [[ $argument == -* ]]; then wrong_usage "there is no option $argument"; fi
    done
    if (($# > most)); then wrong_usage "$# arguments are too many"; fi
}

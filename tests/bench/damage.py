# SPDX-License-Identifier: MIT OR Apache-2.0
"""Damages stores of a MAC address and prints what their readers say: the second half of tests/bench/damage."""

import pathlib
import subprocess
import sys

WORK = pathlib.Path(sys.argv[1])
IDENTITY, NEW, OLD, OTHER = sys.argv[2:6]
KINDS = sys.argv[6:]

# Of each store: its reader, where its copies are (the one in use first), and where a copy has its sequence number.
READERS = {
    "identity": [IDENTITY, "read", "--field", "mac", str(WORK / "identity")],
    "environment": ["fw_printenv", "-c", str(WORK / "fw_env.config"), "-n", "ethaddr"],
    "state": ["barebox-state", "-i", str(WORK / "state.dtb"), "-g", "mac"],
}
TITLES = {
    "identity": "`identity read --field mac`",
    "environment": "`fw_printenv -n ethaddr`",
    "state": "`barebox-state -g mac`",
}
SEQUENCE = {"identity": 24, "environment": 4, "state": None}


def copies(kind, image):
    if kind == "identity":
        return [(52 * 512, 512), (6607 * 512, 512)]
    if kind == "state":
        return [(0, 84), (0x1000, 84), (0x2000, 84)]
    # The one with the new address is in use.
    halves = [(0, 0x4000), (0x4000, 0x4000)]
    return sorted(halves, key=lambda half: NEW.encode() not in image[half[0] : half[0] + half[1]])


def place_of_value(kind, image, start, length):
    """Of the address in a copy; in an identity it stands as six bytes."""
    part = image[start : start + length]
    wanted = bytes.fromhex(NEW.replace(":", "")) if kind == "identity" else NEW.encode()
    at = part.find(wanted)
    if at < 0:
        at = part.find(OLD.encode())
    return start + at


def flip(image, at):
    image[at] ^= 1


def one_bit(kind, image, found):
    flip(image, place_of_value(kind, image, *found[0]) + 5)


def one_bit_in_each(kind, image, found):
    for copy in found:
        flip(image, place_of_value(kind, image, *copy) + 5)


def zeroed(kind, image, found):
    start, length = found[0]
    image[start : start + length] = bytes(length)


def torn(kind, image, found):
    """The write of the copy in use went as far as the middle of the address."""
    start, length = found[0]
    end = place_of_value(kind, image, start, length) + 3
    image[end : start + length] = bytes(start + length - end)


def all_zeroed(kind, image, found):
    for start, length in found:
        image[start : start + length] = bytes(length)


def all_garbage(kind, image, found):
    for start, length in found:
        image[start : start + length] = (bytes(range(7, 251)) * length)[:length]


def sequence(kind, image, found):
    """One bit of what tells the newer copy from the older one."""
    if SEQUENCE[kind] is None:
        return False
    start, _ = found[-1]
    image[start + SEQUENCE[kind]] ^= 0x40
    return True


def shifted(kind, image, found):
    image[:] = bytes(512) + image[:-512]


def cut_off(kind, image, found):
    """In the last copy."""
    del image[max(start for start, _ in found) + 16 :]


def of_another_board(kind, image, found):
    start, length = found[0]
    other = (WORK / f"{kind}-other").read_bytes()
    from_there, _ = copies_of_other(kind, other)
    image[start : start + length] = other[from_there : from_there + length]


def copies_of_other(kind, other):
    if kind != "environment":
        return copies(kind, other)[0]
    return next(half for half in [(0, 0x4000), (0x4000, 0x4000)] if OTHER.encode() in other[half[0] : half[0] + half[1]])


DAMAGES = [
    ("one bit of the address flips in the copy in use", one_bit),
    ("… in every copy", one_bit_in_each),
    ("the copy in use is zeroed", zeroed),
    ("the copy in use is torn in the middle of the address", torn),
    ("every copy is zeroed", all_zeroed),
    ("every copy is overwritten with other data", all_garbage),
    ("one bit of the other copy's sequence number flips", sequence),
    ("everything is shifted by one sector", shifted),
    ("the medium ends within the last copy", cut_off),
    ("the copy in use is replaced by another board's", of_another_board),
]


def ask(kind):
    done = subprocess.run(READERS[kind], capture_output=True, text=True, errors="replace")
    printed = done.stdout.strip()
    known = {NEW: "new", OLD: "**old**", OTHER: "**another board's**", "": "nothing"}
    what = known.get(printed, f"**{printed[:20]!r}**")
    is_silent = printed != NEW and done.returncode == 0
    said = ", a message" if done.stderr.strip() else ""
    return f"{what}, status {done.returncode}{said}", is_silent


def main():
    silent = dict.fromkeys(KINDS, 0)
    print("| damage | " + " | ".join(TITLES[kind] for kind in KINDS) + " |")
    print("|---|" + "---|" * len(KINDS))
    for title, damage in DAMAGES:
        cells = []
        for kind in KINDS:
            path = WORK / kind
            whole = path.read_bytes()
            image = bytearray(whole)
            if damage(kind, image, copies(kind, whole)) is False:
                cells.append("has none")
                continue
            path.write_bytes(image)
            cell, is_silent = ask(kind)
            path.write_bytes(whole)
            silent[kind] += is_silent
            cells.append(cell)
        print(f"| {title} | " + " | ".join(cells) + " |")
    print("| status 0 without the new address | " + " | ".join(f"{silent[kind]} of 10" for kind in KINDS) + " |")
    print()


main()

# SPDX-License-Identifier: MIT OR Apache-2.0
"""A desk with boards in QEMU that have everything from the network, for `tests/lab/demo` and `tests/bench/netboot`.

`Desk` works inside of the network that `tests/lib/lab-network` makes; `enter` goes there.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
UBOOT = ["tests/lib/uboot-build", "2025.01", "vexpress_ca9x4", "CONFIG_IDENTITY_NETBOOT=y"]
# Seconds. A board takes a minute to its login prompt on a machine with nothing else to do.
BOOT, SOON = 1800, 300
# What a board says of itself, one line for each.
WHO = [
    ("hostname", "hostname"),
    ("profile", ". /run/identity/identity.env; echo $IDENTITY_PROFILE"),
    ("UUID", ". /run/identity/identity.env; echo $IDENTITY_UUID"),
    ("MAC", "cat /sys/class/net/e*/address"),
    ("machine-id", "cat /etc/machine-id"),
    ("address", "ip -4 -o address show scope global | awk '{ print $4 }'"),
    ("root", "findmnt -n -o FSTYPE,OPTIONS /run/overlay/root 2>/dev/null || stat -f -c %T /"),
]


class Failed(Exception):
    """What a person is told."""


def output(*command):
    """What a script of the repository prints; its progress goes to standard error."""
    done = subprocess.run([str(word) for word in command], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise Failed(f"{command[0]} failed; what it needs is said above")
    return done.stdout.strip()


def check_programs():
    """Before anything is made, which takes minutes: what nothing here installs for somebody who is not root."""
    wanted = [("cargo", "cargo"), ("qemu-system-arm", "qemu-system-arm"), ("dnsmasq", "dnsmasq-base"), ("nbdkit", "nbdkit")]
    wanted += [("ip", "iproute2"), ("mmdebstrap", "mmdebstrap"), ("mksquashfs", "squashfs-tools"), ("newuidmap", "uidmap")]
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    missing = [package for program, package in wanted if not shutil.which(program, path=path)]
    if missing and os.geteuid() != 0:
        raise Failed(f"programs are missing; on Debian: apt install {' '.join(missing)}")


def enter(boards, arguments):
    """Makes what the boards need, and starts this program again in a network of its own."""
    check_programs()
    if not os.environ.get("IDENTITY_LAB_BIN"):
        print("compiling identity-lab", file=sys.stderr)
        subprocess.run(["cargo", "build", "--quiet", "--locked", "--package", "sd-card-identity-lab"], cwd=REPOSITORY, check=True)
        target = os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")
        os.environ["IDENTITY_LAB_BIN"] = f"{target}/debug/identity-lab"
    for variable, command in [("IDENTITY_TEST_UBOOT_NETBOOT", UBOOT), ("IDENTITY_TEST_NETBOOT_LAB", ["tests/lib/netboot-lab"])]:
        if not os.environ.get(variable):
            os.environ[variable] = output(*command)
    network = str(REPOSITORY / "tests/lib/lab-network")
    os.execv(network, [network, str(boards), sys.executable, os.path.abspath(sys.argv[0]), *arguments])


class Board:
    """A board that runs: its serial line is a socket, and all that it says goes to a log."""

    def __init__(self, desk, number, identity):
        self.number, self.identity, self.name = number, identity, identity["hostname"]
        self.log = desk.path / f"{self.name}.log"
        self.socket = desk.path / f"{self.name}.serial"
        self.started = time.monotonic()
        serial = f"socket,id=serial,path={self.socket},server=on,wait=off,logfile={self.log},logappend=off"
        self.machine = subprocess.Popen(
            ["qemu-system-arm", "-M", "vexpress-a9", "-m", "512", "-display", "none", "-no-reboot", "-monitor", "none"]
            + ["-kernel", os.environ["IDENTITY_TEST_UBOOT_NETBOOT"] + "/u-boot"]
            + ["-drive", f"file={desk.path / self.name}.img,format=raw,if=sd"]
            + ["-chardev", serial, "-serial", "chardev:serial"]
            + ["-nic", f"tap,ifname=board{number},script=no,downscript=no"],
            env=dict(os.environ, QEMU_AUDIO_DRV="none"),
            stdin=subprocess.DEVNULL,
            stderr=open(desk.path / f"{self.name}.qemu", "w"),
        )
        # Seconds from power-on to the login prompt, and bytes received until the kernel starts and from then on.
        self.is_shown = False
        self.line = self.before = self.ready = self.loaded = self.read = None

    def said(self):
        """All that it has said so far."""
        return self.log.read_text(errors="replace").replace("\r", "") if self.log.exists() else ""

    def wait(self, text, seconds, start=0):
        """Waits until it says a text, and returns where the text ends."""
        deadline = time.monotonic() + seconds
        while True:
            at = self.said().find(text, start)
            if at >= 0:
                return at + len(text)
            if self.machine.poll() is not None:
                raise Failed(f"{self.name} has switched itself off; see {self.log}")
            if time.monotonic() > deadline:
                raise Failed(f"{self.name} has not said {text!r} in {seconds} s; see {self.log}")
            time.sleep(0.1)

    def type(self, text):
        """Types a text."""
        if self.line is None:
            line = socket.socket(socket.AF_UNIX)
            deadline = time.monotonic() + SOON
            # A machine that was just switched on does not listen yet.
            while line.connect_ex(str(self.socket)):
                if time.monotonic() > deadline:
                    raise Failed(f"{self.name} has no serial line; see {self.log}")
                time.sleep(0.1)
            self.line = line
            threading.Thread(target=self.read_line, daemon=True).start()
        self.line.sendall(text.encode())

    def read_line(self):
        """Takes what the board says, or QEMU would wait for it with the whole machine; shows it while a person is there."""
        while said := self.line.recv(4096):
            if self.is_shown:
                os.write(sys.stdout.fileno(), said)

    def log_in(self):
        """From its login prompt to a shell."""
        at = self.wait(f"{self.name} login: ", BOOT)
        self.type("root\n")
        self.wait("# ", SOON, at)
        self.ask("dmesg -n 1; stty cols 500")

    def ask(self, command):
        """What a command prints."""
        start = len(self.said())
        self.type(f"echo BE''GIN; {command}; echo EN''D\n")
        begin = self.wait("BEGIN\n", SOON, start)
        end = self.wait("END\n", SOON, begin)
        return self.said()[begin : end - len("END\n")].strip()

    def end(self):
        """Switches it off as a person does, and by force if that does not help."""
        if self.machine.poll() is None and self.line is not None:
            try:
                self.type("systemctl poweroff\n")
                self.machine.wait(SOON)
            except (OSError, subprocess.TimeoutExpired):
                print(f"{self.name} does not switch itself off; its power is cut", file=sys.stderr)
        self.machine.kill()
        self.machine.wait()


class Desk:
    """A lab in a directory, its server, and its boards."""

    def __init__(self, path, boards, profile="panda"):
        self.path, self.boards, self.server = pathlib.Path(path), [], None
        for directory, _, files in os.walk(os.environ["IDENTITY_TEST_NETBOOT_LAB"]):
            target = self.path / os.path.relpath(directory, os.environ["IDENTITY_TEST_NETBOOT_LAB"])
            target.mkdir(exist_ok=True)
            for file in files:
                shutil.copy(os.path.join(directory, file), target)
        self.lab("add", f"{profile}-[01-{boards:02}]", "--profile", profile)
        self.lab("netboot", "out")
        self.identities = json.loads(self.lab("list", "--format", "json"))
        for identity in self.identities:
            self.lab("card", identity["hostname"], "-o", identity["hostname"] + ".img")

    def lab(self, *words):
        """A verb of identity-lab."""
        command = [os.environ["IDENTITY_LAB_BIN"], *words]
        done = subprocess.run(command, cwd=self.path, capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"identity-lab {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def serve(self, nbd="nbdkit"):
        """Starts dnsmasq and nbdkit; or, for a comparison, nbd-server in its place, with a copy for each board."""
        if nbd == "nbd-server":
            self.serve_copies()
        log = open(self.path / "serve.log", "w")
        environment = dict(os.environ, XDG_STATE_HOME=str(self.path / "state"))
        environment["PATH"] += ":/usr/sbin:/sbin"
        command = [os.environ["IDENTITY_LAB_BIN"], "serve", "out"]
        self.server = subprocess.Popen(command, cwd=self.path, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while "serving " not in (self.path / "serve.log").read_text():
            if self.server.poll() is not None or time.monotonic() > deadline:
                raise Failed((self.path / "serve.log").read_text())
            time.sleep(0.1)

    def serve_copies(self):
        """Starts nbd-server where the boards look for their root. What `serve` starts listens elsewhere then."""
        toml = self.path / "lab.toml"
        toml.write_text(toml.read_text().replace("[server]", "[server]\nnbd_port = 10811"))
        text = "[generic]\nallowlist = true\nport = 10810\n"
        for image in (self.path / "out/images").iterdir():
            text += f"[{image.name}]\nexportname = {image}\ncopyonwrite = true\ncowdir = {self.path}\n"
        config = self.path / "nbd-server.conf"
        config.write_text(text)
        # It goes into the background: with `-d` it ends after its first client.
        done = subprocess.run(["nbd-server", "-C", config, "-p", self.path / "nbd-server.pid"], capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"nbd-server: {done.stderr}")

    def start(self, count):
        """Switches boards on."""
        for number, identity in enumerate(self.identities[:count], 1):
            board = Board(self, number, identity)
            # The network counts on, whoever had the place before.
            board.before = self.received(board)
            self.boards.append(board)

    def switch_on(self, board):
        """Switches a board on again that has switched itself off, with the same card."""
        again = Board(self, board.number, board.identity)
        self.boards[self.boards.index(board)] = again
        again.type("")
        return again

    def wait(self):
        """Waits until each board shows its login prompt, and notes what it took."""
        deadline = time.monotonic() + BOOT
        while any(board.ready is None for board in self.boards):
            for board in self.boards:
                if board.machine.poll() is not None:
                    raise Failed(f"{board.name} has switched itself off; it said: {board.said()[-2000:]}")
                if board.loaded is None and "Starting kernel ..." in board.said():
                    board.loaded = self.received(board) - board.before
                if board.ready is None and f"{board.name} login: " in board.said():
                    board.ready = time.monotonic() - board.started
                    board.read = self.received(board) - board.before - board.loaded
            if time.monotonic() > deadline:
                late = next(board for board in self.boards if board.ready is None)
                raise Failed(f"{late.name} shows no login prompt in {BOOT} s; it said: {late.said()[-2000:]}")
            time.sleep(0.2)

    def received(self, board):
        """How many bytes a board has received."""
        links = json.loads(subprocess.run(["ip", "-s", "-j", "link"], capture_output=True, check=True, env=self.path_to_ip()).stdout)
        return next(link["stats64"]["tx"]["bytes"] for link in links if link["ifname"] == f"board{board.number}")

    @staticmethod
    def path_to_ip():
        """Where `ip` may be."""
        return dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin:/sbin")

    def memory(self, program):
        """The most memory that a server has had so far in all its processes, in KiB."""
        here, sum_of = os.readlink("/proc/self/ns/net"), 0
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                status, network = (process / "status").read_text(), os.readlink(process / "ns/net")
            except OSError:
                continue
            if network == here and re.search(rf"^Name:\t{program}$", status, re.M):
                sum_of += int(re.search(r"^VmHWM:\s*(\d+) kB", status, re.M).group(1))
        if not sum_of:
            raise Failed(f"{program} does not run")
        return sum_of

    def end(self):
        """Switches everything off."""
        try:
            for board in self.boards:
                board.end()
        finally:
            # Also where nobody wants to wait.
            for board in self.boards:
                board.machine.kill()
                board.machine.wait()
            self.boards = []
            self.end_server()

    def end_server(self):
        """Ends dnsmasq, nbdkit and nbd-server."""
        copies = self.path / "nbd-server.pid"
        if copies.exists():
            os.kill(int(copies.read_text()), signal.SIGTERM)
            copies.unlink()
        if self.server is not None and self.server.poll() is None:
            self.server.send_signal(signal.SIGTERM)
            self.server.wait()

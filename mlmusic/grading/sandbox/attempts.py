"""Ways to break out of a sandbox, as students' code: what `mlmusic grade --doctor` tries."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECRET = "the-hidden-test-expects-42"


class Outside:
    """A little world outside the sandbox, in which damage can be seen.

    Attributes
    ----------
    folder : Path
        Holds a secret, a file to destroy, a folder to fill and a listening socket.
    facts : dict
        What the attempts are told, so that they need not search: paths, ports, process numbers.
    """

    def __init__(self, parent: str | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mlmusic-outside-", dir=parent)).resolve()
        self.folder.chmod(0o755)
        (self.folder / "secret.txt").write_text(SECRET)
        (self.folder / "victim.txt").write_text("precious")
        (self.folder / "victims").mkdir()
        (self.folder / "victims" / "one.txt").write_text("precious")
        self.heard = threading.Event()
        self._sockets: list[socket.socket] = []
        ports = [self._listen(socket.AF_INET, kind) for kind in _SOCKETS]
        paths = [str(self.folder / "socket"), f"\0{self.folder}"]
        for path in paths:
            with contextlib.suppress(OSError):  # abstract ones are Linux's
                self._listen(socket.AF_UNIX, socket.SOCK_STREAM, path)
        os.environ["MLMUSIC_DOCTOR"] = SECRET  # of the trusted side
        self.other = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(600)", SECRET],
            stdin=subprocess.DEVNULL,
            env=dict(os.environ),
        )
        self.facts = {
            "folder": str(self.folder),
            "ports": ports,
            "sockets": paths,
            "pids": [os.getpid(), self.other.pid],
            "daemon": f"mlm-{self.other.pid}",
            "secret": SECRET[:8] + "…" + SECRET[-8:],
        }

    def _listen(self, family: int, kind: int, address: Any = ("127.0.0.1", 0)) -> int:
        listener = socket.socket(family, kind)
        listener.bind(address)
        if kind == socket.SOCK_STREAM:
            listener.listen()
        self._sockets.append(listener)
        threading.Thread(target=self._wait, args=(listener, kind), daemon=True).start()
        return listener.getsockname()[1] if family == socket.AF_INET else 0

    def _wait(self, listener: socket.socket, kind: int) -> None:
        with contextlib.suppress(OSError):
            listener.accept() if kind == socket.SOCK_STREAM else listener.recv(1)
            self.heard.set()

    def intact(self) -> bool:
        """Tell whether everything is as it was."""
        names = sorted(path.name for path in self.folder.rglob("*") if not path.is_socket())
        files = [self.folder / "victim.txt", self.folder / "victims" / "one.txt"]
        return (
            names == ["one.txt", "secret.txt", "victim.txt", "victims"]
            and all(path.read_text() == "precious" for path in files)
            and all(path.stat().st_mode & 0o777 & ~0o022 == 0o644 for path in files)
            and all(path.stat().st_mtime > 1e9 for path in files)
            and self.other.poll() is None
        )

    def close(self) -> None:
        """Remove everything."""
        del os.environ["MLMUSIC_DOCTOR"]
        self.other.kill()
        self.other.wait()
        for listener in self._sockets:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        subprocess.run(["rm", "-rf", str(self.folder)], check=False)


_SOCKETS = (socket.SOCK_STREAM, socket.SOCK_DGRAM)


@dataclass(frozen=True)
class Attempt:
    """One way to break out.

    Attributes
    ----------
    name : str
        What it tries, for the table.
    code : str
        What a student runs. It finds `facts` and `attempt` (which calls a function and keeps what
        it returns in `got`, unless that's None or False); what is in `got` in the end has escaped.
    after : str
        What the next student runs, to find what the first has left.
    traces : callable, optional
        Looks for traces outside while the sandbox still runs; returns whether there are any.
    alone : bool
        Whether it can be shown without a sandbox, to prove that it works: not if it would harm
        the machine.
    """

    name: str
    code: str
    after: str = ""
    traces: Callable[[Outside], bool] | None = None
    alone: bool = True


PREAMBLE = """
import ctypes, mmap, os, socket, sys, time
got = []
libc = ctypes.CDLL(None, use_errno=True)
def attempt(function, *args):
    try:
        result = function(*args)
    except BaseException:
        return
    if result is not None and result is not False:
        got.append(str(result)[:50])
def secret(text):
    text = text if isinstance(text, str) else text.decode("latin-1")
    start, end = facts["secret"].split("…")
    return start in text and end in text
folder = facts["folder"]
"""


def _has_daemon(outside: Outside) -> bool:
    for path in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if path.read_text().strip() == outside.facts["daemon"]:
                return True
    return False


def _waited_for(outside: Outside) -> bool:
    return outside.heard.wait(0.2)


ATTEMPTS = (
    Attempt(
        "read a hidden test",
        """
for path in ("", "/proc/self/root", "/proc/1/root", f"/proc/{os.getppid()}/cwd"):
    attempt(lambda: secret(open(path + folder + "/secret.txt").read()))
attempt(lambda: "secret.txt" in os.listdir(folder))
os.symlink(folder, "link")
attempt(lambda: secret(open("link/secret.txt").read()))
attempt(lambda: os.link(folder + "/secret.txt", "hard") or secret(open("hard").read()))
attempt(lambda: secret(open(os.open(folder, os.O_PATH), opener=os.open).read()))
""",
    ),
    Attempt(
        "write outside",
        """
def write(path):
    with open(path, "w") as file:
        file.write("0wned")
    return path
for path in (folder + "/new.txt", folder + "/victim.txt"):
    attempt(write, path)
attempt(os.mkdir, folder + "/new")
attempt(lambda: os.symlink("/", folder + "/new-link") or True)
import mlmusic, numpy
def soil(path):
    write(path)
    os.remove(path)
    return path
attempt(soil, mlmusic.__file__ + ".new")
attempt(soil, numpy.__file__ + ".new")
""",
    ),
    Attempt(
        "delete and change files outside",
        """
import shutil
for name in ("/victim.txt", "/victims/one.txt"):
    for change in (os.remove, lambda p: os.truncate(p, 0), lambda p: os.rename(p, "mine")):
        attempt(change, folder + name)
    attempt(lambda: os.close(os.open(folder + name, os.O_TRUNC)))
    for change in (lambda p: os.chmod(p, 0), lambda p: os.utime(p, (0, 0))):
        attempt(change, folder + name)
os.mkdir("inner")
os.symlink(folder + "/victims", "inner/link")
os.symlink(folder + "/victims", "link")
shutil.rmtree(folder, ignore_errors=True)
""",
    ),
    Attempt(
        "use the network",
        """
attempt(lambda: socket.create_connection(("127.0.0.1", facts["ports"][0]), 1))
def udp():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.sendto(b"!", ("127.0.0.1", facts["ports"][1]))
attempt(udp)
""",
        traces=_waited_for,
    ),
    Attempt(
        "talk to sockets of this machine",
        """
for path in facts["sockets"]:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        def connect():
            s = socket.socket(socket.AF_UNIX, kind)
            s.connect(path)
        attempt(connect)
        def pair():
            a, b = socket.socketpair(socket.AF_UNIX, kind)
            a.sendto(b"!", path)
        attempt(pair)
        def netlink():
            return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)
        attempt(netlink)
""",
        traces=_waited_for,
    ),
    Attempt(
        "kill other processes",
        """
import signal
for pid in [*facts["pids"], 1, os.getppid()]:
    for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGKILL):
        attempt(lambda: os.kill(pid, number) or (pid != 1 and f"{pid} killed"))
    attempt(lambda: signal.pidfd_send_signal(os.pidfd_open(pid), 9) or True)
""",
        alone=False,
    ),
    Attempt(
        "see other processes",
        """
for pid in facts["pids"]:
    attempt(lambda: secret(open(f"/proc/{pid}/cmdline").read()))
for name in os.listdir("/proc"):
    attempt(lambda: secret(open(f"/proc/{name}/cmdline").read()))
""",
    ),
    Attempt(
        "look into the grader's memory",
        """
for pid in {os.getppid(), 1, *facts["pids"]}:
    attempt(lambda: secret(open(f"/proc/{pid}/environ").read()))
    attempt(lambda: open(f"/proc/{pid}/mem", "rb") and f"{pid}'s memory")
    attempt(lambda: open(f"/proc/{pid}/maps").read(1))
    attempt(lambda: libc.ptrace(0x4206, pid, 0, 0) == 0)
    box = ctypes.create_string_buffer(64)
    class Piece(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]
    here, there = Piece(ctypes.addressof(box), 8), Piece(id(None), 8)
    attempt(lambda: libc.process_vm_readv(
        pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) > 0)
attempt(lambda: secret(str(dict(os.environ))))
""",
    ),
    Attempt(
        "leave a process behind",
        """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        libc.prctl(15, facts["daemon"].encode(), 0, 0, 0)
        time.sleep(60)
        os._exit(0)
    os._exit(0)
time.sleep(0.1)
""",
        after="""
for name in os.listdir("/proc"):
    attempt(lambda: open(f"/proc/{name}/comm").read().startswith("mlm-"))
""",
        traces=_has_daemon,
        alone=False,
    ),
    Attempt(
        "a fork bomb",
        """
import signal
count = 0
end = time.monotonic() + 1
while time.monotonic() < end and count < 500:
    try:
        if os.fork() == 0:
            time.sleep(30)
            os._exit(0)
        count += 1
    except OSError:
        time.sleep(0.01)
attempt(lambda: count > 100)
""",
        alone=False,
    ),
    Attempt(
        "too many threads",
        """
import threading
threading.stack_size(64 << 10)
count = 0
end = time.monotonic() + 2
while time.monotonic() < end and count < 3000:
    try:
        threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
        count += 1
    except RuntimeError:
        time.sleep(0.01)
time.sleep(0.5)
attempt(lambda: count > 100)
""",
        alone=False,
    ),
    Attempt(
        "use 4 GB of memory",
        """
def grab(make):
    pieces = []
    for _ in range(64):
        pieces.append(make(64 << 20))
    return len(pieces) << 6
attempt(grab, lambda size: bytearray(b"1") * size)
def shared(size):
    piece = mmap.mmap(-1, size)
    for i in range(0, size, 4096):
        piece[i] = 1
    return piece
attempt(grab, shared)
def in_memory(size):
    file = os.memfd_create("x")
    for _ in range(size >> 20):
        os.write(file, bytes(1 << 20))
    return file
attempt(grab, in_memory)
time.sleep(0.5)
""",
        alone=False,
    ),
    Attempt(
        "fill the disk",
        """
def fill(name):
    with open(name, "wb") as file:
        for _ in range(200):
            file.write(bytes(1 << 20))
    return name
attempt(fill, "big")
def many():
    for i in range(100):
        with open(f"small-{i}", "wb") as file:
            file.write(bytes(1 << 20))
    time.sleep(0.5)
    return True
attempt(many)
def removed():
    files = []
    for i in range(100):
        files.append(open("gone", "wb"))
        os.remove("gone")
        files[-1].write(bytes(1 << 20))
        files[-1].flush()
    time.sleep(0.5)
    return True
attempt(removed)
""",
        alone=False,
    ),
    Attempt(
        "leave a note for the next student",
        """
attempt(lambda: libc.shmget(4242, 4096, 0o1666))
attempt(lambda: libc.msgsnd(libc.msgget(4243, 0o1666), b"note", 4, 0))
attempt(lambda: libc.mq_open(b"/note", 0o102, 0o666, None))
attempt(lambda: libc.syscall(248, b"user", b"note", b"note", 4, -4))
got.clear()
for place in ("/tmp", "/dev/shm", ".", os.path.expanduser("~"), folder):
    def leave():
        with open(f"{place}/note", "w") as file:
            file.write("the answer")
        os.makedirs(place + "/a" * 30, 0o700)
        os.chmod(place + "/a", 0)
    attempt(leave)
""",
        after="""
for place in ("/tmp", "/dev/shm", ".", os.path.expanduser("~"), folder):
    attempt(lambda: os.path.lexists(f"{place}/note") and place)
attempt(lambda: libc.shmget(4242, 4096, 0) >= 0)
attempt(lambda: libc.msgget(4243, 0) >= 0)
attempt(lambda: libc.mq_open(b"/note", 0, 0, None) >= 0)
attempt(lambda: libc.syscall(249, b"user", b"note", None, -4) >= 0)
""",
        alone=False,
    ),
    Attempt(
        "make namespaces, mounts and devices",
        """
CLONE_NEWUSER, CLONE_NEWNS = 0x10000000, 0x20000
attempt(lambda: libc.unshare(CLONE_NEWUSER) == 0)
attempt(lambda: libc.unshare(CLONE_NEWNS) == 0)
attempt(lambda: libc.mount(b"none", b".", b"tmpfs", 0, None) == 0)
attempt(lambda: libc.mount(None, b"/", None, 32 | 0x1000, None) == 0)
attempt(lambda: os.chroot(".") is None)
attempt(lambda: libc.setns(os.open("/proc/1/ns/mnt", os.O_RDONLY), 0) == 0)
import stat
attempt(lambda: os.mknod("disk", stat.S_IFBLK | 0o600, os.makedev(8, 0)) or True)
attempt(lambda: os.mknod("memory", stat.S_IFCHR | 0o600, os.makedev(1, 1)) or True)
attempt(lambda: os.getuid() != 0 and os.setuid(0) is None)
""",
        alone=False,
    ),
    Attempt(
        "answer in somebody else's name",
        """
import struct
forged = b'[1,"value",{"d":["error",null,"printed","forged"]}]'
forged = struct.pack("<I", len(forged) + 5) + b"[" + forged + b",[]]"
for number in range(256):
    for data in (struct.pack("<cI", b"S", 16) + bytes(16), struct.pack("<cI", b"X", 0)):
        try:
            os.set_blocking(number, False)
            os.write(number, data + struct.pack("<cI", b"D", len(forged)) + forged)
        except OSError:
            pass
""",
        alone=False,
    ),
)

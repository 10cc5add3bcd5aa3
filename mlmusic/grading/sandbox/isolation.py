"""Which isolation this machine has, and the command that starts a process in it."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlmusic.grading.limits import Limits
from mlmusic.grading.sandbox import linux
from mlmusic.grading.sandbox.errors import SandboxUnavailable
from mlmusic.grading.sandbox.shown import PACKAGE, check_forbidden, contains, font_lists, needed

KINDS = ("bwrap", "landlock", "docker")  # in the order in which they are tried
IMAGE = "mlmusic-grading"
_SHARED_MEMORY = 64 << 20  # bytes of /dev/shm
_started = itertools.count()


@dataclass
class Plan:
    """How to start the warm process.

    Attributes
    ----------
    command : list of str
    env : dict
        Its whole environment: nothing of the grader's own.
    temp : str
        The temporary folder, as the process sees it.
    own_temp : bool
        Whether that is a folder of this machine, to be removed afterwards.
    user : int or None
        The user that the process becomes before it runs anything.
    read : list of str
        All that it may read, for Landlock.
    image : bool
        Whether it sees the files of an image, not of this machine.
    hint : str
        What to do if it doesn't start.
    count_processes : bool
        Whether the kernel can limit the number of processes: not where that would count all the
        others of the same user, too.
    """

    command: list[str]
    env: dict[str, str]
    temp: str = "/tmp"
    own_temp: bool = False
    user: int | None = None
    read: list[str] = field(default_factory=list)
    image: bool = False
    hint: str = ""
    count_processes: bool = True

    def setting(self) -> dict[str, Any]:
        """Return what the warm process has to know of this."""
        return {
            "temp": self.temp,
            "user": self.user,
            "read": self.read,
            "count_processes": self.count_processes,
            "files": {} if self.image else font_lists(),
            "pid_namespace": _pid_namespace(),
        }


def plan(kind: str, limits: Limits, forbidden: Iterable[str | Path] = ()) -> Plan:
    """Say how to start the warm process in a kind of sandbox.

    Raises
    ------
    ValueError
        If the sandbox would show one of the forbidden paths.
    SandboxUnavailable
        If something that it needs is missing.
    """
    if kind == "docker":
        return _docker(limits, forbidden)
    if kind == "bwrap":
        program = _program("bwrap", "apt install bubblewrap (or dnf, pacman, zypper)")
        return _bwrap(program, _shown(forbidden), limits)
    if not hasattr(os, "fork"):
        raise SandboxUnavailable(f"{kind} needs Linux or macOS: use Docker, or WSL on Windows")
    shown: list[str] = []
    if kind == "landlock":
        abi = linux.landlock_abi()
        if abi < 3:  # before, files could be truncated through it
            have = f"version {abi}" if abi else "none"
            raise SandboxUnavailable(
                f"landlock needs Linux 6.2 or newer, with version 3 of Landlock; here is {have}"
            )
        shown = _shown(forbidden)
    folder = os.path.realpath(tempfile.mkdtemp(prefix="mlmusic-", dir=_in_memory(limits)))
    return Plan(_python(), _environment(folder), folder, True, read=shown, count_processes=False)


def _program(name: str, how: str) -> str:
    program = shutil.which(name)
    if program is None:
        raise SandboxUnavailable(f"{name} isn't installed: {how}")
    return program


def _in_memory(limits: Limits) -> str | None:
    """Return a folder in memory that has room, where thousands of files are wiped in no time."""
    with contextlib.suppress(AttributeError, OSError):  # not every system has one
        about = os.statvfs("/dev/shm")
        if about.f_bavail * about.f_frsize > 4 * limits.files and os.access("/dev/shm", os.W_OK):
            return "/dev/shm"
    return None


def _shown(forbidden: Iterable[str | Path]) -> list[str]:
    shown = needed()
    check_forbidden(shown, forbidden)
    return shown


def _pid_namespace() -> str | None:
    with contextlib.suppress(OSError):
        return os.readlink("/proc/self/ns/pid")
    return None


# How to start it ----------------------------------------------------------------------------------


def _python() -> list[str]:
    # The folder of this package may not be on the path of a fresh Python, or another copy may
    # come before it; the standard library still goes first.
    parent = str(PACKAGE.parent)
    packages = [path for path in sys.path if path.endswith("-packages")]
    code = (
        "import sys; p = sys.path\n"
        "i = next((i for i, q in enumerate(p) if q.endswith('-packages')), len(p))\n"
        f"{parent!r} in p or p.insert(i, {parent!r})\n"
        f"p += [q for q in {packages!r} if q not in p]\n"
        "from mlmusic.grading.sandbox import inside; inside.main()"
    )
    return [sys.executable, "-c", code]


def _environment(temp: str) -> dict[str, str]:
    from mlmusic.datasets import cache, download

    own = {
        "PATH": "/usr/bin:/bin",
        "HOME": temp,
        "TMPDIR": temp,
        "USER": "student",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "IPYTHONDIR": f"{temp}/.ipython",
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": f"{temp}/.matplotlib",
        "MLMUSIC_GRADING": "1",
        "MLMUSIC_CACHE": str(cache.folder()),
        "MLMUSIC_DATA": str(download.data_folder()),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "PYTHONUTF8": "1",
    }
    if "LD_LIBRARY_PATH" in os.environ:
        own["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
    return own


def _user() -> int:
    """Choose a user whom nobody else is, so that the kernel counts only the student's processes."""
    return 61_000 + (os.getpid() * 7 + next(_started)) % 4_000


def _bwrap(program: str, shown: list[str], limits: Limits) -> Plan:
    command = [program, "--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL"]
    # The warm process is the first of its namespace: nobody inside can signal it, and there is no
    # process of bwrap's own into whose memory a student of the same user could write.
    command.append("--as-pid-1")
    user = None
    if _is_real_root():
        # No user namespace: in one, the kernel would still see root, and RLIMIT_NPROC doesn't
        # bind root. Instead the process becomes another user.
        command += "--unshare-ipc --unshare-pid --unshare-net --unshare-uts".split()
        command += "--unshare-cgroup-try --cap-add CAP_SETUID --cap-add CAP_SETGID".split()
        user = _user()
    else:
        command += ["--unshare-all"]
    # Parents first, and open to all: bwrap would make them for root alone.
    for folder in sorted({str(p) for path in shown for p in Path(path).parents} - {"/"}):
        command += ["--perms", "0755", "--dir", folder]
    for path in shown:
        command += ["--ro-bind", path, path]
    command += ["--proc", "/proc", "--perms", "0755", "--tmpfs", "/dev"]
    for name in ("null", "urandom", "random"):
        command += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    command += ["--perms", "1777", "--size", str(_SHARED_MEMORY), "--tmpfs", "/dev/shm"]
    # Where Python itself is installed in /tmp, a student gets another place.
    temp = "/student" if any(contains("/tmp", path) for path in shown) else "/tmp"
    command += ["--perms", "1777", "--size", str(int(limits.files)), "--tmpfs", temp]
    command += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", temp]
    for name, value in _environment(temp).items():
        command += ["--setenv", name, value]
    hint = "bubblewrap needs user namespaces, which some systems keep from ordinary users"
    return Plan([*command, *_python()], {}, temp, user=user, hint=hint)


def _is_real_root() -> bool:
    if os.geteuid() != 0:
        return False
    try:
        return Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]
    except OSError:
        return False


def _docker(limits: Limits, forbidden: Iterable[str | Path]) -> Plan:
    program = _program("docker", "see https://docs.docker.com/engine/install")
    image = os.environ.get("MLMUSIC_DOCKER_IMAGE", IMAGE)
    user = _user()
    command = [program, "run", "--rm", "--interactive", "--pull", "never", "--network", "none"]
    command += ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
    command += ["--user", f"{user}:{user}", "--pids-limit", str(limits.processes + 8)]
    # What the warm process itself needs comes on top.
    command += ["--memory", str(int(limits.memory) + (1 << 30)), "--workdir", "/tmp"]
    command += ["--shm-size", str(_SHARED_MEMORY)]
    command += ["--tmpfs", f"/tmp:rw,exec,nosuid,nodev,size={int(limits.files)},mode=1777"]
    home = "/opt/mlmusic"
    folders = [f for f in (PACKAGE, PACKAGE.parent / "datasets") if f.is_dir()]
    check_forbidden(map(str, folders), forbidden)
    for source in folders:
        target = f"{home}/{source.name}"
        command += ["--mount", f"type=bind,source={source},target={target},readonly"]
    environment = _environment("/tmp")
    for name in ("MLMUSIC_CACHE", "MLMUSIC_DATA", "LD_LIBRARY_PATH", "PATH"):
        environment.pop(name, None)  # those of this machine
    environment["PYTHONPATH"] = home
    for name, value in environment.items():
        command += ["--env", f"{name}={value}"]
    command += [image, "python", "-m", "mlmusic.grading.sandbox.inside"]
    # The docker command itself needs its own settings; the container sees none of them.
    hint = f"it needs a running engine and an image {image!r} with Python and mlmusic's packages"
    return Plan(command, dict(os.environ), image=True, hint=hint)


# Which kinds work here --------------------------------------------------------------------------


@functools.cache
def why_not(kind: str) -> str | None:
    """Start a process in a kind of sandbox; return why that doesn't work, or None if it does."""
    from mlmusic.grading.sandbox.client import Sandbox

    try:
        with Sandbox(kind) as sandbox:
            sandbox.start()
            sandbox.request("exec", seconds=10, source="")
    except SandboxUnavailable as error:
        return str(error)
    except Exception as error:
        return f"{kind} doesn't work here: {error}"
    return None


def choose(kind: str) -> str:
    """Return the kind to use: the one that was named, or for ``auto`` the first that works.

    Raises
    ------
    ValueError
        If the kind is unknown.
    SandboxUnavailable
        If none works here; the message says what to install.
    """
    if kind == "auto":
        reasons = []
        for candidate in KINDS:
            reason = why_not(candidate)
            if reason is None:
                return candidate
            reasons.append(reason)
        raise SandboxUnavailable(
            f"no sandbox works here: install bubblewrap (Linux) or Docker ({'; '.join(reasons)})"
        )
    if kind not in (*KINDS, "none"):
        raise ValueError(f"unknown sandbox {kind!r}: there are auto, {', '.join(KINDS)} and none")
    return kind

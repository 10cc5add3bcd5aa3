"""Which isolation this machine has, and the command that starts a process in it."""

from __future__ import annotations

import functools
import itertools
import os
import shutil
import site
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mlmusic.grading.limits import Limits
from mlmusic.grading.sandbox import linux

KINDS = ("bwrap", "landlock", "docker")  # in the order in which they are tried
IMAGE = "mlmusic-grading"
PACKAGE = Path(__file__).resolve().parents[2]  # the folder mlmusic

_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/nix/store")
_SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/fonts", "/etc/localtime")
_SHARED_MEMORY = 64 << 20  # bytes of /dev/shm
_started = itertools.count()


class SandboxUnavailable(RuntimeError):
    """The reason, in one line, why a kind of sandbox can't be used here."""


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
    count_processes: bool = True


def needed() -> list[str]:
    """List the folders and files that Python, its packages and this package need, and no others."""
    paths = [*_SYSTEM, *_SYSTEM_FILES, sys.prefix, sys.exec_prefix, sys.base_prefix]
    paths += [p for p in (*sys.path, *site.getsitepackages()) if p.endswith("-packages")]
    paths += os.environ.get("LD_LIBRARY_PATH", "").split(":")
    paths += [str(PACKAGE), *_data_folders()]
    found: dict[str, None] = {}
    for path in paths:
        if path and os.path.isabs(path) and os.path.exists(path):
            found[os.path.normpath(path)] = None
            found[os.path.realpath(path)] = None
    if "/" in found:
        raise SandboxUnavailable("Python is installed in /: a sandbox would show everything")
    return [p for p in found if not any(_contains(other, p) for other in found if other != p)]


def _data_folders() -> list[str]:
    from mlmusic.datasets import cache, download

    data = PACKAGE.parent / "datasets"  # of a checkout; an installed package has it inside
    shipped = [] if (PACKAGE / "_data").exists() or not (data / "chorales").exists() else [data]
    return [str(path) for path in (*shipped, cache.folder(), download.data_folder())]


def _contains(folder: str, path: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def check_forbidden(shown: Iterable[str], forbidden: Iterable[str | Path]) -> None:
    """Refuse to show a folder that holds something secret.

    Raises
    ------
    ValueError
        If one of the forbidden paths lies in a folder that the sandbox can read.
    """
    for secret in forbidden:
        real = os.path.realpath(secret)
        for folder in shown:
            if _contains(os.path.realpath(folder), real):
                raise ValueError(
                    f"{secret} lies in {folder}, which students' code can read: move it elsewhere"
                )


def plan(kind: str, limits: Limits, forbidden: Iterable[str | Path] = ()) -> Plan:
    """Say how to start the warm process in a kind of sandbox.

    Raises
    ------
    ValueError
        If the kind is unknown, or the sandbox would show one of the forbidden paths.
    SandboxUnavailable
        If a program that it needs is missing.
    """
    if kind == "docker":
        return _docker(limits)
    if kind == "none":
        folder = tempfile.mkdtemp(prefix="mlmusic-")
        return Plan(_python(), _environment(folder), folder, True, count_processes=False)
    shown = needed()
    check_forbidden(shown, forbidden)
    if kind == "landlock":
        folder = tempfile.mkdtemp(prefix="mlmusic-")
        return Plan(
            _python(), _environment(folder), folder, True, read=shown, count_processes=False
        )
    if kind == "bwrap":
        return _bwrap(shown, limits)
    raise ValueError(f"unknown sandbox {kind!r}: there are auto, {', '.join(KINDS)} and none")


def _python() -> list[str]:
    # The folder of this package may not be on the path of a fresh Python, or another copy may
    # come before it; the standard library still goes first.
    parent = str(PACKAGE.parent)
    code = (
        "import sys; p = sys.path\n"
        f"i = next((i for i, q in enumerate(p) if q.endswith('-packages')), len(p))\n"
        f"{parent!r} in p or p.insert(i, {parent!r})\n"
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
    for name in ("LD_LIBRARY_PATH", "SYSTEMROOT"):
        if name in os.environ:
            own[name] = os.environ[name]
    return own


def _bwrap(shown: list[str], limits: Limits) -> Plan:
    program = shutil.which("bwrap")
    if program is None:
        raise SandboxUnavailable("bwrap isn't installed: apt install bubblewrap (or dnf, pacman)")
    command = [program, "--die-with-parent", "--new-session", "--clearenv"]
    user = None
    if _is_real_root():
        # No user namespace: in one, the kernel would still see root, and RLIMIT_NPROC doesn't
        # bind root. The process becomes somebody whom nobody else is.
        command += "--unshare-ipc --unshare-pid --unshare-net --unshare-uts".split()
        command += "--unshare-cgroup-try --cap-drop ALL".split()
        command += "--cap-add CAP_SETUID --cap-add CAP_SETGID".split()
        user = 61_000 + (os.getpid() * 7 + next(_started)) % 4_000
    else:
        command += ["--unshare-all", "--cap-drop", "ALL"]
    # Parents first, and open to all: bwrap would make them for root alone.
    for folder in sorted({str(p) for path in shown for p in Path(path).parents} - {"/"}):
        command += ["--perms", "0755", "--dir", folder]
    for path in shown:
        command += ["--ro-bind", path, path]
    command += ["--proc", "/proc", "--tmpfs", "/dev"]
    for name in ("null", "urandom", "random"):
        command += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    command += ["--perms", "1777", "--size", str(_SHARED_MEMORY), "--tmpfs", "/dev/shm"]
    command += ["--perms", "1777", "--size", str(limits.files), "--tmpfs", "/tmp"]
    command += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp"]
    for name, value in _environment("/tmp").items():
        command += ["--setenv", name, value]
    return Plan([*command, *_python()], {}, user=user)


def _is_real_root() -> bool:
    if os.geteuid() != 0:
        return False
    try:
        return Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]
    except OSError:
        return False


def _docker(limits: Limits) -> Plan:
    program = shutil.which("docker")
    if program is None:
        raise SandboxUnavailable(
            "docker isn't installed: see https://docs.docker.com/engine/install"
        )
    image = os.environ.get("MLMUSIC_DOCKER_IMAGE", IMAGE)
    command = [program, "run", "--rm", "-i", "--pull", "never", "--network", "none", "--read-only"]
    command += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", "61000:61000"]
    command += [
        "--pids-limit",
        str(limits.processes + 8),
        "--memory",
        str(limits.memory + (1 << 30)),
    ]
    command += ["--shm-size", str(_SHARED_MEMORY), "--workdir", "/tmp"]
    command += ["--tmpfs", f"/tmp:rw,exec,size={limits.files},mode=1777"]
    home = "/opt/mlmusic"
    folders = {PACKAGE: f"{home}/mlmusic", PACKAGE.parent / "datasets": f"{home}/datasets"}
    for source, target in folders.items():
        if source.exists():
            command += ["--mount", f"type=bind,source={source},target={target},readonly"]
    environment = _environment("/tmp")
    for name in ("MLMUSIC_CACHE", "MLMUSIC_DATA", "LD_LIBRARY_PATH", "SYSTEMROOT"):
        environment.pop(name, None)
    environment["PYTHONPATH"] = home
    for name, value in environment.items():
        command += ["--env", f"{name}={value}"]
    command += [image, "python", "-m", "mlmusic.grading.sandbox.inside"]
    return Plan(command, dict(os.environ))  # the client's own settings; the container sees none


# Which kinds work here --------------------------------------------------------------------------


@functools.cache
def why_not(kind: str) -> str | None:
    """Start a process in a kind of sandbox; return why that doesn't work, or None if it does."""
    from mlmusic.grading.sandbox.client import Sandbox

    try:
        if kind == "landlock":
            abi = linux.landlock_abi()
            if abi < 3:
                have = f"version {abi}" if abi else "none"
                return f"landlock needs Linux 6.2 or newer with Landlock version 3; here is {have}"
        sandbox = Sandbox(kind)
        try:
            sandbox.start()
            sandbox.request("exec", seconds=10, source="")
        finally:
            sandbox.close()
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
        If it doesn't work here; the message says what to install.
    """
    if kind == "auto":
        reasons = {}
        for candidate in KINDS:
            reason = why_not(candidate)
            if reason is None:
                return candidate
            reasons[candidate] = reason
        raise SandboxUnavailable(
            "no sandbox works here: install bubblewrap (Linux) or Docker; "
            + "; ".join(reasons.values())
        )
    if kind != "none" and kind not in KINDS:
        raise ValueError(f"unknown sandbox {kind!r}: there are auto, {', '.join(KINDS)} and none")
    return kind

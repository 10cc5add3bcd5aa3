"""Set the course up in .venv, and start what runs in it: ``make lab``, ``make test`` and the rest.

Needs nothing but Python (3.8 is enough to be told that 3.10 is needed). Without make::

    python3 tools/setup.py lab

The environment is made once. A stamp in it holds a fingerprint of what it was made from; while
that is unchanged, every further call starts at once. A call that was cut off goes on where it
stopped.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
CONSTRAINTS = ROOT / "constraints.txt"
FIRST_NOTEBOOK = "notebooks/00_listen.ipynb"
OLDEST, NEWEST = (3, 10), (3, 13)  # the Pythons that constraints.txt serves
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
DISK_GB, CUDA_DISK_GB = 4, 12  # free space that an installation takes, downloads included


class Stop(Exception):
    """Setting up can't go on; the message is one line that says what to do."""


# ---------------------------------------------------------------- the environment


def setup(dev=False, venv=VENV):
    """Make the environment, unless it is there already; return its Python.

    With ``dev`` it also gets what the tests and tools need.
    """
    check_python(sys.version_info)
    python = venv_python(venv)
    present = version_of(python)
    wanted = "{}.{}".format(*sys.version_info)
    if present and os.environ.get("PYTHON") and present != wanted:
        say(f"{venv.name} holds Python {present}, PYTHON asks for {wanted}: making it anew")
        present = None
    stamp = read_stamp(venv)
    mark = fingerprint(present or wanted)
    if present and stamp.get("fingerprint") == mark and (stamp.get("dev") or not dev):
        return python

    started = time.monotonic()
    check_space(ROOT, DISK_GB)
    if not present:
        make_venv(venv)
    dev = dev or bool(stamp.get("dev"))
    extras = "dev" if dev else "lab"  # dev includes lab
    say(f"installing mlmusic[{extras}] into {venv.name}; the first time takes a few minutes")
    # The pip that comes with Python may be too old for what is asked of it below.
    pip(python, "install", "--constraint", CONSTRAINTS, "pip", pinned=False)
    install_torch(python)
    pip(
        python,
        *("install", "--constraint", CONSTRAINTS, "--build-constraint", CONSTRAINTS),
        *("--editable", f"{ROOT}[{extras}]"),
    )
    # The notebooks ask for "python3", so that they open anywhere; here that is this environment.
    call(python, "-m", "ipykernel", "install", "--sys-prefix", "--name", "python3", quiet=True)
    write_stamp(venv, {"fingerprint": fingerprint(version_of(python)), "dev": dev})
    say(f"set up in {time.monotonic() - started:.0f} s")
    return python


def check_python(version):
    """Stop if this Python is too old; say so if it is newer than what the course is tested on."""
    found = "{}.{}".format(*version)
    if tuple(version[:2]) < OLDEST:
        raise Stop(
            f"this is Python {found}, the course needs 3.10 or newer: install one from "
            "https://www.python.org/downloads/ or name yours: make lab PYTHON=/path/to/python3"
        )
    if tuple(version[:2]) > NEWEST:
        say(f"Python {found} is newer than what the course is tested on (3.10 to 3.13)")


def check_space(folder, gigabytes):
    """Stop if less than so much is free where the environment, or what pip unpacks, will lie."""
    for place in (folder, tempfile.gettempdir()):
        # pip needs room for one package at a time in the temporary folder
        needed = gigabytes if place is folder else gigabytes / 4
        free = shutil.disk_usage(place).free / 1e9
        if free < needed:
            raise Stop(
                f"{free:.1f} GB are free in {place}, setting up needs {needed:g} GB: "
                + ("make room" if place is folder else "make room, or point TMPDIR elsewhere")
                + " and try again"
            )


def make_venv(venv):
    """Make an empty virtual environment with pip, in place of a broken one."""
    if any(importlib.util.find_spec(name) is None for name in ("venv", "ensurepip")):
        name = "python{}.{}".format(*sys.version_info)
        raise Stop(
            f"{name} can't make virtual environments: on Debian and Ubuntu "
            f"`sudo apt install {name}-venv` adds that, elsewhere reinstall Python"
        )
    say(f"making {venv.name} with Python {platform.python_version()} ({sys.executable})")
    call(sys.executable, "-m", "venv", "--clear", venv, quiet=True)


def install_torch(python):
    """Install torch: on Linux without an NVIDIA GPU the CPU build, which is a tenth of the size."""
    version = pinned("torch")
    if installed(python, "torch").split("+")[0] == version:
        return
    if not wants_cpu_build():
        return  # what PyPI has is right: it comes with the rest
    spec = f"torch=={version}+cpu"
    options = ("install", "--no-deps", "--only-binary", ":all:", spec)
    say(f"torch: looking for the CPU build ({spec})")
    # First in the sources that pip is configured with (a school's mirror, say): PyPI itself
    # doesn't have it, and says so within a second.
    if try_pip(python, *options):
        return
    if try_pip(python, *options, "--index-url", CPU_INDEX, "--retries", "1", "--timeout", "15"):
        return
    say(
        f"torch: {CPU_INDEX} has none for this Python, or can't be reached; taking the usual "
        "build with its CUDA libraries instead (several GB)"
    )
    check_space(ROOT, CUDA_DISK_GB)


def wants_cpu_build():
    """Say whether PyPI's torch would bring GPU libraries that this machine has no use for."""
    return platform.system() == "Linux" and not has_nvidia()


def has_nvidia():
    """Say whether an NVIDIA GPU and its driver are there (on Linux, also on WSL)."""
    return Path("/proc/driver/nvidia/version").exists() or Path("/dev/dxg").exists()


def pinned(name):
    """Return the version of a package in constraints.txt that holds for every Python."""
    found = re.search(rf"^{re.escape(name)}==([^\s;]+)$", CONSTRAINTS.read_text("utf-8"), re.M)
    if not found:
        raise Stop(f"{CONSTRAINTS.name} names no single version of {name}")
    return found.group(1)


def fingerprint(python_version):
    """Return a digest of what an environment depends on.

    The folder is part of it: an environment doesn't survive being moved.
    """
    digest = hashlib.sha256(f"{python_version} {platform.machine()} {ROOT}".encode())
    for path in (ROOT / "pyproject.toml", CONSTRAINTS, Path(__file__)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def read_stamp(venv):
    """Return what was noted when the environment was finished; nothing if it wasn't."""
    try:
        return json.loads((venv / "mlmusic-setup.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}


def write_stamp(venv, content):
    """Note what the finished environment was made from."""
    (venv / "mlmusic-setup.json").write_text(json.dumps(content) + "\n", "utf-8")


def venv_python(venv):
    """Return the path of an environment's Python."""
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def version_of(python):
    """Return "3.11" for an environment's Python, None if it doesn't run or lacks pip."""
    code = "import sys, pip; print('{}.{}'.format(*sys.version_info))"
    return output_of(python, code) or None


def installed(python, name):
    """Return the version of a package in an environment, "" if it isn't there."""
    return output_of(python, f"import importlib.metadata as m; print(m.version({name!r}))")


def output_of(python, code):
    """Return what a line of Python prints, "" if it fails."""
    try:
        done = subprocess.run(
            [str(python), "-I", "-c", code],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


# ---------------------------------------------------------------- pip and other programs


def pip(python, *arguments, pinned=True):
    """Run pip, showing on one line how far it is; stop with the end of its words if it fails."""
    status, words = run_pip(python, arguments, pinned)
    if status:
        print("\n".join(words[-15:]), file=sys.stderr)
        raise Stop(
            "pip failed (its last words stand above): if it can't reach its index, mend the "
            "connection; then run the same command again, which goes on from here"
        )


def try_pip(python, *arguments):
    """Run pip and say whether it succeeded."""
    return run_pip(python, arguments)[0] == 0


def run_pip(python, arguments, pinned=True):
    """Run pip and return its status and what it said; `pinned` says that it is our version."""
    command = [str(python), "-I", "-m", "pip", *map(str, arguments)]
    if pinned:
        command += ["--progress-bar", "raw", "--disable-pip-version-check"]
    if not os.environ.get("PYTHONDONTWRITEBYTECODE"):
        # Saves a third of the time and space: Python compiles what it imports, at the first time.
        command.append("--no-compile")
    # A user's configuration may ask for what can't be done in an environment.
    environment = dict(os.environ, PIP_USER="0", PIP_REQUIRE_VIRTUALENV="0", PIP_NO_INPUT="1")
    words, package = [], ""
    with subprocess.Popen(
        command,
        cwd=str(ROOT),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout:
            line = line.rstrip()
            progress = re.match(r"Progress (\d+) of (\d+)", line)
            if progress:
                done, total = map(int, progress.groups())
                show(f"{package} {done / 1e6:.0f} of {total / 1e6:.0f} MB" if total > 5e6 else "")
                continue
            words.append(line)
            found = re.match(r"Collecting ([\w.-]+)|Processing \S*[/\\]([^-\s]+)-", line)
            if found:
                package = found.group(1) or found.group(2)
                show(package)
            elif line.startswith("Installing collected packages"):
                show(f"unpacking {line.count(',') + 1} packages")
    show("")
    return process.returncode, words


def show(text):
    """Show what is being done on the terminal's last line; nothing where there is no terminal."""
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns - 1
        print("\r" + f"  {text}"[:width].ljust(width) + "\r", end="", flush=True)


def say(text):
    """Print what is going on."""
    print(f"setup: {text}", flush=True)


def call(*command, quiet=False):
    """Run a program to its end; stop if it fails."""
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT} if quiet else {}
    done = subprocess.run([str(part) for part in command], text=True, **output)
    if done.returncode:
        print(done.stdout or "", file=sys.stderr)
        raise Stop(f"this failed: {' '.join(map(str, command))}")


# ---------------------------------------------------------------- JupyterLab


def lab(arguments):
    """Start JupyterLab on the first chapter; stays until it is stopped."""
    python = setup()
    command = [str(python), "-m", "jupyterlab", *lab_options(arguments, os.environ)]
    say("starting JupyterLab; Ctrl-C stops it")
    os.chdir(str(ROOT))
    if os.name == "posix":  # becomes JupyterLab, so that it gets Ctrl-C itself
        os.execv(command[0], command)
    return subprocess.call(command)


def lab_options(arguments, environment):
    """Return JupyterLab's options for where it runs, less those that the user gives."""
    # JupyterLab refuses an option that is given twice.
    own = {re.sub(r"=.*|^--([A-Z]\w+\.)?", "", argument) for argument in arguments}
    options = {
        "ServerApp.root_dir": ROOT,
        "LabApp.default_url": f"/lab/tree/{FIRST_NOTEBOOK}",
    }
    if "port" not in own:
        options["ServerApp.port"] = free_port()
    port = options.get("ServerApp.port", 8888)
    flags = []
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        flags.append("--allow-root")
    if not has_browser(environment):
        flags.append("--no-browser")
        say("no browser here: open the address with the token, below, in yours")
    if in_container():
        if "ip" not in own:
            # Only so can a published port reach it; the token keeps strangers out.
            options["ServerApp.ip"] = "0.0.0.0"
            say(
                f"in a container: publish its port (docker run -p {port}:{port}); "
                "LAB=--ip=127.0.0.1 keeps it inside"
            )
    elif environment.get("SSH_CONNECTION"):
        server = environment["SSH_CONNECTION"].split()[2:3] or ["this-machine"]
        say(f"over SSH: on your own computer run `ssh -N -L {port}:127.0.0.1:{port} {server[0]}`")
    given = [f"--{k}={v}" for k, v in options.items() if k.split(".")[1] not in own]
    return [*given, *flags, *(argument for argument in arguments if argument not in flags)]


def free_port(first=8888, host="127.0.0.1"):
    """Return the first free port from 8888 on."""
    for port in range(first, first + 100):
        with socket.socket() as probe:
            if os.name == "posix":  # as the server will: a port just closed counts as free
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise Stop(f"no port is free from {first} to {first + 99}: stop a server, or LAB=--port=…")


def has_browser(environment, system=None):
    """Say whether a browser can be opened where the user sees it."""
    if environment.get("SSH_CONNECTION") or in_container():
        return False
    if (system or platform.system()) != "Linux":
        return True
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def in_container():
    """Say whether this runs in Docker, Podman or Kubernetes."""
    marks = ("/.dockerenv", "/run/.containerenv", "/var/run/secrets/kubernetes.io")
    return any(map(os.path.exists, marks))


# ---------------------------------------------------------------- tests and tools


def test():
    """Run every check, all of them even if one fails; return 1 if one did."""
    python = setup(dev=True)
    steps = [*unit_steps(python), ("notebooks", [python, "tools/run_notebooks.py"])]
    return run_steps(steps)


def unit(arguments):
    """Run the style checks and the unit tests; return 1 if one failed."""
    return run_steps(unit_steps(setup(dev=True), arguments))


def unit_steps(python, arguments=()):
    """Return the names and commands of the quick checks."""
    return [
        ("style", [python, "-m", "ruff", "check", "."]),
        ("format", [python, "-m", "ruff", "format", "--check", "."]),
        ("unit tests", [python, "-m", "pytest", *arguments]),
    ]


def run_steps(steps):
    """Run named commands one after the other and print what came of them; return 0 or 1."""
    results = []
    for name, command in steps:
        say(f"{name}: {' '.join(map(str, command[1:]))}")
        started = time.monotonic()
        status = subprocess.call([str(part) for part in command], cwd=str(ROOT))
        results.append((name, status, time.monotonic() - started))
    for name, status, seconds in results:
        say(f"{name}: {'passed' if status == 0 else 'FAILED'} in {seconds:.0f} s")
    return int(any(status for _, status, _ in results))


def run(arguments):
    """Run a tool in the environment; return its status."""
    python = setup(dev=True)
    return subprocess.call([str(python), *arguments], cwd=str(ROOT))


def bench(arguments):
    """Measure beside other tools, which go into an environment of their own; return the status."""
    python = setup(dev=True)
    venv = ROOT / ".venv-bench"
    peers = ROOT / "tests" / "benchmarks" / "requirements.txt"
    mark = hashlib.sha256(peers.read_bytes() + read_stamp(VENV)["fingerprint"].encode()).hexdigest()
    own = venv_python(venv)
    if read_stamp(venv).get("fingerprint") != mark:
        say(f"making {venv.name} for the tools that the course is measured beside")
        call(python, "-m", "venv", "--clear", "--without-pip", venv, quiet=True)
        # Sees the course's environment, pip included, so that only the other tools are installed.
        course = output_of(python, "import sysconfig; print(sysconfig.get_path('purelib'))")
        folder = output_of(own, "import sysconfig; print(sysconfig.get_path('purelib'))")
        Path(folder, "course.pth").write_text(f"import site; site.addsitedir({course!r})\n")
        pip(own, "install", "--constraint", CONSTRAINTS, "--requirement", peers)
        write_stamp(venv, {"fingerprint": mark})
    return subprocess.call([str(own), "tools/bench.py", *arguments], cwd=str(ROOT))


def main(argv=None):
    """Do what the command line asks; return the exit status."""
    parser = argparse.ArgumentParser(description="Set the course up and start its parts.")
    parser.add_argument("target", choices=["setup", "lab", "test", "unit", "run", "bench"])
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="passed on")
    options = parser.parse_args(argv)
    takes_arguments = {"lab": lab, "unit": unit, "run": run, "bench": bench}
    try:
        if options.target in takes_arguments:
            return takes_arguments[options.target](options.arguments)
        if options.target == "test":
            return test()
        setup()
        say(f"ready: {VENV.name} is up to date. `make lab` starts the course")
        return 0
    except Stop as stop:
        print(f"setup: {stop}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nsetup: stopped; run the same command again to go on", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())

"""Start a notebook's kernel and measure what it costs: CPU seconds and peak memory.

The command of the kernel that ``run_notebooks.py`` registers (Linux and macOS)::

    python kernel_cost.py REPORT.json COMMAND…

Three processes. Jupyter starts this one and, when the notebook is done, kills its process group
outright. The kernel is put in that group, so it gets Jupyter's signals as usual. The one between
them, the meter, is the kernel's parent but in a group of its own: it survives, collects the exact
times of the kernel and of everything that the kernel started, and writes the report.
"""

import ctypes
import json
import os
import resource
import signal
import sys
import time

import psutil

POLL_SECONDS = 0.1
PR_SET_CHILD_SUBREAPER = 36


def meter(report: str, command: list[str], group: int) -> int:
    """Run `command` in process group `group`; write its cost to `report`; return its status."""
    os.setpgid(0, 0)
    if sys.platform == "linux":  # orphans become our children, so that their time is counted too
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.environ["JPY_PARENT_PID"] = str(os.getpid())
    started = time.monotonic()
    kernel = os.fork()
    if kernel == 0:
        os.setpgid(0, group)
        os.execvp(command[0], command)

    peak, status = 0, None
    while status is None:
        pid, result = os.waitpid(kernel, os.WNOHANG)
        status = os.waitstatus_to_exitcode(result) if pid else None
        peak = max(peak, sum(_memory(process) for process in _descendants()))
        time.sleep(POLL_SECONDS)
    for process in _descendants():
        process.kill()
    while _reap():
        pass

    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss: the largest single process
    cost = {
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_bytes": max(peak, usage.ru_maxrss * unit),
        "wall_seconds": time.monotonic() - started,
    }
    with open(f"{report}.part", "w", encoding="utf-8") as file:
        json.dump(cost, file)
    os.replace(f"{report}.part", report)
    return status


def _descendants() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def _memory(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.Error:  # gone since it was listed
        return 0


def _reap() -> bool:
    try:
        os.waitpid(-1, 0)
    except ChildProcessError:
        return False
    return True


def main() -> int:
    """Start the meter and wait for it."""
    report, *command = sys.argv[1:]
    group = os.getpgrp()
    child = os.fork()
    if child == 0:
        os._exit(meter(report, command, group) & 0xFF)
    signal.signal(signal.SIGINT, lambda *_: None)  # Jupyter's interrupt is for the kernel
    _, result = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(result)


if __name__ == "__main__":
    sys.exit(main())

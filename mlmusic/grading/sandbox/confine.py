"""Take everything from a student's process that its code doesn't need."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import sys
from typing import Any

from mlmusic.grading.sandbox import linux, seccomp


def confine(setting: dict[str, Any], zygote: int) -> None:
    """Limit this process, and all that it starts, for good.

    Parameters
    ----------
    setting : dict
        What the trusted side has told the warm process.
    zygote : int
        The warm process, which nobody may disturb.

    Raises
    ------
    OSError
        If the kernel refuses: then no student's code may run here.
    """
    kind = setting["kind"]
    _set_ceilings(setting)
    if kind == "none" or not sys.platform.startswith("linux"):
        return
    linux.die_with_parent()
    linux.no_new_privileges()
    linux.drop_capabilities()
    linux.set_dumpable(True)  # else its own /proc/self isn't its own
    abi = linux.landlock_abi()
    write = [setting["temp"], "/dev/null"]
    namespaces = kind != "landlock"
    if namespaces and abi:
        linux.landlock([*write, "/dev/shm"])
    elif not namespaces:
        linux.landlock(write, read=[*setting["read"], "/dev/urandom"])
    rules = seccomp.student_rules(
        namespaces=namespaces, scoped=abi >= 6, pid=os.getpid(), zygote=zygote
    )
    seccomp.apply(rules)


def _set_ceilings(setting: dict[str, Any]) -> None:
    limits = setting["limits"]
    ceilings = {
        resource.RLIMIT_CPU: int(limits["total"]) + 10,
        resource.RLIMIT_FSIZE: int(limits["files"]),
        resource.RLIMIT_NOFILE: 256,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_STACK: 64 << 20,
    }
    if sys.platform.startswith("linux"):
        # Not RLIMIT_AS: torch reserves far more addresses than it fills.
        ceilings[resource.RLIMIT_DATA] = _data_size() + int(limits["memory"])
    if setting["count_processes"]:
        ceilings[resource.RLIMIT_NPROC] = int(limits["processes"])
    for what, ceiling in ceilings.items():
        soft, hard = resource.getrlimit(what)
        ceiling = ceiling if hard == resource.RLIM_INFINITY else min(ceiling, hard)
        soft = ceiling if soft == resource.RLIM_INFINITY else min(soft, ceiling)
        resource.setrlimit(what, (soft, ceiling))


def _data_size() -> int:
    """Return the bytes of private memory that this process has already."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("VmData"))


class _Random(random.Random):
    """`random.Random`, whose unseeded instances are seeded with fixed numbers, too."""

    seeds = random.Random(0)

    def seed(self, a: Any = None, version: int = 2) -> None:
        super().seed(type(self).seeds.getrandbits(128) if a is None else a, version)


def seed() -> None:
    """Seed every source of random numbers, unseeded generators too, with fixed numbers."""
    random.seed(0)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(0)
        # Where NumPy takes the seed of default_rng() and the like from.
        numpy.random.bit_generator.randbits = random.Random(0).getrandbits
    random.Random = _Random  # type: ignore[misc]
    if torch := sys.modules.get("torch"):
        with contextlib.suppress(RuntimeError):
            torch.manual_seed(0)

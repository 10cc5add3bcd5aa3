"""Students' code runs here: a warm process in isolation, and one forked process per student.

=========  ===================================================================================
module     what it holds
=========  ===================================================================================
client     ``Sandbox``, on the trusted side: start a student's process, ask it things
transport  frames to and from the warm process, with deadlines
isolation  bubblewrap, Landlock, Docker: which works here, and how to start a process in it
inside     the warm process: forks, relays, kills, wipes
student    the forked process that answers requests; cells runs a notebook's cells in it
confine    what is taken from it; linux holds the kernel's part of that: Landlock and seccomp
watch      what its processes use of files, memory and threads
doctor     proves a sandbox with the attempts to break out that are in attempts
=========  ===================================================================================
"""

from mlmusic.grading.sandbox.client import (
    Sandbox,
    SandboxLost,
    StudentDied,
    StudentError,
    StudentTimeout,
)
from mlmusic.grading.sandbox.isolation import SandboxUnavailable

__all__ = [
    "Sandbox",
    "SandboxLost",
    "SandboxUnavailable",
    "StudentDied",
    "StudentError",
    "StudentTimeout",
]

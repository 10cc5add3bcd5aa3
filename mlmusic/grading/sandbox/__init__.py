"""Students' code runs here: a warm process in isolation, and one forked process per student.

=========  ===================================================================================
module     what it holds
=========  ===================================================================================
client     ``Sandbox``, on the trusted side: start a student's process, ask it things
transport  its side of the frames to and from the warm process, with deadlines
isolation  bubblewrap, Landlock, Docker: which works here, and how to start a process in it
shown      what of this machine can be seen inside
inside     the warm process: forks, relays, kills, wipes; frames is its side of the frames
student    the forked process that answers requests; cells runs a notebook's cells in it
confine    what is taken from it; linux and seccomp hold the kernel's part of that
watch      what its processes use of files, memory and threads
answers    what it may answer besides values; errors is what becomes of that
doctor     proves a sandbox with the attempts to break out that are in attempts
=========  ===================================================================================
"""

from mlmusic.grading.sandbox.client import Sandbox
from mlmusic.grading.sandbox.errors import (
    SandboxLost,
    SandboxUnavailable,
    StudentDied,
    StudentError,
    StudentTimeout,
)

__all__ = [
    "Sandbox",
    "SandboxLost",
    "SandboxUnavailable",
    "StudentDied",
    "StudentError",
    "StudentTimeout",
]

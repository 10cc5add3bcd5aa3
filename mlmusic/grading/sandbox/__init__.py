"""Students' code runs here: a warm process in isolation, and one forked process per student."""

from mlmusic.grading.sandbox.client import (
    Sandbox,
    StudentDied,
    StudentError,
    StudentTimeout,
)
from mlmusic.grading.sandbox.isolation import SandboxUnavailable

__all__ = ["Sandbox", "SandboxUnavailable", "StudentDied", "StudentError", "StudentTimeout"]

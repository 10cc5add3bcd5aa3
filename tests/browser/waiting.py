"""Polling with patience: nothing in these tests measures speed."""

import os
import time

PATIENCE = int(os.environ.get("MLMUSIC_PATIENCE", "120"))  # seconds


def wait(condition, what: str, seconds: float = PATIENCE):
    """Poll until `condition()` is true and return it; on timeout say what never came."""
    end = time.monotonic() + seconds
    error = None
    while time.monotonic() < end:
        try:
            if value := condition():
                return value
        except Exception as problem:
            error = problem
        time.sleep(0.1)
    raise AssertionError(f"never came: {what} ({error})")

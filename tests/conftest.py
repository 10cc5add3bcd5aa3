"""Every test: one thread, no network, one data cache for all runs, the same examples each time."""

import os
import signal
import sys
from pathlib import Path

import hypothesis

ROOT = Path(__file__).resolve().parents[1]
# Building the data takes seconds, so it is kept between runs; a test of the cache itself sets
# MLMUSIC_CACHE to a folder of its own.
CACHE = ROOT / ".pytest_cache" / "mlmusic"

# Before anything imports NumPy or torch: more threads than free cores are slower, not faster.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MPLBACKEND"] = "Agg"
os.environ["MLMUSIC_CACHE"] = str(CACHE)
if "torch" in sys.modules:
    sys.modules["torch"].set_num_threads(1)

# A shell's background job ignores Ctrl-C, and so would every program that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

sys.path.insert(0, str(ROOT / "tools"))
import no_network  # noqa: E402

no_network.install()

hypothesis.settings.register_profile(
    "default", derandomize=True, deadline=None, database=None, max_examples=50
)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_report_header(config):
    """Say under which conditions the tests run."""
    return f"one thread (OMP_NUM_THREADS=1), no network but loopback, data cache {CACHE}"

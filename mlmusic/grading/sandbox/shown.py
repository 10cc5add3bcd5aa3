"""Which folders and files of this machine a sandbox shows: what Python needs, and no others."""

from __future__ import annotations

import contextlib
import os
import site
import sys
from collections.abc import Iterable
from pathlib import Path

from mlmusic.grading.sandbox.errors import SandboxUnavailable

PACKAGE = Path(__file__).resolve().parents[2]  # the folder mlmusic

_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/nix/store")
_SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/fonts", "/etc/localtime")


def needed() -> list[str]:
    """List the folders and files that Python, its packages and this package need, and no others.

    Raises
    ------
    SandboxUnavailable
        If one of them is the root of all.
    """
    paths = [*_SYSTEM, *_SYSTEM_FILES, sys.prefix, sys.exec_prefix, sys.base_prefix]
    paths += [path for path in (*sys.path, *site.getsitepackages()) if path.endswith("-packages")]
    paths.append(str(PACKAGE))
    home = os.path.realpath(os.path.expanduser("~"))
    chosen = [*os.environ.get("LD_LIBRARY_PATH", "").split(":"), *_data_folders()]
    paths += [path for path in chosen if not contains(os.path.realpath(path), home)]
    found: dict[str, None] = {}
    for path in paths:
        if os.path.isabs(path) and os.path.exists(path):
            found[os.path.normpath(path)] = None
            found[os.path.realpath(path)] = None
    if "/" in found:
        raise SandboxUnavailable("Python is installed in /: a sandbox would show everything")
    return [p for p in found if not any(contains(other, p) for other in found if other != p)]


def _data_folders() -> list[str]:
    from mlmusic.datasets import cache, download

    data = PACKAGE.parent / "datasets"  # of a checkout; an installed package has it inside
    shipped = [data] if (data / "chorales").exists() else []
    return [str(path) for path in (*shipped, cache.folder(), download.data_folder())]


def contains(folder: str, path: str) -> bool:
    """Tell whether a path is a folder or lies in it."""
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
            if contains(os.path.realpath(folder), real):
                raise ValueError(
                    f"{secret} lies in {folder}, which students' code can read: move it elsewhere"
                )


def font_lists() -> dict[str, str]:
    """Return matplotlib's lists of fonts, by file name: making one takes seconds."""
    folder = os.environ.get("MPLCONFIGDIR") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "matplotlib"
    )
    lists = {}
    with contextlib.suppress(OSError):
        for path in Path(folder).glob("fontlist-*.json"):
            if path.stat().st_size < 1_000_000:
                lists[path.name] = path.read_text(encoding="utf-8", errors="replace")
    return lists

"""What a student's code may use: time, memory, processes, files and text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any


@dataclass(frozen=True)
class Limits:
    """Limits for one submission; going over one costs a function its points, never the batch.

    Parameters
    ----------
    call : float
        Seconds for one call of a student's function.
    cell : float
        Seconds for one cell of the notebook.
    total : float
        Seconds for the whole notebook, cells and tests together.
    memory : int
        Bytes of memory.
    processes : int
        Processes and threads at once.
    files : int
        Bytes of files.
    text : int
        Characters of printed text that are kept.

    Raises
    ------
    ValueError
        If a limit isn't a positive, finite number.
    """

    call: float = 5.0
    cell: float = 20.0
    total: float = 60.0
    memory: int = 2 << 30
    processes: int = 24
    files: int = 50_000_000
    text: int = 20_000

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or value <= 0:
                raise ValueError(f"limit {name!r} must be a positive number, not {value!r}")

    def changed(self, values: Mapping[str, Any]) -> Limits:
        """Return these limits with some of them changed.

        Raises
        ------
        ValueError
            If a limit is unknown or not a positive number.
        """
        known = [field.name for field in fields(self)]
        for name in values:
            if name not in known:
                raise ValueError(f"unknown limit {name!r}: the limits are {', '.join(known)}")
        return replace(self, **values)

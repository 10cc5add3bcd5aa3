"""Reading and writing MIDI: Score against pretty_midi and symusic, CPU time in one run."""

import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pretty_midi

from mlmusic import Score


def run() -> list[dict]:
    """Measure reading and writing of 2,000 notes in four voices."""
    score = Score(
        [(i / 2, 0.5, 50 + (i * 7 + v * 5) % 30, 80, v) for i in range(500) for v in range(4)]
    )
    data = score.midi_bytes()
    converted = score.to_midi()
    ours = _seconds(lambda: Score.from_midi(data))
    rows = [
        _row(
            "read", "pretty_midi", ours, _seconds(lambda: pretty_midi.PrettyMIDI(io.BytesIO(data)))
        ),
        _row(
            "write",
            "pretty_midi",
            _seconds(score.midi_bytes),
            _seconds(lambda: converted.write(io.BytesIO())),
        ),
    ]
    try:
        import symusic
    except ImportError:
        rows.append({"row": "MIDI: read", "note": "symusic isn't installed: skipped"})
        return rows
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tune.mid"
        path.write_bytes(data)
        peer = _seconds(lambda: symusic.Score(str(path)))
    rows.append(
        _row("read", "symusic", ours, peer) | {"note": "compiled C++; no voices, no checks"}
    )
    return rows


def _row(what: str, peer: str, ours: float, theirs: float) -> dict:
    return {
        "row": f"MIDI: {what} 2,000 notes, against {peer}",
        "ours": f"{1000 * ours:.1f} ms",
        "peer": f"{1000 * theirs:.1f} ms",
        "ratio": theirs / ours,
        "note": "",
    }


def _seconds(call: Callable[[], object], repeats: int = 7) -> float:
    """CPU seconds of the fastest of a few calls."""
    times = []
    for _ in range(repeats):
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return min(times)


if __name__ == "__main__":
    for row in run():
        print(row)

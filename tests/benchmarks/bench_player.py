"""Size of a player's HTML against IPython's Audio, for the same minute of four voices."""

import numpy as np
from IPython.display import Audio

from mlmusic import Score, play, synthesize

RATE = 22050


def minute() -> Score:
    """Return 60 seconds in four voices, made up from a seed: nothing of anyone's."""
    rng = np.random.default_rng(0)
    notes = []
    for voice, middle in enumerate((72, 65, 58, 48)):
        onset = 0.0
        while onset < 96:
            duration = min(float(rng.choice([0.5, 1, 1, 2])), 96 - onset)
            notes.append((onset, duration, middle + int(rng.integers(-5, 6)), 80, voice))
            onset += duration
    return Score(notes, tempo=[(0, 96)], title="A minute in four voices")


def run() -> list[dict]:
    """Measure; sizes in MB (10⁶ bytes of UTF-8)."""
    score = minute()
    peer = len(Audio(synthesize(score, RATE), rate=RATE)._repr_html_().encode()) / 1e6
    rows = []
    for row, options in (
        ("player HTML, MB a minute (sound, roll and notation)", {}),
        ("player HTML, notation first", {"view": "notation"}),
        ("player HTML with stems: mute and solo", {"stems": True}),
    ):
        ours = len(play(score, **options)._repr_html_().encode()) / 1e6
        rows.append(
            {
                "row": row,
                "ours": round(ours, 3),
                "peer": round(peer, 3),
                "ratio": round(peer / ours, 2),
                "note": "peer: IPython.display.Audio, sound alone (WAV)",
            }
        )
    return rows


if __name__ == "__main__":
    for line in run():
        print(line)

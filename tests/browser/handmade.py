"""Hand-made music for the browser tests and the README's picture."""

from mlmusic import Score


def air() -> Score:
    """Eight bars in four voices with a pickup, D minor: written for these tests."""
    soprano = "0 1 62|1 1 69|2 .5 70|2.5 .5 69|3 1 67|4 1 69|5 2 65|7 .5 64|7.5 .5 65|8 1 67|" \
        "9 1.5 73|10.5 .5 73|11 1 74|12 1 72|13 3 69|16 1 69|17 1 74|18 1 72|19 .5 70|19.5 .5 69|" \
        "20 1 67|21 2 65|23 1 69|24 1 67|25 1 65|26 1 64|27 2 64|29 3 62"  # fmt: skip
    alto = "0 1 57|1 2 62|3 1 62|4 1 61|5 2 62|7 1 60|8 1 62|9 1 64|10 1 64|11 1 65|12 1 64|" \
        "13 3 65|16 1 65|17 1 65|18 1 64|19 1 62|20 1 61|21 2 62|23 1 65|24 1 62|25 1 62|26 1 62|" \
        "27 2 61|29 3 57"  # fmt: skip
    tenor = "0 1 53|1 1 53|2 1 55|3 1 58|4 1 57|5 2 57|7 1 55|8 1 58|9 2 57|11 1 57|12 1 55|" \
        "13 3 60|16 1 60|17 1 58|18 1 55|19 1 55|20 1 52|21 2 57|23 1 60|24 1 58|25 1 57|26 1 58|" \
        "27 2 57|29 3 54"  # fmt: skip
    bass = "0 1 50|1 1 50|2 1 43|3 1 46|4 1 45|5 2 50|7 1 48|8 1 46|9 1 45|10 1 45|11 1 50|" \
        "12 1 48|13 3 41|16 1 41|17 1 46|18 1 48|19 1 43|20 1 45|21 2 50|23 1 41|24 1 46|25 1 50|" \
        "26 1 43|27 2 45|29 3 38"  # fmt: skip
    notes = [
        (float(onset), float(duration), int(pitch), 80, voice)
        for voice, line in enumerate((soprano, alto, tenor, bass))
        for onset, duration, pitch in (note.split() for note in line.split("|"))
    ]
    onsets = (0, 1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 13)
    syllables = "The light lin- gers on hills as day- light turns to night".split()
    words = list(zip(onsets, syllables, strict=True))
    return Score(
        notes, tempo=[(0, 88)], metre=[(1, 4, 4)], key=[(0, -1, "minor")], title="Evening air",
        programs=dict.fromkeys(range(4), 52), lyrics={0: words}, meta={"fermatas": [13.0, 29.0]},
    )  # fmt: skip


def jig(bpm: float = 165) -> Score:
    """Eight bars of 6/8 in D major for one flute."""
    half = [74, 69, 66, 62, 66, 69, 71, 74, 71, 69, 66, 69, 67, 71, 67, 66, 69, 66, 64, 66, 67, 69]
    pitches = [*half, 71, 73, *half, 64, 62]
    return Score(
        [(i / 2, 0.5, pitch) for i, pitch in enumerate(pitches)],
        tempo=[(0, bpm)], metre=[(0, 6, 8)], key=[(0, 2, "major")], title="The Loopback Jig",
        programs={0: 73},
    )  # fmt: skip

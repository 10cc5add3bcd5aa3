"""Tokens: all tunes to ids and back, against MidiTok's REMI, CPU time in one run."""

from __future__ import annotations

import time
from collections.abc import Callable

from mlmusic import Score, datasets
from mlmusic.tokens import MelodyVocabulary

TICKS = 24  # a quarter note: coarser, REMI moves notes of these tunes


def run() -> list[dict]:
    """Measure both on the same notes in memory, so that no file is read."""
    vocabulary = MelodyVocabulary()
    tunes = [tune for tune in datasets.tunes().all if _holds(vocabulary, tune)]
    of = f"{sum(map(len, tunes)):,} notes of {len(tunes):,} tunes"
    try:
        import miditok
    except ImportError:
        return [{"row": f"tokens: {of}", "note": "MidiTok isn't installed: skipped"}]
    # Its fastest setting that gives all notes back: we write metres, too, it needn't.
    config = miditok.TokenizerConfig(
        pitch_range=(vocabulary.low, vocabulary.high + 1),
        beat_res={(0, 16): TICKS},
        use_velocities=False,
    )
    remi = miditok.REMI(config)
    scores = [_symusic(tune) for tune in tunes]
    ours, our_tokens = _measured(vocabulary.encode, tunes)
    theirs, their_tokens = _measured(remi.encode, scores)
    rows = [_row(f"encode {of}", ours, theirs)]
    ready = [remi.preprocess_score(score) for score in scores]
    alone, _ = _measured(lambda score: remi.encode(score, no_preprocess_score=True), ready)
    rows.append(_row("encode them, MidiTok's preprocessing not counted", ours, alone))
    ours, our_scores = _measured(vocabulary.decode, our_tokens)
    theirs, their_scores = _measured(remi.decode, their_tokens)
    rows.append(_row("decode them", ours, theirs))
    for tune, our_score, their_score in zip(tunes, our_scores, their_scores, strict=True):
        assert _notes(_symusic(our_score)) == _notes(_symusic(tune)) == _notes(their_score), tune
    return rows


def _holds(vocabulary: MelodyVocabulary, tune: Score) -> bool:
    """Whether our vocabulary takes a tune: 97 % of them."""
    try:
        vocabulary.encode(tune)
    except ValueError:
        return False
    return True


def _symusic(tune: Score) -> object:
    """Hand a tune over to MidiTok."""
    import symusic

    score = symusic.Score(TICKS)
    track = symusic.Track(program=40)
    for note in tune.notes:
        onset, duration = (round(TICKS * float(note[name])) for name in ("onset", "duration"))
        track.notes.append(symusic.Note(onset, duration, int(note["pitch"]), 80))
    score.tracks.append(track)
    return score


def _notes(score) -> list[tuple]:
    """Onset, duration and pitch of every note."""
    scale = TICKS / score.ticks_per_quarter
    return sorted(
        (note.time * scale, note.duration * scale, note.pitch)
        for track in score.tracks
        for note in track.notes
    )


def _measured(call: Callable, things: list, repeats: int = 3) -> tuple[float, list]:
    """CPU seconds of the fastest of a few rounds, and what the calls returned."""
    times = []
    for _ in range(repeats):
        began = time.process_time()
        found = [call(thing) for thing in things]
        times.append(time.process_time() - began)
    return min(times), found


def _row(what: str, ours: float, theirs: float) -> dict:
    return {
        "row": f"tokens: {what}, against MidiTok's REMI",
        "ours": f"{ours:.2f} s",
        "peer": f"{theirs:.2f} s",
        "ratio": theirs / ours,
        "note": f"the same notes come back from both; REMI with {TICKS} positions a quarter note,"
        " no velocities, no time signatures (ours keeps metres)",
    }


if __name__ == "__main__":
    for row in run():
        print(row)

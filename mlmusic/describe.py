"""Music in words: what a listener who can't see the picture, or can't hear the sound, needs.

The text is short enough to be spoken, the same for the same score, and names bars as musicians
count them, so that it can stand as alt text and beside the player.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np

from mlmusic.score import Score

INTERVALS = (
    "the same note",
    "a semitone",
    "a tone",
    "a minor third",
    "a major third",
    "a fourth",
    "a tritone",
    "a fifth",
    "a minor sixth",
    "a major sixth",
    "a minor seventh",
    "a major seventh",
)
VALUES = {
    4.0: "whole notes",
    3.0: "dotted half notes",
    2.0: "half notes",
    1.5: "dotted quarter notes",
    1.0: "quarter notes",
    0.75: "dotted eighth notes",
    0.5: "eighth notes",
    0.25: "sixteenth notes",
}
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven")
CHOIR = ("soprano", "alto", "tenor", "bass")
DRUMS = 128


def spell(pitch: int, fifths: int = 0, mode: str = "") -> tuple[str, int, int]:
    """Choose the name of a pitch that fits a key: the one nearest on the line of fifths.

    Parameters
    ----------
    pitch : int
        MIDI number.
    fifths : int
        Sharps (positive) or flats (negative) of the key signature.
    mode : str
        In ``"minor"``, the raised sixth and seventh degrees come before flats.

    Returns
    -------
    (str, int, int)
        Letter, alteration in semitones, octave (60 is C4).
    """
    lowest = fifths - (2 if mode == "minor" else 3)  # C major: E flat … G sharp
    place = lowest + (pitch * 7 - lowest) % 12  # on the line of fifths, C = 0
    alter = (place + 1) // 7
    return "FCGDAEB"[(place + 1) % 7], alter, (pitch - alter) // 12 - 1


def pitch_name(pitch: int, key: tuple[int, str] = (0, "")) -> str:
    """Name a pitch in words that a screen reader can speak: ``"B flat 4"``, ``"C5"``."""
    letter, alter, octave = spell(pitch, *key)
    words = {-2: " double flat ", -1: " flat ", 0: "", 1: " sharp ", 2: " double sharp "}
    return f"{letter}{words[alter]}{octave}"


def interval(semitones: int) -> str:
    """Name the size of an interval: ``"a fifth"``, ``"an octave and a tone"``."""
    octaves, rest = divmod(abs(semitones), 12)
    if not octaves:
        return INTERVALS[rest]
    many = "an octave" if octaves == 1 else f"{octaves} octaves"
    return f"{many} and {INTERVALS[rest]}" if rest else many


def key_name(fifths: int, mode: str) -> str:
    """Name a key: ``"D minor"``; where the mode isn't known, the signature: ``"one flat"``."""
    places = {"major": 0, "ionian": 0, "minor": 3, "aeolian": 3, "dorian": 2, "phrygian": 4,
              "lydian": -1, "mixolydian": 1, "locrian": 5}  # fmt: skip
    if mode not in places:
        kind = "sharp" if fifths > 0 else "flat"
        count = abs(fifths)
        return f"{NUMBERS[count]} {kind}{'s' * (count != 1)}" if count else "no sharps or flats"
    place = fifths + places[mode]
    accidental = {-1: " flat", 0: "", 1: " sharp", 2: " double sharp", -2: " double flat"}
    return f"{'FCGDAEB'[(place + 1) % 7]}{accidental[(place + 1) // 7]} {mode}"


def voice_names(score: Score) -> dict[int, str]:
    """Name the voices: a choir of four, else by instrument, else by number.

    Four voices count as soprano, alto, tenor and bass if none plays drums, each sings one note at
    a time and their middle pitches descend.
    """
    import pretty_midi

    notes = score.notes
    lines = [notes[notes["voice"] == voice] for voice in score.voices]
    programs = [score.programs.get(voice, 0) for voice in score.voices]
    if len(lines) == 4 and DRUMS not in programs and all(map(_one_at_a_time, lines)):
        middles = [float(np.median(line["pitch"])) for line in lines]
        if middles == sorted(middles, reverse=True):
            return dict(zip(score.voices, CHOIR, strict=True))
    names: dict[int, str] = {}
    shared = Counter(programs)
    for place, (voice, program) in enumerate(zip(score.voices, programs, strict=True), 1):
        instrument = (
            "drums" if program == DRUMS else pretty_midi.program_to_instrument_name(program).lower()
        )
        only = shared[program] == 1 and len(score.voices) > 1 and len(shared) > 1
        names[voice] = instrument if only or program == DRUMS else f"voice {place}"
    return names


def _one_at_a_time(line: np.ndarray) -> bool:
    ends = line["onset"] + line["duration"]
    return bool(np.all(line["onset"][1:] >= ends[:-1] - 1e-6))


def short_names(score: Score) -> dict[int, str]:
    """Label the voices with one to four characters: ``S``, ``A``, ``T``, ``B``, or ``1``, ``2``."""
    names = voice_names(score)
    if tuple(names.values()) == CHOIR:
        return {voice: name[0].upper() for voice, name in names.items()}
    return {voice: str(place) for place, voice in enumerate(names, 1)}


def bar_at(score: Score, onset: float) -> int:
    """Return the number of the bar that holds a position in quarter notes."""
    index = int(np.searchsorted(score.bar_lines, onset + 1e-9, side="right")) - 1
    return index if score.has_pickup else index + 1


def facts(score: Score) -> list[str]:
    """List what stands at the head of a sheet: bars, key, metre, tempo, seconds."""
    bars = len(score.bar_lines) - 1 - score.has_pickup
    found = [f"{bars} bar{'s' * (bars != 1)}" + (" and a pickup" if score.has_pickup else "")]
    if score.key:
        found.append(key_name(*score.key[0][1:]))
    found.append(f"{score.metre[0][1]}/{score.metre[0][2]}")
    bpm = f"{score.tempo[0][1]:.0f} quarter notes a minute"
    found.append(bpm if len(score.tempo) == 1 else f"{bpm} at first")
    found.append(f"{float(score.seconds(score.duration)):.0f} seconds")
    return found


def describe(score: Score) -> str:
    """Tell a score in a few sentences: its head, then each voice's range and course.

    Parameters
    ----------
    score : Score
        At least one note.

    Returns
    -------
    str
        One paragraph in plain words.
    """
    names = voice_names(score)
    key = score.key[0][1:] if score.key else (0, "")
    title = f"{score.title}: " if score.title else ""
    count = len(names)
    head = f"{title}{', '.join(facts(score))}, {count} voice{'s' * (count != 1)}."
    sentences = [head]
    for place, (voice, name) in enumerate(names.items()):
        line = score.notes[score.notes["voice"] == voice]
        if place == 6 and count > 7:
            sentences.append(f"{count - place} more voices.")
            break
        label = name.capitalize() if count > 1 else "The melody"
        if score.programs.get(voice, 0) == DRUMS:
            sentences.append(f"{label}: {len(line)} strokes, {_values(line)}.")
        else:
            sentences.append(_course(score, line, label, key, in_full=place == 0))
    return " ".join(sentences)


def _course(score: Score, line: np.ndarray, label: str, key: tuple, in_full: bool) -> str:
    """Tell where a voice starts, turns and ends; in full, also its rhythm and leaps."""
    last_of_onset = np.append(np.diff(line["onset"]) > 0, True)
    top = line[last_of_onset]  # sorted by onset, then pitch: the highest of each chord
    pitches = top["pitch"].astype(int)
    turns = sorted({0, int(pitches.argmax()), int(pitches.argmin()), len(top) - 1})
    words = [f"{label} starts on {pitch_name(pitches[0], key)}"]
    for before, here in pairwise(turns):
        step = pitches[here] - pitches[before]
        name, bar = pitch_name(pitches[here], key), bar_at(score, float(top["onset"][here]))
        if step:
            verb = "rises" if step > 0 else "falls"
            words.append(f"{verb} {interval(step)} to {name} in bar {bar}")
        else:
            words.append(f"returns to {name} in bar {bar}")
    if len(words) > 1:
        words[-1] = "and " + words[-1]
    text = (", ".join(words) if len(words) > 2 else " ".join(words)) + "."
    if in_full and len(top) > 2:
        moves = np.abs(np.diff(pitches))
        largest = int(moves.argmax())
        kind = "mostly by step" if np.mean(moves <= 2) >= 0.6 else "by steps and leaps"
        text += f" It moves {kind}, {_values(line)}"
        if moves[largest] > 2:
            bar = bar_at(score, float(top["onset"][largest + 1]))
            text += f"; its largest leap is {interval(int(moves[largest]))} in bar {bar}"
        text += "."
    return text


def _values(line: np.ndarray) -> str:
    value, count = Counter(np.round(line["duration"], 3).tolist()).most_common(1)[0]
    if count < 0.4 * len(line) or value not in VALUES:
        return "in mixed note values"
    return f"{'all' if count == len(line) else 'mostly'} in {VALUES[value]}"


def differences(first: Score, other: Score, name: str) -> str:
    """Tell in which bars a score differs from another: ``"Differs from A in bars 3 and 5–6."``."""
    lines = first.bar_lines
    if len(lines) != len(other.bar_lines) or not np.allclose(lines, other.bar_lines):
        return f"Its bars are laid out differently from {name}'s."
    fields = ["onset", "duration", "pitch", "voice"]
    changed = set()
    for a, b in ((first, other), (other, first)):
        others = set(map(tuple, b.notes[fields].tolist()))
        changed |= {bar_at(a, note[0]) for note in a.notes[fields].tolist() if note not in others}
    if not changed:
        same = first.tempo == other.tempo and first.programs == other.programs
        return f"The notes are the same as {name}'s{'' if same else '; tempo or sound differs'}."
    return f"Differs from {name} in bar{'s' * (len(changed) > 1)} {_ranges(sorted(changed))}."


def _ranges(numbers: list[int]) -> str:
    """Write numbers as ``"1, 3–5 and 8"``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    words = [f"{run[0]}–{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def describe_wave(wave: np.ndarray, rate: int) -> str:
    """Tell a waveform: length, level, where it's loudest, silence at its ends.

    Parameters
    ----------
    wave : (samples,) array of float
        Between −1 and 1.
    rate : int
        Samples per second.
    """
    power = wave.astype(np.float64) ** 2
    seconds = len(wave) / rate
    head = f"Waveform of {seconds:.1f} seconds at {rate:,} samples a second"
    peak = float(np.sqrt(power.max()))
    if peak == 0:
        return f"{head}, silent."
    frame = max(1, rate // 10)
    edges = np.arange(0, len(wave), frame)
    level = np.add.reduceat(power, edges) / np.diff(np.append(edges, len(wave)))
    loudest = float(edges[int(level.argmax())] / rate)
    sounding = np.flatnonzero(power > (peak * 1e-3) ** 2)
    text = (
        f"{head}: peak {20 * np.log10(peak):.0f} dB, average {10 * np.log10(power.mean()):.0f} dB"
        f" of full scale, loudest at {loudest:.1f} seconds"
    )
    before, after = sounding[0] / rate, (len(wave) - 1 - sounding[-1]) / rate
    if before > 0.1:
        text += f", silent for the first {before:.1f} seconds"
    if after > 0.1:
        text += f", silent for the last {after:.1f} seconds"
    return text.replace("-", "−") + "."

"""Score -> waveform: every note played from a SoundFont, mixed at one fixed gain."""

import math
import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from mlmusic.audio import soundfont as sf2
from mlmusic.audio.soundfont import Gen, Region
from mlmusic.audio.tone import render

if TYPE_CHECKING:
    from mlmusic.score import Score

__all__ = ["SAMPLE_RATE", "TAIL", "synthesize"]

SAMPLE_RATE = 22050
"""Samples per second that the course works with."""

TAIL = 1.0
"""Seconds of sound after the last note's end, for releases."""

GAIN = 1.0
"""Amplitude of a full-velocity note, relative to its sample, before attenuation and pan.

Four voices at velocity 80 then peak near 0.4, and about four at full velocity fill the scale.
"""

CEILING = 0.98
"""The limiter lets nothing pass this peak."""

LONGEST = 3600.0
"""Seconds of sound above which `synthesize` refuses."""

FADE = 0.05
"""Seconds at the very end in which what still rings fades out."""


def synthesize(
    score: "Score",
    rate: int = SAMPLE_RATE,
    *,
    stereo: bool = False,
    voices: Iterable[int] | None = None,
    tail: float = TAIL,
    soundfont: str | os.PathLike | None = None,
) -> np.ndarray:
    """Play a score with the General MIDI instruments of a SoundFont.

    The same score gives the same bytes. The gain is fixed and doesn't depend on the score: a note
    is as loud in a solo as in a choir, so two renderings may be compared by ear (velocity v
    sounds at (v / 127)², the General MIDI curve), and stems add up to the mix. Only where the mix
    would pass full scale does a limiter turn it down, for some tens of milliseconds.

    Parameters
    ----------
    score : Score
        What to play; tempo changes are followed. `score.programs` gives each voice its instrument
        (128: drums). A pitch beyond an instrument's range is played by stretching its nearest
        sample; a drum kit is silent there.
    rate : int
        Samples per second, 8,000 to 96,000.
    stereo : bool
        Two channels, panned as the SoundFont says. Mono is their mean.
    voices : iterable of int, optional
        Play only these voices; the length stays that of the whole score.
    tail : float
        Seconds to go on after the last note's end, 0 to 30. The last 50 ms fade out.
    soundfont : path, optional
        Another SoundFont 2 file than the one that pretty_midi installs.

    Returns
    -------
    np.ndarray
        float32 within ±1: (samples,), or (2, samples) if stereo, where samples is
        ceil((score.seconds(score.duration) + tail) · rate).

    Raises
    ------
    TypeError
        If this is no Score.
    ValueError
        The score has no notes or lasts over an hour; a voice, the rate or the tail is impossible;
        the SoundFont is damaged.
    FileNotFoundError
        The SoundFont is missing; the message says what to do.

    Examples
    --------
    >>> from mlmusic import Score
    >>> synthesize(Score([(0, 1, 60), (1, 1, 64)]), rate=8000).shape
    (16000,)
    """
    _check_rate(rate)
    if not 0 <= tail <= 30:
        raise ValueError(f"tail is {tail} s; it must be from 0 to 30 s")
    if not hasattr(score, "notes"):
        raise TypeError(f"synthesize takes a Score, not {type(score).__name__}")
    if not len(score.notes):
        raise ValueError("the score has no notes, so there is nothing to hear")
    length = float(score.seconds(score.duration)) + tail
    if not length <= LONGEST:
        raise ValueError(
            f"the score lasts {length / 60:.0f} minutes; synthesize stops at {LONGEST / 60:.0f}: "
            "check its tempo, or play a part of it with score.bars(first, last)"
        )
    notes = score.notes
    if voices is not None:
        voices = sorted(set(voices))
        if unknown := [voice for voice in voices if voice not in score.voices]:
            raise ValueError(f"voice {unknown[0]} has no notes; the score's are {score.voices}")
        notes = notes[np.isin(notes["voice"], voices)]

    font = sf2.load(soundfont)
    mix = np.zeros((2 if stereo else 1, math.ceil(round(length * rate, 6))), np.float32)
    onsets, ends = score.seconds([notes["onset"], notes["onset"] + notes["duration"]])
    starts = np.rint(onsets * rate).astype(np.int64)
    lengths = np.maximum(np.rint((ends - onsets) * rate), 1).astype(np.int64)
    programs = np.array([score.programs.get(voice, 0) for voice in range(256)])[notes["voice"]]
    for program in np.unique(programs):
        chosen = programs == program
        _play_program(
            mix,
            font.regions(int(program)),
            notes[chosen],
            starts[chosen],
            lengths[chosen],
            rate,
            stretch=program != sf2.DRUM_BANK,
        )

    fade = min(round(FADE * rate), mix.shape[1])
    mix[:, mix.shape[1] - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    _limit(mix, rate)
    return mix if stereo else mix[0]


def _check_rate(rate: int) -> None:
    if not isinstance(rate, int | np.integer) or not 8000 <= rate <= 96000:
        raise ValueError(f"rate is {rate!r}; it must be a whole number from 8,000 to 96,000 Hz")


def _play_program(
    mix: np.ndarray,
    regions: list[Region],
    notes: np.ndarray,
    starts: np.ndarray,
    lengths: np.ndarray,
    rate: int,
    stretch: bool,
) -> None:
    """Add all notes of one instrument to the mix; notes that differ only in velocity share work."""
    lengths, choked = _choke(regions, notes["pitch"], starts, lengths)
    kinds: dict[tuple[int, int, bool], list[int]] = {}
    for i, kind in enumerate(zip(notes["pitch"].tolist(), lengths.tolist(), choked, strict=True)):
        kinds.setdefault(kind, []).append(i)
    for (pitch, length, cut), members in kinds.items():
        for region in _matching(regions, pitch, stretch):
            low, high = region.velocities
            heard = [i for i in members if low <= notes["velocity"][i] <= high]
            if not heard:
                continue
            sound = render(region, pitch, length, rate, cut)
            gains = _gains(region, stereo=len(mix) == 2)
            for i in heard:
                fixed = region[Gen.FIXED_VELOCITY]
                strength = fixed if fixed >= 0 else int(notes["velocity"][i])
                room = mix[:, starts[i] : starts[i] + len(sound)]
                for channel, gain in zip(room, gains, strict=True):
                    channel += sound[: len(channel)] * np.float32(gain * (strength / 127) ** 2)


def _matching(regions: list[Region], pitch: int, stretch: bool) -> Iterator[Region]:
    """Regions that hold a pitch, or, if they may be stretched, those that come nearest."""
    away = [max(region.keys[0] - pitch, pitch - region.keys[1], 0) for region in regions]
    nearest = min(away, default=0) if stretch else 0
    return (region for region, distance in zip(regions, away, strict=True) if distance == nearest)


def _choke(
    regions: list[Region], pitches: np.ndarray, starts: np.ndarray, lengths: np.ndarray
) -> tuple[np.ndarray, list[bool]]:
    """End each note where the next of its exclusive class begins: a closed hi-hat stops the open.

    Returns the new lengths and which notes were cut off (section 8.1.2, generator 57).
    """
    classes = np.zeros(128, np.int64)
    for region in regions:
        classes[region.keys[0] : region.keys[1] + 1] = region[Gen.EXCLUSIVE_CLASS]
    group = classes[pitches]
    stops = np.full(len(starts), np.iinfo(np.int64).max)
    for exclusive in np.unique(group[group > 0]):
        members = np.flatnonzero(group == exclusive)
        begins = np.unique(starts[members])
        following = np.searchsorted(begins, starts[members], side="right")
        stops[members] = np.append(begins, np.iinfo(np.int64).max)[following]
    choked = stops < np.iinfo(np.int64).max
    return np.minimum(lengths, stops - starts), choked.tolist()


def _gains(region: Region, stereo: bool) -> list[float]:
    """Amplitude of a full-velocity note in each channel.

    Attenuation counts at 0.4 of its value, as in the EMU8000 chip for which SoundFonts are
    voiced, and in FluidSynth. Pan keeps the power constant.
    """
    level = GAIN * 10 ** (-0.4 * region[Gen.ATTENUATION] / 200)
    angle = (min(max(region[Gen.PAN] / 1000, -0.5), 0.5) + 0.5) * math.pi / 2
    left, right = level * math.cos(angle), level * math.sin(angle)
    return [left, right] if stereo else [(left + right) / 2]


def _limit(mix: np.ndarray, rate: int) -> None:
    """Turn the mix down, in place, around the places where it would pass the ceiling.

    The gain is a curve of straight lines, one point every 10 ms, each low enough for the loudest
    sample on either side of it; neighbouring points are drawn down too, so that it glides.
    """
    block = rate // 100
    count = -(-mix.shape[1] // block)
    peaks = np.array(
        [np.abs(mix[:, i * block : (i + 1) * block]).max(initial=0.0) for i in range(count)]
    )
    if peaks.max(initial=0.0) <= CEILING:
        return
    need = np.minimum(1.0, CEILING / np.maximum(peaks, 1e-9))  # the gain that each block needs
    points = np.minimum(np.append(need, 1.0), np.append(1.0, need))  # one at each block's edge
    spread = 10
    wide = np.pad(points, spread, constant_values=1.0)
    lowest = np.lib.stride_tricks.sliding_window_view(wide, spread + 1).min(axis=1)
    smooth = sum(lowest[k : k + count + 1] for k in range(spread + 1)) / (spread + 1)
    for i in range(count):
        part = mix[:, i * block : (i + 1) * block]
        part *= np.linspace(smooth[i], smooth[i + 1], block, dtype=np.float32)[: part.shape[1]]
    np.clip(mix, -1.0, 1.0, out=mix)  # nothing but rounding is left to clip

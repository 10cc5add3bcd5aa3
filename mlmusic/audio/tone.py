"""Play one region of a SoundFont at one pitch: resample → filter → envelope.

This is section 9.1 of the SoundFont 2.04 specification ("synthesis model") with arrays in place of
a loop over samples. What moves slowly (LFOs, modulation envelope) is computed at every 64th
sample. Curves are computed in float64 and rounded, so that the last bit of a processor's `exp`
doesn't reach the sound.

Left out, as General MIDI SoundFonts hardly need them: modulators other than velocity → loudness,
chorus and reverb sends, and loops that end with the key (sample mode 3 loops on).
"""

import functools
import math
from typing import NamedTuple

import numpy as np

from mlmusic.audio.soundfont import Gen, Region, Sample

__all__ = ["render"]

CONTROL = 64
"""Samples between two points of a slow signal."""

SILENCE = 80.0
"""dB below the peak at which a tone counts as over."""

FULL_SCALE = 100.0
"""Decay and release times are the time for a fall of so many dB (8.1.3, generators 36 and 38)."""

SHORTEST_RELEASE = 2 ** (-7200 / 1200)  # 16 ms: a sound that stops at once would click
CHOKE_RELEASE = 2 ** (-200 / 1200)  # of a hi-hat that closes: 0.9 s for 100 dB

_BLOCK = 1 << 15  # samples at a time: what is worked on stays in the processor's cache
_CUTOFF_STEP = 50  # cents between two rows of the table of filters


class Stages(NamedTuple):
    """An envelope's stages, in seconds but for `sustain`, which is the generator's own number."""

    delay: float
    attack: float
    hold: float
    decay: float
    sustain: int
    release: float


def render(region: Region, pitch: int, held: int, rate: int, choked: bool = False) -> np.ndarray:
    """Play a region at a pitch, before velocity, attenuation and pan.

    Parameters
    ----------
    region : Region
        Sample and generators.
    pitch : int
        MIDI pitch.
    held : int
        Samples for which the key is down; the release comes on top.
    rate : int
        Samples per second.
    choked : bool
        The note is cut off by another one of its exclusive class, so it is released fast.

    Returns
    -------
    np.ndarray
        (samples,) float32, up to where the sound has died away or its sample ends.
    """
    key = region[Gen.FIXED_KEY] if region[Gen.FIXED_KEY] >= 0 else pitch
    stages = _stages(region, Gen.DELAY, key)
    release = CHOKE_RELEASE if choked else max(stages.release, SHORTEST_RELEASE)
    envelope = _volume_envelope(stages._replace(release=release), held, rate)

    points = np.arange(len(envelope) // CONTROL + 2) * (CONTROL / rate)  # seconds
    lfo = _triangle(points, region[Gen.MOD_LFO_DELAY], region[Gen.MOD_LFO_FREQUENCY])
    vibrato = _triangle(points, region[Gen.VIB_LFO_DELAY], region[Gen.VIB_LFO_FREQUENCY])
    sweep = _modulation_envelope(_stages(region, Gen.MOD_ENV_DELAY, key), points, held / rate)

    cents = (
        region[Gen.SCALE_TUNING] * (key - region.sample.root)
        + 100 * region[Gen.COARSE_TUNE]
        + region[Gen.FINE_TUNE]
        + region[Gen.MOD_LFO_TO_PITCH] * lfo
        + region[Gen.VIB_LFO_TO_PITCH] * vibrato
        + region[Gen.MOD_ENV_TO_PITCH] * sweep
    )
    wave = _resample(region.sample, cents, stages.delay, len(envelope), rate)
    cutoff = (
        region[Gen.FILTER_CUTOFF]
        + region[Gen.MOD_LFO_TO_FILTER] * lfo
        + region[Gen.MOD_ENV_TO_FILTER] * sweep
    )
    wave = _lowpass(wave, cutoff, region[Gen.FILTER_Q], rate)
    wave *= envelope[: len(wave)]
    if tremolo := region[Gen.MOD_LFO_TO_VOLUME]:
        level = 10 ** (tremolo * lfo / 200)
        wave *= np.interp(np.arange(len(wave)), np.arange(len(level)) * CONTROL, level)
    return wave


# Envelopes and oscillators -----------------------------------------------------------------------


def _seconds(timecents: float) -> float:
    return 2.0 ** (min(timecents, 8000) / 1200) if timecents > -12000 else 0.0


def _stages(region: Region, first: Gen, key: int) -> Stages:
    """Read the eight generators of an envelope, from its delay on (8.1.2: 25–32 or 33–40)."""
    delay, attack, hold, decay, sustain, release, key_to_hold, key_to_decay = (
        region[Gen(first + i)] for i in range(8)
    )
    # Times are stated for key 60; high keys may be shorter.
    hold += key_to_hold * (60 - key) if hold > -12000 else 0
    decay += key_to_decay * (60 - key) if decay > -12000 else 0
    times = map(_seconds, (delay, attack, hold, decay))
    return Stages(*times, sustain, _seconds(release))


def _volume_envelope(stages: Stages, held: int, rate: int) -> np.ndarray:
    """Amplitude while the key is down and after, up to SILENCE: (n,) float32.

    The attack is a straight line in amplitude; decay and release are straight lines in decibels.
    """
    sustain = min(max(stages.sustain, 0) / 10, FULL_SCALE)  # centibels -> dB below the peak
    peak = stages.delay + stages.attack + stages.hold  # seconds at which the decay begins
    slope = FULL_SCALE / max(stages.decay, 1 / rate)  # dB per second

    def index(seconds: float, last: int = held) -> int:
        return min(math.ceil(seconds * rate), last)

    delay, attack = index(stages.delay), index(stages.delay + stages.attack)
    hold, decay = index(peak), index(peak + min(sustain, SILENCE) / slope)
    level = np.ones(held if sustain < SILENCE else decay)
    level[:delay] = 0
    level[delay:attack] = (np.arange(delay, attack) / rate - stages.delay) / (stages.attack or 1)
    level[hold:decay] = _fall(np.arange(hold, decay) / rate - peak, slope)
    level[decay:] = 10 ** (-sustain / 20)
    if len(level) < held or level[-1] <= 0:  # it has died away, or not begun
        return level.astype(np.float32)

    slope = FULL_SCALE / stages.release
    below = -20 * math.log10(level[-1])  # dB, when the key goes up
    after = np.arange(1, math.ceil(max(SILENCE - below, 0) / slope * rate) + 1) / rate
    return np.concatenate([level, level[-1] * _fall(after, slope)], dtype=np.float32)


def _fall(seconds: np.ndarray, slope: float) -> np.ndarray:
    """Amplitude that falls from 1 by `slope` dB per second."""
    return np.exp(seconds * (-slope / 20 * math.log(10)))


def _modulation_envelope(stages: Stages, points: np.ndarray, held: float) -> np.ndarray:
    """Level from 0 to 1 at each of `points` (seconds), the key being up from `held` on.

    The attack is convex; decay and release are straight lines.
    """

    def key_down(seconds: np.ndarray) -> np.ndarray:
        since = seconds - stages.delay
        rise = np.clip(since / max(stages.attack, 1e-9), 1e-9, 1)
        rise = np.clip(1 + 5 / 12 * np.log10(rise), 0, 1)  # convex (section 9.5.3)
        since = since - stages.attack - stages.hold
        fall = 1 - np.clip(since / max(stages.decay, 1e-9), 0, 1)
        floor = 1 - min(max(stages.sustain, 0), 1000) / 1000
        return np.where(since < 0, rise, np.maximum(fall, floor))

    last = key_down(np.array([held]))[0]
    key_up = np.maximum(last - (points - held) / max(stages.release, 1e-9), 0)
    return np.where(points < held, key_down(points), key_up)


def _triangle(points: np.ndarray, delay: float, frequency: float) -> np.ndarray:
    """Triangle wave from -1 to 1 that starts at 0 after its delay, at each of `points`."""
    cycles = np.maximum(points - _seconds(delay), 0) * 8.176 * 2 ** (frequency / 1200)
    return 2 * np.abs(2 * ((cycles + 0.75) % 1) - 1) - 1


# Pitch -------------------------------------------------------------------------------------------


def _resample(
    sample: Sample, cents: np.ndarray, delay: float, samples: int, rate: int
) -> np.ndarray:
    """Read a sample faster or slower, going round its loop: (n,) float32, n <= samples.

    Parameters
    ----------
    sample : Sample
        What to play.
    cents : np.ndarray
        Pitch above the sample's own, at every CONTROL samples of the result.
    delay : float
        Seconds before the sample starts.
    samples, rate : int
        Length and rate of the result.
    """
    steps = sample.rate / rate * 2 ** (cents / 1200)  # samples of source for one of the result
    # At most 1,024, far above hearing: a damaged SoundFont stays within memory. Rounded, as the
    # last bit of a power differs between processors, and the places below add it up.
    steps = np.rint(np.minimum(steps, 1024) * 2.0**32) / 2.0**32
    source, loop_start, loop = _source(sample, float(steps.max()))
    steady = steps.min() == steps.max()
    marks = np.arange(len(steps)) * CONTROL
    places = np.concatenate([[0.0], np.cumsum(steps[:-1] * CONTROL)])
    places -= np.interp(delay * rate, marks, places)
    if loop is None:  # ends with its source
        last = np.searchsorted(places, len(source) - 4.0)
        samples = min(samples, int(last) * CONTROL)

    wave = np.empty(samples, np.float32)
    for start in range(0, samples, _BLOCK):
        index = np.arange(start, min(start + _BLOCK, samples))
        place = places[0] + index * steps[0] if steady else np.interp(index, marks, places)
        np.maximum(place, 0, out=place)
        if loop is None:
            place = np.minimum(place, len(source) - 4)
        elif place[-1] >= loop_start + loop:
            np.copyto(place, loop_start + (place - loop_start) % loop, where=place >= loop_start)
        wave[start : start + len(index)] = _interpolate(source, place)
    return wave


def _source(sample: Sample, step: float) -> tuple[np.ndarray, int, int | None]:
    """Prepare a sample for reading in steps of `step`: source, loop start, loop length.

    The first sample comes after one zero, and the end or the loop is padded, so that a cubic may
    always look one sample back and two ahead. A step above 1 would fold what lies above the
    result's Nyquist frequency down into it, so that is filtered away first.
    """
    wave = sample.wave
    margin = 64 * math.ceil(step)
    if sample.loop is None:
        start, length = 0, None
        wave = np.concatenate([[0], wave, np.zeros(4, np.int16)])
    else:
        first, after = sample.loop
        length = after - first
        times = 2 * margin // length + 2
        # Unroll the loop, and go round a stretch of it that has loop on either side.
        wave = np.concatenate([[0], wave[:after], np.tile(wave[first:after], times)])
        start = after + margin
    wave = wave / np.float32(32768)
    if step > 1:
        size = 1 << (len(wave) + margin - 1).bit_length()
        frequency = np.arange(size // 2 + 1) / size  # cycles per sample of source
        edge = np.clip((frequency * step - 0.42) / 0.08, 0, 1)  # 0.5 is the result's Nyquist
        gain = 0.5 + 0.5 * np.cos(np.pi * edge)
        wave = np.fft.irfft(np.fft.rfft(wave, size) * gain, size)[: len(wave)]
    return wave.astype(np.float32), start, length


def _interpolate(source: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Read between samples along a Catmull–Rom cubic; place 0 is source[1]."""
    whole = place.astype(np.int64)
    x = (place - whole).astype(np.float32)
    a, b, c, d = (source[k:][whole] for k in range(4))
    return b + x * 0.5 * (c - a + x * (2 * a - 5 * b + 4 * c - d + x * (3 * (b - c) + d - a)))


# Filter ------------------------------------------------------------------------------------------


def _lowpass(wave: np.ndarray, cutoff: np.ndarray, q: int, rate: int) -> np.ndarray:
    """Pass a wave through a resonant low-pass filter whose cutoff moves.

    Overlapping frames of about 12 ms are multiplied by the filter's response in the frequency
    domain and added up again (overlap–add): a recursive filter would need a loop over samples.

    Parameters
    ----------
    wave : np.ndarray
        (n,) float32.
    cutoff : np.ndarray
        Absolute cents (0 is MIDI pitch 0) at every CONTROL samples.
    q : int
        Height of the resonance in centibels.
    rate : int
        Samples per second.
    """
    highest = 1200 * math.log2(0.45 * rate / 8.176)
    if q <= 0 and cutoff.min() >= min(highest, 13500):
        return wave
    hop = 1 << round(math.log2(rate / 172))
    window = 0.5 - 0.5 * np.cos(np.arange(2 * hop) * np.pi / hop)  # Hann: sums to 1 at this hop
    count = len(wave) // hop + 2
    padded = np.zeros((count + 1) * hop, np.float32)
    padded[hop : hop + len(wave)] = wave
    frames = np.lib.stride_tricks.sliding_window_view(padded, 2 * hop)[::hop]  # (count, 2 hop)

    # A frame's answer is longer than the frame, as the filter rings on: by the hops that it takes
    # to fall by 60 dB where it rings longest, at the lowest cutoff.
    lowest = 8.176 * 2 ** (max(float(cutoff.min()), 0) / 1200)
    ringing = math.log(1000) * _resonance(q) / (math.pi * lowest) * rate
    parts = 2 + min(max(math.ceil(ringing / hop), 1), 8)

    real, imaginary = _filters(q, rate, parts * hop)
    middles = np.minimum(np.arange(count) * (hop // CONTROL), len(cutoff) - 1)
    rows = np.rint(np.clip(cutoff[middles], 0, highest) / _CUTOFF_STEP).astype(int)
    out = np.zeros((count + parts, hop), np.float32)
    for start in range(0, count, 256):
        some = slice(start, min(start + 256, count))
        spectra = np.fft.rfft(frames[some] * window.astype(np.float32), parts * hop)
        # In two products of one term each: the sum of two is rounded once on some processors.
        spectra = spectra * real[rows[some]] + spectra * imaginary[rows[some]]
        answer = np.fft.irfft(spectra, parts * hop).astype(np.float32).reshape(-1, parts, hop)
        for k in range(parts):
            out[some.start + k : some.stop + k] += answer[:, k]
    return out.ravel()[hop : hop + len(wave)]


def _resonance(q: int) -> float:
    """Quality factor of a peak of q centibels; 0 is flat (Butterworth)."""
    return 10 ** (max(q, 0) / 200) * math.sqrt(0.5)


@functools.lru_cache(maxsize=32)
def _filters(q: int, rate: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Responses of the low-pass filter, a row every 50 cents, as real and imaginary parts.

    Two poles, from R. Bristow-Johnson's "Cookbook formulae for audio EQ biquad filter
    coefficients". Half of the resonance's height is taken off the whole (section 8.1.3,
    generator 9). Both arrays are complex64 (cutoffs, size / 2 + 1).
    """
    cents = np.arange(0, 1200 * math.log2(0.45 * rate / 8.176) + _CUTOFF_STEP, _CUTOFF_STEP)
    omega = 2 * np.pi * np.minimum(8.176 * 2 ** (cents / 1200), 0.45 * rate)[:, None] / rate
    alpha = np.sin(omega) / (2 * _resonance(q))
    z = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)  # one sample's delay
    top = (1 - np.cos(omega)) / 2 * (1 + z) ** 2
    bottom = (1 + alpha) - 2 * np.cos(omega) * z + (1 - alpha) * z**2
    response = top / bottom / 10 ** (max(q, 0) / 400)
    return response.real.astype(np.complex64), (1j * response.imag).astype(np.complex64)

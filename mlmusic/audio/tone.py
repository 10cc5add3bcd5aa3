"""Play one region of a SoundFont at one pitch: resample → filter → envelope.

This is section 9.1 of the SoundFont 2.04 specification ("synthesis model") with arrays in place of
a loop over samples. What moves slowly (LFOs, modulation envelope) is computed at every 64th
sample. Curves are computed in float64 and rounded, so that the last bit of a processor's `exp`
doesn't reach the sound.

Left out, as the General MIDI SoundFont in use has no need of them: modulators other than
velocity → loudness, chorus and reverb sends, loops that end with the key (sample mode 3 loops on),
and the modulation envelope's release (it stays on its course until the sound ends).
"""

import functools
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mlmusic.audio.soundfont import Gen, Region, Sample

__all__ = ["Tone", "render"]

CONTROL = 64
"""Samples between two points of a slow signal."""

SILENCE = 80.0
"""dB below the peak at which a tone counts as over."""

FULL_SCALE_DB = 100.0
"""Decay and release times are the time for this fall (section 8.1.3, generators 36 and 38)."""

SHORTEST_RELEASE = 2 ** (-7200 / 1200)  # 16 ms: a sound that stops at once would click
CHOKE_RELEASE = 2 ** (-200 / 1200)  # of a hi-hat that closes: 0.9 s for 100 dB

_BLOCK = 1 << 15  # samples at a time: what is worked on stays in the processor's cache
_CUTOFF_STEP = 50  # cents between two rows of the table of filters


@dataclass(frozen=True, eq=False)
class Tone:
    """A region at one pitch with the key held down, before velocity and pan.

    Attributes
    ----------
    wave : np.ndarray
        (samples,) float32, pitched and filtered, at full level.
    held : np.ndarray
        (samples,) float32, `wave` times the envelope of a key that stays down.
    envelope : np.ndarray
        (samples,) float32, that envelope.
    release : float
        Seconds in which the sound falls by 100 dB once the key is up.
    """

    wave: np.ndarray
    held: np.ndarray
    envelope: np.ndarray
    release: float
    rate: int

    def play(self, samples: int, choked: bool = False) -> np.ndarray:
        """Return the sound of a key held for so many samples, with its release: float32."""
        end = min(samples, len(self.held))
        if end == len(self.wave):
            return self.held
        fall = release_curve(CHOKE_RELEASE if choked else self.release, self.rate)
        tail = self.wave[end : end + len(fall)]
        level = self.envelope[end - 1]
        return np.concatenate([self.held[:end], tail * (fall[: len(tail)] * level)])


class Stages(NamedTuple):
    """An envelope's stages, in seconds but for `sustain`, which is the generator's own number."""

    delay: float
    attack: float
    hold: float
    decay: float
    sustain: int
    release: float


def render(region: Region, pitch: int, samples: int, rate: int) -> Tone:
    """Render a region at a pitch.

    Parameters
    ----------
    region : Region
        Sample and generators.
    pitch : int
        MIDI pitch.
    samples : int
        How long the key is held in the longest note that will be played from this tone.
    rate : int
        Samples per second.

    Returns
    -------
    Tone
        At most `samples` held samples, and enough of the wave beyond them for the release.
    """
    key = region[Gen.FIXED_KEY] if region[Gen.FIXED_KEY] >= 0 else pitch
    stages = _stages(region, Gen.DELAY, key)
    release = max(stages.release, SHORTEST_RELEASE)
    envelope = _volume_envelope(stages, samples, rate)
    total = len(envelope)
    if total == samples:  # it still sounds when the key goes up
        slowest = max(release, CHOKE_RELEASE) if region[Gen.EXCLUSIVE_CLASS] else release
        total += len(release_curve(slowest, rate))

    points = np.arange(total // CONTROL + 2) * (CONTROL / rate)  # seconds
    lfo = _triangle(points, region[Gen.MOD_LFO_DELAY], region[Gen.MOD_LFO_FREQUENCY])
    vibrato = _triangle(points, region[Gen.VIB_LFO_DELAY], region[Gen.VIB_LFO_FREQUENCY])
    swell = _modulation_envelope(_stages(region, Gen.MOD_ENV_DELAY, key), points)

    cents = (
        region[Gen.SCALE_TUNING] * (key - region.sample.root)
        + 100 * region[Gen.COARSE_TUNE]
        + region[Gen.FINE_TUNE]
        + region[Gen.MOD_LFO_TO_PITCH] * lfo
        + region[Gen.VIB_LFO_TO_PITCH] * vibrato
        + region[Gen.MOD_ENV_TO_PITCH] * swell
    )
    wave = _resample(region.sample, cents, total, rate)
    cutoff = (
        region[Gen.FILTER_CUTOFF]
        + region[Gen.MOD_LFO_TO_FILTER] * lfo
        + region[Gen.MOD_ENV_TO_FILTER] * swell
    )
    wave = _lowpass(wave, cutoff, region[Gen.FILTER_Q], rate)
    if tremolo := region[Gen.MOD_LFO_TO_VOLUME]:
        level = 10 ** (tremolo * lfo / 200)
        wave *= np.interp(np.arange(len(wave)), np.arange(len(level)) * CONTROL, level)
    envelope = envelope[: len(wave)]
    return Tone(wave, wave[: len(envelope)] * envelope, envelope, release, rate)


# Envelopes and oscillators ---------------------------------------------------------------------


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


def _volume_envelope(stages: Stages, samples: int, rate: int) -> np.ndarray:
    """(n,) float32 amplitude while the key is down; n < samples where the sound dies before.

    The attack is a straight line in amplitude, the decay a straight line in decibels.
    """
    sustain = min(max(stages.sustain, 0) / 10, FULL_SCALE_DB)  # centibels -> dB below the peak
    peak = stages.delay + stages.attack + stages.hold
    slope = FULL_SCALE_DB / max(stages.decay, 1 / rate)  # dB per second
    if sustain >= SILENCE:
        samples = min(samples, math.ceil((peak + SILENCE / slope) * rate))
    envelope = np.empty(samples, np.float32)

    def at(seconds: float) -> int:
        return min(math.ceil(seconds * rate), samples)

    delay, attack, hold = at(stages.delay), at(stages.delay + stages.attack), at(peak)
    decay = at(peak + sustain / slope)
    envelope[:delay] = 0
    if attack > delay:
        envelope[delay:attack] = (np.arange(delay, attack) / rate - stages.delay) / stages.attack
    envelope[attack:hold] = 1
    envelope[hold:decay] = _fall(np.arange(hold, decay) / rate - peak, slope)
    envelope[decay:] = 10 ** (-sustain / 20)
    return envelope


@functools.lru_cache(maxsize=64)
def release_curve(release: float, rate: int) -> np.ndarray:
    """(n,) float32, the fall from 1 at 100 dB per `release` seconds until it can't be heard."""
    samples = math.ceil(release * SILENCE / FULL_SCALE_DB * rate)
    curve = _fall(np.arange(1, samples + 1) / rate, FULL_SCALE_DB / release).astype(np.float32)
    curve.setflags(write=False)  # shared by everyone who asks
    return curve


def _fall(seconds: np.ndarray, decibels_per_second: float) -> np.ndarray:
    return np.exp(seconds * (-decibels_per_second / 20 * math.log(10)))


def _modulation_envelope(stages: Stages, points: np.ndarray) -> np.ndarray:
    """Level from 0 to 1 at each of `points` (seconds): attack convex, decay straight."""
    since = points - stages.delay
    rise = np.clip(since / max(stages.attack, 1e-9), 1e-9, 1)
    rise = np.clip(1 + 5 / 6 * np.log10(rise), 0, 1)  # convex: a fall of 96 dB, turned round
    since = since - stages.attack - stages.hold
    fall = 1 - np.clip(since / max(stages.decay, 1e-9), 0, 1)
    floor = 1 - min(max(stages.sustain, 0), 1000) / 1000
    return np.where(since < 0, rise, np.maximum(fall, floor))


def _triangle(points: np.ndarray, delay: float, frequency: float) -> np.ndarray:
    """Triangle wave from -1 to 1 that starts at 0 after its delay, at each of `points`."""
    cycles = np.maximum(points - _seconds(delay), 0) * 8.176 * 2 ** (frequency / 1200)
    return 2 * np.abs(2 * ((cycles + 0.75) % 1) - 1) - 1


# Pitch -------------------------------------------------------------------------------------------


def _resample(sample: Sample, cents: np.ndarray, samples: int, rate: int) -> np.ndarray:
    """Read a sample faster or slower, going round its loop: (n,) float32, n <= samples.

    Parameters
    ----------
    sample : Sample
        What to play.
    cents : np.ndarray
        Pitch above the sample's own, at every CONTROL samples of the result.
    samples, rate : int
        Length and rate of the result.
    """
    steps = sample.rate / rate * 2 ** (cents / 1200)  # samples of source for one of the result
    source, loop_start, loop = _source(sample, float(steps.max()))
    steady = steps.min() == steps.max()
    marks = np.arange(len(steps)) * CONTROL
    places = np.concatenate([[0.0], np.cumsum(steps[:-1] * CONTROL)])
    if loop is None:  # ends with its source
        last = np.searchsorted(places, len(source) - 4.0)
        samples = min(samples, int(last) * CONTROL)

    wave = np.empty(samples, np.float32)
    for start in range(0, samples, _BLOCK):
        index = np.arange(start, min(start + _BLOCK, samples))
        place = index * steps[0] if steady else np.interp(index, marks, places)
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
    a, b, c, d = (source[whole + k] for k in range(4))
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

    table = _filters(max(q, 0), rate, 4 * hop)
    middles = np.minimum(np.arange(count) * (hop // CONTROL), len(cutoff) - 1)
    rows = np.rint(np.clip(cutoff[middles], 0, highest) / _CUTOFF_STEP).astype(int)
    rows = np.minimum(rows, len(table) - 1)

    # Each frame's answer is two windows long, to let the filter ring: four hops.
    out = np.zeros((count + 4, hop), np.float32)
    for start in range(0, count, 256):
        part = slice(start, min(start + 256, count))
        spectra = np.fft.rfft(frames[part] * window.astype(np.float32), 4 * hop)
        answer = np.fft.irfft(spectra * table[rows[part]], 4 * hop)
        answer = answer.astype(np.float32).reshape(-1, 4, hop)
        for k in range(4):
            out[part.start + k : part.stop + k] += answer[:, k]
    return out.ravel()[hop : hop + len(wave)]


@functools.lru_cache(maxsize=32)
def _filters(q: int, rate: int, size: int) -> np.ndarray:
    """Responses of the low-pass filter: (cutoffs, size / 2 + 1) complex64, a row every 50 cents.

    Two poles, from R. Bristow-Johnson's "Cookbook formulae for audio EQ biquad filter
    coefficients". A `q` of 0 is flat (Butterworth); half of the resonance's height is taken off
    the whole (section 8.1.3, generator 9).
    """
    cents = np.arange(0, 1200 * math.log2(0.45 * rate / 8.176) + _CUTOFF_STEP, _CUTOFF_STEP)
    omega = 2 * np.pi * np.minimum(8.176 * 2 ** (cents / 1200), 0.45 * rate)[:, None] / rate
    height = 10 ** (q / 200)
    alpha = np.sin(omega) / (2 * height * math.sqrt(0.5))
    z = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)  # one sample's delay
    top = (1 - np.cos(omega)) / 2 * (1 + z) ** 2
    bottom = (1 + alpha) - 2 * np.cos(omega) * z + (1 - alpha) * z**2
    return (top / bottom / math.sqrt(height)).astype(np.complex64)

"""The synthesiser: pitch, time, level, tails, limits, and agreement with FluidSynth."""

import importlib.util
import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mlmusic import Score
from mlmusic.audio import synth, synthesize, tone
from mlmusic.audio.soundfont import Gen, Region, Sample
from tests.audio.test_soundfont import write

RATE = 22050
FLUTE, ORGAN, PIANO, DRUMS = 73, 19, 0, 128


def one(pitch=69, duration=1.0, velocity=80, program=PIANO, tempo=60):
    return Score([(0, duration, pitch, velocity)], programs={0: program}, tempo=[(0, tempo)])


def rms(wave):
    return float(np.sqrt(np.mean(np.square(wave, dtype=float))))


def fundamental(wave, rate, expected):
    """Frequency of the strongest bin within a semitone and a half of where it is expected."""
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 1 << 20))
    frequency = np.fft.rfftfreq(1 << 20, 1 / rate)
    spectrum[(frequency < expected * 0.917) | (frequency > expected * 1.09)] = 0
    return frequency[spectrum.argmax()]


# Shape, type and determinism ---------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 96000])
def test_length_and_type(rate):
    score = Score([(0, 1, 60), (1, 1.5, 64)], tempo=[(0, 120)])
    wave = synthesize(score, rate)
    assert wave.dtype == np.float32 and wave.shape == (math.ceil(2.25 * rate),)
    assert synthesize(score, rate, tail=0).shape == (math.ceil(1.25 * rate),)
    assert synthesize(score, rate, stereo=True).shape == (2, math.ceil(2.25 * rate))
    assert np.isfinite(wave).all() and rms(wave) > 0


def test_same_bytes_also_in_another_process():
    code = (
        "from mlmusic import Score, synthesize; import hashlib;"
        "s = Score([(0, 1, 60), (.3, 1.1, 64, 99, 1), (1, 1, 38, 80, 2)]);"
        "s.programs = {1: 50, 2: 128};"
        "print(hashlib.sha256(synthesize(s, stereo=True)).hexdigest())"
    )
    digests = {
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout
        for _ in range(2)
    }
    assert len(digests) == 1


def test_synthesis_needs_no_torch():
    code = (
        "import sys; from mlmusic.audio import synthesize;"
        "from mlmusic import Score; synthesize(Score([(0, 1, 60)]));"
        "assert 'torch' not in sys.modules and 'pretty_midi' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Pitch and time ----------------------------------------------------------------------------------


@pytest.mark.parametrize("program", [0, 6, 19, 24, 40, 56, 68, 73, 80])
@pytest.mark.parametrize("pitch", [57, 69, 76])
def test_pitch_within_20_cents(program, pitch):
    expected = 440 * 2 ** ((pitch - 69) / 12)
    wave = synthesize(one(pitch, 1.5, program=program), RATE)[RATE // 4 : RATE]
    cents = 1200 * np.log2(fundamental(wave, RATE, expected) / expected)
    assert abs(cents) < 20


def test_rate_changes_nothing_but_the_rate():
    score = Score([(0, 1, 60), (0.5, 1, 67)], programs={0: FLUTE})
    low, high = synthesize(score, 22050), synthesize(score, 44100)
    spectra = [np.abs(np.fft.rfft(wave))[:5000] for wave in (low, high / 2)]  # both by 1/2.25 Hz
    assert np.corrcoef(*spectra)[0, 1] > 0.999
    assert rms(high) == pytest.approx(rms(low), rel=0.02)


def test_tempo_changes_move_onsets():
    notes = [(0, 0.5, 42, 100), (2, 0.5, 42, 100), (4, 0.5, 42, 100)]
    score = Score(notes, programs={0: DRUMS}, tempo=[(0, 120), (2, 60)])
    wave = np.abs(synthesize(score, RATE))
    for seconds in (0, 1, 3):
        at = round(seconds * RATE)
        assert wave[at : at + 500].max() > 20 * wave[max(at - 500, 0) : at].max(initial=1e-4)


def test_sound_is_a_sum_of_notes():
    score = Score(
        [(0, 1, 60, 80, 0), (0.5, 1, 64, 60, 1), (1, 2, 43, 90, 2)], programs={1: FLUTE, 2: DRUMS}
    )
    stems = [synthesize(score, RATE, voices=[voice]) for voice in score.voices]
    np.testing.assert_allclose(sum(stems), synthesize(score, RATE), atol=1e-6)


def test_mono_is_the_mean_of_stereo():
    score = Score([(0, 1, 60), (0, 1, 76, 80, 1)], programs={0: 48, 1: 0})
    left_right = synthesize(score, RATE, stereo=True)
    np.testing.assert_allclose(left_right.mean(axis=0), synthesize(score, RATE), atol=1e-6)
    assert not np.array_equal(*left_right)


# Level -------------------------------------------------------------------------------------------


def test_velocity_squared():
    loud, soft = (synthesize(one(velocity=velocity), RATE) for velocity in (100, 50))
    np.testing.assert_allclose(loud, 4 * soft, atol=1e-6)


def test_level_doesnt_depend_on_the_company():
    alone = synthesize(one(60), RATE, tail=3)
    both = Score([(0, 1, 60, 80), (3, 1, 72, 80)], tempo=[(0, 60)])
    np.testing.assert_allclose(synthesize(both, RATE)[: 2 * RATE], alone[: 2 * RATE], atol=1e-6)


def test_limiter_bends_the_level_not_the_wave():
    loud = Score([(2, 2, pitch, 127) for pitch in range(36, 84)], programs={0: 61})
    both = Score([*loud.notes.tolist(), (0, 0.5, 60, 80, 1), (7, 0.5, 60, 80, 1)])
    both.programs = {0: 61, 1: PIANO}
    wave = synthesize(both, RATE)
    assert 0.9 < np.abs(wave).max() <= synth.CEILING + 1e-6
    quiet = synthesize(both, RATE, voices=[1])
    np.testing.assert_allclose(wave[: RATE // 2], quiet[: RATE // 2], atol=1e-6)  # far from it
    noise = np.random.default_rng(0).standard_normal((1, RATE)).astype(np.float32)
    limited = noise.copy()
    synth._limit(limited, RATE)
    gain = limited / noise
    assert gain.min() > 0.1 and gain.max() <= 1 + 1e-6
    assert np.abs(np.diff(gain)).max() < 0.002  # it glides


# Ends --------------------------------------------------------------------------------------------


def test_release_rings_and_fades():
    wave = synthesize(one(program=ORGAN), RATE)
    held, tail, end = wave[RATE // 2 : RATE], wave[RATE : RATE + RATE // 5], wave[-100:]
    assert 0.02 * rms(held) < rms(tail) < rms(held)
    assert np.abs(end).max() < 1e-3 * np.abs(held).max()
    assert wave[-1] == 0


@pytest.mark.parametrize("program", [0, 12, 19, 24, 32, 48, 56, 65, 73, 80, 88, 105])
def test_no_click_when_the_key_goes_up(program):
    """A jump would be a step between samples larger than any while the note sounds."""
    wave = synthesize(one(60, 0.7, 100, program), 44100)
    steps = np.abs(np.diff(wave))
    key_up = round(0.7 * 44100)
    assert steps[key_up - 20 : key_up + 2000].max() <= 1.05 * steps[2000 : key_up - 20].max()


@pytest.mark.parametrize("tail", [0, 0.2, 5])
def test_no_click_at_the_end(tail):
    wave = synthesize(one(program=ORGAN), RATE, tail=tail)
    assert np.abs(wave[-20:]).max() < 0.02 * np.abs(wave).max()


def test_closed_hihat_chokes_the_open_one():
    ring = Score([(0, 0.25, 46, 100)], programs={0: DRUMS}, tempo=[(0, 60)])
    choked = Score([(0, 0.25, 46, 100), (0.25, 0.25, 42, 1)], programs={0: DRUMS}, tempo=[(0, 60)])
    late = slice(RATE // 2, RATE)
    assert rms(synthesize(choked, RATE)[late]) < 0.5 * rms(synthesize(ring, RATE)[late])


# Edges -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", [0, 67, 122])
@pytest.mark.parametrize("pitch", [0, 127])
def test_pitches_beyond_the_instrument_sound(program, pitch):
    wave = synthesize(one(pitch, program=program), RATE)
    assert np.isfinite(wave).all() and rms(wave) > 1e-5


def test_drums_have_no_pitches_to_stretch():
    assert not synthesize(one(0, program=DRUMS), RATE).any()


def test_shortest_note_sounds():
    assert rms(synthesize(Score([(0, 1e-6, 60)]), RATE)) > 1e-5


def test_every_program_sounds():
    for program in range(128):
        wave = synthesize(one(60, 0.5, program=program), 8000)
        assert np.isfinite(wave).all() and 1e-4 < np.abs(wave).max() <= 1, program


def test_bad_input():
    score = one()
    with pytest.raises(ValueError, match="no notes"):
        synthesize(Score([]))
    for rate in (0, -1, 7999, 96001, 22050.5, "22050", None):
        with pytest.raises(ValueError, match="rate is"):
            synthesize(score, rate)
    for tail in (-1, 31, float("nan")):
        with pytest.raises(ValueError, match="tail is"):
            synthesize(score, tail=tail)
    with pytest.raises(ValueError, match=r"voice 3 has no notes; the score's are \[0\]"):
        synthesize(score, voices=[0, 3])
    with pytest.raises(ValueError, match="check its tempo"):
        synthesize(Score([(0, 1, 60)], tempo=[(0, 0.01)]))
    with pytest.raises(FileNotFoundError):
        synthesize(score, soundfont="nowhere.sf2")


# The parts of a tone -----------------------------------------------------------------------------


def region(wave, loop=None, rate=8000, root=60, **generators):
    sample = Sample(np.asarray(wave, np.int16), loop, rate, root)
    values = {int(Gen[name.upper()]): value for name, value in generators.items()}
    return Region((0, 127), (0, 127), values, sample)


def sine(samples, period):
    return np.round(16384 * np.sin(2 * np.pi * np.arange(samples) / period))


def test_a_sample_at_its_own_pitch_is_itself():
    wave = sine(400, 50)
    sound = tone.render(region(wave), 60, 300, 8000)
    np.testing.assert_allclose(sound[:300], wave[:300] / 32768, atol=1e-6)


def test_loop_goes_on_without_a_seam():
    endless = region(sine(400, 50), loop=(100, 300))
    sound = tone.render(endless, 60, 8000, 8000)
    np.testing.assert_allclose(sound[:8000], sine(8000, 50) / 32768, atol=1e-5)
    octave = tone.render(endless, 72, 8000, 8000)
    np.testing.assert_allclose(octave[200:4000], sine(8000, 25)[200:4000] / 32768, atol=5e-3)


def test_no_aliases():
    """A 3 kHz tone an octave up lies at 6 kHz, more than 8,000 Hz can hold: silence, not 2 kHz."""
    high = region(sine(8000, 8000 / 3000), loop=(0, 8000))
    assert rms(tone.render(high, 72, 8000, 8000)) < 0.002 * rms(tone.render(high, 60, 8000, 8000))


def test_volume_envelope_follows_the_specification():
    rate = 1000
    stages = tone.Stages(delay=0.1, attack=0.2, hold=0.1, decay=1.0, sustain=400, release=0.5)
    level = tone._volume_envelope(stages, 1500, rate)
    decibels = 20 * np.log10(np.maximum(level, 1e-9))
    assert not level[:100].any()
    assert level[200] == pytest.approx(0.5, abs=1e-6)  # half of the attack
    assert level[300] == level[399] == 1
    assert decibels[500] == pytest.approx(-10, abs=1e-3)  # 100 dB per second
    assert decibels[900] == pytest.approx(-40, abs=1e-3)  # sustain of 400 centibels
    assert decibels[1499 + 100] == pytest.approx(-60, abs=1e-3)  # 200 dB per second from there
    assert len(level) == 1500 + 200  # over at -80 dB


def test_filter_passes_low_and_stops_high():
    cutoff = 1200 * np.log2(1000 / 8.176)
    low = region(sine(8000, 80), loop=(0, 8000), filter_cutoff=round(cutoff))  # 100 Hz
    high = region(sine(8000, 8000 / 3200), loop=(0, 8000), filter_cutoff=round(cutoff))
    open_ = region(sine(8000, 80), loop=(0, 8000))
    reference = rms(tone.render(open_, 60, 8000, 8000))
    assert rms(tone.render(low, 60, 8000, 8000)) == pytest.approx(reference, rel=0.02)
    assert rms(tone.render(high, 60, 8000, 8000)) < 0.05 * reference


@pytest.mark.parametrize("cents, q", [(4300, 0), (6000, 60), (8000, 190), (11000, 0)])
def test_moving_filter_equals_a_recursive_one(cents, q):
    """With a cutoff that stays, overlap–add gives what the biquad's recursion gives."""
    rate = 22050
    wave = np.random.default_rng(0).standard_normal(6000).astype(np.float32)
    omega = 2 * np.pi * 8.176 * 2 ** (cents / 1200) / rate
    alpha = np.sin(omega) / (2 * 10 ** (q / 200) * np.sqrt(0.5))
    b = (1 - np.cos(omega)) / 2 / (1 + alpha) / 10 ** (q / 400)
    a1, a2 = -2 * np.cos(omega) / (1 + alpha), (1 - alpha) / (1 + alpha)
    expected = np.zeros(6000)
    x = np.concatenate([[0, 0], wave.astype(float)])
    for n in range(6000):
        one_ago, two_ago = (expected[n - 1] if n > 0 else 0), (expected[n - 2] if n > 1 else 0)
        expected[n] = b * (x[n + 2] + 2 * x[n + 1] + x[n]) - a1 * one_ago - a2 * two_ago
    found = tone._lowpass(wave, np.full(200, float(cents)), q, rate)
    np.testing.assert_allclose(found, expected, atol=2e-3 * np.abs(expected).max())


def test_another_soundfont(tmp_path):
    path = write(
        tmp_path / "sine.sf2",
        presets=[(b"Sine", 0, 0, 1)],
        pzones=[[(Gen.INSTRUMENT, 0)]],
        instruments=[(b"Sine", 1)],
        izones=[[(Gen.SAMPLE_MODES, 1), (Gen.SAMPLE, 0)]],
        samples=[(b"sine", 0, 400, 80, 360, 17600, 69, 0, 0, 1)],
        wave=sine(400, 40),
    )
    wave = synthesize(one(57), RATE, soundfont=path)
    assert fundamental(wave[:RATE], RATE, 220) == pytest.approx(220, abs=0.2)
    assert np.abs(wave).max() == pytest.approx(0.5 * (80 / 127) ** 2 * np.sqrt(0.5), rel=0.01)


# Against FluidSynth ------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("fluidsynth") is None, reason="FluidSynth is not installed")
def test_sounds_like_fluidsynth():
    """One program of each General MIDI family, and drums; the benchmark takes all 129."""
    path = Path(__file__).parents[1] / "benchmarks" / "bench_synth.py"
    spec = importlib.util.spec_from_file_location("bench_synth", path)
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    found = {program: bench.correlation(program) for program in (*range(0, 128, 8), DRUMS)}
    assert min(found.values()) > 0.97, found
    assert np.mean(list(found.values())) > 0.99

"""Synthesis, side by side with FluidSynth, pretty_midi's sine waves and symusic.

Run `python tests/benchmarks/bench_synth.py` (about three minutes on one core). FluidSynth is
Debian's `fluidsynth`; where it is absent its rows are left out. `--programs` prints the correlation
of each program.
"""

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from mlmusic import Score
from mlmusic.audio import log_mel, synthesize
from mlmusic.audio.soundfont import DRUM_BANK, default_soundfont, load

RATE = 44100

# (onset, duration, pitch, velocity): three octaves and a half, soft and loud, short and long, a
# chord, a repeated note, a rest. Our own.
MELODY = [
    (0, 1, 60, 80),
    (1, 0.5, 64, 50),
    (1.5, 0.5, 67, 110),
    (2, 1, 72, 95),
    (3, 0.25, 76, 30),
    (3.25, 0.25, 79, 70),
    (3.5, 0.5, 84, 120),
    (4, 2, 48, 90),
    (4, 1, 55, 60),
    (5, 1, 52, 100),
    (6.5, 0.5, 43, 64),
    (7, 0.1, 60, 100),
    (7.5, 0.5, 69, 40),
    (8, 0.5, 36, 90),
    (8.5, 0.5, 91, 75),
]
BEAT = [
    *((step / 2, 0.25, 42, 50 + 10 * (step % 4)) for step in range(16) if step not in (3, 11)),
    *((onset, 0.25, 36, 100) for onset in (0, 2, 3.5, 4, 6)),
    *((onset, 0.25, 38, 110) for onset in (1, 3, 5, 7)),
    *((onset, 0.5, 46, 90) for onset in (1.5, 5.5)),
    *((0.5 * i, 0.25, pitch, 90) for i, pitch in enumerate((49, 51, 45, 47, 50, 56, 39, 63, 70))),
]


def phrase(program: int) -> Score:
    """Make a phrase for a program, of those pitches that its preset holds.

    FluidSynth is silent on the others, where `synthesize` stretches the nearest sample.
    """
    notes = BEAT if program == DRUM_BANK else MELODY
    held = {
        pitch
        for region in load().regions(program)
        for pitch in range(region.keys[0], region.keys[1] + 1)
    }
    return Score(
        [note for note in notes if note[2] in held], programs={0: program}, tempo=[(0, 100)]
    )


def fluidsynth(score: Score, rate: int = RATE) -> np.ndarray:
    """Render with FluidSynth's command line, reverb and chorus off: (2, samples) float32."""
    with tempfile.TemporaryDirectory() as folder:
        midi, raw = Path(folder, "score.mid"), Path(folder, "sound.raw")
        score.to_midi(midi)
        subprocess.run(
            [
                *("fluidsynth", "-ni", "-q", "-R", "0", "-C", "0", "-g", "1", "-r", str(rate)),
                *("-O", "float", "-T", "raw", "-F", str(raw), str(default_soundfont()), str(midi)),
            ],
            check=True,
            capture_output=True,
        )
        return np.fromfile(raw, "<f4").reshape(-1, 2).T


def correlation(program: int) -> float:
    """Pearson correlation of the two log-mel spectrograms (dB, 80 dB deep) over all their cells."""
    score = phrase(program)
    ours = synthesize(score, RATE)
    theirs = fluidsynth(score).mean(axis=0)[: len(ours)]
    theirs = np.pad(theirs, (0, len(ours) - len(theirs)))
    a, b = (log_mel(wave, RATE).numpy().ravel() for wave in (ours, theirs))
    return float(np.corrcoef(a, b)[0, 1])


def four_voices(seconds: float, expressive: bool, seed: int = 0) -> Score:
    """Make a piece like a chorale; if expressive, hardly two notes are alike."""
    random = np.random.default_rng(seed)
    notes = []
    for voice, middle in enumerate((69, 64, 57, 48)):
        onset = 0.0
        while onset < seconds * 1.5:  # 90 quarter notes a minute
            duration = float(random.choice([0.5, 1, 1, 1, 2]))
            if expressive:
                duration = round(duration * random.uniform(0.9, 1.1) * 480) / 480  # MIDI ticks
            velocity = int(random.integers(40, 110)) if expressive else 80
            notes.append((onset, duration, middle + int(random.integers(-7, 8)), velocity, voice))
            onset += duration
    return Score(notes, tempo=[(0, 90)])


def cpu_seconds(job: Callable[[], object]) -> float:
    """Process CPU seconds of a job, child processes included; the best of three."""

    def used() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + children.ru_utime + children.ru_stime

    times = []
    for _ in range(3):
        start = used()
        job()
        times.append(used() - start)
    return min(times)


def run(programs: Iterable[int] = range(129)) -> list[dict]:
    """Measure; `ours` and `peer` are multiples of real time unless the row says otherwise."""
    have_fluidsynth = shutil.which("fluidsynth") is not None
    rows = []
    load()
    for name, expressive in (("quantised", False), ("expressive", True)):
        score = four_voices(120, expressive)
        length = float(score.seconds(score.duration))
        ours = length / cpu_seconds(lambda score=score: synthesize(score, RATE))
        peers = {
            "pretty_midi synthesize (sine waves)": lambda s=score: s.to_midi().synthesize(RATE)
        }
        if have_fluidsynth:
            peers["FluidSynth, reverb and chorus off"] = lambda s=score: fluidsynth(s)
        try:
            peers["symusic"] = _symusic(score)
        except Exception as error:  # it is only a peer: whatever fails there is worth a note
            what = f"synthesis of 4 voices at 44.1 kHz, {name}, × real time: symusic"
            note = f"symusic's synthesiser raises {type(error).__name__}"
            rows.append(dict(row=what, ours=round(ours), peer=None, ratio=None, note=note))
        for peer, job in peers.items():
            theirs = length / cpu_seconds(job)
            rows.append(
                dict(
                    row=f"synthesis of 4 voices at 44.1 kHz, {name}, × real time: {peer}",
                    ours=round(ours),
                    peer=round(theirs),
                    ratio=round(ours / theirs, 2),
                    note="CPU time; ours mono, FluidSynth stereo with its start"
                    if "Fl" in peer
                    else "",
                )
            )
    if have_fluidsynth:
        found = {program: correlation(program) for program in programs}
        worst = min(found, key=found.get)
        rows.append(
            dict(
                row=f"log-mel correlation with FluidSynth, {len(found)} programs: mean",
                ours=round(float(np.mean(list(found.values()))), 4),
                peer=1.0,
                ratio=None,
                note=f"worst {found[worst]:.4f} (program {worst}), "
                f"drums {found.get(DRUM_BANK, float('nan')):.4f}",
            )
        )
        if "--programs" in sys.argv:
            for program, value in sorted(found.items(), key=lambda item: item[1]):
                print(program, f"{value:.4f}", load().presets.get((0, program), "drums"))
    else:
        rows.append(
            dict(row="FluidSynth", ours=None, peer=None, ratio=None, note="not installed: skipped")
        )
    return rows


def _symusic(score: Score) -> Callable[[], object]:
    import symusic

    piece = symusic.Score.from_midi(score.midi_bytes())
    synthesizer = symusic.Synthesizer(str(default_soundfont()), RATE)
    synthesizer.render(piece, True)  # raises where it can't
    return lambda: synthesizer.render(piece, True)


if __name__ == "__main__":
    for row in run():
        print(row)

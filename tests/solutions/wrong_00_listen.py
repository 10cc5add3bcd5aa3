"""Wrong answers that learners give in chapter 00, and the hint that each must get."""

WRONG = {
    "answer-1": [
        (
            "def frequency(pitch): return 440 + (np.asarray(pitch) - 69) * 440 / 12",
            "doesn't add one",
        ),
        ("def frequency(pitch): return 440 * 2 ** (np.asarray(pitch) / 12)", "A at 440 Hz"),
        ("def frequency(pitch): return 440 * 2 ** ((int(pitch) - 69) // 12)", "doesn't add one"),
        (
            "import math\ndef frequency(p): return 440 * math.pow(2, (p - 69) / 12)",
            "two pitches in",
        ),
    ],
    "answer-2": [
        (
            """
def backwards(score):  # forgets the durations
    notes = score.notes.copy()
    notes["onset"] = score.duration - score.notes["onset"]
    return Score(notes, programs=score.programs)""",
            "where the note ENDED",
        ),
        (
            """
def backwards(score):  # reverses the pitches, keeps the rhythm
    notes = score.notes.copy()
    notes["pitch"] = notes["pitch"][::-1]
    return Score(notes, programs=score.programs)""",
            "rhythm must be reversed",
        ),
        (
            """
def backwards(score):  # loses the instrument
    notes = score.notes.copy()
    notes["onset"] = score.duration - notes["onset"] - notes["duration"]
    return Score(notes)""",
            "keep the programs",
        ),
        ("def backwards(score): return score", "last note of the tune must come first"),
        ("def backwards(score): return score.notes[::-1]", "give back a Score, not ndarray"),
        (
            """
def backwards(score):  # mirrors where notes begin, so that lengths overlap
    notes = score.notes.copy()
    notes["onset"] = notes["onset"].max() - notes["onset"]
    return Score(notes, programs=score.programs)""",
            "no gaps, no overlaps",
        ),
    ],
    "answer-3": [
        (
            """
def encode(row):  # melts repeated notes
    runs = []
    for cell in row:
        if cell == HOLD or (runs and runs[-1][0] == cell):
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((int(cell), 1))
    return runs

def decode(runs):
    row = []
    for pitch, steps in runs:
        row += [pitch] + [REST if pitch == REST else HOLD] * (steps - 1)
    return np.array(row)""",
            "struck twice",
        ),
        (
            """
def encode(row):  # forgets the last run
    runs, current = [], None
    for cell in row:
        if cell == HOLD or (current and cell == REST == current[0]):
            current = (current[0], current[1] + 1)
        else:
            if current:
                runs.append(current)
            current = (int(cell), 1)
    return runs

def decode(runs):
    row = []
    for pitch, steps in runs:
        row += [pitch] + [REST if pitch == REST else HOLD] * (steps - 1)
    return np.array(row)""",
            "last one get lost",
        ),
        (
            """
def encode(row):
    runs = []
    for cell in row:
        if cell == HOLD or (runs and cell == REST == runs[-1][0]):
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((int(cell), 1))
    return runs

def decode(runs):  # strikes the note anew on every step
    return np.repeat([pitch for pitch, _ in runs], [steps for _, steps in runs])""",
            "HOLD where a note goes on",
        ),
    ],
    "answer-4": [
        (
            """
def pitch_of(wave, rate):  # takes the real part for the strength
    strongest = np.fft.rfftfreq(len(wave), 1 / rate)[np.argmax(np.fft.rfft(wave))]
    return round(69 + 12 * np.log2(max(strongest, 1) / 440))""",
            "SIZE of the complex number|440",
        ),
        (
            """
def pitch_of(wave, rate):  # takes the index for hertz
    strongest = np.argmax(np.abs(np.fft.rfft(wave)))
    return round(69 + 12 * np.log2(max(strongest, 1) / 440))""",
            "index in the spectrum isn't the frequency",
        ),
        (
            """
def pitch_of(wave, rate):  # rounds down
    strength = np.abs(np.fft.rfft(wave))
    strongest = np.fft.rfftfreq(len(wave), 1 / rate)[np.argmax(strength)]
    return int(69 + 12 * np.log2(strongest / 440))""",
            "a little flat is still a C|pitch 57|440",
        ),
        (
            """
def pitch_of(wave, rate):  # forgets the rate
    strongest = np.fft.rfftfreq(len(wave), 1 / 22_050)[np.argmax(np.abs(np.fft.rfft(wave)))]
    return round(69 + 12 * np.log2(strongest / 440))""",
            "another rate",
        ),
    ],
    "answer-5": [
        (
            """
def same_tune(a, b):  # forgets that a piece may begin with silence
    a, b = a.notes, b.notes
    return len(a) == len(b) and bool(
        (np.diff(a["pitch"]) == np.diff(b["pitch"])).all()
        and (a["onset"] == b["onset"]).all()
        and (a["duration"] == b["duration"]).all()
    )""",
            "silence before it",
        ),
        (
            """
def same_tune(a, b):  # lengths and intervals, but no rests
    a, b = a.notes, b.notes
    return len(a) == len(b) and bool(
        (np.diff(a["pitch"]) == np.diff(b["pitch"])).all()
        and (a["duration"] == b["duration"]).all()
    )""",
            "rest in the middle|another rhythm",
        ),
        ("def same_tune(a, b): return a == b", "still the same tune"),
        (
            """
def same_tune(a, b):  # ignores the rhythm
    return np.array_equal(np.diff(a.notes["pitch"]), np.diff(b.notes["pitch"]))""",
            "another rhythm",
        ),
        (
            """
def same_tune(a, b):  # stops at the shorter one
    pairs = zip(np.diff(a.notes["pitch"]), np.diff(b.notes["pitch"]))
    return all(x == y for x, y in pairs)""",
            "missing at the end",
        ),
        (
            """
def same_tune(a, b):  # compares pitch classes, so every octave looks alike
    return sorted(a.notes["pitch"] % 12) == sorted(b.notes["pitch"] % 12)""",
            "still the same tune",
        ),
    ],
    "answer-6": [
        (
            """
def read_messages_mended(messages):  # a toggle: every second message of a key ends it
    now, started, notes = 0, {}, []
    for _, pitch, _, wait in messages:
        now += wait
        if pitch in started:
            notes.append((started.pop(pitch), now, pitch))
        else:
            started[pitch] = now
    return notes""",
            "starts nothing and ends nothing",
        ),
        ("read_messages_mended = read_messages", "released with velocity 0"),
        (
            """
def read_messages_mended(messages):  # drops the releases altogether
    return read_messages([m for m in messages if m[2] > 0 or m[0] == "note_off"])""",
            "released with velocity 0",
        ),
        (
            """
def read_messages_mended(messages):  # no longer understands note_off
    now, started, notes = 0, {}, []
    for kind, pitch, velocity, wait in messages:
        now += wait
        if velocity > 0:
            started[pitch] = now
        elif kind == "note_on" and pitch in started:
            notes.append((started.pop(pitch), now, pitch))
    return notes""",
            "note_off must still work|released with velocity 0",
        ),
        (
            """
def read_messages_mended(messages):  # a release ends whatever was struck last
    now, last, notes = 0, None, []
    for kind, pitch, velocity, wait in messages:
        now += wait
        if kind == "note_on" and velocity > 0:
            last = (now, pitch)
        elif last:
            notes.append((last[0], now, last[1]))
            last = None
    return notes""",
            "each release must end its own note",
        ),
    ],
}

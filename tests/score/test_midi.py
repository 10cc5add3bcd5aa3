import io
import struct
import time

import mido
import numpy as np
import pretty_midi
import pytest
from hypothesis import given

from mlmusic import Score
from mlmusic.score import midi
from tests.score.strategies import melodies
from tests.score.test_core import TUNE

MUTATIONS = 4_000


def chunk(name, data):
    return name + struct.pack(">I", len(data)) + data


def file_of(*tracks, kind=1, division=480):
    """A MIDI file from the bytes of its tracks."""
    end = b"\x00\xff\x2f\x00"
    header = chunk(b"MThd", struct.pack(">HHH", kind, len(tracks), division))
    return header + b"".join(chunk(b"MTrk", track + end) for track in tracks)


def notes_of(data):
    return [note[:3] for note in Score.from_midi(data).notes.tolist()]


@given(melodies())
def test_round_trip_is_exact(score):
    assert (Score.from_midi(score.midi_bytes()).notes == score.notes).all()


def test_round_trip_keeps_all_that_midi_can_hold(tmp_path):
    assert Score.from_midi(TUNE.midi_bytes()) == TUNE
    TUNE.to_midi(tmp_path / "tune.mid")
    assert Score.from_midi(tmp_path / "tune.mid") == TUNE
    assert Score.from_midi(str(tmp_path / "tune.mid")) == TUNE
    assert TUNE.midi_bytes() == TUNE.midi_bytes()


def test_pretty_midi_agrees_with_us_in_seconds():
    converted = TUNE.to_midi()
    assert isinstance(converted, pretty_midi.PrettyMIDI)
    theirs = sorted((n.start, n.end, n.pitch) for i in converted.instruments for n in i.notes)
    onset, end = TUNE.notes["onset"], TUNE.notes["onset"] + TUNE.notes["duration"]
    ours = sorted(
        zip(TUNE.seconds(onset), TUNE.seconds(end), TUNE.notes["pitch"].tolist(), strict=True)
    )
    assert np.allclose(theirs, ours)
    assert converted.instruments[1].program == 32
    assert (Score.from_midi(converted).notes == TUNE.notes).all()


def test_voice_numbers_survive_gaps():
    score = Score([(0, 1, 60, 80, 3), (0, 1, 50, 80, 7)])
    assert Score.from_midi(score.midi_bytes()) == score


def test_drums_use_the_drum_channel():
    score = Score([(0, 1, 36, 80, 0), (0, 1, 60, 80, 1)], programs={0: 128, 1: 12})
    again = Score.from_midi(score.midi_bytes())
    assert again == score
    assert [i.is_drum for i in score.to_midi().instruments] == [True, False]


def test_an_empty_score_round_trips():
    assert Score.from_midi(Score([]).midi_bytes()) == Score([])


def test_titles_and_lyrics_beyond_latin():
    score = Score([(0, 1, 60)], title="Für Élise – 音楽", lyrics={0: [(0, "grüß-")]})
    assert Score.from_midi(score.midi_bytes()) == score


def test_latin_1_text_of_older_files_is_read():
    track = b"\x00\xff\x03\x05\x47r\xfc\xdfe" + b"\x00\x90\x3c\x50\x60\x3c\x00"
    assert Score.from_midi(file_of(track, kind=0)).title == "Grüße"


def test_times_that_no_resolution_holds():
    score = Score([(0, 1, 60), (1, 0.123456789, 62)])
    with pytest.raises(ValueError, match=r"note 1, onset 1.0, fits no MIDI resolution"):
        score.midi_bytes()
    again = Score.from_midi(score.midi_bytes(quantize=True))
    assert again.notes["duration"][1] == pytest.approx(0.123456789, abs=0.5 / 10080)


def test_what_midi_cannot_hold_is_named():
    with pytest.raises(ValueError, match=r"pitch 60 of voice 0 is struck while it still sounds"):
        Score([(0, 2, 60), (1, 1, 60)]).midi_bytes()
    with pytest.raises(ValueError, match="shorter than a tick"):
        Score([(0, 1e-10, 60)]).midi_bytes()
    with pytest.raises(ValueError, match="slowest tempo is 3.58"):
        Score([(0, 1, 60)], tempo=[(0, 1)]).midi_bytes()
    with pytest.raises(ValueError, match="15 melodic channels; this score has 16 voices"):
        Score([(0, 1, 60, 80, voice) for voice in range(16)]).midi_bytes()


# Odd but legal ---------------------------------------------------------------------------------

C4_ON, C4_OFF = b"\x90\x3c\x50", b"\x80\x3c\x40"


def test_format_0_splits_channels_into_voices():
    track = b"\x00\x90\x3c\x50\x00\x91\x30\x50\x83\x60\x80\x3c\x00\x00\x81\x30\x00"
    assert Score.from_midi(file_of(track, kind=0)).notes["voice"].tolist() == [0, 1]


def test_running_status():
    track = b"\x00\x90\x3c\x50\x83\x60\x3c\x00\x00\x3e\x50\x83\x60\x3e\x00"
    assert notes_of(file_of(track, kind=0)) == [(0, 1, 60), (1, 1, 62)]


def test_a_note_without_note_off_ends_with_its_track():
    track = b"\x00" + C4_ON + b"\x83\x60\x90\x3e\x50\x83\x60\x80\x3e\x00"
    assert notes_of(file_of(track)) == [(0, 2, 60), (1, 1, 62)]


def test_a_zero_length_note_lasts_a_tick():
    track = b"\x00" + C4_ON + b"\x00" + C4_OFF
    assert notes_of(file_of(track)) == [(0, 1 / 480, 60)]


def test_overlapping_notes_of_one_pitch_end_in_the_order_they_began():
    track = b"\x00" + C4_ON + b"\x83\x60" + C4_ON + b"\x83\x60" + C4_OFF + b"\x83\x60" + C4_OFF
    assert notes_of(file_of(track)) == [(0, 2, 60), (1, 2, 60)]


def test_tempo_changes_wherever_they_stand():
    slow = b"\x00\xff\x51\x03\x0f\x42\x40"
    fast = b"\x83\x60\xff\x51\x03\x03\xd0\x90"
    score = Score.from_midi(file_of(slow, b"\x00" + C4_ON + fast + b"\x00" + C4_OFF))
    assert score.tempo == [(0, 60), (1, 240)]


def test_pickups_are_recognised():
    beat, bar = b"\x00\xff\x58\x04\x01\x02\x18\x08", b"\x83\x60\xff\x58\x04\x03\x02\x18\x08"
    note = b"\x00" + C4_ON + b"\x8f\x00" + C4_OFF
    assert Score.from_midi(file_of(beat + bar, note)).metre == [(1, 3, 4)]


def test_format_2_and_smpte_are_refused_with_the_reason():
    track = b"\x00" + C4_ON + b"\x60" + C4_OFF
    assert len(Score.from_midi(file_of(track, kind=2))) == 1
    with pytest.raises(ValueError, match="format 2"):
        Score.from_midi(file_of(track, track, kind=2))
    with pytest.raises(ValueError, match="SMPTE"):
        Score.from_midi(file_of(track, division=0xE728))


# Broken ----------------------------------------------------------------------------------------

GOOD = TUNE.midi_bytes()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "isn't a MIDI file"),
        (b"RIFF" + GOOD, "isn't a MIDI file"),
        (GOOD[:10], "cut short: its header"),
        (GOOD[:-20], "cut short"),
        (file_of(b"", division=0), "0 ticks a quarter note"),
        (file_of(b"\x00\xff\x51\x03\x00\x00\x00"), "tempo of 0 microseconds"),
        (file_of(b"\x00\x90\xf0\x50"), "corrupt"),
        (file_of(b"\xff\xff\xff\x7f" * 30 + b"\x00" + C4_ON), "corrupt|cut short"),
        (file_of(b"\xff" * 1_000_000), "high bit"),
        (GOOD + bytes(midi.MAX_BYTES), "the most is"),
    ],
)
def test_broken_files_are_refused_with_the_reason(data, message):
    with pytest.raises(ValueError, match=message):
        Score.from_midi(data)


def test_what_is_not_a_file(tmp_path):
    (tmp_path / "notes.mid").write_text("not music")
    with pytest.raises(ValueError, match=r"notes\.mid isn't a MIDI file"):
        Score.from_midi(tmp_path / "notes.mid")
    with pytest.raises(FileNotFoundError):
        Score.from_midi(tmp_path / "missing.mid")
    with pytest.raises(ValueError, match="can't read MIDI from int"):
        Score.from_midi(3)


def test_a_million_notes_are_refused_before_they_are_parsed(tmp_path):
    path = tmp_path / "million.mid"
    path.write_bytes(file_of((b"\x01" + C4_ON + b"\x01" + C4_OFF) * 1_000_000))
    with pytest.raises(ValueError, match=r"million.mid has 8,000,\d\d\d bytes"):
        Score.from_midi(path)


def test_mutated_files_never_crash_or_hang():
    """Every mutation loads, or raises ValueError within two CPU seconds."""
    rng = np.random.default_rng(20_260_819)
    dense = Score([(i / 4, 0.5, 40 + i % 40, 80, i % 3) for i in range(120)]).midi_bytes()
    outcomes = {"loaded": 0, "refused": 0}
    for i in range(MUTATIONS):
        data = bytearray(GOOD if i % 2 else dense)
        for _ in range(rng.integers(1, 9)):
            at = int(rng.integers(len(data)))
            kind = rng.integers(5)
            if kind == 0:
                data[at] ^= 1 << int(rng.integers(8))
            elif kind == 1:
                data[at] = int(rng.integers(256))
            elif kind == 2:
                del data[at : at + int(rng.integers(1, 9))]
            elif kind == 3:
                data[at:at] = rng.integers(0, 256, rng.integers(1, 9), np.uint8).tobytes()
            else:
                data = data[: max(at, 80)]
        began = time.process_time()
        try:
            score = Score.from_midi(bytes(data))
            outcomes["loaded"] += 1
            Score.from_midi(score.midi_bytes(quantize=True))
        except ValueError as error:
            outcomes["refused"] += 1
            assert "\n" not in str(error)
        assert time.process_time() - began < 2
    assert min(outcomes.values()) > MUTATIONS // 20  # both ways were tried


def test_mido_reads_what_we_write():
    theirs = mido.MidiFile(file=io.BytesIO(GOOD))
    assert theirs.type == 1 and theirs.length == pytest.approx(float(TUNE.seconds(7)))

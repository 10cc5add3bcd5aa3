"""The SoundFont reader: on the installed SoundFont, and on small files made here."""

import importlib.util
import struct

import numpy as np
import pytest

from mlmusic.audio import soundfont as sf2
from mlmusic.audio.soundfont import Gen


def chunk(name, data):
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def records(dtype, rows):
    return np.array(rows, dtype).tobytes()


def write(path, presets, pzones, instruments, izones, samples, wave):
    """Write a SoundFont. Zones are lists of (generator, amount); presets and instruments are
    (…, number of zones)."""

    def bags(zones):
        starts = np.cumsum([0] + [len(zone) for zone in zones])
        return records(sf2._BAG, [(int(start), 0) for start in starts])

    def generators(zones):
        rows = [(int(kind), amount) for zone in zones for kind, amount in zone]
        return records(sf2._GENERATOR, [*rows, (0, 0)])

    headers, at = [], 0
    for name, bank, program, count in presets:
        headers.append((name, program, bank, at, (0, 0, 0)))
        at += count
    headers.append((b"EOP", 0, 0, at, (0, 0, 0)))
    inst, at = [], 0
    for name, count in instruments:
        inst.append((name, at))
        at += count
    inst.append((b"EOI", at))
    pdta = b"".join(
        [
            chunk(b"phdr", records(sf2._PRESET, headers)),
            chunk(b"pbag", bags(pzones)),
            chunk(b"pgen", generators(pzones)),
            chunk(b"inst", records(sf2._INSTRUMENT, inst)),
            chunk(b"ibag", bags(izones)),
            chunk(b"igen", generators(izones)),
            chunk(b"shdr", records(sf2._SAMPLE, [*samples, (b"EOS", *[0] * 9)])),
        ]
    )
    sdta = chunk(b"smpl", np.asarray(wave, "<i2").tobytes())
    body = b"sfbk" + chunk(b"LIST", b"sdta" + sdta) + chunk(b"LIST", b"pdta" + pdta)
    path.write_bytes(chunk(b"RIFF", body))
    return path


def key_range(low, high):
    return (Gen.KEY_RANGE, low | high << 8)


@pytest.fixture
def tiny(tmp_path):
    """One preset of two zones (the first is global) over one instrument of two regions."""
    wave = np.round(10000 * np.sin(2 * np.pi * np.arange(400) / 40)).astype(np.int16)
    return write(
        tmp_path / "tiny.sf2",
        presets=[(b"Tiny", 0, 5, 2)],
        pzones=[
            [(Gen.ATTENUATION, 10)],
            [key_range(20, 100), (Gen.ATTACK, 100), (Gen.INSTRUMENT, 0)],
        ],
        instruments=[(b"Tiny", 3)],
        izones=[
            [(Gen.PAN, -500), (Gen.ATTENUATION, 5)],
            [key_range(0, 59), (Gen.SAMPLE, 0)],
            [key_range(60, 127), (Gen.PAN, 500), (Gen.SAMPLE_MODES, 1), (Gen.SAMPLE, 0)],
        ],
        samples=[(b"sine", 0, 400, 80, 360, 8000, 57, 50, 0, 1)],
        wave=wave,
    )


def test_general_midi_is_complete():
    font = sf2.load()
    names = font.presets
    assert all((0, program) in names for program in range(128))
    assert (128, 0) in names
    for program in range(129):
        regions = font.regions(program)
        assert regions
        for region in regions:
            assert 0 <= region.keys[0] <= region.keys[1] <= 127
            assert region.sample.wave.dtype == np.int16
            if region.sample.loop:
                assert 0 <= region.sample.loop[0] < region.sample.loop[1] <= len(region.sample.wave)


def test_samples_stay_in_the_file():
    wave = sf2.load().regions(0)[0].sample.wave
    while not isinstance(wave, np.memmap):
        wave = wave.base
    assert isinstance(wave, np.memmap)
    assert sf2.load() is sf2.load()


def test_zones_inherit_add_and_intersect(tiny):
    low, high = sf2.SoundFont(tiny).regions(5)
    assert (low.keys, high.keys) == ((20, 59), (60, 100))  # instrument range within preset range
    assert low[Gen.PAN] == -500 and high[Gen.PAN] == 500  # a zone's own value beats the global one
    assert low[Gen.ATTENUATION] == 15  # preset 10 + instrument 5
    assert low[Gen.ATTACK] == -12000 + 100  # preset + the instrument's default
    assert low[Gen.FILTER_CUTOFF] == 13500  # the default
    assert low.sample.root == 57 - 0.5  # original pitch less the correction of 50 cents
    assert low.sample.rate == 8000
    assert low.sample.loop is None and high.sample.loop == (80, 360)


def test_missing_programs_fall_back(tiny):
    font = sf2.SoundFont(tiny)
    for program in (0, 5, 77, 128):  # it has one preset, which plays everything
        assert len(font.regions(program)) == 2


def test_family_stands_in(tmp_path, tiny):
    zone = [(Gen.SAMPLE, 0)]
    path = write(
        tmp_path / "two.sf2",
        presets=[(b"Piano", 0, 0, 1), (b"Violin", 0, 40, 1), (b"Kit", 128, 8, 1)],
        pzones=[[(Gen.INSTRUMENT, i)] for i in range(3)],
        instruments=[(b"a", 1), (b"b", 1), (b"c", 1)],
        izones=[[(Gen.PAN, i), *zone] for i in range(3)],
        samples=[(b"s", 0, 50, 0, 0, 8000, 60, 0, 0, 1)],
        wave=np.arange(50),
    )
    font = sf2.SoundFont(path)
    pans = [font.regions(program)[0][Gen.PAN] for program in (0, 7, 43, 90, 128)]
    assert pans == [0, 0, 1, 0, 2]


def test_bad_files(tmp_path, tiny):
    with pytest.raises(FileNotFoundError):
        sf2.SoundFont(tmp_path / "nowhere.sf2")
    whole = tiny.read_bytes()
    for name, data, message in [
        ("empty", b"", "not a SoundFont 2"),
        ("midi", b"MThd" + bytes(40), "not a SoundFont 2"),
        ("wav", b"RIFF\x20\0\0\0WAVE" + bytes(40), "not a SoundFont 2"),
        ("short", whole[:-30], "cut short"),
        ("hollow", whole[:12], "no 'smpl' chunk"),
    ]:
        path = tmp_path / f"{name}.sf2"
        path.write_bytes(data)
        with pytest.raises(ValueError, match=message):
            sf2.SoundFont(path)


def test_mutated_files_raise_nothing_else(tmp_path, tiny):
    random = np.random.default_rng(0)
    whole = np.frombuffer(tiny.read_bytes(), np.uint8)
    refused = 0
    for i in range(300):
        bytes_ = whole.copy()
        # Two bytes of the tables, which come after the samples.
        bytes_[random.integers(830, len(whole), 2)] = random.integers(0, 256, 2)
        path = tmp_path / f"{i}.sf2"
        path.write_bytes(bytes_.tobytes())
        try:
            sf2.SoundFont(path).regions(5)
        except ValueError:
            refused += 1
    assert 0 < refused < 300


def test_missing_soundfont_says_what_to_do(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install --force-reinstall pretty_midi"):
        sf2.default_soundfont()

"""Read a SoundFont 2 file: RIFF chunks → presets → zones → samples.

A SoundFont is a box of short recordings and of instructions for stretching them over the keyboard.
A *preset* (what a MIDI program number selects) points to *instruments*, an instrument to *samples*;
each pointer is a *zone* that holds for a range of keys and velocities and carries *generators*,
numbers that set pitch, loudness, filter and envelopes. Section numbers refer to the SoundFont
Technical Specification 2.04 (E-mu Systems / Creative, 2006).
"""

import functools
import importlib.util
import os
import struct
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np

__all__ = ["Gen", "Region", "Sample", "SoundFont", "default_soundfont", "load"]

DRUM_BANK = 128


class Gen(IntEnum):
    """Generators, section 8.1.2. Times in timecents, pitches in cents, levels in centibels."""

    START_OFFSET = 0
    END_OFFSET = 1
    LOOP_START_OFFSET = 2
    LOOP_END_OFFSET = 3
    START_COARSE_OFFSET = 4  # coarse offsets count 32,768 samples
    MOD_LFO_TO_PITCH = 5
    VIB_LFO_TO_PITCH = 6
    MOD_ENV_TO_PITCH = 7
    FILTER_CUTOFF = 8
    FILTER_Q = 9
    MOD_LFO_TO_FILTER = 10
    MOD_ENV_TO_FILTER = 11
    END_COARSE_OFFSET = 12
    MOD_LFO_TO_VOLUME = 13
    PAN = 17  # tenths of a per cent, -500 is left
    MOD_LFO_DELAY = 21
    MOD_LFO_FREQUENCY = 22
    VIB_LFO_DELAY = 23
    VIB_LFO_FREQUENCY = 24
    MOD_ENV_DELAY = 25
    MOD_ENV_ATTACK = 26
    MOD_ENV_HOLD = 27
    MOD_ENV_DECAY = 28
    MOD_ENV_SUSTAIN = 29  # tenths of a per cent below the peak
    MOD_ENV_RELEASE = 30
    KEY_TO_MOD_ENV_HOLD = 31
    KEY_TO_MOD_ENV_DECAY = 32
    DELAY = 33  # 33–40: the volume envelope
    ATTACK = 34
    HOLD = 35
    DECAY = 36
    SUSTAIN = 37
    RELEASE = 38
    KEY_TO_HOLD = 39
    KEY_TO_DECAY = 40
    INSTRUMENT = 41
    KEY_RANGE = 43
    VELOCITY_RANGE = 44
    LOOP_START_COARSE_OFFSET = 45
    FIXED_KEY = 46
    FIXED_VELOCITY = 47
    ATTENUATION = 48
    LOOP_END_COARSE_OFFSET = 50
    COARSE_TUNE = 51
    FINE_TUNE = 52
    SAMPLE = 53
    SAMPLE_MODES = 54
    SCALE_TUNING = 56
    EXCLUSIVE_CLASS = 57
    ROOT_KEY = 58


_INSTANT = -12000  # timecents: 2^-10 s, the specification's "no time at all"

# Section 8.1.3: what a generator is where no zone sets it (0 for those not listed).
DEFAULTS = {
    Gen.FILTER_CUTOFF: 13500,
    Gen.MOD_LFO_DELAY: _INSTANT,
    Gen.VIB_LFO_DELAY: _INSTANT,
    **{Gen(g): _INSTANT for g in (25, 26, 27, 28, 30, 33, 34, 35, 36, 38)},
    Gen.FIXED_KEY: -1,
    Gen.FIXED_VELOCITY: -1,
    Gen.SCALE_TUNING: 100,
    Gen.ROOT_KEY: -1,
}

# Section 8.5: a preset's values are added to the instrument's, but for these, which belong to the
# instrument alone.
_INSTRUMENT_ONLY = {0, 1, 2, 3, 4, 12, 41, 43, 44, 45, 46, 47, 50, 53, 54, 57, 58}

# Section 7: the records of the `pdta` list.
_PRESET = np.dtype(
    [("name", "S20"), ("program", "<u2"), ("bank", "<u2"), ("bag", "<u2"), ("unused", "<u4", 3)]
)
_INSTRUMENT = np.dtype([("name", "S20"), ("bag", "<u2")])
_BAG = np.dtype([("generator", "<u2"), ("modulator", "<u2")])
_GENERATOR = np.dtype([("kind", "<u2"), ("amount", "<i2")])
_SAMPLE = np.dtype(
    [
        ("name", "S20"),
        *((field, "<u4") for field in ("start", "end", "loop_start", "loop_end", "rate")),
        ("root", "u1"),
        ("correction", "i1"),
        ("link", "<u2"),
        ("type", "<u2"),
    ]
)
_RECORDS = {
    "phdr": _PRESET,
    "pbag": _BAG,
    "pgen": _GENERATOR,
    "inst": _INSTRUMENT,
    "ibag": _BAG,
    "igen": _GENERATOR,
    "shdr": _SAMPLE,
}
_ROM = 0x8000  # sample type flag: the sound is in a chip that we haven't got


@dataclass(frozen=True, eq=False)
class Sample:
    """One recording.

    Attributes
    ----------
    wave : np.ndarray
        (samples,) int16, a view of the file.
    loop : tuple of int, or None
        First sample of the loop and the one after its last; None where the sound simply ends.
    rate : int
        Samples per second.
    root : float
        The MIDI pitch that it sounds at when played at `rate`.
    """

    wave: np.ndarray
    loop: tuple[int, int] | None
    rate: int
    root: float


@dataclass(frozen=True, eq=False)
class Region:
    """A sample with everything that tells how to play it: an instrument zone within a preset zone.

    `region[Gen.ATTACK]` is the generator's value, or its default.
    """

    keys: tuple[int, int]
    velocities: tuple[int, int]
    generators: dict[int, int]
    sample: Sample

    def __getitem__(self, generator: Gen) -> int:
        return self.generators.get(generator, DEFAULTS.get(generator, 0))


class SoundFont:
    """A SoundFont 2 file, its samples mapped into memory rather than read.

    Parameters
    ----------
    path : path-like
        An `.sf2` file.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file is not a complete SoundFont 2.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        chunks = _chunks(self.path)
        missing = [name for name in ("smpl", *_RECORDS) if name not in chunks]
        if missing:
            raise ValueError(f"{self.path} is not a SoundFont 2 file: no {missing[0]!r} chunk")
        offset, size = chunks.pop("smpl")
        self._wave = np.memmap(self.path, "<i2", mode="r", offset=offset, shape=(size // 2,))
        self._records = {}
        with open(self.path, "rb") as file:
            for name, dtype in _RECORDS.items():
                file.seek(chunks[name][0])
                self._records[name] = np.fromfile(file, dtype, chunks[name][1] // dtype.itemsize)
        # The last record of each list only marks the end (section 7.2).
        self._presets = {
            (int(row["bank"]), int(row["program"])): index
            for index, row in enumerate(self._records["phdr"][:-1])
        }
        if not self._presets:
            raise ValueError(f"{self.path} holds no presets")
        self._regions: dict[tuple[int, int], list[Region]] = {}

    @property
    def presets(self) -> dict[tuple[int, int], str]:
        """Names of the presets by (bank, program); drum kits are in bank 128."""
        rows = self._records["phdr"]
        return {key: rows[i]["name"].decode("latin-1") for key, i in self._presets.items()}

    def regions(self, program: int) -> list[Region]:
        """Every region of a General MIDI program.

        Parameters
        ----------
        program : int
            0–127, or 128 for the drum kit. A program that this SoundFont lacks is played by the
            first of its General MIDI family of eight, else by the SoundFont's first preset.

        Returns
        -------
        list of Region
        """
        wanted = (DRUM_BANK, 0) if program == DRUM_BANK else (0, program)
        family = (wanted[0], program // 8 * 8)
        preset = next((key for key in (wanted, family) if key in self._presets), None)
        if preset is None:  # any preset of the right bank, drums only where nothing else is left
            preset = min(self._presets, key=lambda key: (key[0] != wanted[0], key))
        if preset not in self._regions:
            try:
                self._regions[preset] = self._read_regions(self._presets[preset])
            except IndexError:
                raise ValueError(f"{self.path} is damaged: preset {preset} is incomplete") from None
        return self._regions[preset]

    def _zones(self, which: str, index: int) -> list[tuple[tuple, tuple, dict[int, int]]]:
        """Zones of a preset ("p") or instrument ("i"): key range, velocity range, generators."""
        headers = self._records["phdr" if which == "p" else "inst"]
        bags, generators = self._records[which + "bag"], self._records[which + "gen"]
        pointer = Gen.INSTRUMENT if which == "p" else Gen.SAMPLE
        common: dict[int, int] = {}
        zones = []
        first, last = int(headers[index]["bag"]), int(headers[index + 1]["bag"])
        for bag in range(first, last):
            rows = generators[int(bags[bag]["generator"]) : int(bags[bag + 1]["generator"])]
            own = dict(zip(rows["kind"].tolist(), rows["amount"].tolist(), strict=True))
            if pointer in own:
                zone = common | own  # a zone's own values replace the global zone's (section 9.4)
                ranges = (_range(zone.get(g)) for g in (Gen.KEY_RANGE, Gen.VELOCITY_RANGE))
                zones.append((*ranges, zone))
            elif bag == first:
                common = own  # the global zone (section 7.3): a first zone that points nowhere
        return zones

    def _read_regions(self, preset: int) -> list[Region]:
        regions = []
        for keys, velocities, above in self._zones("p", preset):
            for low_keys, low_velocities, zone in self._zones("i", above[Gen.INSTRUMENT]):
                both_keys = _overlap(keys, low_keys)
                both_velocities = _overlap(velocities, low_velocities)
                if not both_keys or not both_velocities:
                    continue
                total = dict(zone)
                for kind, amount in above.items():
                    if kind not in _INSTRUMENT_ONLY:
                        total[kind] = total.get(kind, DEFAULTS.get(kind, 0)) + amount
                sample = self._sample(zone)
                if sample is not None:
                    regions.append(Region(both_keys, both_velocities, total, sample))
        return regions

    def _sample(self, zone: dict[int, int]) -> Sample | None:
        """Cut a zone's recording out of the file, its addresses shifted by the zone's offsets."""
        row = self._records["shdr"][zone[Gen.SAMPLE]]
        if row["type"] & _ROM:
            return None

        def address(field: str, fine: Gen, coarse: Gen) -> int:
            offset = zone.get(fine, 0) + 32768 * zone.get(coarse, 0)
            return min(max(int(row[field]) + offset, 0), len(self._wave))

        start = address("start", Gen.START_OFFSET, Gen.START_COARSE_OFFSET)
        end = address("end", Gen.END_OFFSET, Gen.END_COARSE_OFFSET)
        if end - start < 2 or not 400 <= row["rate"] <= 192_000:  # 50,000 is section 7.10's limit
            return None
        loop = None
        if zone.get(Gen.SAMPLE_MODES, 0) & 1:
            first = address("loop_start", Gen.LOOP_START_OFFSET, Gen.LOOP_START_COARSE_OFFSET)
            after = address("loop_end", Gen.LOOP_END_OFFSET, Gen.LOOP_END_COARSE_OFFSET)
            if start <= first < after - 1 and after <= end:
                loop = (first - start, after - start)
        root = zone.get(Gen.ROOT_KEY, -1)
        root = root if 0 <= root <= 127 else int(row["root"]) if row["root"] <= 127 else 60
        root -= int(row["correction"]) / 100
        return Sample(self._wave[start:end], loop, int(row["rate"]), root)


def _chunks(path: Path) -> dict[str, tuple[int, int]]:
    """Where each chunk's data lies in a RIFF file: name -> (offset, bytes). Section 3.

    A chunk is a four-letter name, a 32-bit length and the data; a LIST holds more chunks.
    """
    size = path.stat().st_size
    found = {}
    with open(path, "rb") as file:
        head = file.read(12)
        if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"sfbk":
            raise ValueError(f"{path} is not a SoundFont 2 file")
        at = 12
        while at + 8 <= size:
            file.seek(at)
            name, length = struct.unpack("<4sI", file.read(8))
            if name == b"LIST":
                at += 12  # step inside, past the list's own name
                continue
            if at + 8 + length > size:
                raise ValueError(f"{path} is cut short: {name!r} goes on past the end of the file")
            found[name.decode("latin-1")] = (at + 8, length)
            at += 8 + length + length % 2  # chunks are padded to an even length
    return found


def _range(amount: int | None) -> tuple[int, int]:
    """Low and high byte of a range generator; the whole range where there is none."""
    return (0, 127) if amount is None else (amount & 0xFF, amount >> 8 & 0xFF)


def _overlap(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int] | None:
    low, high = max(a[0], b[0]), min(a[1], b[1])
    return (low, high) if low <= high else None


def default_soundfont() -> Path:
    """Path of the General MIDI SoundFont that pretty_midi installs (TimGM6mb, by Tim Brechbill).

    It is under the GNU General Public License, so it is used where it lies and never copied.

    Raises
    ------
    FileNotFoundError
        pretty_midi, or the SoundFont in it, is not installed.
    """
    spec = importlib.util.find_spec("pretty_midi")  # finds the folder without importing anything
    for folder in (spec and spec.submodule_search_locations) or []:
        for path in sorted(Path(folder).glob("*.sf2")):
            return path
    raise FileNotFoundError(
        "no SoundFont: pretty_midi's TimGM6mb.sf2 is missing; "
        "run `pip install --force-reinstall pretty_midi`, or pass soundfont='path/to/file.sf2'"
    )


def load(path: str | os.PathLike | None = None) -> SoundFont:
    """Open a SoundFont once; later calls get the same object. None stands for the default one."""
    return _load(Path(path) if path is not None else default_soundfont())


@functools.lru_cache(maxsize=4)
def _load(path: Path) -> SoundFont:
    return SoundFont(path)

"""``play``: hear and see a score or a waveform, or compare several.

A player is HTML: for each version a picture (``<img>``) and its sound (``<audio>``, MP3 as a data
URI). That much survives everywhere: a notebook reopened untrusted, an export without a kernel. A
script (player.js) then turns it into one player with a moving playhead, loops, versions side by
side, tempo and keys. It needs no network and no widget.

To change what a player plays when a slider moves, display it once and update it:

>>> from IPython.display import display
>>> handle = display(play(score), display_id=True)                          # doctest: +SKIP
>>> slider.observe(lambda change: handle.update(play(make(change.new))))    # doctest: +SKIP

Driven in JupyterLab 4, Notebook 7, the classic notebook and an HTML export by tests/browser; not
verified by a person in VS Code and Colab themselves.

The first player is part of the notebook as it was run; what replaces it is, too, once saved. (A
player displayed inside an ipywidgets.Output works as well, but isn't saved with the notebook.)
"""

from __future__ import annotations

import json
import re
import zlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np

from mlmusic.audio import encode, synthesize
from mlmusic.audio.codec import MP3_RATES
from mlmusic.describe import CHOIR, DRUMS, describe, describe_wave, differences, facts, short_names
from mlmusic.describe import voice_names as name_voices
from mlmusic.notation import engrave
from mlmusic.pictures import Picture, piano_roll, swatch, waveform
from mlmusic.score import Score

VIEWS = ("roll", "notation")
MOST_VERSIONS = 9  # one for each number key
MOST_ENGRAVED = 3000  # notes; a longer score shows its roll only
LOUDNESS = 0.7  # the peak that scores are brought to; synthesis alone leaves room for an orchestra


@dataclass(frozen=True)
class _Version:
    """One thing to hear: a score, or a waveform with its rate."""

    name: str
    content: Score | np.ndarray


def play(
    x: Any,
    names: Sequence[str] | None = None,
    rate: int = 22050,
    *,
    view: str = "roll",
    stems: bool = False,
    loop: tuple[float, float] | None = None,
    title: str = "",
) -> Player:
    """Hear and see a score or a waveform, or compare several in one player.

    Parameters
    ----------
    x : Score, (samples,) array of float within ±1, or a list or dict of these
        What to play. Of a list or a dict, one is heard at a time; switching keeps the musical
        position between scores, whatever their tempo, and the second where a waveform takes part.
        Torch tensors count as arrays.
    names : sequence of str, optional
        What to call the entries of a list: ``play([a, b], ["human", "model"])``. By default A, B …
    rate : int
        Samples per second: of the waveforms given, and of the sound made from scores. Scores are
        made louder by one factor for all; waveforms, and scores beside them, play as they are.
    view : {"roll", "notation"}
        What is shown first of a score. A button switches; a page without scripts shows only this.
    stems : bool
        Also embed each voice alone, so that voices can be muted and soloed. The player grows by
        about 0.5 MB for each voice and minute.
    loop : (first, last), optional
        Loop these bars, counted from 1 (the pickup is 0), both included; of waveforms, these
        seconds.
    title : str
        What to call the player; by default the score's title, or the names.

    Returns
    -------
    Player
        Shows itself as the last line of a cell. The same input gives the same HTML. Tested in
        JupyterLab 4, Notebook 7, the classic notebook with Colab's versions of its parts, and
        exported HTML; VS Code and Colab itself are not verified here.

    Raises
    ------
    ValueError
        If there is nothing to play, MP3 can't have the rate, a waveform isn't one channel of
        numbers, names repeat or don't match, or the view or the loop doesn't exist.
    TypeError
        If something is neither a Score nor a waveform of floats.

    Examples
    --------
    >>> from mlmusic import Score
    >>> play(Score([(0, 1, 60), (1, 1, 64), (2, 2, 67)]))
    Player: 1 bar, 4/4, 120 quarter notes a minute, 2 seconds, 1 voice. The melody starts on C4 \
and rises a fifth to G4 in bar 1. It moves by steps and leaps, mostly in quarter notes; its \
largest leap is a major third in bar 1.
    """
    if view not in VIEWS:
        raise ValueError(f"view is {view!r}; it must be 'roll' or 'notation'")
    if rate not in MP3_RATES:
        raise ValueError(f"a player's sound is MP3: rate must be one of {MP3_RATES}, not {rate!r}")
    versions = [_Version(name, _checked(item, name)) for name, item in _named(x, names)]
    waves = [v.content for v in versions if not isinstance(v.content, Score)]
    loudest = max((float(np.abs(wave).max()) for wave in waves), default=0.0)
    if loudest > 1:
        raise ValueError(
            f"the waveform peaks at {loudest:.3g}, beyond full scale: divide it by its peak"
        )
    if stems and waves:
        raise ValueError("stems=True needs scores: a waveform has no voices to take apart")
    return Player(versions, rate, view, stems, _loop_range(versions[0].content, loop), title)


def _named(x: Any, names: Sequence[str] | None) -> list[tuple[str, Any]]:
    """Pair what is to be played with its names; a single thing has the name ``""``."""
    if isinstance(x, Mapping):
        if names is not None:
            raise ValueError("a dict has its names already: leave out names, or give a list")
        pairs = [(str(name), item) for name, item in x.items()]
    elif isinstance(x, (list, tuple)) and not (len(x) and np.isscalar(x[0])):
        if names is None:
            names = [chr(65 + i) if i < 26 else str(i + 1) for i in range(len(x))]
        if isinstance(names, str) or len(names) != len(x):
            raise ValueError(f"{len(x)} things to play need a list of {len(x)} names")
        pairs = [(str(name), item) for name, item in zip(names, x, strict=True)]
    else:
        if names is not None:
            raise ValueError("names are for a list; one score or waveform is named by title=")
        return [("", x)]
    if not pairs:
        raise ValueError("nothing to play: the list is empty")
    if len(pairs) > MOST_VERSIONS:
        raise ValueError(
            f"{len(pairs)} versions are too many for one player, the most is {MOST_VERSIONS}:"
            " choose some, such as scores[:3]"
        )
    seen = set()
    for name, _ in pairs:
        if name in seen:
            raise ValueError(f"two versions are called {name!r}: give each its own name")
        if not name.strip():
            raise ValueError("a version's name is empty: give each a name")
        seen.add(name)
    return pairs


def _checked(x: Any, name: str) -> Score | np.ndarray:
    """Return a Score with notes, or a waveform as float array; refuse the rest in one line."""
    which = f" ({name})" if name else ""
    if isinstance(x, Score):
        if not len(x):
            raise ValueError(f"this score{which} has no notes, so there is nothing to play")
        return x
    if hasattr(x, "detach"):  # a torch tensor
        x = x.detach().cpu().numpy()
    if isinstance(x, str):
        raise TypeError(f"play takes a Score or a waveform: to play a file, Score.from_midi({x!r})")
    if isinstance(x, bytes) or not isinstance(x, (np.ndarray, list, tuple)):
        raise TypeError(f"play takes a Score or a waveform{which}, not {type(x).__name__}")
    wave = np.asarray(x)
    if not np.issubdtype(wave.dtype, np.floating):
        raise TypeError(
            f"the waveform{which} holds {wave.dtype}; it must hold floats within ±1 "
            "(16-bit integers: wave / 32768)"
        )
    if wave.ndim != 1:
        raise ValueError(
            f"the waveform{which} has shape {wave.shape}; it must be one channel, (samples,): "
            "take wave[0] or the mean over channels"
        )
    if not wave.size:
        raise ValueError(f"the waveform{which} is empty")
    if not np.isfinite(wave).all():
        raise ValueError(f"the waveform{which} has NaN or infinite samples")
    return wave


def _loop_range(x: Score | np.ndarray, loop: tuple[float, float] | None) -> list[float] | None:
    """Turn bars (of a waveform: seconds) into positions."""
    if loop is None:
        return None
    try:
        first, last = loop
        first, last = float(first), float(last)
    except (TypeError, ValueError):
        raise ValueError(f"loop is {loop!r}; it must be a pair of numbers (first, last)") from None
    if not isinstance(x, Score):
        if not 0 <= first < last:
            raise ValueError(f"loop is {loop}; it must be two seconds, the first before the last")
        return [float(first), float(last)]
    lowest = 0 if x.has_pickup else 1
    highest = lowest + len(x.bar_lines) - 2
    if not lowest <= first <= last <= highest:
        raise ValueError(f"loop is {loop}; this score has bars {lowest}–{highest}")
    lines = x.bar_lines
    return [float(lines[int(first) - lowest]), float(lines[int(last) - lowest + 1])]


class Player:
    """What `play` returns: HTML with picture and sound, and the same in words.

    Attributes
    ----------
    title
        What the player is called.
    description
        What there is to hear, in a few sentences; also the picture's alt text.
    """

    def __init__(
        self,
        versions: list[_Version],
        rate: int,
        view: str,
        stems: bool,
        loop: list[float] | None,
        title: str,
    ) -> None:
        self._versions, self._rate, self._view = versions, rate, view
        self._stems, self._loop = stems, loop
        titles = [v.content.title for v in versions if isinstance(v.content, Score)]
        names = ", ".join(v.name for v in versions if v.name)
        self.title = title or names or (titles[0] if titles else "") or "music"

    @property
    def description(self) -> str:
        """What there is to hear, in a few sentences."""
        texts = [self._describe(i) for i in range(len(self._versions))]
        named = [f"{v.name}: {t}" if v.name else t
                 for v, t in zip(self._versions, texts, strict=True)]  # fmt: skip
        return "\n".join(named)

    def __repr__(self) -> str:
        return f"Player: {self.description}"

    def _repr_html_(self) -> str:
        """Return the player as HTML; IPython calls this."""
        return self._html

    @cached_property
    def _html(self) -> str:
        data: dict[str, Any] = {"title": self.title, "loop": self._loop, "versions": []}
        figures = []
        for i, version in enumerate(self._versions):
            entry, picture, sound = self._render(i)
            data["versions"].append(entry)
            name = f"<p><b>{escape(version.name)}</b></p>" if version.name else ""
            figures.append(
                f'<div>{name}<img alt="{escape(self._describe(i))}" style="max-width:100%" '
                f'src="data:image/svg+xml;base64,{_base64(picture.svg.encode())}"><br>'
                f'<audio controls preload="auto" style="width:100%;max-width:{picture.width}px" '
                f'src="data:audio/mpeg;base64,{_base64(sound)}"></audio></div>'
            )
        packed = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        packed = packed.replace("&", "&amp;").replace("'", "&#39;").replace("<", "&lt;")
        return (
            f"<div class=\"mlmusic\" data-player='{packed}'>{''.join(figures)}</div>"
            f"<script>{_script()}</script>"
        )

    @cached_property
    def _sounds(self) -> list[np.ndarray]:
        """The waveform of each version."""
        return [
            synthesize(v.content, self._rate) if isinstance(v.content, Score) else v.content
            for v in self._versions
        ]

    @property
    def _gain(self) -> float:
        """One factor for all versions, so that they compare; 1 where a waveform takes part."""
        if not all(isinstance(v.content, Score) for v in self._versions):
            return 1.0
        peak = max(float(np.abs(sound).max()) for sound in self._sounds)
        return LOUDNESS / peak if 0 < peak < LOUDNESS else 1.0

    def _describe(self, i: int) -> str:
        content = self._versions[i].content
        if not isinstance(content, Score):
            return describe_wave(content, self._rate)
        text, first = describe(content), self._versions[0]
        if i and isinstance(first.content, Score):
            text += " " + differences(first.content, content, first.name)
        return text

    def _render(self, i: int) -> tuple[dict[str, Any], Picture, bytes]:
        """Return what the script needs of one version, its picture and its MP3."""
        version = self._versions[i]
        content = version.content
        entry: dict[str, Any] = {
            "name": version.name,
            "file": re.sub(r"[^\w-]+", "-", version.name or self.title).strip("-") or "music",
            "rate": self._rate,
            "voices": [],
            "stems": self._stems,
        }
        if isinstance(content, Score):
            pictures = _score_pictures(content, self._view)
            entry |= _score_data(content)
            if self._stems:
                for voice, shown in zip(content.voices, entry["voices"], strict=True):
                    alone = synthesize(content, self._rate, voices=[voice])
                    alone = np.clip(alone * self._gain, -1, 1)
                    shown["stem"] = _base64(encode(alone, self._rate))
            sound = self._sounds[i] * self._gain
        else:
            seconds = len(content) / self._rate
            pictures = {"waveform": waveform(content, self._rate)}
            entry |= {"end": seconds, "times": [[0, seconds], [0, seconds]]}
            sound = content
        entry["pictures"] = [
            _picture_data(kind, picture, packed=place > 0)
            for place, (kind, picture) in enumerate(pictures.items())
        ]
        return entry, next(iter(pictures.values())), encode(sound, self._rate)


def _score_pictures(score: Score, view: str) -> dict[str, Picture]:
    """Draw a score's pictures, the wanted one first."""
    pictures = {"roll": piano_roll(score, short_names(score))}
    if len(score) <= MOST_ENGRAVED or view == "notation":
        pictures["notation"] = engrave(score)
    return dict(sorted(pictures.items(), key=lambda item: item[0] != view))


def _score_data(score: Score) -> dict[str, Any]:
    """Collect what the script needs to know of a score's time and voices."""
    lines = score.bar_lines
    positions = sorted({0.0, *(onset for onset, _ in score.tempo), float(lines[-1])})
    _, numerator, denominator = score.metre[0]
    compound = denominator >= 8 and numerator % 3 == 0
    short = short_names(score)
    names, plain = name_voices(score), ("voice", *CHOIR)
    voices = [
        {
            "name": name.capitalize() if name.startswith(plain) else f"{short[voice]} {name}",
            "swatch": swatch(place, score.programs.get(voice, 0) == DRUMS),
        }
        for place, (voice, name) in enumerate(names.items())
    ]
    return {
        "facts": " · ".join(facts(score)[:-2]),
        "end": round(float(lines[-1]), 4),
        "times": [positions, np.round(score.seconds(positions), 4).tolist()],
        "bars": np.round(lines, 4).tolist(),
        "first": 0 if score.has_pickup else 1,
        "beat": 4 / denominator * (3 if compound else 1),
        "bpm": score.tempo[0][1] if len(score.tempo) == 1 else None,
        "midi": _midi(score),
        "voices": voices,
    }


def _midi(score: Score) -> str:
    """Return the score as a base64 MIDI file, or "" where MIDI can't hold it."""
    try:
        return _base64(score.midi_bytes(quantize=True))
    except ValueError:
        return ""


def _picture_data(kind: str, picture: Picture, packed: bool) -> dict[str, Any]:
    """Describe a picture to the script; one that isn't shown at first travels compressed."""
    rows = [
        {"top": row.top, "bottom": row.bottom, "at": row.positions, "x": row.xs}
        for row in picture.rows
    ]
    data = {"kind": kind, "width": picture.width, "height": picture.height, "rows": rows}
    if packed:
        data["packed"] = _base64(zlib.compress(picture.svg.encode(), 9))
    return data


def _base64(data: bytes) -> str:
    return b64encode(data).decode()


@cache
def _script() -> str:
    """Read player.js, less what only its readers need: indentation and lines of comment."""
    text = files("mlmusic").joinpath("player.js").read_text(encoding="utf-8")
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))

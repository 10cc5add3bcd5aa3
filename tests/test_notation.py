"""Engraving: what is written on the page, read back, is the music."""

from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

import numpy as np
import pytest

from mlmusic import Score
from mlmusic.notation import engrave, mei

MEI = "{http://www.music-encoding.org/ns/mei}"
ID = "{http://www.w3.org/XML/1998/namespace}id"
STEPS = dict(zip("cdefgab", (0, 2, 4, 5, 7, 9, 11), strict=True))
ALTER = {"s": 1, "f": -1, "n": 0, "x": 2, "ff": -2}
LENGTHS = {"breve": 8.0, **{str(2**k): 4 / 2**k for k in range(7)}}


def tree(score: Score) -> ElementTree.Element:
    return ElementTree.fromstring(mei(score))


def events(layer, time: float):
    """Yield (element, onset, duration) of a layer, through beams and triplets."""

    def walk(element, time, factor):
        for child in element:
            tag = child.tag.removeprefix(MEI)
            if tag in ("beam", "tuplet"):
                inner = factor * 2 / 3 if tag == "tuplet" else factor
                time = yield from walk(child, time, inner)
            elif tag in ("note", "rest", "chord"):
                length = LENGTHS[child.get("dur")] * (2 - 0.5 ** int(child.get("dots", 0))) * factor
                yield child, time, length
                time += length
        return time

    yield from walk(layer, time, 1.0)


def reading(score: Score) -> tuple[list, list]:
    """Read a score's MEI as a musician does.

    Returns the notes by their written pitch (letter and accidental attributes), ties joined, and
    by what the page shows: signature, accidentals so far in the bar.
    """
    root = tree(score)
    signature = root.find(f".//{MEI}scoreDef").get("key.sig")
    fifths = int(signature[:-1]) * (1 if signature[-1] == "s" else -1) if signature != "0" else 0
    order = "fcgdaeb"
    usual = {step: 0 for step in STEPS}
    for step in order[:fifths] if fifths > 0 else order[::-1][:-fifths]:
        usual[step] = 1 if fifths > 0 else -1
    written, shown, tied = [], [], {}
    for bar, measure in zip(score.bar_lines, root.iter(f"{MEI}measure"), strict=False):
        for staff in measure.iter(f"{MEI}staff"):
            state = {}
            played = []
            for layer in staff.iter(f"{MEI}layer"):
                place = (staff.get("n"), layer.get("n"))
                played += [(onset, place, length, e) for e, onset, length in events(layer, bar)]
            for onset, place, length, element in sorted(played, key=lambda p: p[:3]):
                notes = [element] if element.tag == f"{MEI}note" else element.iter(f"{MEI}note")
                for note in notes:
                    step, octave = note.get("pname"), int(note.get("oct"))
                    alter = ALTER[note.get("accid") or note.get("accid.ges")]
                    pitch = 12 * (octave + 1) + STEPS[step] + alter
                    tie = note.get("tie", "")
                    if tie in ("m", "t"):
                        entry = tied.pop((place, pitch))
                        entry[1] += length
                    else:
                        entry = [onset, length, pitch]
                        written.append(entry)
                        if note.get("accid"):
                            state[step, octave] = alter
                        seen = state.get((step, octave), usual[step])
                        shown.append((onset, 12 * (octave + 1) + STEPS[step] + seen))
                    if tie in ("i", "m"):
                        tied[place, pitch] = entry
    assert not tied
    return sorted((round(a, 6), round(b, 6), c) for a, b, c in written), sorted(
        (round(onset, 6), pitch) for onset, pitch in shown
    )


def expected(score: Score) -> list:
    rows = score.notes[["onset", "duration", "pitch"]].tolist()
    return sorted((round(a, 6), round(b, 6), c) for a, b, c in rows)


def random_score(seed: int) -> Score:
    """A voice or two of random values, ties over bar lines, rests, triplets, in a random key."""
    rng = np.random.default_rng(seed)
    metre = [(4, 4), (3, 4), (6, 8), (2, 2), (5, 8), (12, 8), (2, 4)][seed % 7]
    notes = []
    for voice in range(1 + seed % 2):
        time = 0.0
        while time < 14:
            if rng.random() < 0.15 and time % 1 == 0 and metre[1] == 4:
                for k in range(3):
                    notes.append((time + k / 3, 1 / 3, int(rng.integers(55, 80)), 80, voice))
                time += 1
                continue
            length = rng.choice([0.125, 0.25, 0.375, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 3, 4.5])
            if rng.random() < 0.85:
                for pitch in set(rng.integers(55, 80, size=1 + (rng.random() < 0.2)).tolist()):
                    notes.append((time, float(length), pitch, 80, voice))
            time += float(length)
    pickup = 1.0 if seed % 3 == 0 else 0.0
    mode = ["major", "minor", ""][seed % 3]
    return Score(notes, metre=[(pickup, *metre)], key=[(0, int(rng.integers(-7, 8)), mode)])


@pytest.mark.parametrize("seed", range(40))
def test_what_is_written_is_the_music(seed):
    score = random_score(seed)
    written, shown = reading(score)
    assert written == expected(score)
    assert shown == sorted((onset, pitch) for onset, _, pitch in expected(score))


@pytest.mark.parametrize("seed", range(0, 40, 7))
def test_every_bar_is_full(seed):
    score = random_score(seed)
    lines = score.bar_lines
    for i, measure in enumerate(tree(score).iter(f"{MEI}measure")):
        for layer in measure.iter(f"{MEI}layer"):
            if layer.find(f"{MEI}mRest") is None:
                total = sum(length for _, _, length in events(layer, 0.0))
                assert total == pytest.approx(lines[i + 1] - lines[i])


def test_pickup_metre_key_and_final_bar_line():
    score = Score(
        [(0, 1, 69), (1, 4, 74), (5, 4, 73)], metre=[(1, 4, 4)], key=[(0, -1, "minor")]
    )  # fmt: skip
    root = tree(score)
    first = root.find(f".//{MEI}scoreDef")
    assert (first.get("key.sig"), first.get("meter.count"), first.get("meter.unit")) == (
        "1f",
        "4",
        "4",
    )
    measures = list(root.iter(f"{MEI}measure"))
    assert [m.get("n") for m in measures] == ["0", "1", "2"]
    assert measures[0].get("metcon") == "false" and measures[-1].get("right") == "end"
    sharp = measures[2].find(f".//{MEI}note")
    assert (sharp.get("pname"), sharp.get("accid")) == ("c", "s")  # not D flat: it's D minor


def test_changes_of_metre_and_key_stand_at_their_bar():
    score = Score(
        [(i, 1, 60) for i in range(10)],
        metre=[(0, 4, 4), (4, 3, 4)],
        key=[(0, 0, "major"), (7, 2, "major")],
    )
    section = tree(score).find(f".//{MEI}section")
    order = [(e.tag.removeprefix(MEI), dict(e.attrib)) for e in section]
    assert order[1] == ("scoreDef", {"meter.count": "3", "meter.unit": "4"})
    assert order[3] == ("scoreDef", {"key.sig": "2s"})


def test_beams_follow_the_beat():
    def beams(metre, count=12):
        score = Score([(i / 2, 0.5, 60 + i % 5) for i in range(count)], metre=[(0, *metre)])
        return [len(list(beam)) for beam in tree(score).iter(f"{MEI}beam")]

    assert beams((6, 8)) == [3, 3, 3, 3]
    assert beams((4, 4), 16) == [4, 4, 4, 4]
    assert beams((3, 4)) == [2, 2, 2, 2, 2, 2]
    assert beams((3, 8)) == [3, 3, 3, 3]


def test_triplets_of_a_beat_and_of_half_a_beat():
    half = [(0.5 + i / 6, 1 / 6, 60 + i) for i in range(3)]
    score = Score([(0, 0.5, 72), *half, *((1 + i / 3, 1 / 3, 70 - i) for i in range(3))])
    root = tree(score)
    values = [[n.get("dur") for n in t.iter(f"{MEI}note")] for t in root.iter(f"{MEI}tuplet")]
    assert values == [["16"] * 3, ["8"] * 3]
    assert reading(score)[0] == expected(score)
    pickup = Score([*((i / 6, 1 / 6, 60 + i) for i in range(3)), (0.5, 2, 64)], metre=[(0.5, 2, 4)])
    assert reading(pickup)[0] == expected(pickup)


def test_lyrics_and_fermatas():
    score = Score(
        [(i, 1, 72 - i) for i in range(4)],
        lyrics={0: [(0, "glo-"), (1, "ri-"), (2, "a"), (3, "R&B")]},
        meta={"fermatas": [3.0]},
    )
    root = tree(score)
    syllables = [(s.text, s.get("wordpos"), s.get("con")) for s in root.iter(f"{MEI}syl")]
    assert syllables == [("glo", "i", "d"), ("ri", "m", "d"), ("a", "t", None), ("R&B", None, None)]
    notes = list(root.iter(f"{MEI}note"))
    assert [note.get("fermata") for note in notes] == [None, None, None, "above"]


def test_a_choir_shares_two_staves_and_others_have_their_own():
    choir = Score([(0, 4, pitch, 80, v) for v, pitch in enumerate((72, 67, 60, 48))])
    assert len(list(tree(choir).iter(f"{MEI}staffDef"))) == 2
    trio = Score([(0, 4, pitch, 80, v) for v, pitch in enumerate((72, 67, 48))])
    clefs = [s.get("clef.shape") for s in tree(trio).iter(f"{MEI}staffDef")]
    assert clefs == ["G", "G", "F"]
    piano = Score([(0, 1, 36), (0, 1, 84)])
    assert [s.get("clef.shape") for s in tree(piano).iter(f"{MEI}staffDef")] == ["G", "F"]
    drums = Score([(0, 1, 36), (1, 1, 42)], programs={0: 128})
    assert [n.get("loc") for n in tree(drums).iter(f"{MEI}note")] == ["1", "9"]


def test_times_that_no_notation_holds_are_rounded():
    score = Score([(0.01, 0.97, 60), (1.03, 0.02, 62), (1.2, 0.1, 64), (2.0000001, 1, 65)])
    written, _ = reading(score)
    assert [pitch for _, _, pitch in written] == [60, 62, 64, 65]
    assert all(abs(a - b) <= 1 / 16 for (a, _, _), b in zip(written, [0.01, 1.03, 1.2, 2],
                                                           strict=True))  # fmt: skip


def test_rows_map_time_to_place():
    score = random_score(2)
    picture = engrave(score)
    assert picture.svg.startswith("<svg") and ElementTree.fromstring(picture.svg) is not None
    assert picture.rows[0].positions[0] == 0
    assert picture.rows[-1].positions[-1] == pytest.approx(score.bar_lines[-1])
    for row in picture.rows:
        assert np.all(np.diff(row.positions) > 0) and np.all(np.diff(row.xs) >= 0)
        assert 0 <= row.top < row.bottom <= picture.height
        assert 0 <= row.xs[0] < row.xs[-1] <= picture.width
    for before, after in zip(picture.rows, picture.rows[1:], strict=False):
        assert before.positions[-1] == pytest.approx(after.positions[0], abs=0.02)
        assert before.bottom <= after.top + 20


def test_same_score_same_bytes():
    assert engrave(random_score(5)).svg == engrave(random_score(5)).svg


def test_engraves_in_any_thread():
    """Jupyter runs the callbacks of widgets in a thread of their own."""
    score = Score([(0, 1, 60), (1, 1, 64)])
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(engrave, score).result().svg == engrave(score).svg


def test_a_long_piece_takes_several_pages_in_one_picture():
    score = Score([(i / 4, 0.25, 60 + i % 12) for i in range(3200)])
    picture = engrave(score)
    assert picture.rows[-1].positions[-1] == 800
    tops = [row.top for row in picture.rows]
    assert tops == sorted(tops)


def test_no_notes_to_engrave():
    with pytest.raises(ValueError, match="no notes to engrave"):
        engrave(Score([]))

"""The MusicXML reader: hand-made files for every rule, and music21's reading of every chorale."""

import io
import sys
import time
import zipfile
from pathlib import Path

import pytest

from mlmusic.datasets.base import corpus_folder, read_splits
from mlmusic.readers import musicxml, mxl
from mlmusic.score import Score

CONTAINER = '<container><rootfiles><rootfile full-path="a.xml"/></rootfiles></container>'


def note(step, octave, duration, *more, alter=0):
    return (
        f"<note><pitch><step>{step}</step><alter>{alter}</alter><octave>{octave}</octave></pitch>"
        f"<duration>{duration}</duration>{''.join(more)}</note>"
    )


def rest(duration):
    return f"<note><rest/><duration>{duration}</duration></note>"


def attributes(divisions=2, time="<beats>4</beats><beat-type>4</beat-type>", more=""):
    return f"<attributes><divisions>{divisions}</divisions>{more}<time>{time}</time></attributes>"


def document(*parts, before=""):
    """Write a score; a part is a list of measures' contents."""
    body = "".join(
        f'<part id="P{i}">'
        + "".join(f'<measure number="{n}">{m}</measure>' for n, m in enumerate(part, 1))
        + "</part>"
        for i, part in enumerate(parts, 1)
    )
    return f"<score-partwise>{before}{body}</score-partwise>"


@pytest.fixture
def read(tmp_path):
    def read(text, **options) -> Score:
        path = tmp_path / "a.musicxml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return musicxml.read(path, **options)

    return read


def rows(score):
    return [(n[0], n[1], n[2], n[4]) for n in score.notes.tolist()]


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("container", "META-INF/container.xml"), content)
    return buffer.getvalue()


def test_pitches_durations_and_rests(read):
    measure = attributes() + note("C", 4, 1) + note("F", 4, 2, alter=1) + rest(2) + note("B", 3, 3)
    assert rows(read(document([measure]))) == [(0, 0.5, 60, 0), (0.5, 1, 66, 0), (2.5, 1.5, 59, 0)]


def test_chords_backup_and_forward(read):
    measure = (
        attributes()
        + note("C", 4, 2)
        + note("E", 4, 2).replace("<note>", "<note><chord/>")
        + note("D", 4, 2)
        + "<backup><duration>4</duration></backup><forward><duration>2</duration></forward>"
        + note("C", 3, 2, "<voice>2</voice>")
    )
    score = read(document([measure]))
    assert rows(score) == [(0, 1, 60, 0), (0, 1, 64, 0), (1, 1, 62, 0), (1, 1, 48, 1)]


def test_every_voice_of_every_part_gets_a_number(read):
    first = attributes() + note("C", 5, 8, "<voice>1</voice>")
    first += "<backup><duration>8</duration></backup>" + note("C", 4, 8, "<voice>2</voice>")
    names = (
        '<part-list><score-part id="P1"><part-name>Organ</part-name></score-part>'
        '<score-part id="P2"><part-name>Bass</part-name></score-part></part-list>'
    )
    score = read(document([first], [attributes() + note("C", 3, 8)], before=names))
    assert rows(score) == [(0, 4, 72, 0), (0, 4, 60, 1), (0, 4, 48, 2)]
    assert score.meta["parts"] == ["Organ", "Organ", "Bass"]


def test_ties_join_across_bar_lines(read):
    start, both = '<tie type="start"/>', '<tie type="stop"/><tie type="start"/>'
    stop = '<tie type="stop"/>'
    score = read(
        document(
            [attributes() + note("C", 4, 8, start), note("C", 4, 8, both), note("C", 4, 8, stop)]
        )
    )
    assert rows(score) == [(0, 12, 60, 0)]


def test_a_tie_joins_only_the_same_pitch_and_only_what_follows_at_once(read):
    start, stop = '<tie type="start"/>', '<tie type="stop"/>'
    other_pitch = attributes() + note("C", 4, 2, start) + note("D", 4, 2, stop)
    assert len(read(document([other_pitch]))) == 2
    after_rest = attributes() + note("C", 4, 2, start) + rest(2) + note("C", 4, 2, stop)
    assert len(read(document([after_rest]))) == 2


def test_triplets_are_the_nearest_floats(read):
    measure = attributes(divisions=3) + "".join(note("C", 4, 1) for _ in range(12))
    assert read(document([measure])).notes["onset"].tolist() == [i / 3 for i in range(12)]


def test_divisions_may_change_and_differ_between_parts(read):
    first = [
        attributes(2) + note("C", 5, 8),
        "<attributes><divisions>6</divisions></attributes>" + note("D", 5, 24),
    ]
    second = [attributes(5) + note("C", 4, 20), note("D", 4, 20)]
    assert rows(read(document(first, second))) == [
        (0, 4, 72, 0),
        (0, 4, 60, 1),
        (4, 4, 74, 0),
        (4, 4, 62, 1),
    ]


def test_grace_and_cue_notes_are_left_out(read):
    grace = "<note><grace/><pitch><step>C</step><octave>4</octave></pitch></note>"
    cue = note("C", 6, 4).replace("<note>", "<note><cue/>")
    assert rows(read(document([attributes() + grace + cue + note("C", 4, 4)]))) == [(2, 2, 60, 0)]


def test_transposing_instruments_sound(read):
    clarinet = "<key><fifths>2</fifths></key><transpose><chromatic>-2</chromatic></transpose>"
    score = read(document([attributes(more=clarinet) + note("D", 4, 8)]))
    assert rows(score) == [(0, 4, 60, 0)]
    assert score.key == [(0.0, 0, "")]


def test_a_part_with_an_unfilled_bar_stays_with_the_others(read):
    full = [attributes() + note("C", 5, 8), note("D", 5, 8)]
    short = [attributes() + note("C", 4, 2), note("D", 4, 8)]
    assert rows(read(document(short, full)))[2:] == [(4, 4, 62, 0), (4, 4, 74, 1)]


@pytest.mark.parametrize(
    ("quarters", "metre"),
    [
        ([4, 4, 4], [(0.0, 4, 4)]),
        ([1, 4, 3], [(1.0, 4, 4)]),  # a pickup
        ([4, 3, 1, 4], [(0.0, 4, 4)]),  # one bar in two halves, split by a repeat sign
        ([1, 4, 3, 1, 4, 3], [(1.0, 4, 4)]),
        ([4, 2, 4, 4], [(0.0, 4, 4), (6.0, 4, 4)]),  # a short bar
        ([4, 8, 4], [(0.0, 4, 4)]),  # one measure of two bars
        ([4, 6, 4], [(0.0, 4, 4), (10.0, 4, 4)]),
        ([3], [(0.0, 4, 4)]),
    ],
)
def test_bars(read, quarters, metre):
    measures = [note("C", 4, 2 * length) for length in quarters]
    measures[0] = attributes() + measures[0]
    score = read(document(measures))
    assert score.metre == metre
    assert set(score.bar_lines[:-1]) >= {onset for onset, _, _ in metre}


def test_metre_changes_and_composite_metres(read):
    three = "<attributes><time><beats>3</beats><beat-type>4</beat-type></time></attributes>"
    five = (
        "<attributes><time><beats>2</beats><beat-type>4</beat-type>"
        "<beats>3+1</beats><beat-type>8</beat-type></time></attributes>"
    )
    score = read(
        document([attributes() + note("C", 4, 8), three + note("C", 4, 6), five + note("C", 4, 8)])
    )
    assert score.metre == [(0.0, 4, 4), (4.0, 3, 4), (7.0, 8, 8)]


def test_key_with_mode(read):
    minor = "<key><fifths>-3</fifths><mode>minor</mode></key>"
    major = "<attributes><key><fifths>0</fifths><mode>major</mode></key></attributes>"
    score = read(document([attributes(more=minor) + note("C", 4, 8), major + note("C", 4, 8)]))
    assert score.key == [(0.0, -3, "minor"), (4.0, 0, "major")]


def test_tempo_from_sound_and_metronome(read):
    metronome = (
        "<direction><direction-type><metronome><beat-unit>quarter</beat-unit><beat-unit-dot/>"
        "<per-minute>60</per-minute></metronome></direction-type></direction>"
    )
    score = read(
        document(
            [attributes() + '<sound tempo="96"/>' + note("C", 4, 8), metronome + note("C", 4, 8)]
        )
    )
    assert score.tempo == [(0.0, 96.0), (4.0, 90.0)]
    assert read(document([attributes() + note("C", 4, 8)]), tempo=88).tempo == [(0.0, 88)]


def test_title_programs_fermatas(read):
    before = (
        "<work><work-title>A  work</work-title></work><part-list>"
        '<score-part id="P1"><midi-instrument><midi-program>53</midi-program></midi-instrument>'
        '</score-part><score-part id="P2"><midi-instrument><midi-channel>10</midi-channel>'
        "</midi-instrument></score-part></part-list>"
    )
    fermata = "<notations><fermata/></notations>"
    part = [attributes() + note("C", 4, 4) + note("D", 4, 4, fermata)]
    score = read(document(part, part, before=before))
    assert score.title == "A work"
    assert score.programs == {0: 52, 1: 128}
    assert score.meta["fermatas"] == [2.0]


def test_lyrics_take_the_first_line_and_the_second_where_the_first_has_ended(read):
    def sung(step, *lines):
        return note(step, 4, 2, *lines)

    def line(number, text, syllabic="single"):
        return (
            f'<lyric number="{number}"><syllabic>{syllabic}</syllabic><text>{text}</text></lyric>'
        )

    score = read(
        document(
            [
                attributes()
                + sung("C", line(1, "Al", "begin"), line(2, "so"))
                + sung("D", line(1, "le", "end"), line(2, "on"))
                + sung("E", line(2, "till"))
                + sung("F", line(2, "dawn"))
            ]
        )
    )
    assert score.lyrics == {0: [(0.0, "Al-"), (1.0, "le"), (2.0, "till"), (3.0, "dawn")]}
    assert score.meta["verses"] == [["2", 0, 0.0, "so"], ["2", 0, 1.0, "on"]]


def test_mxl_names_its_score_in_the_container(read):
    score = document([attributes() + note("C", 4, 8)])
    assert len(read(zipped(**{"container": CONTAINER, "b.xml": "<no/>", "a.xml": score}))) == 1


def test_utf_16(read):
    text = '<?xml version="1.0" encoding="UTF-16"?>' + document([attributes() + note("C", 4, 8)])
    assert len(read(text.encode("utf-16"))) == 1


ENTITIES = (
    '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><score-partwise>&b;</score-partwise>'
)
GOOD = attributes() + note("C", 4, 8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "isn't well-formed XML"),
        (b"MThd\0\0\0\6", "isn't well-formed XML"),
        ("<score-partwise><part>", "isn't well-formed XML"),
        ('<?xml version="1.0" encoding="no-such"?><score-partwise/>', "isn't well-formed XML"),
        ("<html/>", "root element is <html>"),
        ("<score-timewise/>", "score-timewise"),
        ("<score-partwise/>", "no <part>"),
        (ENTITIES, "entities"),
        (('<?xml version="1.0" encoding="UTF-16"?>' + ENTITIES).encode("utf-16"), "entities"),
        (b"PK\x03\x04 and no more", "zip file is damaged"),
        (zipped(**{"a.xml": document([GOOD])}), "has no META-INF/container.xml"),
        (zipped(container=CONTAINER), "has no a.xml"),
        (zipped(container="<container/>"), "doesn't say which file"),
        (document([attributes() + note("C", 10, 8)]), "measure 1: pitch 132 is outside"),
        (document([attributes() + note("H", 4, 8)]), "'H' isn't a step"),
        (document([attributes() + note("C", 4, 8, alter=0.5)]), "alter '0.5' isn't a whole"),
        (document([attributes() + note("C", 4, "x")]), "duration 'x' isn't a whole number"),
        (document([attributes() + note("C", 4, "nan")]), "duration 'nan' isn't a whole number"),
        (document([attributes() + note("C", 4, -2)]), "duration -2 is negative"),
        (document([attributes(divisions=0) + note("C", 4, 2)]), "divisions 0 isn't positive"),
        (
            document([attributes() + "<backup><duration>1</duration></backup>"]),
            "out of the measure",
        ),
        (document([attributes(time="<beats>4</beats>") + note("C", 4, 2)]), "needs a beat type"),
        (document([GOOD, GOOD], [GOOD]), "differ in their number of measures"),
        (document([attributes() + '<sound tempo="x"/>']), "tempo 'x' isn't a number"),
        (document([attributes() + '<sound tempo="0"/>' + note("C", 4, 8)]), "tempo"),
    ],
)
def test_bad_input_is_named(read, content, message):
    with pytest.raises(ValueError, match="a.musicxml: ") as caught:
        read(content)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_zip_bomb_is_refused_before_it_unpacks(read, monkeypatch):
    monkeypatch.setattr(mxl, "MAX_BYTES", 2**20)
    bomb = zipped(**{"container": CONTAINER, "a.xml": " " * 2**22})
    assert len(bomb) < 2**14
    with pytest.raises(ValueError, match="larger than 1 MB"):
        read(bomb)
    with pytest.raises(ValueError, match="larger than 1 MB"):
        read(" " * 2**21)


def test_deep_nesting_is_no_danger(read):
    with pytest.raises(ValueError, match="root element"):
        read("<a>" * 100_000 + "</a>" * 100_000)


def test_tiny_bars_and_long_notes_take_no_time(read):
    tiny = attributes(time="<beats>1</beats><beat-type>64</beat-type>")
    started = time.process_time()
    with pytest.raises(ValueError, match="beyond 100,000 quarters"):
        read(document([tiny + note("C", 4, 10**9), note("C", 4, 3)]))
    assert time.process_time() - started < 2


def test_parts_without_an_id_and_words_without_notes(read):
    words = "<note><rest/><duration>8</duration><lyric><text>O</text></lyric></note>"
    score = read(document([GOOD], [attributes() + words], [GOOD]).replace(' id="P', ' no="P'))
    assert rows(score) == [(0, 4, 60, 0), (0, 4, 60, 2)]
    assert score.lyrics == {1: [(0.0, "O")]}


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        musicxml.read(tmp_path / "no.mxl")


def test_damaged_files_raise_value_errors_only(read):
    """Bytes of a real file changed at random: a Score or a ValueError, soon."""
    import random

    good = zipped(container=CONTAINER, **{"a.xml": document([GOOD, note("D", 4, 8)])})
    plain = document([GOOD, note("D", 4, 8)]).encode()
    chance = random.Random(0)
    for original in (good, plain):
        for _ in range(300):
            data = bytearray(original)
            for _ in range(chance.randint(1, 4)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            started = time.process_time()
            try:
                read(bytes(data))
            except ValueError as error:
                assert "a.musicxml" in str(error)
            assert time.process_time() - started < 2


# Against music21 ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bach_files() -> list[Path]:
    return sorted((corpus_folder() / "bach").glob("*.mxl"))


def test_all_408_bach_files_are_read(bach_files):
    assert len(bach_files) == 408
    assert sum(len(musicxml.read(path)) > 0 for path in bach_files) == 408


def test_same_notes_as_music21_in_every_chorale():
    """Onset, duration, pitch and voice of all 84,910 notes are equal, to the last bit."""
    from music21.musicxml.xmlToM21 import MusicXMLImporter

    compared = 0
    for row in read_splits("chorales"):
        stem = corpus_folder() / row["source"]
        path = next(
            p for p in (stem.parent / f"{stem.name}{e}" for e in (".mxl", ".xml")) if p.exists()
        )
        importer = MusicXMLImporter()  # without converter's cache and its search for the format
        importer.xmlText = mxl.document(path)
        importer.parseXMLText()
        theirs = [
            (float(element.offset), float(element.quarterLength), pitch.midi, voice)
            for voice, part in enumerate(importer.stream.parts)
            for element in part.stripTies().flatten().notes
            if not element.duration.isGrace
            for pitch in element.pitches
        ]
        ours = rows(musicxml.read(path))
        assert sorted(ours) == sorted(theirs), row["source"]
        compared += len(ours)
    assert compared == 84_910


def test_music21_isnt_needed_to_read(bach_files):
    import subprocess

    code = (
        "import sys; from mlmusic.readers import musicxml; "
        f"musicxml.read({str(bach_files[0])!r}); "
        "sys.exit(bool({'music21', 'torch', 'pretty_midi'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

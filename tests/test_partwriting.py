"""Part writing: each rule on a fault and on a near miss, the words, Bach, and music21's checks."""

import warnings
from dataclasses import replace

import pytest

from mlmusic import Score, partwriting
from mlmusic.datasets import chorales
from mlmusic.partwriting import KINDS, Remark, faults_per_bar, moments, remarks
from mlmusic.partwriting.peer import CHECKED, music21_faults
from mlmusic.score import REST

NOTES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def pitch(name):
    """``"F#4"`` to 66."""
    return NOTES[name[0]] + name.count("#") - name.count("b") + 12 * (int(name[-1]) + 1)


def piece(*voices, key=(0, "major"), length=1.0, **fields):
    """Write four voices as words, soprano first: a note a beat, ``-`` holds, ``.`` rests."""
    notes = []
    for voice, line in enumerate(voices):
        for place, word in enumerate(line.split()):
            if word == "-":
                onset, duration, *rest = notes.pop()
                notes.append((onset, duration + length, *rest))
            elif word != ".":
                notes.append((place * length, length, pitch(word), 80, voice))
    fields = {"key": [(0.0, *key)] if key else []} | fields
    return Score(notes, **fields)


def told(score, **options):
    return [(remark.kind, remark.beat, remark.voices) for remark in remarks(score, **options)]


# C, then F, then G: parallel octaves between soprano and bass.
OCTAVES = piece("C5 D5 E5", "G4 - -", "E4 - -", "C3 D3 G3")


@pytest.mark.parametrize(
    ("score", "kind", "faults"),
    [
        # Fifths: parallel, also a twelfth to a fifth; contrary motion from a fifth to a twelfth.
        (piece("", "", "A3 B3", "D3 E3"), "parallel fifths", [(2, (2, 3))]),
        (piece("D5 G4", "", "", "G3 C4"), "parallel fifths", [(2, (0, 3))]),
        (piece("", "", "G3 A3", "C3 D2"), "parallel fifths", [(2, (2, 3))]),
        # Not a perfect fifth (B–F to C–G); held or struck again; a rest between; one moves first.
        (piece("", "", "F4 G4", "B3 C4"), "parallel fifths", []),
        (piece("", "", "A3 A3", "D3 D3"), "parallel fifths", []),
        (piece("", "", "A3 . B3", "D3 . E3"), "parallel fifths", []),
        (piece("", "", "A3 - B3", "D3 E3 -"), "parallel fifths", []),
        # A fourth between crossed voices isn't a fifth.
        (piece("", "D4 E4", "G4 A4", ""), "parallel fifths", []),
        (OCTAVES, "parallel octaves", [(2, (0, 3))]),
        (piece("C5 D5", "", "", "C4 D3"), "parallel octaves", [(2, (0, 3))]),
        (piece("C5 E5", "", "", "C4 D4"), "parallel octaves", []),
        (piece("", "D4 E4", "D4 E4", ""), "parallel unisons", [(2, (1, 2))]),
        (piece("", "D4 E4", "D4 E4", ""), "parallel octaves", []),
        (piece("", "D4 D4", "D4 D4", ""), "parallel unisons", []),
        # Hidden: outer voices, the same way, soprano leaps.
        (piece("E4 A4", "", "", "C3 D3"), "hidden fifths", [(2, (0, 3))]),
        (piece("G4 A4", "", "", "C3 D3"), "hidden fifths", []),  # by a step (and parallel)
        (piece("F4 G4", "", "", "A2 C3"), "hidden fifths", []),  # by a step
        (piece("E5 A4", "", "", "C3 D3"), "hidden fifths", []),  # contrary
        (piece("", "E4 A4", "", "C3 D3"), "hidden fifths", []),  # an inner voice
        (piece("E4 A4", "", "", "F2 A2"), "hidden octaves", [(2, (0, 3))]),
        (piece("G4 A4", "", "", "F2 A2"), "hidden octaves", []),
        # Crossing is told where it begins; a unison isn't one.
        (piece("", "E4 E4 E4", "C4 F4 G4", ""), "crossing", [(2, (1, 2))]),
        (piece("", "E4 E4", "C4 E4", ""), "crossing", []),
        (piece("C4 C5", "", "", "D4 C3"), "crossing", [(1, (0, 3))]),
        # Overlap: beyond what the neighbour has just left, in either direction.
        (piece("", "E4 A4", "C4 F4", ""), "overlap", [(2, (1, 2))]),
        (piece("", "E4 B3", "C4 A3", ""), "overlap", [(2, (1, 2))]),
        (piece("", "E4 A4", "C4 E4", ""), "overlap", []),
        (piece("", "E4 E4", "C4 F4", ""), "overlap", []),  # that is a crossing
        (piece("E4 A4", "", "C4 F4", ""), "overlap", []),  # not neighbours
        (piece("C4 A5 A#5", "G3 - -", "", ""), "range", [(3, (0,))]),
        (piece("B3", "", "", ""), "range", [(1, (0,))]),
        (piece("", "F3 D5", "C3 A4", "C2 E4"), "range", []),
        (piece("", "", "", "B1 -"), "range", [(1, (3,))]),  # once, though it sounds for two
        (piece("E5 E5", "D4 E4", "", ""), "spacing", [(1, (0, 1))]),
        (piece("", "D5 C5", "C4 B3", ""), "spacing", [(1, (1, 2))]),
        (piece("", "C5 C5", "C4 C4", "C2 C2"), "spacing", []),
        # Leading notes: of the dominant triad with the tonic after it, of a dominant seventh.
        (piece("B4 C5", "D4 E4", "B3 C4", "G3 C3"), "doubled leading note", [(1, (0, 2))]),
        (piece("B4 C5", "D4 C4", "B3 A3", "G3 F3"), "doubled leading note", []),  # no tonic
        (piece("F4 E4", "B3 C4", "B3 G3", "G2 C3"), "doubled leading note", [(1, (1, 2))]),
        (piece("D5", "B4", "F4", "B3"), "doubled leading note", [(1, (1, 3))]),
        (piece("B4 C5", "D4 E4", "G3 G3", "G3 C3"), "doubled leading note", []),
        (piece("B4 G4", "D4 E4", "G3 C4", "G2 C3"), "unresolved leading note", [(2, (0,))]),
        (piece("B4 C5", "D4 E4", "G3 G3", "G2 C3"), "unresolved leading note", []),
        (piece("D5 C5", "B4 G4", "G3 E3", "G2 C3"), "unresolved leading note", []),  # inner
        (piece("B4 D5 C5", "D4 - E4", "G3 - G3", "G2 - C3"), "unresolved leading note", []),
        (piece("B4 A4", "D4 C4", "G3 F3", "G2 F2"), "unresolved leading note", []),  # no tonic
        (piece("B4 C5", "F4 G4", "D4 E4", "G3 C3"), "unresolved seventh", [(2, (1,))]),
        (piece("B4 C5", "F4 E4", "D4 C4", "G3 C3"), "unresolved seventh", []),
        (piece("B4 C5", "F4 Eb4", "D4 C4", "G3 C3"), "unresolved seventh", []),  # a whole tone
        (piece("B4 C5 C5", "F4 - G4", "D4 A3 E3", "G3 F3 C3"), "unresolved seventh", []),  # stays
        (piece("B4 F5 E5", "F4 B4 C5", "D4 - C4", "G3 - C3"), "unresolved seventh", []),
        (piece("B4 C5", "F4 .", "D4 E4", "G3 C3"), "unresolved seventh", []),  # rests
        (piece("B4 C5", "F#4 G4", "D4 E4", "G3 C3"), "unresolved seventh", []),  # a major seventh
    ],
)
def test_a_rule(score, kind, faults):
    assert told(score, kinds=[kind]) == [(kind, *fault) for fault in faults]


def test_minor_and_other_keys():
    # E major, then A minor: G sharp leads in A minor, not in C major.
    score = piece("G#4 E4", "E4 C4", "B3 A3", "E3 A2", key=(0, "minor"))
    assert told(score, kinds=["unresolved leading note"]) == [("unresolved leading note", 2, (0,))]
    assert told(score, kinds=["unresolved leading note"], key=(0, "major")) == []
    same = piece("G#4 E4", "E4 C4", "B3 A3", "E3 A2", key=None)
    assert told(same, kinds=["unresolved leading note"]) == []
    assert told(same, kinds=["unresolved leading note"], key=(0, "minor")) != []
    unknown = piece("G#4 E4", "E4 C4", "B3 A3", "E3 A2", key=(0, "phrygian"))
    assert told(unknown, kinds=["unresolved leading note"]) == []
    # After a change of key the new one counts: G sharp doesn't lead in C major, F sharp in G does.
    change = piece(
        "G#4 E4 G#4 E4 F#4 D4",
        "E4 C4 E4 C4 D4 B3",
        "B3 A3 B3 A3 A3 G3",
        "E3 A2 E3 A2 D3 G2",
        key=None,
    )
    for keys, beats in (
        ([(0.0, 0, "minor"), (2.0, 1, "major")], [(1, 2), (2, 2)]),
        ([(0.0, 1, "major"), (2.0, 0, "minor")], [(1, 4)]),
    ):
        found = remarks(replace(change, key=keys), kinds="unresolved leading note")
        assert [(remark.bar, remark.beat) for remark in found] == beats
    # A dominant seventh tells its leading note itself.
    seventh = piece("B4 G4", "F4 E4", "D4 C4", "G3 C3", key=None)
    assert told(seventh, kinds=["unresolved leading note"]) == [
        ("unresolved leading note", 2, (0,))
    ]


CHORDS = ("doubled leading note", "unresolved leading note", "unresolved seventh")


@pytest.mark.parametrize("key", [(-3, "minor"), None])
@pytest.mark.parametrize(
    "voices",
    [
        ("F#5 G5", "C5 B4", "Eb4 D4", "Ab3 G3"),  # a German sixth to V
        ("F#5 G5", "C5 C5", "Eb4 Eb4", "Ab3 G3"),  # to the six-four chord
        ("F#5 G5", "C5 B4", "C4 D4", "Ab3 G3"),  # an Italian sixth, its C doubled as usual
        ("C5 B4", "F#4 G4", "C4 D4", "Ab3 G3"),
    ],
)
def test_augmented_sixths_sound_like_dominant_sevenths(voices, key):
    assert told(piece(*voices, key=key), kinds=CHORDS) == []


def test_an_augmented_sixth_is_told_by_the_key_or_by_how_it_goes_on():
    going_elsewhere = ("F#5 Ab5", "C5 C5", "Eb4 F4", "Ab3 F3")
    minor, unknown = (piece(*going_elsewhere, key=key) for key in ((-3, "minor"), None))
    assert told(minor, kinds=CHORDS) == []
    assert told(unknown, kinds=CHORDS) == [("unresolved seventh", 2, (0,))]
    # Only the bass falls by a semitone, only the seventh rises by one: no augmented sixth.
    falls = piece("F#5 Ab5", "C5 D5", "Eb4 D4", "Ab3 G3", key=None)
    rises = piece("F#5 G5", "C5 C5", "Eb4 E4", "Ab3 C3", key=None)
    for score in (falls, rises):
        assert ("unresolved seventh", 2, (0,)) in told(score, kinds=CHORDS)


@pytest.mark.parametrize(
    ("voices", "faults"),
    [
        # A four-three chord to a six chord: the seventh rises with the bass.
        (("B4 C5", "G4 G4", "F4 G4", "D3 E3"), []),
        (("B4 C5", "G4 G4", "F4 G4", "D3 Eb3"), []),
        (("B4 C5", "G4 G4", "F4 C5", "D3 E3"), [(2, (2,))]),  # by a leap
        (("B4 E5", "G4 G4", "F4 G4", "D3 C3"), [(2, (2,))]),  # the bass falls
        (("B4 B4 C5", "G4 G4 G4", "F4 G4 G4", "D3 - E3"), []),  # within the chord
        (("B4 A4", "G4 A4", "F4 G4", "D3 E3"), [(2, (2,))]),  # no chord of resolution
        (("D5 E5", "G4 G4", "F4 G4", "B2 C3"), [(2, (2,))]),  # another inversion
    ],
)
def test_a_seventh_that_rises_with_the_bass(voices, faults):
    found = told(piece(*voices), kinds="unresolved seventh")
    assert found == [("unresolved seventh", *fault) for fault in faults]


@pytest.mark.parametrize(
    ("line", "faults"),
    [
        # Eighths; the dominant lasts from beat 1 to 2½, the tonic begins on beat 3.
        ("B4 A4 B4 - C5 -", []),
        ("B4 A4 B4 A4 C5 -", []),
        ("B4 - - A4 C5 -", []),
        ("B4 - - C5 G4 -", []),  # the tonic before its chord
        ("B4 A4 B4 - G4 -", [3]),  # told of once
        ("B4 - - A4 G4 -", [2.5]),
        ("B4 - - - G4 -", [3]),
        ("B4 - B4 - G4 -", [3]),
        ("B4 - - D5 E5 -", []),  # left for another note of the chord
        ("B4 - - D5 G4 -", []),
    ],
)
def test_a_leading_note_may_be_ornamented(line, faults):
    score = piece(line, "D4 - D4 - E4 -", "G3 - - - G3 -", "G3 - - - C3 -", length=0.5)
    assert told(score, kinds="unresolved leading note") == [
        ("unresolved leading note", beat, (0,)) for beat in faults
    ]


@pytest.mark.parametrize(
    ("line", "faults"),
    [
        ("F4 - - - E4 -", []),
        ("F4 - - A4 E4 -", []),
        ("F4 - - A4 G4 -", [2.5]),
        ("F4 - - - G4 -", [3]),  # heard on two beats, told of once
        ("F4 - F4 - G4 -", [3]),
    ],
)
def test_a_seventh_may_be_ornamented(line, faults):
    score = piece("B4 - - - C5 -", line, "D4 - D4 - C4 -", "G3 - - - C3 -", length=0.5)
    assert told(score, kinds="unresolved seventh") == [
        ("unresolved seventh", beat, (1,)) for beat in faults
    ]


def test_what_is_held_is_told_of_once():
    held = piece("B4 - C5", "D4 D4 E4", "B3 - C4", "G3 G3 C3")
    assert told(held, kinds="doubled leading note") == [("doubled leading note", 1, (0, 2))]
    again = piece("B4 B4 C5", "D4 D4 E4", "B3 - C4", "G3 G3 C3")
    assert [beat for _, beat, _ in told(again, kinds="doubled leading note")] == [1, 2]


def test_chords_are_what_sounds_on_a_beat():
    # Begun on beat 1½ and held over beat 2, or over the bar line, but not a chord that is left.
    held = piece("G4 B4 - C5", "E4 F4 - G4", "C4 D4 - E4", "C3 G3 - C3", length=0.5)
    assert told(held, kinds="unresolved seventh") == [("unresolved seventh", 2.5, (1,))]
    (remark,) = remarks(replace(held, metre=[(1.0, 4, 4)]), kinds="unresolved seventh")
    assert (remark.bar, remark.beat) == (1, 1.5)
    short = piece("G4 B4 C5", "E4 F4 G4", "C4 D4 E4", "C3 G3 C3", length=0.5)
    assert told(short, kinds="unresolved seventh") == []
    # The seventh passes, in eighths, between beats: no chord of its own.
    score = piece(
        "B4 - C5 -", "G4 F4 G4 -", "D4 - E4 -", "G3 - C3 -", length=0.5
    )  # beats 1, 1½, 2, 2½
    assert told(score, kinds=["unresolved seventh"]) == []


@pytest.mark.parametrize("shift", [-3, 2, 4])
def test_transposing_changes_no_fault(shift):
    for score in (chorales().all[5], chorales().all[111]):
        kinds = [kind for kind in KINDS if kind != "range"]
        assert told(score.transpose(shift), kinds=kinds) == told(score, kinds=kinds)


def test_the_sentences():
    def sentences(*voices, **fields):
        return [str(remark) for remark in remarks(piece(*voices, **fields))]

    assert sentences("", "", "A3 B3", "D3 E3") == [
        "Bar 1, beat 2: tenor and bass move in parallel fifths (D–A to E–B)."
    ]
    assert sentences("", "", "G3 A3", "C3 D2")[0] == (
        "Bar 1, beat 2: tenor and bass move in contrary motion from one fifth to the next"
        " (C–G to D–A)."
    )
    assert sentences("C5 G4", "", "", "C4 G4")[0] == (
        "Bar 1, beat 2: soprano and bass move from an octave to a unison (C–C to G–G)."
    )
    assert sentences("", "", "C4 B3", "C4 B2")[0] == (
        "Bar 1, beat 2: tenor and bass move from a unison to an octave (C–C to B–B)."
    )
    assert sentences("", "", "C4 D4", "C3 D2")[0] == (
        "Bar 1, beat 2: tenor and bass move in contrary motion from one octave to the next"
        " (C–C to D–D)."
    )
    # A fifth is named as one, in any key.
    assert sentences("", "", "Eb4 D4", "G#3 G3") == [
        "Bar 1, beat 2: tenor and bass move in parallel fifths (G sharp–D sharp to G–D)."
    ]
    assert sentences("", "", "F4 E4", "A#3 A3", key=(3, "major")) == [
        "Bar 1, beat 2: tenor and bass move in parallel fifths (A sharp–E sharp to A–E)."
    ]
    assert sentences("E4 A4", "", "", "C3 D3") == [
        "Bar 1, beat 2: soprano and bass move the same way into a fifth, the soprano by a leap"
        " (C–E to D–A)."
    ]
    assert sentences("", "E4 E4", "C4 F4", "") == [
        "Bar 1, beat 2: the tenor sings above the alto (F4, E4)."
    ]
    assert sentences("", "E4 A4", "C4 F4", "") == [
        "Bar 1, beat 2: the tenor moves above the note that the alto has just left (F4, E4)."
    ]
    assert sentences("", "E4 B3", "C4 A3", "") == [
        "Bar 1, beat 2: the alto moves below the note that the tenor has just left (B3, C4)."
    ]
    assert sentences("Bb3", "", "", "", key=(-1, "major")) == [
        "Bar 1, beat 1: B flat 3 is too low for the soprano (C4 to A5)."
    ]
    assert sentences("E5", "D4", "", "") == [
        "Bar 1, beat 1: soprano and alto are an octave and a tone apart, more than an octave."
    ]
    assert sentences("A#4 B4", "C#4 D4", "A#3 B3", "F#3 B2", key=(2, "minor"))[0] == (
        "Bar 1, beat 1: soprano and tenor double the leading note, A sharp."
    )
    assert sentences("A#4 F#4", "C#4 D4", "F#3 D3", "F#2 B2", key=(2, "minor"))[-1] == (
        "Bar 1, beat 2: the soprano's leading note A sharp 4 goes to F sharp 4 instead of rising"
        " to B."
    )
    assert sentences("B4 C5", "F4 G4", "D4 E4", "G3 C4")[-1] == (
        "Bar 1, beat 2: the alto's seventh F4 goes to G4 instead of falling by a step."
    )


def test_bars_and_beats():
    def places(**fields):
        found = remarks(piece("", "", "A3 B3 A3 B3", "D3 E3 D3 E3", **fields))
        return [(remark.bar, remark.beat) for remark in found]

    assert places() == [(1, 2), (1, 3), (1, 4)]
    assert places(metre=[(0.0, 3, 4)]) == [(1, 2), (1, 3), (2, 1)]
    assert places(metre=[(1.0, 4, 4)]) == [(1, 1), (1, 2), (1, 3)]
    assert places(metre=[(2.0, 3, 4)]) == [(0, 3), (1, 1), (1, 2)]  # beats 2 and 3 of a pickup
    assert places(length=0.5) == [(1, 1.5), (1, 2), (1, 2.5)]
    assert places(metre=[(0.0, 6, 8)], length=0.5) == [(1, 2), (1, 3), (1, 4)]
    assert places(metre=[(0.0, 2, 4), (2.0, 2, 2)]) == [(1, 2), (2, 1), (2, 1.5)]
    score = piece("", "", "A3 B3", "D3 E3", length=0.5)
    assert str(remarks(score)[0]).startswith("Bar 1, beat 1½: ")
    score = piece("", "", "A3 B3", "D3 E3", length=1 / 3)
    assert str(remarks(score)[0]).startswith("Bar 1, beat 1.33: ")


def test_moments():
    found = moments(piece("C5 - D5", "A4 B4 .", "", "F3 - -"))
    assert found.onset.tolist() == [0, 1, 2]
    assert found.pitch.tolist() == [[72, 69, REST, 53], [72, 71, REST, 53], [74, REST, REST, 53]]
    assert found.begins.tolist() == [
        [True, True, False, True],
        [False, True, False, False],
        [True, False, False, False],
    ]
    # Three thirds aren't quite one: still one moment.
    thirds = Score([(0, 1, 60, 80, 0), (1, 1, 62, 80, 0), *((i / 3, 1 / 3, 50 + i, 80, 1)
                                                            for i in range(6))])  # fmt: skip
    assert len(moments(thirds).onset) == 6


def test_the_rate_of_several():
    both = [OCTAVES, piece("C5 D5 E5 F5 G5", "G4 - - - -", "E4 - - - -", "C3 G3 C3 A2 E3")]
    found = faults_per_bar(both, kinds=["parallel octaves", "range"])
    assert found == {"parallel octaves": pytest.approx(1 / 3), "range": 0}
    assert list(faults_per_bar(OCTAVES)) == list(KINDS)
    assert faults_per_bar(OCTAVES)["parallel octaves"] == 1
    pickup = piece("C5 D5 E5", "G4 - -", "E4 - -", "C3 D3 G3", metre=[(1.0, 4, 4)])
    assert faults_per_bar(pickup)["parallel octaves"] == 1


@pytest.mark.parametrize("kinds", ["parallel octaves", ["parallel octaves"] * 2])
def test_kinds_are_one_or_several(kinds):
    (remark,) = remarks(OCTAVES, kinds=kinds)
    assert remark.kind == "parallel octaves"
    assert faults_per_bar([OCTAVES, OCTAVES], kinds=kinds) == {"parallel octaves": 1}
    once = iter(["range", "parallel octaves"])  # read once, used for both scores
    found = faults_per_bar([OCTAVES, OCTAVES], kinds=once)
    assert list(found.items()) == [("range", 0), ("parallel octaves", 1)]
    assert remarks(OCTAVES, kinds=iter(["parallel octaves"])) == [remark]
    assert faults_per_bar(OCTAVES, kinds=[]) == {}


def test_bach_breaks_few_rules():
    found = faults_per_bar(chorales().all)
    assert sum(found.values()) < 0.5
    assert found["parallel fifths"] == pytest.approx(104 / 5167, abs=0.001)
    assert 0 < found["parallel octaves"] < found["parallel fifths"]
    assert found["range"] == pytest.approx(1 / 5167, abs=1e-5)  # his basses go down to C2


def test_a_remark_is_what_it_says():
    remark = remarks(OCTAVES)[0]
    assert remark == Remark(
        "parallel octaves",
        1,
        2.0,
        (0, 3),
        "Bar 1, beat 2: soprano and bass move in parallel octaves (C–C to D–D).",
    )


@pytest.mark.parametrize("index", range(0, 365, 73))
def test_against_music21(index):
    """The same faults, but those that music21 counts and teachers don't."""
    from music21 import corpus

    score = chorales().all[index]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = music21_faults(corpus.parse(score.meta["source"]))
    found = moments(score)
    onsets = found.onset.round(4).tolist()
    ours = set()
    rules = partwriting.rules
    for rule in (rules.parallels, rules.hidden, rules.crossings, rules.overlaps, rules.spacing):
        for fault in rule(found):
            ours.add((fault.kind, onsets[fault.moment], fault.voices))
    assert ours <= theirs
    for kind, onset, (upper, lower) in theirs - ours:
        before, after = found.pitch[onsets.index(onset) - 1 : onsets.index(onset) + 1]
        if kind.startswith("hidden"):  # the soprano comes by a step: allowed
            assert abs(after[0] - before[0]) <= 2
        else:  # crossed voices, which we call crossed
            assert kind == "overlap"
            assert before[upper] < before[lower] or after[upper] < after[lower]
    assert {kind for kind, _, _ in theirs} <= set(CHECKED)


def test_music21s_checks_find_a_fault():
    found = music21_faults(OCTAVES.to_music21())
    assert ("parallel octaves", 1.0, (0, 3)) in found
    unisons = piece("G4 F4", "D4 E4", "D4 E4", "B3 C3").to_music21()
    assert ("parallel unisons", 1.0, (1, 2)) in music21_faults(unisons)
    wide = piece("G5 A5 C6", "F4 A4 A4", "E4 G3 G3", "C3 - -").to_music21()
    spaces = {fault for fault in music21_faults(wide) if fault[0] == "spacing"}
    assert spaces == {("spacing", 0.0, (0, 1)), ("spacing", 1.0, (1, 2)), ("spacing", 2.0, (0, 1))}
    rests = piece("G4 . F4", "D4 - E4", ". G3 A3", "C3 - D3").to_music21()
    for part in rests.parts:
        part.makeRests(fillGaps=True, inPlace=True)
    assert music21_faults(rests) == {
        ("parallel fifths", 2.0, (1, 2)),
        ("parallel fifths", 2.0, (2, 3)),
    }
    with pytest.raises(ValueError, match="4 parts, not 1"):
        music21_faults(Score([(0, 1, 60)]).to_music21())


@pytest.mark.parametrize(
    ("score", "options", "message"),
    [
        (Score([]), {}, "needs notes in voices 0–3"),
        (Score([(0, 1, 60, 80, 4)]), {}, r"voices 0–3, not in \[4\]"),
        (Score([(0, 2, 60), (1, 1, 64)]), {}, r"voice 0 sings two notes at once \(onset 1\)"),
        (OCTAVES, {"kinds": ["parallels"]}, "there is no rule 'parallels'"),
        (OCTAVES, {"ranges": [(60, 80)]}, "four pairs"),
        (OCTAVES, {"ranges": [(80, 60)] * 4}, "four pairs"),
        (OCTAVES, {"ranges": [(float("nan"), 60)] * 4}, "four pairs"),
        (OCTAVES, {"ranges": [(0, float("inf"))] * 4}, "four pairs"),
        (OCTAVES, {"ranges": [(60.5, 80)] * 4}, "four pairs"),
        (OCTAVES, {"ranges": [(60, 80), (60,), 3, 4]}, "four pairs"),
        (OCTAVES, {"ranges": "high"}, "four pairs"),
        (OCTAVES, {"ranges": None}, "four pairs"),
        (OCTAVES, {"kinds": None}, "there is no rule None: choose from parallel fifths, "),
        (OCTAVES, {"kinds": [None]}, "there is no rule None"),
        (OCTAVES, {"kinds": float("nan")}, "there is no rule nan"),
        (OCTAVES, {"key": (9, "major")}, "a key is"),
        (OCTAVES, {"key": (0, "dorian")}, "a key is"),
        (OCTAVES, {"key": (float("nan"), "major")}, "a key is"),
        (OCTAVES, {"key": (0.5, "major")}, "a key is"),
        (OCTAVES, {"key": (0, "major", 1)}, "a key is"),
        (OCTAVES, {"key": 3}, "a key is"),
    ],
)
def test_what_is_refused(score, options, message):
    with pytest.raises(ValueError, match=message):
        remarks(score, **options)


def test_no_rate_of_nothing():
    with pytest.raises(ValueError, match="at least one score"):
        faults_per_bar([])
    for kinds in (None, ["parallels"]):
        with pytest.raises(ValueError, match="there is no rule"):
            faults_per_bar(OCTAVES, kinds=kinds)

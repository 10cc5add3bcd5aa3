"""Refining: bars are marked, written anew, compared, taken back; what isn't marked stays."""

import re
from dataclasses import replace
from html import unescape

import numpy as np
import pytest

from mlmusic import Score
from mlmusic.refine import Refiner, marked_steps, refine

# Two bars of 4/4: C major, then G major, in half notes.
CHORDS = ((72, 67, 64, 48), (71, 67, 62, 55))
PIECE = Score(
    [(4 * bar + 2 * half, 2, CHORDS[bar][voice], 80, voice)
     for bar in range(2) for half in range(2) for voice in range(4)],
    key=[(0.0, 0, "major")],
)  # fmt: skip


def fill(score, marked, strength, seed):
    """Move what begins in marked bars: up by a tone, with each seed by a semitone more."""
    notes = score.notes.copy()
    bar = np.searchsorted(score.bar_lines, notes["onset"] + 1e-9, side="right") - 1
    notes["pitch"][marked[notes["voice"], bar]] += 2 + seed
    return replace(score, notes=notes)


class Handle:
    def __init__(self):
        self.shown = []

    def update(self, player):
        self.shown.append(player)


@pytest.fixture
def made():
    found = Refiner(PIECE, fill)
    found.handle = Handle()
    return found


def pitches(score, voice):
    return score.notes["pitch"][score.notes["voice"] == voice].tolist()


def test_each_box_says_its_voice_and_bar(made):
    assert [box.description for box in made.boxes[1]] == ["alto 1", "alto 2"]
    assert len(made.boxes) == 4
    pickup = Refiner(replace(PIECE, metre=[(2.0, 4, 4)]), fill)
    assert [box.description for box in pickup.boxes[0]] == ["soprano 0", "soprano 1", "soprano 2"]


def test_refine_writes_what_is_marked(made):
    made.boxes[3][1].value = True
    made.refine_button.click()
    assert pitches(made.score, 3) == [48, 48, 57, 57]
    assert pitches(made.score, 0) == pitches(PIECE, 0)
    assert "Refined. Differs from before in bar 2." in made.said.value
    assert 'role="status" aria-live="polite"' in made.said.value
    (player,) = made.handle.shown
    assert player.description.startswith("before: ") and "\nafter: " in player.description
    # Pressed again, the next seed is taken, and it goes on from here.
    made.refine_button.click()
    assert pitches(made.score, 3) == [48, 48, 60, 60]


def test_undo_goes_back_step_by_step(made):
    assert made.undo_button.disabled
    made.mark(3, 2)
    made.refine_button.click()
    first = made.score
    made.refine_button.click()
    assert not made.undo_button.disabled
    made.undo_button.click()
    assert made.score == first
    made.undo_button.click()
    assert made.score is PIECE and made.undo_button.disabled
    assert "Undone. Remarks: 0." in made.said.value
    assert len(made.handle.shown) == 4
    assert not made.handle.shown[-1].description.startswith("before")
    made.undo()  # nothing is left to take back
    assert made.score is PIECE


def test_remarks_before_and_after():
    made = Refiner(PIECE, fill, seed=10)
    assert "Remarks: none." in made.listed.value
    made.mark(1, 2)
    made.refine_button.click()  # the alto sings an octave higher
    before, after = made.listed.value.split("<p>Remarks after: ")
    assert before == "<p>Remarks before: none.</p>"
    sentences = re.findall(r"<li><b>New:</b> ([^<]*)</li>", after)
    assert sentences[0] == "Bar 2, beat 1: the alto sings above the soprano (G5, B4)."
    count = len(sentences)
    assert after.startswith(f"{count}</p>")
    assert f"Remarks: 0 before, {count} after." in made.said.value
    made.mark(2, 1)
    made.refine_button.click()  # bar 2 is as it was: its remarks aren't new
    assert "<li>Bar 2, beat 1: the alto sings above the soprano (G5, B4).</li>" in made.listed.value


def test_marks_by_program(made):
    made.boxes[0][0].value = True
    made.mark([1, 2], [1, 2])
    assert made.marked().tolist() == [[False, False], [True, True], [True, True], [False, False]]
    for voice, bar in ((4, 1), (0, 0), (0, 3)):
        with pytest.raises(ValueError, match="voices are 0–3, bars 1–2"):
            made.mark(voice, bar)


def test_nothing_marked_changes_nothing(made):
    made.refine_button.click()
    assert "Nothing is marked" in made.said.value
    assert made.score is PIECE and made.handle.shown == []


def test_the_same_notes_again_are_no_step(made):
    made._fill = lambda score, marked, strength, seed: score
    made.mark(0, 1)
    made.refine_button.click()
    assert "The same notes came back" in made.said.value
    assert made.undo_button.disabled and made.handle.shown == []
    assert not made.refine_button.disabled


def test_a_fill_that_changes_more_is_refused():
    def careless(score, marked, strength, seed):
        return fill(score, np.ones_like(marked), strength, seed)

    made = Refiner(PIECE, careless)
    made.mark(0, 1)
    made.refine_button.click()
    assert made.score is PIECE
    assert "what wasn't marked would have changed." in unescape(made.said.value)

    def longer(score, marked, strength, seed):
        return score + score

    made = Refiner(PIECE, longer)
    made.mark(0, 1)
    made.refine_button.click()
    assert made.score is PIECE


ACROSS = Score([(0, 6, 60, 80, 0), (6, 2, 62, 80, 0), (0, 4, 52, 80, 1), (4, 4, 53, 80, 1)])


@pytest.mark.parametrize(
    ("notes", "marked", "stays"),
    [
        # Cut at the border, or held on beyond it: what isn't marked sounds as before.
        ([(0, 4, 64, 80, 0), (4, 2, 60, 80, 0), (6, 2, 62, 80, 0)], (0, 1), True),
        ([(0, 4, 60, 80, 0), (4, 4, 62, 80, 0)], (0, 2), True),
        ([(0, 5, 60, 80, 0), (5, 1, 60, 80, 0), (6, 2, 62, 80, 0)], (0, 1), False),
        ([(0, 4, 64, 80, 0), (4, 2, 61, 80, 0), (6, 2, 62, 80, 0)], (0, 1), False),
        # A note that lies wholly elsewhere: struck twice, softer, or of another voice.
        ([(0, 6, 60, 80, 0), (6, 1, 62, 80, 0), (7, 1, 62, 80, 0)], (0, 1), False),
        ([(0, 6, 60, 80, 0), (6, 2, 62, 70, 0)], (0, 1), False),
        ([(0, 6, 60, 80, 0), (6, 2, 62, 80, 2)], (0, 1), False),
        ([(0, 6, 60, 80, 0), (6, 2, 62, 80, 0), (4, 4, 48, 80, 3)], (3, 2), True),
    ],
)  # fmt: skip
def test_what_is_not_marked_stays_exactly(notes, marked, stays):
    rest = ACROSS.notes[ACROSS.notes["voice"] == 1].tolist()
    answer = Score([*notes, *rest])
    made = Refiner(ACROSS, lambda *_: answer)
    made.mark(*marked)
    made.refine_button.click()
    assert (made.score is answer) == stays
    assert ("what wasn't marked would have changed" in unescape(made.said.value)) != stays


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, "the answer isn't a Score but of type NoneType."),
        (PIECE.notes, "the answer isn't a Score but of type ndarray."),
        (Score([]), "the answer needs notes in voices 0–3, not in []."),
        (Score([(0, 8, 60, 80, 4)]), "the answer needs notes in voices 0–3, not in [4]."),
        (replace(PIECE, key=[]), "the key would have changed."),
        (replace(PIECE, tempo=[(0.0, 99.0)]), "the tempo would have changed."),
        (replace(PIECE, metre=[(0.0, 2, 4)]), "the metre would have changed."),
        (PIECE.bars(1, 1), "the length would have changed."),
        (PIECE + PIECE, "the length would have changed."),
    ],
)
def test_an_answer_that_is_no_answer(answer, message):
    made = Refiner(PIECE, lambda *_: answer)
    made.mark(range(4), [1, 2])
    made.refine_button.click()
    assert f">Nothing was changed: {message}<" in unescape(made.said.value)
    assert made.score is PIECE and made.undo_button.disabled


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("too hard"), "too hard."),
        (RuntimeError("no memory."), "RuntimeError: no memory."),
        (KeyError("alto"), "KeyError: 'alto'."),
    ],
)
def test_why_a_fill_failed_is_said(error, message, capsys):
    seen = []

    def failing(score, marked, strength, seed):
        seen.append((made.said.value, made.refine_button.disabled))
        raise error

    made = Refiner(PIECE, failing)
    made.mark(0, 1)
    made.refine_button.click()
    ((said, disabled),) = seen
    assert "Working…" in said and disabled
    assert f"Nothing was changed: {message}<" in unescape(made.said.value)
    assert made.score is PIECE and not made.refine_button.disabled
    assert capsys.readouterr() == ("", "")


def test_a_score_that_cannot_be_judged_is_refused():
    chord = replace(PIECE, notes=Score([*PIECE.notes.tolist(), (4, 1, 76, 80, 0)]).notes)
    made = Refiner(PIECE, lambda *_: chord)
    made.mark(0, 2)
    made.refine_button.click()
    assert "Nothing was changed: " in made.said.value and made.score is PIECE


def test_strength_is_passed_on():
    seen = []
    made = Refiner(PIECE, lambda *given: seen.append(given[2:]) or given[0], strength=0.25, seed=7)
    made.mark(0, 1)
    made.refine_button.click()
    made.strength.value = 0.5
    made.refine_button.click()
    assert seen == [(0.25, 7), (0.5, 8)]


def test_refine_shows_a_player_first(capsys):
    refine(PIECE, fill)
    assert "Player: now: 2 bars" in capsys.readouterr().out


def test_marks_as_steps():
    marked = np.zeros((4, 2), bool)
    marked[2, 1] = True
    found = marked_steps(PIECE, marked)
    assert found.shape == (4, 32)
    assert found[2].tolist() == [False] * 16 + [True] * 16
    assert not found[[0, 1, 3]].any()
    pickup = replace(PIECE, metre=[(2.0, 3, 4)])  # bars of 2, 3 and 3 quarters
    marked = np.zeros((4, 3), bool)
    marked[0, 1] = True
    assert np.flatnonzero(marked_steps(pickup, marked, 2)[0]).tolist() == [4, 5, 6, 7, 8, 9]
    with pytest.raises(ValueError, match=r"\(4 voices, 2 bars\) for this score, not \(4, 3\)"):
        marked_steps(PIECE, marked)


@pytest.mark.parametrize(
    ("score", "options", "message"),
    [
        (Score([]), {}, "voices 0–3"),
        (Score([(0, 1, 60, 80, 5)]), {}, r"voices 0–3, not in \[5\]"),
        (Score([(0, 36, 60)]), {}, "9 bars are more than the 8"),
        (PIECE, {"strength": 1.5}, "strength lies in 0–1"),
    ],
)
def test_what_cannot_be_refined(score, options, message):
    with pytest.raises(ValueError, match=message):
        Refiner(score, fill, **options)

"""The chain rule with a chord token in front: nothing is gained, only moved."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from mlmusic.metrics.chorales import note_nats
from mlmusic.metrics.chordtoken import SETS, chord_nats, chord_sets, per_note, triads
from mlmusic.models.transformer import ChoraleModel, Committee


def model(high=63, seed=0):
    """Four pitches and silence, so that all 625 chords can be counted."""
    torch.manual_seed(seed)
    built = ChoraleModel(low=60, high=high, width=12, layers=1, heads=2, context=8)
    for parameter in built.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.5)
    return built.eval()


def piece(steps=3, symbols=5, seed=1):
    return torch.randint(0, symbols, (steps, 4), generator=torch.Generator().manual_seed(seed))


def last_steps(notes, symbols=5):
    """The piece with each chord that its last step could have."""
    chords = torch.tensor(list(itertools.product(range(symbols), repeat=4)))
    rows = notes.repeat(len(chords), 1, 1)
    rows[:, -1] = chords
    return list(rows)


@pytest.mark.parametrize("tokens", [SETS, triads()], ids=["sets", "triads"])
def test_the_chord_is_as_likely_as_all_its_notes(tokens):
    built, notes = model(), piece()
    (found,) = chord_nats(built, [notes], tokens, least=0)
    rows = last_steps(notes)
    likely = np.exp([-nats[-1].sum() for nats in note_nats(built, rows)])
    names = tokens[[chord_sets(row[-1], 60) for row in rows]]
    expected = likely[names == tokens[chord_sets(notes[-1], 60)]].sum()
    assert found.chord[-1] == pytest.approx(-np.log(expected))
    assert found.missed == pytest.approx(np.zeros(3))


@pytest.mark.parametrize("tokens", [SETS, triads()], ids=["sets", "triads"])
def test_probabilities_add_up_to_1(tokens):
    built, notes = model(), piece()
    rows = last_steps(notes)
    found = chord_nats(built, rows, tokens, least=0)
    names = tokens[[chord_sets(row[-1], 60) for row in rows]]
    chord, given = (np.array([getattr(f, n)[-1] for f in found]) for n in ("chord", "given"))
    assert np.exp(-chord[np.unique(names, return_index=True)[1]]).sum() == pytest.approx(1)
    for name in np.unique(names):
        assert np.exp(-given[names == name]).sum() == pytest.approx(1)


def test_the_parts_add_up_to_the_joint():
    built, rows = model(high=71), [piece(5, 12), piece(7, 12, seed=2)]
    found = chord_nats(built, rows)
    for one, nats in zip(found, note_nats(built, rows), strict=True):
        assert one.joint == pytest.approx(nats.sum(axis=1))
        assert one.chord + one.given == pytest.approx(one.joint)
        assert (one.given >= 0).all()
    told = per_note(found)
    assert told["joint"] == pytest.approx(told["chord"] + told["given"])
    assert told["joint"] == pytest.approx(np.concatenate(note_nats(built, rows)).mean())


def test_a_finer_token_costs_more_and_leaves_less():
    built, rows = model(high=71), [piece(8, 12)]
    sets, names = (per_note(chord_nats(built, rows, tokens)) for tokens in (SETS, triads()))
    assert sets["chord"] > names["chord"]
    assert sets["given"] < names["given"]
    nothing = per_note(chord_nats(built, rows, np.zeros(4096, int), least=0))
    assert nothing["chord"] == pytest.approx(0, abs=1e-9)


def test_what_is_left_out_is_told():
    built, rows = model(high=71), [piece(8, 12)]
    (exact,), (rough,) = (chord_nats(built, rows, triads(), least=p) for p in (0, 1e-2))
    assert rough.missed.max() > 0.01
    assert (rough.chord >= exact.chord - 1e-9).all()
    assert (rough.chord - rough.missed <= exact.chord + 1e-9).all()


def test_a_committee_has_chords_too():
    both = Committee.of([model(), model(seed=1)])
    notes = piece()
    (found,) = chord_nats(both, [notes], least=0)
    assert found.joint == pytest.approx(note_nats(both, [notes])[0].sum(axis=1))


@pytest.mark.parametrize(
    ("classes", "token"),
    [
        ((0, 4, 7), 0),
        ((0, 4, 7, 10), 0),
        ((2, 7, 11), 7),
        ((0, 4, 9), 12 + 9),
        ((0, 4, 7, 9), 12 + 9),  # A minor with its seventh, not C with a sixth
        ((2, 5, 11), 24 + 11),
        ((0, 4, 8), 36),
        ((0, 7), 48),
        ((), 49),
    ],
)
def test_names_of_triads(classes, token):
    assert triads()[sum(1 << c for c in classes)] == token


def test_bad_input():
    built, notes = model(), piece()
    with pytest.raises(ValueError, match="4096"):
        chord_nats(built, [notes], np.zeros(12, int))
    with pytest.raises(ValueError, match="no piece"):
        chord_nats(built, [])
    with pytest.raises(ValueError, match="piece 0"):
        chord_nats(built, [notes[:, :3]])
    with pytest.raises(ValueError, match="least"):
        chord_nats(built, [notes], least=1.0)

"""Echoes: passages that were heard before, found and mixed in without a look ahead."""

import numpy as np
import pytest
import torch

from mlmusic.metrics.chorales import nats_per_note, note_nats
from mlmusic.models.transformer.committee import Committee, attuned
from mlmusic.models.transformer.echo import CHORD, OWN, TRUST, Memory, Trust, echoes, mixed
from mlmusic.models.transformer.pieces import past, transposed
from mlmusic.models.transformer.writing import write
from tests.models.transformer.test_chorale import model, piece

CONFIG = {"low": 40, "high": 80}


def repeating(seed=0, steps=24):
    """A phrase, the phrase again, and its beginning with another bass."""
    phrase = piece(steps, 30, seed)
    other = phrase[: steps // 2].clone()
    other[:, 3] = piece(steps // 2, 30, seed + 1)[:, 3]
    return torch.cat([phrase, phrase, other])


def committee():
    return Committee.of([model(seed, **CONFIG) for seed in (1, 2)], listens=True).double()


def by_hand(notes, beat):
    """The same by comparing every passage with every other."""
    notes = notes.tolist()
    echo, trust = [[-1] * 4 for _ in notes], [[0] * 4 for _ in notes]

    def longest(rows, t):
        best = (0, 0)
        for place in range(1, t):
            length = 0
            while length < place and rows[place - 1 - length] == rows[t - 1 - length]:
                length += 1
            best = max(best, (length, place))  # of equals, the latest
        return best

    for t in range(len(notes)):
        length, place = longest(notes, t)
        grade = sum(length >= beat * least for least in CHORD)
        for v in range(4):
            if grade:
                echo[t][v], trust[t][v] = notes[place][v], len(OWN) + grade
                continue
            own, where = longest([step[v] for step in notes], t)
            trust[t][v] = sum(own >= beat * least for least in OWN)
            if trust[t][v]:
                echo[t][v] = notes[where][v]
    return echo, trust


def test_on_paper():
    line = torch.tensor([5, 6, 7, 8, 5, 6, 9])
    notes = torch.stack([line, line, line, torch.arange(7) + 10], -1)
    echo, trust = echoes(notes, beat=1)
    assert (echo == -1).all() and (trust == 0).all()  # two notes of a voice alone aren't enough
    notes[:, 3] = line
    echo, trust = echoes(notes, beat=1)
    assert echo[:, 0].tolist() == [-1] * 6 + [7]  # after 5, 6 came 7, and now it's 9
    assert trust[:, 0].tolist() == [0] * 6 + [len(OWN) + 1]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("beat", [1, 2, 4])
def test_every_passage_is_compared(seed, beat):
    notes = repeating(seed)
    echo, trust = echoes(notes, beat)
    wanted, grades = by_hand(notes, beat)
    assert echo.tolist() == wanted
    assert trust.tolist() == grades
    assert 0 < trust.max() < TRUST


def test_many_pieces_at_once_and_step_by_step():
    pieces = torch.stack([repeating(seed, 60) for seed in range(3)])  # longer than its first room
    together = echoes(pieces, 2)
    memory = Memory.of(pieces[:, :100], 2)
    for i, alone in enumerate(pieces):
        for found, wanted in zip(together, echoes(alone, 2), strict=True):
            assert torch.equal(found[i], wanted)
    for t in range(100, 149):
        for found, wanted in zip(memory.add(pieces[:, t]), together, strict=True):
            assert torch.equal(found, wanted[:, t + 1])


def test_what_comes_later_and_the_key_change_nothing():
    notes = repeating()
    changed = notes.clone()
    changed[40:] = (changed[40:] + 3) % 30
    for found, wanted in zip(echoes(changed, 1), echoes(notes, 1), strict=True):
        assert torch.equal(found[:41], wanted[:41])
    notes = torch.where(notes > 0, notes + 5, 0)
    seen, up = (past(x, 41, 4, echo=True) for x in (notes, transposed(notes, 2, 41)))
    for found, wanted in zip(seen.transposed(2, 41), up, strict=True):
        assert torch.equal(found, wanted)
    assert (past(notes, 41, 4).echo == 42).all()  # unless asked for, there are none
    assert (past(notes, 41, 4).trust == 0).all()


def test_an_echo_takes_its_share():
    log_p = torch.tensor([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]]).log()
    found = mixed(log_p, torch.tensor([0.0, -torch.inf]), torch.tensor([2, 9]))
    np.testing.assert_allclose(found.exp().numpy(), [[0.25, 0.15, 0.6], [0.5, 0.3, 0.2]], atol=1e-6)


def test_trust_depends_on_what_the_other_voices_did():
    trust = Trust()
    with torch.no_grad():
        trust.case.copy_(torch.arange(6.0))
        trust.grade[3], trust.voice[3] = 10, 100
    echo, grade = torch.tensor([7, 5, 5, 5]), torch.tensor([3, 0, 3, 3])
    previous = torch.tensor([7, 5, 5, 6])
    cases = {7: 113.0, 8: 115.0}  # the soprano followed; it didn't; another note for the bass
    for soprano, wanted in cases.items():
        notes = torch.tensor([soprano, 0, 0, 0])
        assert trust(3, echo, grade, previous, notes).item() == wanted
    assert trust(0, echo, grade, previous, notes).item() == 10.0  # first, and the note stays
    assert trust(1, echo, grade, previous, notes).item() == -np.inf


def test_the_probabilities_of_a_step_add_up_to_one():
    members = [model(seed, low=60, high=62) for seed in (1, 2)]
    both = Committee.of(members, listens=True).double()
    first = piece(9, 3, seed=3)
    start = torch.cat([first, first[:8]])
    steps = torch.cartesian_prod(*[torch.arange(4)] * 4)
    pieces = [torch.cat([start, step[None]]) for step in steps]
    assert both.past(pieces[0]).trust[-1].tolist() == [5] * 4  # 8 steps: two beats
    with torch.no_grad():
        for number, parameter in enumerate(both.trust.parameters()):
            parameter.copy_(torch.linspace(-1, 1 + number, len(parameter)))
    nats = np.stack(note_nats(both, pieces))
    assert np.exp(-nats[:, -1].sum(1)).sum() == pytest.approx(1, abs=1e-9)


def test_windows_hear_what_was_before_them():
    """A piece is read in windows, but echoes come from all of it."""
    both, notes = committee(), repeating()
    with torch.no_grad():
        both.trust.grade.fill_(6.0)
    (whole,) = note_nats(both, [notes])
    (parts,) = note_nats(both, [notes], context=8)
    again = slice(36, 48)  # the phrase for the second time, well after its beginning
    assert whole[again].mean() < 0.1 and parts[again].mean() < 0.1


def test_fitted_trust_makes_repetitions_likelier():
    both, pieces = committee(), [repeating(seed) for seed in range(6)]
    both.trust.float()
    both.listens = False
    alone = note_nats(both, pieces)
    both.listens = True
    attuned(both, pieces, note_nats)
    found = note_nats(both, pieces)
    assert np.mean(found) < 0.8 * np.mean(alone)
    for i, notes in enumerate(pieces):
        silent = echoes(notes)[1].numpy() == 0
        np.testing.assert_allclose(found[i][silent], alone[i][silent], atol=1e-9)
    before = [parameter.clone() for parameter in both.trust.parameters()]
    again = nats_per_note(both, pieces)
    with torch.no_grad():  # no better numbers are near
        for parameter, best in zip(both.trust.parameters(), before, strict=True):
            parameter.copy_(best - 0.3)
            assert nats_per_note(both, pieces) > again - 1e-4
            parameter.copy_(best)


def test_only_who_listens_is_attuned():
    with pytest.raises(ValueError, match="listens=True"):
        attuned(Committee.of([model(1, **CONFIG)]), [repeating()], note_nats)


@pytest.mark.parametrize("seed", range(5))
def test_it_writes_with_and_without_a_cache(seed):
    both = committee()
    with torch.no_grad():
        both.trust.grade.fill_(8.0)
    options = {"prompt": repeating(seed)[:34], "count": 2, "seed": seed, "ranges": None}
    found = write(both, 16, **options)
    assert torch.equal(found, write(both, 16, cache=False, **options))
    # It goes on with the phrase that it has begun again.
    assert (found[:, 34:48] == repeating(seed)[34:48]).double().mean() > 0.6


def test_its_config_builds_it_again():
    both = committee()
    again = Committee(**both.config).double().eval()
    again.load_state_dict(both.state_dict())
    assert again.listens
    assert torch.equal(again(repeating()[None]), both(repeating()[None]))

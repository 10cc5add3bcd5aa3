"""The chorale model: its chain rule, its likelihood, its features, its windows, its writing."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from mlmusic import Score, datasets
from mlmusic.metrics.chorales import frame_nll, nats_per_note, note_nats
from mlmusic.models.transformer.chorale import ORDER, ChoraleModel
from mlmusic.models.transformer.frames import frame_symbols, frames_of
from mlmusic.models.transformer.pieces import following, past, symbols, to_score
from mlmusic.models.transformer.windows import Windows, note_loss
from mlmusic.models.transformer.writing import RANGES, write


def model(seed=0, **options):
    """Its weights are large, so that its logits differ much."""
    torch.manual_seed(seed)
    options = {"width": 16, "layers": 2, "heads": 2, "dropout": 0.0, "context": 64} | options
    built = ChoraleModel(**options)
    for parameter in built.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.3)
    return built.eval()


def piece(steps, pitches=46, seed=1):
    """Draw notes that change seldom, silence among them."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, pitches + 1, (steps, 4))
    for t in range(1, steps):
        held = rng.random(4) < 0.6
        rows[t, held] = rows[t - 1, held]
    return torch.from_numpy(rows)


# Symbols --------------------------------------------------------------------------------------


def test_symbols_on_paper():
    score = Score([(0, 0.5, 72, 80, 0), (0.5, 0.25, 74, 80, 0), (0, 0.25, 36, 80, 3)])
    assert symbols(score).tolist() == [[37, 0, 0, 1], [37, 0, 0, 0], [39, 0, 0, 0]]
    assert to_score(symbols(score)) == score


def test_chorales_come_back_but_for_repeated_notes():
    for score in datasets.chorales().all[::20]:
        notes = symbols(score)
        again = to_score(notes)
        assert torch.equal(symbols(again), notes)
        assert again.duration == pytest.approx(score.duration, abs=0.25)
        assert len(again) <= len(score)


@pytest.mark.parametrize(
    ("notes", "message"),
    [
        ([(0, 1, 82, 80, 0)], "outside this vocabulary's C2–A5"),
        ([(0, 1, 60, 80, 4)], r"notes in voices 0–3, not in \[4\]"),
        ([], "notes in voices 0–3"),
    ],
)
def test_scores_that_are_no_chorales(notes, message):
    with pytest.raises(ValueError, match=message):
        symbols(Score(notes))


@pytest.mark.parametrize("rows", [np.zeros((2, 3), int), np.zeros((2, 4)), np.full((1, 4), 99)])
def test_symbols_that_are_no_chorale(rows):
    with pytest.raises(ValueError, match="symbols must be"):
        to_score(rows)


# What is known of the past --------------------------------------------------------------------


def test_the_past_on_paper():
    notes = torch.zeros(6, 4, dtype=torch.int64)
    notes[:, 0] = torch.tensor([5, 5, 8, 8, 0, 3])
    seen = past(notes, 10, 4)
    assert seen.previous[:, 0].tolist() == [11, 5, 5, 8, 8, 0]
    assert seen.age[:, 0].tolist() == [0, 1, 2, 1, 2, 1]
    assert seen.move[:, 0].tolist() == [10, 10, 10, 13, 13, 10]
    assert seen.phase.tolist() == [0, 1, 2, 3, 0, 1]


def test_step_by_step_equals_at_once():
    notes = piece(90)
    notes[20:70, 2] = 7  # held for longer than is counted
    whole = past(notes, 46)
    seen = whole.window(0, 1)
    for t in range(89):
        seen = following(seen, notes[t : t + 1], 46)
        for mine, theirs in zip(seen, whole.window(t + 1, t + 2), strict=True):
            assert torch.equal(mine, theirs)
    assert whole.age.max() == 32


# The model ------------------------------------------------------------------------------------

SWITCHES = [
    {},
    {"relative": "none"},
    {"relative": "own"},
    {"ages": False},
    {"moves": False},
    {"ages": False, "moves": False, "relative": "none"},
]


@pytest.mark.parametrize("options", SWITCHES)
def test_nothing_is_known_before_its_turn(options):
    """A note changes the logits of later voices of its step, and of later steps, no others."""
    built, notes = model(**options), piece(12)[None]
    with torch.no_grad():
        before = built(notes)[0]
        for t, v in itertools.product((0, 5), range(4)):
            other = notes.clone()
            other[0, t, v] = (other[0, t, v] + 1) % 47
            changed = (built(other)[0] != before).any(-1)  # (steps, 4)
            turn = ORDER.index(v)
            assert not changed[:t].any()
            assert not changed[t, list(ORDER[: turn + 1])].any()
            assert changed[t, list(ORDER[turn + 1 :])].all()
            assert changed[t + 1].all()


@pytest.mark.parametrize("options", SWITCHES)
def test_the_probabilities_of_a_step_add_up_to_one(options):
    """Three symbols, four voices: all 81 next steps after three."""
    built = model(low=60, high=61, **options).double()
    steps = torch.cartesian_prod(*[torch.arange(3)] * 4)
    before = piece(3, pitches=2)
    pieces = [torch.cat([before, step[None]]) for step in steps]
    nats = np.stack(note_nats(built, pieces))  # (81, 4 steps, 4)
    assert np.exp(-nats[:, 3].sum(1)).sum() == pytest.approx(1, abs=1e-9)
    assert np.allclose(nats[:, :3], nats[:1, :3])
    assert np.exp(-nats[:, 3].sum(1)).max() < 0.5


def test_attention_weights():
    built, notes = model().train(), piece(9)[None]
    weights = built.weights(notes)
    assert built.training
    assert weights.shape == (2, 1, 2, 9, 9)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 1, 2, 9))
    assert (weights.triu(1) == 0).all()
    later = notes.clone()
    later[0, 8] = 3  # known from step 9 on
    assert torch.equal(built.weights(later), weights)


def test_relative_logits_follow_the_reference():
    """With no other scores, a voice's likeliest distance from its last note stays the same."""
    built = model(relative="own")
    for layer in built.score:
        nn.init.zeros_(layer.weight)
        nn.init.constant_(layer.bias, 0.0)
        layer.bias.data[0] = -99  # no silence
    summary = torch.randn(16)
    distances = set()
    for reference in (20, 24, 30):
        previous = torch.full((4,), reference)
        logits = built.voice(1, summary, previous, previous)
        inside = logits[reference - 12 : reference + 13]
        distances.add(int(inside.argmax()) - 12)
        silent = built.voice(1, summary, torch.zeros(4, dtype=torch.int64), previous)
        assert torch.equal(silent[1:], torch.zeros(46))  # after silence there is no reference
    assert len(distances) == 1


@pytest.mark.parametrize(
    "options",
    [{"relative": "all"}, {"low": 80, "high": 60}, {"high": 200}, {"heads": 3}, {"dropout": 1}],
)
def test_impossible_models(options):
    with pytest.raises(ValueError, match="must"):
        model(**options)


# Likelihood -----------------------------------------------------------------------------------


def test_nats_equal_the_logits():
    built, notes = model(), piece(30)
    (nats,) = note_nats(built, [notes])
    with torch.no_grad():
        log_p = built(notes[None])[0].log_softmax(-1)
    expected = -log_p.gather(-1, notes[..., None])[..., 0]
    np.testing.assert_allclose(nats, expected.numpy(), atol=1e-5)
    assert nats_per_note(built, [notes]) == pytest.approx(float(expected.mean()), abs=1e-6)
    assert frame_nll(built, [notes]) == pytest.approx(float(expected[1:].sum(1).mean()), abs=1e-5)


def test_long_pieces_are_read_in_windows():
    """Each note once, after at least half a context; the first window as if alone."""
    built, notes = model().double(), piece(100)
    (whole,) = note_nats(built, [notes], context=100)
    (cut,) = note_nats(built, [notes], context=32)
    assert whole.shape == cut.shape == (100, 4)
    np.testing.assert_allclose(cut[:32], whole[:32])
    seen = built.past(notes[None]).window(16, 48)
    with torch.no_grad():
        log_p = built(notes[None, 16:48], seen)[0].log_softmax(-1)
    second = -log_p.gather(-1, notes[16:48, :, None])[..., 0]
    np.testing.assert_allclose(cut[32:48], second[16:].numpy())
    assert not np.allclose(cut[40:], whole[40:])


def test_the_mode_stays():
    built = model(dropout=0.5).train()
    first, again = (nats_per_note(built, [piece(20)]) for _ in range(2))
    assert first == again
    assert built.training


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        ([], "at least one piece"),
        ([torch.zeros(5, 3, dtype=torch.int64)], "piece 0 must be int64 of shape"),
        ([torch.zeros(5, 4)], "piece 0 must be int64 of shape"),
        ([torch.zeros(0, 4, dtype=torch.int64)], "with a step"),
        ([torch.full((5, 4), 47)], "piece 0 has symbols outside 0–46"),
        ([torch.full((5, 4), -1)], "piece 0 has symbols outside 0–46"),
    ],
)
def test_pieces_without_a_likelihood(pieces, message):
    with pytest.raises(ValueError, match=message):
        nats_per_note(model(), pieces)


def test_frames_need_a_second_one():
    with pytest.raises(ValueError, match="a piece needs two of them"):
        frame_nll(model(), [piece(1)])
    with pytest.raises(ValueError, match="a context has at least 2 steps"):
        note_nats(model(), [piece(9)], context=1)


# Frames ---------------------------------------------------------------------------------------


def test_frames_on_paper():
    score = Score([(0, 2, 72, 80, 0), (0, 1, 60, 80, 1), (0.5, 1, 48, 80, 3), (3, 1, 50, 80, 3)])
    assert frames_of(score) == [(60, 72), (48, 72), (), (50,)]
    found = frame_symbols(frames_of(score))
    assert found.tolist() == [[37, 25, 0, 0], [37, 13, 0, 0], [0, 0, 0, 0], [15, 0, 0, 0]]


@pytest.mark.parametrize("frames", [[], [(60, 61, 62, 63, 64)], [(60,), (20,)]])
def test_frames_that_cannot_be_written(frames):
    with pytest.raises(ValueError, match="frame"):
        frame_symbols(frames)


# Windows --------------------------------------------------------------------------------------


def test_windows_are_cut_out_of_pieces_in_reachable_keys():
    built = model(context=8)
    pieces = [to_register(piece(5, 12, seed=1)), to_register(piece(40, 12, seed=2))]
    windows = Windows(built, pieces, size=64, seed=3)
    notes, seen = windows.batch(0)
    assert notes.shape == (64, 8, 4)
    again = windows.batch(0)
    assert torch.equal(notes, again[0]) and torch.equal(seen.age, again[1].age)
    assert not torch.equal(notes, windows.batch(1)[0])
    short = (notes[:, 5:] == -1).all((1, 2))
    assert 0.03 < short.float().mean() < 0.3  # by length: 5 of 45
    whole = torch.cat(pieces)
    for v in range(4):
        sung = whole[:, v][whole[:, v] > 0]
        drawn = notes[..., v][notes[..., v] > 0]
        assert sung.min() <= drawn.min() <= drawn.max() <= sung.max()
    # In its own key, the window of a whole piece is that piece with its past.
    plain = Windows(built, pieces, size=64, transposed=False)
    notes, seen = plain.batch(4)
    for row in range(64):
        if (notes[row, 5:] == -1).all():
            assert torch.equal(notes[row, :5], pieces[0])
            assert torch.equal(seen.previous[row, :5], built.past(pieces[0]).previous)
    starts = {tuple(row[0].tolist()) for row in notes}
    assert tuple(pieces[1][0].tolist()) in starts
    assert tuple(pieces[1][32].tolist()) in starts


def to_register(notes):
    """Move each voice to where it can be transposed."""
    return torch.where(notes > 0, notes + torch.tensor([30, 22, 15, 5]), 0)


def test_transposed_windows_keep_all_distances():
    built, notes = model(context=20), to_register(piece(20, 8))
    wider = torch.where(notes > 0, notes + 3, 0)
    windows = Windows(built, [notes, wider], size=32)
    drawn, seen = windows.batch(0)
    for row, before in zip(drawn, seen.previous, strict=True):
        shift = (row - notes)[notes > 0]
        assert (shift == shift[0]).all()
        assert ((row == 0) == (notes == 0)).all()
        assert (before[0] == 47).all()
        assert torch.equal(before[1:], row[:-1])
    assert len({int((row - notes)[notes > 0][0]) for row in drawn}) == 4  # 0 to 3


def test_parts_of_a_batch_are_the_whole():
    windows = Windows(model(context=8), [to_register(piece(40, 12))], size=6)
    whole = windows.batch(7)[0]
    parts = [windows.batch(7, rank, 3)[0] for rank in range(3)]
    assert torch.equal(torch.cat(parts), whole)
    with pytest.raises(ValueError, match="6 windows can't be shared evenly by 4 processes"):
        windows.batch(0, 0, 4)


def test_the_loss_counts_notes_alone():
    built = model(context=8)
    short = to_register(piece(5, 12))
    total, count = note_loss(built, Windows(built, [short], size=3, transposed=False).batch(0))
    assert count == 3 * 20
    assert float(total.detach()) / 60 == pytest.approx(nats_per_note(built, [short]), abs=1e-5)


def test_windows_need_pieces():
    with pytest.raises(ValueError, match="windows need a piece"):
        Windows(model(), [])
    with pytest.raises(ValueError, match="windows need a piece"):
        Windows(model(), [piece(9)], size=0)


# Writing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_the_cache_changes_no_note(seed):
    built = model(seed).double()
    options = {"prompt": piece(5), "count": 2, "nucleus": 0.97, "ranges": None, "seed": seed}
    assert torch.equal(write(built, 24, **options), write(built, 24, cache=False, **options))


def test_the_cache_gives_the_same_logits():
    built, notes = model(), piece(64)[None]
    caches, known = built.trunk.caches(), built.past(notes)
    with torch.no_grad():
        whole, _ = built.look_back(known)
        parts = []
        for t in range(64):
            part, caches = built.look_back(known.window(t, t + 1), caches)
            parts.append(part)
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=0)


def test_what_is_written_keeps_to_its_ranges():
    found = write(model(), 32, count=20, seed=0)
    assert found.shape == (20, 32, 4)
    for v, (low, high) in enumerate(RANGES):
        sung = found[..., v][found[..., v] > 0] + 35
        assert low <= sung.min() <= sung.max() <= high
    assert len({tuple(row.flatten().tolist()) for row in found}) == 20
    assert (write(model(), 32, count=3, rests=False, seed=0) > 0).all()
    assert torch.equal(found, write(model(), 32, count=20, seed=0))
    assert not torch.equal(found, write(model(), 32, count=20, seed=1))


def test_prompts_and_fixed_notes_stay():
    prompt, fixed = piece(6), torch.full((10, 4), -1)
    fixed[:, 0] = torch.arange(20, 30)
    found = write(model(), 10, prompt=prompt, count=3, fixed=fixed, ranges=None, seed=0)
    assert (found[:, :6] == prompt).all()
    assert (found[:, 6:, 0] == fixed[:, 0]).all()
    prompts = torch.stack([piece(6, seed=s) for s in range(3)])
    assert torch.equal(write(model(), 4, prompt=prompts, count=3, seed=0)[:, :6], prompts)


def test_temperature_0_takes_the_likeliest():
    built, prompt = model(), piece(6)
    found = write(built, 8, prompt=prompt, temperature=0, ranges=None, seed=0)
    assert torch.equal(found, write(built, 8, prompt=prompt, temperature=0, ranges=None, seed=5))
    with torch.no_grad():
        likeliest = built(found)[0].argmax(-1)
    assert torch.equal(likeliest[6:], found[0, 6:])


def test_training_goes_on_after_writing():
    built = model()
    write(built, 20, seed=0)
    built.train()(piece(8)[None]).sum().backward()
    assert built.see.weight.grad.abs().sum() > 0


def test_draws_follow_the_model():
    """The soprano's first note: frequencies of 4000 draws against its probabilities."""
    built = model(low=60, high=63)
    with torch.no_grad():
        chances = built(torch.zeros(1, 1, 4, dtype=torch.int64))[0, 0, 0].softmax(-1)
    drawn = write(built, 1, count=4000, ranges=None, seed=0)[:, 0, 0]
    found = torch.bincount(drawn, minlength=5) / 4000
    torch.testing.assert_close(found, chances, atol=0.025, rtol=0)
    nucleus = float(chances.max()) * 0.9
    assert (
        write(built, 1, count=50, ranges=None, nucleus=nucleus, seed=0)[:, 0, 0] == chances.argmax()
    ).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompt": torch.zeros(0, 4, dtype=torch.int64)}, "the prompt is empty: leave it out"),
        ({"prompt": torch.zeros(60, 4, dtype=torch.int64)}, "60 steps of a prompt and 10 new"),
        ({"prompt": torch.zeros(5, 3, dtype=torch.int64)}, "a prompt is int64 of shape"),
        ({"prompt": torch.zeros(5, 4)}, "a prompt is int64 of shape"),
        ({"prompt": torch.full((5, 4), 47)}, "the prompt's symbols must be 0–46"),
        ({"prompt": torch.zeros(2, 5, 4, dtype=torch.int64)}, "there are 2 prompts, but count"),
        ({"temperature": -1}, "temperature must be 0 or more"),
        ({"temperature": float("nan")}, "temperature must be 0 or more"),
        ({"nucleus": 0}, "nucleus must be above 0"),
        ({"count": 0}, "count 1 or more"),
        ({"ranges": [(0, 10)] * 4}, "this model knows no pitch"),
        ({"fixed": torch.zeros(3, 4)}, r"fixed must be of shape \(10, 4\)"),
    ],
)
def test_what_cannot_be_written(options, message):
    with pytest.raises(ValueError, match=message):
        write(model(), 10, seed=0, **options)

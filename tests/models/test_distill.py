"""A student and its teacher."""

import pytest
import torch
from torch import nn

from mlmusic import fit, seed_everything
from mlmusic.models.distill import distillation, odds_of, taught_by
from mlmusic.models.rnn import MelodyModel
from mlmusic.models.transformer import Transformer
from mlmusic.streams import padded


def scores(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def batch():
    return (
        scores(2, 5, 7),
        scores(2, 5, 7, seed=1),
        torch.tensor([[1, 2, 3, 4, 5], [6, 1, 0, 0, 0]]),
    )


def test_without_weight_it_is_cross_entropy(batch):
    logits, teacher, targets = batch
    expected = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=0)
    found = distillation(logits, teacher, targets, weight=0, temperature=3)
    assert float(found) == pytest.approx(float(expected))


def test_with_all_weight_it_is_the_divergence_and_the_teachers_entropy(batch):
    logits, teacher, targets = batch
    p, q = ((x / 2).log_softmax(-1)[targets != 0] for x in (teacher, logits))
    divergence = nn.functional.kl_div(q, p, log_target=True, reduction="batchmean")
    entropy = -(p.exp() * p).sum(-1).mean()
    found = distillation(logits, teacher, targets, weight=1, temperature=2)
    assert float(found) == pytest.approx(4 * float(divergence + entropy), rel=1e-5)


def test_the_gradient_vanishes_where_the_student_says_what_the_teacher_says(batch):
    _, teacher, targets = batch
    logits = (teacher + 3.0).requires_grad_()  # the same odds
    distillation(logits, teacher, targets, weight=1, temperature=2).backward()
    assert logits.grad.abs().max() < 1e-6


def test_weights_mix(batch):
    whole = [float(distillation(*batch, weight=w, temperature=2)) for w in (0, 0.25, 1)]
    assert whole[1] == pytest.approx(0.75 * whole[0] + 0.25 * whole[2])


def test_filler_does_not_count(batch):
    logits, teacher, targets = batch
    other = logits.clone()
    other[1, 3:] = 100 * scores(2, 7, seed=2)
    assert float(distillation(logits, teacher, targets)) == float(
        distillation(other, teacher, targets)
    )


def test_the_teacher_reads_its_prefix_first():
    torch.manual_seed(0)
    teacher = Transformer(12, width=8, layers=1, heads=2).eval()
    tokens = torch.randint(0, 7, (3, 6))
    found = odds_of(teacher, tokens, 7, prefix=[9, 10])
    front = torch.tensor([[9, 10]] * 3)
    whole = teacher(torch.cat([front, tokens], 1))[0]
    torch.testing.assert_close(found, whole[:, 2:, :7])
    assert not found.requires_grad


def test_a_student_learns_the_teachers_odds():
    """Of tokens alone that say nothing: the teacher knows that 3 comes after 2."""

    def teacher_says(tokens):
        logits = torch.zeros(*tokens.shape, 5)
        logits[..., 3] = torch.where(tokens == 2, 5.0, -5.0)
        return logits, None

    teacher = nn.Identity()
    teacher.forward = teacher_says
    rows = [torch.randint(1, 5, (9,), generator=torch.Generator().manual_seed(i)) for i in range(8)]
    seed_everything(0)
    student = MelodyModel(5, embedding=8, hidden=16, dropout=0.0)
    fit(
        student,
        padded(rows),
        loss=taught_by(teacher, weight=1.0),
        epochs=80,
        optimizer=lambda p: torch.optim.Adam(p, 0.03),
        progress=False,
        seed=0,
    )
    odds = student.eval()(torch.tensor([[1, 2, 4]]))[0].softmax(-1)[0, :, 3]
    assert odds[1] > 0.9 and max(odds[0], odds[2]) < 0.1


def test_in_eval_mode_the_notes_alone_count(batch):
    torch.manual_seed(0)
    student = MelodyModel(7, embedding=4, hidden=8, dropout=0.0)
    teacher = Transformer(7, width=8, layers=1, heads=2)
    rows = padded([torch.tensor([1, 2, 3, 4]), torch.tensor([1, 2, 5])])[0]
    loss = taught_by(teacher, weight=0.9)
    logits = student.eval()(rows[0])[0]
    expected = nn.functional.cross_entropy(logits.flatten(0, 1), rows[1].flatten(), ignore_index=0)
    assert float(loss(student, rows)) == pytest.approx(float(expected))
    assert float(loss(student.train(), rows)) != pytest.approx(float(expected))
    assert not teacher.training


def test_bad_input(batch):
    logits, teacher, targets = batch
    with pytest.raises(ValueError, match="don't fit"):
        distillation(logits, teacher[..., :3], targets)
    with pytest.raises(ValueError, match="don't fit"):
        distillation(logits, teacher, targets[:, :2])
    with pytest.raises(ValueError, match="temperature"):
        distillation(logits, teacher, targets, temperature=0)
    with pytest.raises(ValueError, match="weight"):
        distillation(logits, teacher, targets, weight=1.5)

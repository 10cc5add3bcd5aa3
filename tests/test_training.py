"""The training loop, on models small enough to know the answer."""

import copy
import itertools
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from mlmusic.training import History, fit, seed_everything


def mse(model, batch):
    x, y = batch
    return nn.functional.mse_loss(model(x), y)


def line(n=64, noise=0.1, seed=1):
    """Noisy points of a known linear map from 3 numbers to 1."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 3, generator=generator)
    y = (
        x @ torch.tensor([[1.0], [-2.0], [0.5]])
        + 3
        + noise * torch.randn(n, 1, generator=generator)
    )
    return x, y


class Scripted(nn.Module):
    """Its weight counts the training steps; validation losses are read from a list."""

    def __init__(self, valid=()):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.valid = list(valid)

    def loss(self, _, batch):
        if self.training:
            return -self.weight  # gradient -1: SGD with lr 1 adds 1 a step
        return torch.tensor(self.valid[round(self.weight.item()) - 1])


def run(model, epochs=10, **options):
    options = {"optimizer": lambda p: torch.optim.SGD(p, lr=1.0), "progress": False, **options}
    return fit(model, [0], [0] if model.valid else None, loss=model.loss, epochs=epochs, **options)


class Clock:
    """Time that passes by a second whenever someone looks."""

    def __init__(self):
        self.now = -1

    def __call__(self):
        self.now += 1
        return self.now


def test_finds_the_least_squares_solution():
    x, y = line()
    model = nn.Linear(3, 1)
    history = fit(model, [(x, y)], loss=mse, epochs=800, lr=0.05, progress=False)
    design = torch.cat([x, torch.ones(len(x), 1)], dim=1)
    exact = torch.linalg.lstsq(design, y).solution.ravel()
    found = torch.cat([model.weight.ravel(), model.bias]).detach()
    torch.testing.assert_close(found, exact, atol=1e-4, rtol=0)
    assert len(history) == 800
    assert history.train[-1] < 0.02 < history.train[0]
    assert history.stopped_because == "all epochs done"


def test_early_stop_restores_exactly_the_best_weights():
    model = Scripted([5.0, 3.0, 1.0, 2.0, 1.0, 4.0, 0.0])
    history = run(model, patience=3)
    assert history.valid == [5, 3, 1, 2, 1, 4]
    assert history.best_epoch == 3  # of two equal ones the first
    assert model.weight.item() == 3
    assert history.stopped_because == "no better for 3 epochs"


def test_best_weights_without_early_stop():
    model = Scripted([5.0, 1.0, 2.0, 3.0])
    assert run(model, epochs=4).best_epoch == 2
    assert model.weight.item() == 2


def test_without_validation_the_last_weights_stay():
    model = Scripted()
    history = run(model, epochs=4)
    assert (model.weight.item(), history.best_epoch, history.valid) == (4, 4, [])


def test_time_budget_stops_between_batches_and_validates():
    model = Scripted([9.0] * 20)
    # The clock is read at the start (0), after every batch (1, 2, 3 and 5, …) and epoch (4).
    history = fit(
        model,
        [0] * 3,
        [0],
        loss=model.loss,
        epochs=10,
        optimizer=lambda p: torch.optim.SGD(p, lr=1.0),
        seconds=6,
        clock=Clock(),
        progress=False,
    )
    assert history.stopped_because == "time is up"
    assert history.seconds == [4, 7]
    assert len(history.valid) == 2
    assert history.train == [-1.0, -3.5]  # three steps, then two: (0+1+2)/3 and (3+4)/2


def test_a_tiny_budget_still_makes_one_step():
    model = Scripted([1.0])
    assert run(model, seconds=1e-9).train == [0.0]
    assert model.weight.item() == 1


def test_same_seed_same_result():
    x, y = line()
    start = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 1))

    def train(seed):
        model = copy.deepcopy(start)
        loader = DataLoader(TensorDataset(x, y), batch_size=16, shuffle=True)
        history = fit(model, loader, loader, loss=mse, epochs=3, seed=seed, progress=False)
        return history.train, history.valid, model[0].weight.detach().clone()

    one, same, other = train(5), train(5), train(6)
    assert one[:2] == same[:2]
    assert torch.equal(one[2], same[2])
    assert one[0] != other[0]


def test_seed_none_leaves_the_random_numbers_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    run(Scripted(), epochs=1, seed=None)
    assert torch.equal(torch.rand(1), expected)


def test_epoch_means_weight_batches_by_their_size():
    model = Scripted()
    batches = [{"x": torch.zeros(3)}, [torch.ones(1)], "no tensor"]  # sizes 3, 1, 1; losses 0, 1, 2
    options = {"optimizer": lambda p: torch.optim.SGD(p, lr=1.0), "progress": False}
    history = fit(model, batches, loss=model.loss, epochs=1, **options)
    assert history.train == [-(0 * 3 + 1 + 2) / 5]


def test_clip_bounds_the_gradient():
    model = nn.Linear(1, 1, bias=False)
    before = model.weight.item()
    fit(
        model,
        [torch.full((1, 1), 1e3)],
        loss=lambda model, x: model(x).sum(),
        epochs=1,
        optimizer=torch.optim.SGD(model.parameters(), lr=1.0),
        clip=0.5,
        progress=False,
    )
    assert before - model.weight.item() == pytest.approx(0.5, abs=1e-5)


def test_modes_gradients_and_restored_mode():
    seen = []

    class Spy(Scripted):
        def loss(self, model, batch):
            seen.append((self.training, torch.is_grad_enabled()))
            return super().loss(model, batch)

    model = Spy([1.0]).eval()
    run(model, epochs=1)
    assert seen == [(True, True), (False, False)]
    assert not model.training


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_nan_is_an_error_that_says_where_and_keeps_the_best_weights(bad):
    model = Scripted([2.0, 1.0, bad])
    with pytest.raises(FloatingPointError, match="validation loss became .* in epoch 3, batch 1"):
        run(model)
    assert model.weight.item() == 2

    model = Scripted()
    with pytest.raises(
        FloatingPointError, match="training loss became .* in epoch 1, batch 1: low"
    ):
        fit(model, [0], loss=lambda m, _: m.weight * bad, epochs=2, progress=False)
    assert model.weight.item() == 0


def test_interrupting_keeps_the_best_weights():
    class Interrupted(Scripted):
        def loss(self, model, batch):
            if self.training and self.weight.item() == 3:
                raise KeyboardInterrupt
            return super().loss(model, batch)

    model = Interrupted([2.0, 1.0, 4.0])
    history = run(model)
    assert (history.stopped_because, history.best_epoch, len(history)) == ("interrupted", 2, 3)
    assert model.weight.item() == 2


def test_batches_may_come_from_a_function():
    model = Scripted()
    counter = itertools.count()
    run_twice = fit(
        model,
        lambda: (next(counter) for _ in range(2)),
        loss=model.loss,
        epochs=2,
        progress=False,
    )
    assert len(run_twice) == 2
    assert next(counter) == 4


def test_nested_tensors_move_to_the_device():
    batch = ({"x": torch.zeros(2)}, [torch.zeros(1), "label"])
    moved = []

    def loss(model, batch):
        moved.append(batch)
        return model.weight.sum()

    with torch.device("cpu"):
        model = nn.Linear(1, 1)
    fit(model, [batch], loss=loss, epochs=1, device="cpu", progress=False)
    assert moved[0][1][1] == "label"
    assert moved[0][0]["x"].device.type == "cpu"


def test_progress_bar_shows_losses_and_ends_full(capsys):
    run(Scripted([1.0, 2.0, 3.0]), patience=1, progress=True)
    shown = capsys.readouterr().err
    assert "valid 2.000 (best 1.000)" in shown
    assert "2/2" in shown
    run(Scripted(), progress=False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be positive, not 0"),
        ({"epochs": 1.5}, "epochs must be a whole number, not 1.5"),
        ({"lr": float("nan")}, "lr must be positive, not nan"),
        ({"patience": 2}, "patience needs valid"),
        ({"train": []}, "train has no batches"),
        ({"valid": []}, "valid has no batches"),
        ({"train": iter([0])}, "train can be read only once.*pass a list, a DataLoader"),
        ({"valid": (i for i in [0])}, "valid can be read only once"),
        ({"train": 3}, "train must be batches to iterate over, not int"),
        ({"loss": lambda model, batch: 1.0}, "must return a scalar tensor, not 1.0"),
        ({"loss": lambda model, batch: torch.zeros(4)}, r"a scalar tensor, not shape \(4,\)"),
        ({"loss": lambda model, batch: torch.zeros(())}, "doesn't depend on the model"),
        ({"seed": -1}, "a seed is a whole number from 0"),
    ],
)
def test_bad_input_is_one_clear_line(options, message):
    model = Scripted([1.0] * 5)
    options = {"train": [0], "loss": model.loss, "epochs": 2, "progress": False, **options}
    with pytest.raises(ValueError, match=message):
        fit(model, **options)


def test_seed_everything():
    def draw():
        return random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002

    first = seed_everything(7)
    drawn = draw()
    second = seed_everything(7)
    assert draw() == drawn
    assert torch.equal(torch.rand(3, generator=first), torch.rand(3, generator=second))


def test_history_tells_its_story():
    history = History([3.0, 2.0], [4.0, 5.0], [1.0, 2.25], 1, "no better for 1 epoch")
    assert repr(history) == (
        "History(2 epochs in 2.2 s; best is epoch 1: train 3, valid 4; no better for 1 epoch)"
    )
    assert repr(History(stopped_because="interrupted")) == (
        "History(no epoch finished; interrupted)"
    )

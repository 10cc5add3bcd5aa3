"""Training: one seed for everything, and one loop that knows nothing of any model."""

from __future__ import annotations

import copy
import math
import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

Loss = Callable[[nn.Module, Any], Tensor]
Batches = Iterable[Any] | Callable[[], Iterable[Any]]


def seed_everything(seed: int) -> torch.Generator:
    """Seed Python's, NumPy's and PyTorch's random numbers.

    Parameters
    ----------
    seed : int
        0 to 2**32 - 1.

    Returns
    -------
    torch.Generator
        A generator of its own with the same seed, for functions that take one.

    Raises
    ------
    ValueError
        If the seed isn't such a number.
    """
    if not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
        raise ValueError(f"a seed is a whole number from 0 to 2**32 - 1, not {seed!r}")
    random.seed(int(seed))
    np.random.seed(int(seed))  # noqa: NPY002  # libraries still draw from the global one
    torch.manual_seed(int(seed))  # also seeds every GPU
    return torch.Generator().manual_seed(int(seed))


@dataclass(repr=False)
class History:
    """What happened in training; `plots.loss` draws it.

    Attributes
    ----------
    train : list of float
        Mean loss over the batches of each epoch, while the weights were still moving.
    valid : list of float
        Mean loss over the validation batches after each epoch; empty without any.
    seconds : list of float
        Time since the start at the end of each epoch.
    best_epoch : int
        The epoch, counted from 1, whose weights the model has now: that of the lowest
        validation loss, or the last one if nothing was validated. 0 if none was finished.
    stopped_because : str
        ``"all epochs done"``, ``"no better for 3 epochs"``, ``"time is up"`` or
        ``"interrupted"``.
    """

    train: list[float] = field(default_factory=list)
    valid: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    best_epoch: int = 0
    stopped_because: str = "all epochs done"

    def __len__(self) -> int:
        """Count the epochs."""
        return len(self.train)

    def __repr__(self) -> str:
        if not len(self):
            return f"History(no epoch finished; {self.stopped_because})"
        valid = f", valid {self.valid[self.best_epoch - 1]:.4g}" if self.valid else ""
        return (
            f"History({len(self)} epoch{'s' * (len(self) > 1)} in {self.seconds[-1]:.1f} s; "
            f"best is epoch {self.best_epoch}: train {self.train[self.best_epoch - 1]:.4g}{valid}; "
            f"{self.stopped_because})"
        )


def fit(
    model: nn.Module,
    train: Batches,
    valid: Batches | None = None,
    *,
    loss: Loss,
    epochs: int,
    optimizer: torch.optim.Optimizer | Callable[..., torch.optim.Optimizer] | None = None,
    lr: float = 1e-3,
    patience: int | None = None,
    seconds: float | None = None,
    clip: float | None = None,
    device: str | torch.device | None = None,
    seed: int | None = 0,
    progress: bool = True,
    clock: Callable[[], float] = time.perf_counter,
) -> History:
    """Train a model, and leave it with the weights that validated best.

    Parameters
    ----------
    model : nn.Module
        Changed in place; its train/eval mode is as before afterwards.
    train, valid : DataLoader, list or other re-iterable of batches, or a function returning one
        A batch is whatever ``loss`` understands; tensors in it (also inside tuples, lists and
        dicts) are moved to the device. Without ``valid`` the last weights are kept.
    loss : function (model, batch) -> scalar tensor
        The mean loss over the batch. Epoch means weight each batch by its size: the length of
        the first tensor found in it, or 1.
    epochs : int
        At most this often through ``train``.
    optimizer : Optimizer or function (parameters) -> Optimizer, optional
        Adam with learning rate ``lr`` by default; ``lr`` is used for nothing else.
    lr : float
        Learning rate of the default optimizer.
    patience : int, optional
        Stop when the validation loss hasn't reached a new minimum for so many epochs.
    seconds : float, optional
        Time budget: stop after the batch (at least one) in which it runs out, and validate a
        last time. How far training gets then depends on the machine.
    clip : float, optional
        Largest norm of the gradient over all parameters; a longer one is scaled down to it.
    device : optional
        Where to move the model, such as ``"cuda"``; by default it stays where it is.
    seed : int, optional
        Seeds all global random numbers before the start, so that the same call gives the same
        weights; None leaves them alone.
    progress : bool
        Show a progress bar with the current losses.
    clock : function () -> seconds
        Measures the time; ``time.process_time`` counts CPU seconds instead.

    Returns
    -------
    History
        Interrupting training (Ctrl-C, or the notebook's stop button) also returns it, without
        the epoch that was under way.

    Raises
    ------
    ValueError
        If a number is impossible, ``patience`` comes without ``valid``, there are no batches,
        they can be read only once, or the loss isn't a scalar that depends on the model.
    FloatingPointError
        If a loss becomes NaN or infinite; the model keeps the best weights so far.
    """
    _check_numbers(epochs=epochs, lr=lr, patience=patience, seconds=seconds, clip=clip)
    if patience is not None and valid is None:
        raise ValueError("patience needs valid: early stopping watches the validation loss")
    _check_reiterable(train, "train")
    _check_reiterable(valid, "valid")
    if seed is not None:
        seed_everything(seed)
    if device is not None:
        model.to(device)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    if optimizer is None:
        optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    elif not isinstance(optimizer, torch.optim.Optimizer):
        optimizer = optimizer(model.parameters())

    history, best, was_training = History(), None, model.training
    started = clock()
    bar = tqdm(total=_count(train, epochs), unit="batch", disable=not progress)
    try:
        for epoch in range(1, epochs + 1):
            bar.set_description(f"epoch {epoch}/{epochs}")
            model.train()
            mean, out_of_time = _Mean("training", epoch), False
            for batch in _batches(train, "train"):
                batch = move_to(batch, device)
                optimizer.zero_grad(set_to_none=True)
                value = loss(model, batch)
                mean.add(value, batch)
                _check_differentiable(value)
                value.backward()
                if clip is not None:
                    nn.utils.clip_grad_norm_(model.parameters(), clip)
                optimizer.step()
                bar.set_postfix_str(_losses(mean.value, history.valid), refresh=False)
                bar.update()
                if seconds is not None and clock() - started >= seconds:
                    out_of_time = True
                    break
            validated = None if valid is None else _evaluate(model, valid, loss, device, epoch)
            history.train.append(mean.value)
            history.seconds.append(clock() - started)
            if validated is None:
                history.best_epoch = epoch
            else:
                if validated < min(history.valid, default=math.inf):
                    history.best_epoch, best = epoch, copy.deepcopy(model.state_dict())
                history.valid.append(validated)
            if epoch == 1:  # now it's known how many batches an epoch has
                bar.total = bar.n * epochs
            bar.set_postfix_str(_losses(mean.value, history.valid))
            if out_of_time:
                history.stopped_because = "time is up"
                break
            if patience is not None and epoch - history.best_epoch >= patience:
                history.stopped_because = f"no better for {patience} epoch{'s' * (patience > 1)}"
                break
    except KeyboardInterrupt:
        history.stopped_because = "interrupted"
    finally:
        if best is not None:
            model.load_state_dict(best)
        model.train(was_training)
        bar.total = bar.n  # a stop is no failure: the bar ends full
        bar.close()
    return history


class _Mean:
    """Mean of losses, weighted by batch size; refuses what isn't a finite scalar."""

    def __init__(self, phase: str, epoch: int):
        self.phase, self.epoch = phase, epoch
        self.batches = self.total = self.weight = 0.0

    def add(self, value: Tensor, batch: Any) -> None:
        if not isinstance(value, Tensor) or value.numel() != 1:
            what = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"{value!r}"
            raise ValueError(f"loss(model, batch) must return a scalar tensor, not {what}")
        number = value.item()
        self.batches += 1
        if not math.isfinite(number):
            raise FloatingPointError(
                f"the {self.phase} loss became {number} in epoch {self.epoch}, batch"
                f" {self.batches:.0f}: lower the learning rate, clip the gradient (clip=1.0), or"
                " look for log(0) and division by 0 in the loss"
            )
        size = _size(batch) or 1
        self.total += number * size
        self.weight += size

    @property
    def value(self) -> float:
        return self.total / self.weight


def _evaluate(
    model: nn.Module, valid: Batches, loss: Loss, device: torch.device, epoch: int
) -> float:
    model.eval()
    mean = _Mean("validation", epoch)
    with torch.no_grad():
        for batch in _batches(valid, "valid"):
            batch = move_to(batch, device)
            mean.add(loss(model, batch), batch)
    return mean.value


def _batches(source: Batches, name: str) -> Iterator[Any]:
    empty = True
    for batch in source() if callable(source) else source:
        empty = False
        yield batch
    if empty:
        raise ValueError(f"{name} has no batches")


def _size(batch: Any) -> int | None:
    """Length of the first tensor in a batch, or None."""
    if isinstance(batch, Tensor):
        return len(batch) if batch.ndim else None
    parts = batch.values() if isinstance(batch, dict) else batch
    if isinstance(batch, (tuple, list, dict)):
        return next((size for size in map(_size, parts) if size), None)
    return None


def move_to(batch: Any, device: torch.device) -> Any:
    """Move all tensors in a batch to a device."""
    if isinstance(batch, Tensor):
        return batch.to(device)
    if isinstance(batch, dict):
        return {name: move_to(part, device) for name, part in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):  # a named tuple
        return type(batch)(*(move_to(part, device) for part in batch))
    if isinstance(batch, (tuple, list)):
        return type(batch)(move_to(part, device) for part in batch)
    return batch


def _count(train: Batches, epochs: int) -> int | None:
    """How many batches there will be, if that is known before they are read."""
    try:
        return len(train) * epochs  # type: ignore[arg-type]
    except TypeError:
        return None


def _losses(train: float, valid: list[float]) -> str:
    shown = f"train {train:.3f}"
    return f"{shown}, valid {valid[-1]:.3f} (best {min(valid):.3f})" if valid else shown


def _check_numbers(**numbers: float | None) -> None:
    for name, number in numbers.items():
        if number is not None and not number > 0:
            raise ValueError(f"{name} must be positive, not {number!r}")
    for name in ("epochs", "patience"):
        number = numbers[name]
        if number is not None and not isinstance(number, (int, np.integer)):
            raise ValueError(f"{name} must be a whole number, not {number!r}")


def _check_reiterable(source: Batches | None, name: str) -> None:
    if source is None or callable(source):
        return
    if not isinstance(source, Iterable):
        raise ValueError(f"{name} must be batches to iterate over, not {type(source).__name__}")
    if isinstance(source, Iterator):
        raise ValueError(
            f"{name} can be read only once, but every epoch needs it: pass a list, a DataLoader,"
            " or the function that makes the iterator (without calling it)"
        )


def _check_differentiable(value: Tensor) -> None:
    if not value.requires_grad:
        raise ValueError(
            "the loss doesn't depend on the model's parameters: is it computed under"
            " no_grad(), from .item() or .detach(), or are all parameters frozen?"
        )

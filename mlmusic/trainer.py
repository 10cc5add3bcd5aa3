"""Long training: resumed after a kill, on a CPU, a GPU or several, with a log.

`mlmusic.training.fit` is for minutes in a notebook; this is for `mlmusic train`. All that is random
in a step comes from the seed and the step's number, so a training that goes on from a checkpoint
computes what it would have computed without the interruption.
"""

from __future__ import annotations

import contextlib
import copy
import csv
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from tqdm.auto import tqdm

from mlmusic.devices import checked_device, has_bfloat16, out_of_memory
from mlmusic.training import move_to

Batch = Callable[[int, int, int], Any]
"""``batch(step, rank, world)``: part ``rank`` of ``world`` equal parts of a step's batch."""

Loss = Callable[[nn.Module, Any], tuple[Tensor, Tensor]]
"""``loss(model, batch)``: the sum over what is predicted, and over how many that is."""


class Trainer:
    """Train with AdamW, an average of the weights, a log and a checkpoint.

    The learning rate rises for ``warmup`` steps, stays, and falls to zero in a straight line over
    the last ``decay`` of the way. The model ends with the exponential mean of its weights, which
    predicts better than the last ones (Polyak and Juditsky, 1992).

    Started by ``torchrun``, each process computes its part of every batch, and the gradients are
    averaged: the same training as one process with the whole batches, but for what dropout hides.

    Parameters
    ----------
    model : nn.Module
        Changed in place.
    batch : function (step, rank, world) -> batch
        The same arguments, the same batch. Tensors in it are moved to the device.
    loss : function (model, batch) -> (sum, count)
    steps : int, optional
        How many batches.
    minutes : float, optional
        Or for how long, in minutes of the clock, counted over all runs of one training. The
        result then depends on the machine.
    lr, warmup, decay, weight_decay, clip
        Highest learning rate; steps in which it's reached; share of the way on which it falls;
        AdamW's decay, of matrices alone; largest norm of the gradient.
    average : float
        How much of the mean weights stays at each step.
    seed : int
    device : str
        ``"auto"`` is a GPU if there is one.
    precision : {"auto", "float32", "bfloat16"}
        bfloat16 is autocast; "auto" takes it where the hardware multiplies matrices in it.
    checkpoint : Path, optional
        Where the state is kept, written every ``every`` steps and at the end. If it is there, the
        training goes on from it.
    log : Path, optional
        CSV file: step, seconds, lr, loss (mean since the last row), norm of the gradient, valid.
    every : int
        Steps between rows of the log and checkpoints.
    valid : function (model) -> float, optional
        Called at every row with the mean weights, in eval mode. Watched only: nothing is chosen
        by it.
    progress : bool

    Raises
    ------
    ValueError
        If a number is impossible, or not exactly one of ``steps`` and ``minutes`` is given.
    """

    def __init__(
        self,
        model: nn.Module,
        batch: Batch,
        loss: Loss,
        *,
        steps: int | None = None,
        minutes: float | None = None,
        lr: float = 1e-3,
        warmup: int = 100,
        decay: float = 0.5,
        weight_decay: float = 0.05,
        clip: float = 1.0,
        average: float = 0.998,
        seed: int = 0,
        device: str = "auto",
        precision: str = "auto",
        checkpoint: str | Path | None = None,
        log: str | Path | None = None,
        every: int = 100,
        valid: Callable[[nn.Module], float] | None = None,
        progress: bool = True,
    ):
        if (steps is None) == (minutes is None):
            raise ValueError("say either how many steps or how many minutes to train")
        for name, number in {"steps": steps, "minutes": minutes, "lr": lr, "every": every}.items():
            if number is not None and not number > 0:
                raise ValueError(f"{name} must be positive, not {number!r}")
        if not 0 <= average < 1 or not 0 <= decay <= 1:
            raise ValueError("average must be at least 0 and below 1, decay from 0 to 1")
        self.rank, self.world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        self.device = checked_device(device)
        if precision == "auto":
            precision = "bfloat16" if has_bfloat16(self.device) else "float32"
        if precision not in ("float32", "bfloat16"):
            raise ValueError(f"precision must be float32, bfloat16 or auto, not {precision!r}")
        self.bfloat16 = precision == "bfloat16"
        self.model = model.to(self.device)
        self.mean = copy.deepcopy(model).eval()
        matrices = [p for p in model.parameters() if p.ndim > 1]
        others = [p for p in model.parameters() if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": weight_decay}, {"params": others}],
            lr=lr,
            betas=(0.9, 0.98),
            weight_decay=0.0,
            fused=self.device.type in ("cpu", "cuda"),
        )
        self.batch, self.loss, self.valid, self.progress = batch, loss, valid, progress
        self.steps, self.minutes, self.seed, self.every = steps, minutes, seed, every
        self.lr, self.warmup, self.decay = lr, warmup, decay
        self.clip, self.average = clip, average
        self.checkpoint = None if checkpoint is None else Path(checkpoint)
        self.log = None if log is None else Path(log)
        self.step, self.seconds, self.cpu_seconds = 0, 0.0, 0.0
        # What must be the same for a training to go on.
        self.settings = {
            "steps": steps,
            "minutes": minutes,
            "lr": lr,
            "warmup": warmup,
            "decay": decay,
            "weight_decay": weight_decay,
            "clip": clip,
            "average": average,
            "seed": seed,
            "precision": precision,
            "world": self.world,
            "config": repr(getattr(model, "config", None)),
        }

    def run(self) -> nn.Module:
        """Train to the end, and return the model with its mean weights, in eval mode.

        What it cost over all runs of this training is its attribute ``cpu_seconds``.

        Raises
        ------
        FloatingPointError
            If a loss is NaN or infinite.
        MemoryError
            If the memory isn't enough; the checkpoint before stays.
        ValueError
            If the checkpoint is damaged, or of another training.
        """
        if self.checkpoint is not None and self.checkpoint.exists():
            self.resume()
        with self._processes() as model:
            bar = tqdm(
                total=self.steps,
                initial=self.step,
                unit="batch",
                disable=not self.progress or self.rank > 0,
            )
            total = count = norms = 0.0
            began, rows = time.perf_counter() - self.seconds, 0
            cpu = time.process_time() - self.cpu_seconds
            while self._share() < 1:
                try:
                    value, number, norm = self._one(model)
                except RuntimeError as error:
                    if not out_of_memory(error):
                        raise
                    raise MemoryError(
                        f"out of memory in step {self.step}: take smaller batches, a shorter"
                        " context or a smaller model"
                    ) from None
                self.step += 1
                self.seconds = self._agreed(time.perf_counter() - began)
                total, count, norms, rows = total + value, count + number, norms + norm, rows + 1
                bar.update()
                bar.set_postfix_str(f"loss {value / number:.4f}", refresh=False)
                if self.step % self.every == 0 or self._share() >= 1:
                    paused = time.perf_counter()
                    self.cpu_seconds = time.process_time() - cpu
                    self._note(total / count, norms / rows, bar)
                    total, count, norms, rows = 0.0, 0.0, 0.0, 0
                    if self.checkpoint is not None and self.rank == 0:
                        self.save()
                    began += time.perf_counter() - paused
            bar.close()
        self.model.load_state_dict(self.mean.state_dict())
        self.model.cpu_seconds = self.cpu_seconds
        return self.model.eval()

    def _share(self) -> float:
        """How much of the way is behind, from 0 to 1."""
        if self.steps is not None:
            return self.step / self.steps
        return self.seconds / (60 * self.minutes)

    def rate(self) -> float:
        """Return the learning rate of the next step."""
        rising = min(1.0, (self.step + 1) / max(1, self.warmup))
        falling = min(1.0, (1 - self._share()) / max(self.decay, 1e-9))
        return self.lr * rising * falling

    def _one(self, model: nn.Module) -> tuple[float, float, float]:
        """Take one step; return the sum of losses and their count, and the gradient's norm."""
        state = np.random.SeedSequence((self.seed, self.step, self.rank)).generate_state(
            1, np.uint64
        )
        torch.manual_seed(int(state[0] >> 1))  # for dropout
        batch = move_to(self.batch(self.step, self.rank, self.world), self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        self.model.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            part, number = self.loss(model, batch)
        whole = torch.stack([part.detach().double(), number.double()])
        if self.world > 1:
            dist.all_reduce(whole)
        value, counted = whole.tolist()
        if not math.isfinite(value) or not counted:
            raise FloatingPointError(
                f"the training loss became {value} in step {self.step}: lower the learning rate,"
                " or look for log(0) and division by 0 in the loss"
            )
        self.optimizer.zero_grad(set_to_none=True)
        (part * (self.world / counted)).backward()  # processes' gradients are averaged
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimizer.step()
        keep = min(self.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.mean.parameters()), list(self.model.parameters()), 1 - keep
            )
        return value, counted, float(norm)

    def _note(self, loss: float, norm: float, bar: tqdm) -> None:
        """Write a row of the log."""
        if self.rank:
            return
        valid = self.valid(self.mean) if self.valid is not None else math.nan
        if not math.isnan(valid):
            bar.set_description(f"valid {valid:.4f}")
        if self.log is None:
            return
        new = not self.log.exists()
        with self.log.open("a", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            if new:
                rows.writerow(["step", "seconds", "lr", "loss", "gradient", "valid"])
            last = "" if math.isnan(valid) else f"{valid:.6f}"
            rows.writerow(
                [
                    self.step,
                    f"{self.seconds:.1f}",
                    f"{self.rate():.3g}",
                    f"{loss:.6f}",
                    f"{norm:.4f}",
                    last,
                ]
            )

    # Checkpoints --------------------------------------------------------------------------------

    def save(self) -> None:
        """Write the checkpoint: whole or not at all, also where the machine stops meanwhile."""
        state = {
            "settings": self.settings,
            "step": self.step,
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "model": self.model.state_dict(),
            "mean": self.mean.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        new = self.checkpoint.with_name(self.checkpoint.name + ".new")
        with new.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self.checkpoint)

    def resume(self) -> None:
        """Go on from the checkpoint.

        Raises
        ------
        ValueError
            If it is damaged, or of a training with other settings.
        """
        try:
            state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
            settings = state["settings"]
        except Exception as error:  # whatever a damaged file makes of it
            raise ValueError(
                f"the checkpoint {self.checkpoint} is damaged ({type(error).__name__}): delete it"
                " to start anew"
            ) from None
        for name, value in self.settings.items():
            if settings.get(name) != value:
                raise ValueError(
                    f"the checkpoint {self.checkpoint} is of a training with {name}"
                    f" {settings.get(name)}, not {value}: go on with that, or delete it"
                )
        self.model.load_state_dict(state["model"])
        self.mean.load_state_dict(state["mean"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name in ("step", "seconds", "cpu_seconds"):
            setattr(self, name, state[name])
        if self.log is not None and self.log.exists():  # rows after the checkpoint come again
            rows = self.log.read_text("utf-8").splitlines(keepends=True)
            kept = [r for r in rows if not r[:1].isdigit() or int(r.split(",")[0]) <= self.step]
            if self.rank == 0:
                self.log.write_text("".join(kept), "utf-8")

    # Several processes --------------------------------------------------------------------------

    @contextlib.contextmanager
    def _processes(self):
        """Join the processes that torchrun has started, if it has."""
        if self.world == 1:
            yield self.model
            return
        cuda = self.device.type == "cuda"
        dist.init_process_group("nccl" if cuda else "gloo")
        try:
            yield nn.parallel.DistributedDataParallel(
                self.model, device_ids=[self.device.index] if cuda else None
            )
        finally:
            dist.destroy_process_group()

    def _agreed(self, seconds: float) -> float:
        """Let all processes have the same time, or they would stop at different steps."""
        if self.world == 1:
            return seconds
        told = torch.tensor(seconds, dtype=torch.float64, device=self.device)
        dist.broadcast(told, 0)
        return float(told)

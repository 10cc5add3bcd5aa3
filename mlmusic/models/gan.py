"""Generative adversarial networks: a generator that forges, a critic that tells forgeries apart.

Goodfellow and others, *Generative adversarial nets*, NeurIPS, 2014. The networks are convolutions
along time, after Radford, Metz and Chintala's DCGAN (2016) with its picture's height folded into
channels: one for each symbol of `mlmusic.windows`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional
from tqdm.auto import tqdm

from mlmusic.windows import SYMBOLS, from_roll, repair

LOSSES = ("minimax", "non-saturating", "wasserstein")
PENALTIES = ("wgan-gp", "r1")

SPECTRAL_SCALE = 20.0
"""By how much a critic with normalised layers multiplies its score."""


# The game on a distribution with few outcomes, where everything can be computed ------------------


def game_value(real: ArrayLike, fake: ArrayLike, critic: ArrayLike) -> float:
    """Return the value of the min–max game, ``Σ p log D + Σ q log(1 - D)``, in nats.

    Parameters
    ----------
    real, fake : array, shape (outcomes,)
        The probabilities p and q.
    critic : array, shape (outcomes,)
        D: how sure the critic is that each outcome is real, 0 to 1.

    Raises
    ------
    ValueError
        If these aren't distributions, or D isn't between 0 and 1.
    """
    p, q = _distributions(real, fake)
    d = np.asarray(critic, float)
    if d.shape != p.shape or not ((d >= 0) & (d <= 1)).all():
        raise ValueError(f"the critic gives a number from 0 to 1 for each of {len(p)} outcomes")
    with np.errstate(divide="ignore"):  # log 0 where it counts is minus infinity, and meant so
        real_part = np.log(d, where=p > 0, out=np.zeros_like(d))
        fake_part = np.log(1 - d, where=q > 0, out=np.zeros_like(d))
    return float((p * real_part + q * fake_part).sum())


def best_critic(real: ArrayLike, fake: ArrayLike) -> np.ndarray:
    """Return the critic that makes the value largest, ``p / (p + q)`` (1/2 where both are 0).

    With it the value is ``-log 4 + 2 JSD(p, q)`` (Goodfellow and others, 2014, proposition 1 and
    theorem 1): see `jensen_shannon`.
    """
    p, q = _distributions(real, fake)
    return np.divide(p, p + q, out=np.full(len(p), 0.5), where=p + q > 0)


def jensen_shannon(real: ArrayLike, fake: ArrayLike) -> float:
    """Return the Jensen–Shannon divergence of two distributions in nats, 0 to log 2."""
    p, q = _distributions(real, fake)
    middle = (p + q) / 2

    def divergence(a: np.ndarray) -> float:
        some = a > 0
        return float((a[some] * np.log(a[some] / middle[some])).sum())

    return (divergence(p) + divergence(q)) / 2


def _distributions(*rows: ArrayLike) -> list[np.ndarray]:
    found = [np.asarray(row, float) for row in rows]
    for row in found:
        if row.ndim != 1 or row.shape != found[0].shape or not (row >= 0).all():
            raise ValueError("a distribution is a row of probabilities, both of one length")
        if abs(row.sum() - 1) > 1e-6:
            raise ValueError(f"probabilities add up to 1, not {row.sum():.6g}")
    return found


# The two networks --------------------------------------------------------------------------------


class MelodyGenerator(nn.Module):
    """Noise to a roll: a linear layer makes four coarse steps, transposed convolutions refine them.

    Parameters
    ----------
    steps : int
        Length of a window: four times a power of two, at least 8.
    latent : int
        How many random numbers go in.
    channels : int
        Width of the finest layers; the first ones are wider.

    Raises
    ------
    ValueError
        If a number is impossible.
    """

    def __init__(self, *, steps: int = 32, latent: int = 64, channels: int = 64):
        super().__init__()
        doublings = _doublings(steps)
        if latent < 1 or channels < 1:
            raise ValueError("latent and channels must be positive")
        self.config = {"steps": steps, "latent": latent, "channels": channels}
        self.steps, self.latent = steps, latent
        width = 2 * channels
        self.coarse = nn.Linear(latent, 4 * width)
        layers: list[nn.Module] = [nn.BatchNorm1d(width), nn.ReLU()]
        for _ in range(doublings):
            layers += [
                nn.ConvTranspose1d(width, channels, kernel_size=4, stride=2, padding=1),
                nn.BatchNorm1d(channels),
                nn.ReLU(),
            ]
            width = channels
        layers.append(nn.Conv1d(channels, SYMBOLS, kernel_size=3, padding=1))
        self.refine = nn.Sequential(*layers)

    def logits(self, z: Tensor) -> Tensor:
        """Give every symbol a score in every step: (n, latent) to (n, SYMBOLS, steps)."""
        if z.ndim != 2 or z.shape[1] != self.latent:
            raise ValueError(f"noise must be (n, {self.latent}), not {tuple(z.shape)}")
        return self.refine(self.coarse(z).unflatten(1, (-1, 4)))

    def forward(self, z: Tensor) -> Tensor:
        """Forge rolls of ones and zeros, (n, SYMBOLS, steps), that still have a gradient."""
        return straight_through(self.logits(z))

    @torch.no_grad()
    def sample(self, n: int, *, seed: int, mend: bool = True) -> np.ndarray:
        """Forge windows.

        Parameters
        ----------
        n : int
        seed : int
            Of the noise. The model should be in eval mode: else windows depend on each other.
        mend : bool
            Turn holds that hold nothing into rests. `mlmusic.windows.faults` counts them without.

        Returns
        -------
        int64 array, shape (n, steps)
        """
        if n < 1:
            raise ValueError(f"n must be at least 1, not {n}")
        symbols = from_roll(self.logits(noise(n, self.latent, seed)).numpy())
        return repair(symbols) if mend else symbols


class MelodyCritic(nn.Module):
    """A roll to a score: convolutions that halve the time, then one linear layer.

    Without batch normalisation, which would let a window's score depend on the others, and a
    gradient penalty is about each window by itself.

    Parameters
    ----------
    steps, channels : int
        As for `MelodyGenerator`.
    spectral : bool
        Divide every layer's weights by their largest singular value (Miyato and others, *Spectral
        normalization for generative adversarial networks*, ICLR, 2018).

    Raises
    ------
    ValueError
        If a number is impossible.
    """

    def __init__(self, *, steps: int = 32, channels: int = 64, spectral: bool = False):
        super().__init__()
        doublings = _doublings(steps)
        if channels < 1:
            raise ValueError("channels must be positive")
        self.config = {"steps": steps, "channels": channels, "spectral": spectral}
        bounded = nn.utils.parametrizations.spectral_norm if spectral else lambda layer: layer
        layers: list[nn.Module] = []
        width = SYMBOLS
        for number in range(doublings + 1):
            wider = channels * (2 if number == doublings else 1)
            layer = nn.Conv1d(width, wider, 5, stride=2 if number else 1, padding=2)
            # He's scale, or the scores of a fresh critic would be nearly the same for everything.
            # Of the first layer's inputs only one in each of five steps isn't 0.
            nn.init.normal_(layer.weight, std=(2 / 1.04 / (5 * width if number else 5)) ** 0.5)
            nn.init.zeros_(layer.bias)
            layers += [bounded(layer), nn.LeakyReLU(0.2)]
            width = wider
        self.look = nn.Sequential(*layers)
        self.judge = bounded(nn.Linear(4 * width, 1))
        # Normalised layers are hardly steeper than 1 all together: too flat for a logit.
        self.scale = SPECTRAL_SCALE if spectral else 1.0

    def forward(self, roll: Tensor) -> Tensor:
        """Score rolls, (n, SYMBOLS, steps) to (n,): the higher the more real."""
        return self.scale * self.judge(self.look(roll).flatten(1)).squeeze(1)


def straight_through(logits: Tensor) -> Tensor:
    """Choose the likeliest symbol of each step, with the gradient of the softmax.

    Forwards these are the ones and zeros that real rolls consist of, so that the critic can't tell
    by the shades of grey; backwards it's as if the probabilities had been passed on (Bengio,
    Léonard and Courville, 2013).

    Parameters
    ----------
    logits : Tensor, (n, SYMBOLS, steps)
    """
    soft = logits.softmax(dim=1)
    hard = functional.one_hot(soft.argmax(dim=1), soft.shape[1]).transpose(1, 2).to(soft.dtype)
    return hard + soft - soft.detach()


def noise(n: int, latent: int, seed: int) -> Tensor:
    """Draw standard normal noise, (n, latent)."""
    return torch.randn(n, latent, generator=torch.Generator().manual_seed(seed))


def _doublings(steps: int) -> int:
    doublings = int(steps).bit_length() - 3
    if doublings < 1 or steps != 4 * 2**doublings:
        raise ValueError(f"steps must be 8, 16, 32 …, four times a power of two, not {steps}")
    return doublings


# Losses ------------------------------------------------------------------------------------------


def critic_loss(real: Tensor, fake: Tensor, kind: str = "non-saturating") -> Tensor:
    """Return what the critic minimises.

    Parameters
    ----------
    real, fake : Tensor, (n,)
        Its scores: logits, or for "wasserstein" any numbers.
    kind : str
        One of `LOSSES`. The first two share a critic: ``-log D(x) - log(1 - D(G(z)))``; the third
        is ``mean(fake) - mean(real)``.

    Raises
    ------
    ValueError
        If the loss is unknown.
    """
    _check_kind(kind)
    if kind == "wasserstein":
        return fake.mean() - real.mean()
    # -log σ(s) is softplus(-s), and doesn't overflow.
    return functional.softplus(-real).mean() + functional.softplus(fake).mean()


def generator_loss(fake: Tensor, kind: str = "non-saturating") -> Tensor:
    """Return what the generator minimises.

    Parameters
    ----------
    fake : Tensor, (n,)
        The critic's scores of forgeries.
    kind : str
        One of `LOSSES`: ``log(1 - D)``, whose gradient fades just when every forgery is found
        out; ``-log D``, whose doesn't; or ``-mean(score)``.

    Raises
    ------
    ValueError
        If the loss is unknown.
    """
    _check_kind(kind)
    if kind == "minimax":
        return -functional.softplus(fake).mean()
    return -fake.mean() if kind == "wasserstein" else functional.softplus(-fake).mean()


def gradient_penalty(critic: nn.Module, x: Tensor, *, target: float = 1.0) -> Tensor:
    """Penalise how steep the critic is at some inputs: ``mean((‖∇ critic(x)‖ - target)²)``.

    Parameters
    ----------
    critic : module (n, …) -> (n,)
    x : Tensor, (n, …)
        For WGAN-GP (Gulrajani and others, 2017), points between real and fake ones, see `between`;
        for R1 (Mescheder, Geiger and Nowozin, 2018), the real ones, with target 0.
    target : float

    Returns
    -------
    Tensor
        A scalar whose own gradient reaches the critic's weights.
    """
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    squares = slope.flatten(1).square().sum(dim=1)
    if target == 0:
        return squares.mean()  # the root has no gradient at 0
    return ((squares + 1e-12).sqrt() - target).square().mean()


def between(real: Tensor, fake: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw a point on the line from each real sample to a fake one, the same shape."""
    if real.shape != fake.shape:
        raise ValueError(f"shapes {tuple(real.shape)} and {tuple(fake.shape)} differ")
    share = torch.rand(len(real), *[1] * (real.ndim - 1), generator=generator)
    return share * real + (1 - share) * fake


def _check_kind(kind: str) -> None:
    if kind not in LOSSES:
        raise ValueError(f"the loss must be one of {', '.join(LOSSES)}, not {kind!r}")


# Training ----------------------------------------------------------------------------------------


@dataclass
class GanHistory:
    """What happened in every generator step.

    Attributes
    ----------
    critic, generator : list of float
        Their losses, the critic's without its penalty.
    gap : list of float
        Mean score of real samples minus that of forgeries: how far the critic tells them apart.
    """

    critic: list[float] = field(default_factory=list)
    generator: list[float] = field(default_factory=list)
    gap: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        """Count the generator's steps."""
        return len(self.generator)


def train_gan(
    generator: nn.Module,
    critic: nn.Module,
    real: Tensor,
    *,
    steps: int,
    loss: str = "non-saturating",
    penalty: str | None = "r1",
    weight: float = 0.5,
    critic_steps: int = 1,
    batch: int = 64,
    lr: float = 1e-3,
    decay: float = 0.0,
    average: float = 0.99,
    seed: int = 0,
    progress: bool = True,
    watch: Callable[[int, nn.Module], None] | None = None,
    every: int = 100,
) -> GanHistory:
    """Let generator and critic play against each other, in turns.

    Parameters
    ----------
    generator : module (n, latent) -> (n, …)
        With its number of inputs in ``generator.latent``. Left with a running average of its
        weights, which circles less around the balance than the weights do (Yazıcı and others,
        *The unusual effectiveness of averaging in GAN training*, ICLR, 2019).
    critic : module (n, …) -> (n,)
    real : Tensor, (samples, …)
    steps : int
        Of the generator.
    loss : str
        One of `LOSSES`.
    penalty : str, optional
        "wgan-gp", "r1", or None.
    weight : float
        What the penalty counts: 10 is usual for "wgan-gp".
    critic_steps : int
        Of the critic, for each of the generator's.
    batch : int
    lr : float
        Of two Adams, with β₁ = 0 (no momentum: the other player has moved meanwhile) and 0.9.
    decay : float
        Over which last share of the steps the learning rate falls to zero, along a line.
    average : float
        How much of the average is kept in each step; 0 keeps the last weights only.
    seed : int
        Of batches and noise. Seed before building the networks, too.
    progress : bool
        Show a bar with the gap and the losses.
    watch : function (step, averaged generator), optional
        Called before the first step, and then ``every`` so many steps, in eval mode.

    Returns
    -------
    GanHistory

    Raises
    ------
    ValueError
        If a number or name is impossible.
    FloatingPointError
        If a loss becomes NaN or infinite.
    """
    _check_kind(loss)
    if penalty is not None and penalty not in PENALTIES:
        raise ValueError(f"the penalty must be one of {', '.join(PENALTIES)}, not {penalty!r}")
    if min(steps, critic_steps, batch, every, len(real)) < 1 or not lr > 0 or weight < 0:
        raise ValueError("steps, critic_steps, batch, every and lr must be positive; so is data")
    if not (0 <= decay <= 1 and 0 <= average < 1):
        raise ValueError("decay lies from 0 to 1, and average from 0 to below 1")
    random = torch.Generator().manual_seed(seed)
    history, averaged = GanHistory(), copy.deepcopy(generator).eval()
    adams = [torch.optim.Adam(m.parameters(), lr, (0.0, 0.9)) for m in (generator, critic)]
    generator.train()
    critic.train()

    def draw() -> Tensor:
        return torch.randn(batch, generator.latent, generator=random)

    with tqdm(total=steps, unit="step", disable=not progress) as bar:
        for step in range(steps):
            if watch is not None and step % every == 0:
                watch(step, averaged)
            left = (steps - step) / steps
            for adam in adams:
                adam.param_groups[0]["lr"] = lr * (min(1.0, left / decay) if decay else 1.0)
            for _ in range(critic_steps):
                x = real[torch.randint(len(real), (batch,), generator=random)]
                with torch.no_grad():
                    fake = generator(draw())
                scores = critic(x), critic(fake)
                value = critic_loss(*scores, loss)
                total = value
                if penalty == "wgan-gp":
                    total = value + weight * gradient_penalty(critic, between(x, fake, random))
                elif penalty == "r1":
                    total = value + weight * gradient_penalty(critic, x, target=0)
                _step(adams[1], total)
            critic.requires_grad_(False)  # its turn is over: don't compute what isn't used
            forged = generator_loss(critic(generator(draw())), loss)
            _step(adams[0], forged)
            critic.requires_grad_(True)
            _follow(averaged, generator, average)
            history.critic.append(value.item())
            history.generator.append(forged.item())
            history.gap.append((scores[0].mean() - scores[1].mean()).item())
            if not np.isfinite([history.critic[-1], history.generator[-1]]).all():
                raise FloatingPointError(
                    f"a loss became infinite or NaN in step {step + 1}: lower the learning rate,"
                    " or raise the penalty's weight"
                )
            bar.set_postfix_str(f"gap {history.gap[-1]:.2f}", refresh=False)
            bar.update()
    if watch is not None:
        watch(steps, averaged)
    generator.load_state_dict(averaged.state_dict())
    generator.eval()
    return history


def _step(adam: torch.optim.Optimizer, loss: Tensor) -> None:
    adam.zero_grad(set_to_none=True)
    loss.backward()
    adam.step()


@torch.no_grad()
def _follow(averaged: nn.Module, generator: nn.Module, kept: float) -> None:
    for mean, value in zip(averaged.parameters(), generator.parameters(), strict=True):
        mean.lerp_(value, 1 - kept)
    for mean, value in zip(averaged.buffers(), generator.buffers(), strict=True):
        mean.copy_(value)  # batch normalisation's statistics are averages already

"""Variational autoencoders: a map of melodies that can be read in both directions.

An *encoder* turns a window of a melody into a few numbers, its *latent* z; a *decoder* turns such
numbers back into a window. The encoder says for every number a mean and a variance; a standard
normal prior keeps all windows near each other (Kingma and Welling, *Auto-encoding variational
Bayes*, 2014; Rezende, Mohamed and Wierstra, *Stochastic backpropagation*, 2014). Windows are rows
of symbols as `mlmusic.windows` has them; likelihoods and divergences are in nats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional as F

from mlmusic.windows import FIRST, SYMBOLS, checked, transposable

DECODERS = ("conv", "gru")
WIDEST = (-8.0, 4.0)
"""Smallest and largest log-variance: beyond these, exp() would help no one."""


# The terms of the ELBO --------------------------------------------------------------------------


def reparameterise(mean: Tensor, log_variance: Tensor, noise: Tensor | None = None) -> Tensor:
    """Draw from normal distributions so that gradients pass: z = mean + σ · noise.

    Parameters
    ----------
    mean, log_variance : (batch, latent)
        σ is ``exp(log_variance / 2)``.
    noise : (batch, latent), optional
        Standard normal; drawn from PyTorch's global generator if it isn't given.
    """
    noise = torch.randn_like(mean) if noise is None else noise
    return mean + torch.exp(log_variance / 2) * noise


def kl_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL divergence of normal distributions from the standard normal one, number by number.

    KL(N(μ, σ²) ‖ N(0, 1)) = ½ (μ² + σ² - 1 - ln σ²), in nats (Kingma and Welling 2014, appendix B).

    Parameters
    ----------
    mean, log_variance : (batch, latent)

    Returns
    -------
    Tensor
        (batch, latent), never negative; its sum over the last axis is a window's KL.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if mean.shape != log_variance.shape:
        raise ValueError(
            f"mean {tuple(mean.shape)} and log_variance {tuple(log_variance.shape)} differ in shape"
        )
    return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)


def reconstruction(logits: Tensor, symbols: Tensor) -> Tensor:
    """Negative log-likelihood of windows, in nats: (batch,).

    Parameters
    ----------
    logits : (batch, steps, symbols)
    symbols : (batch, steps) int64

    Raises
    ------
    ValueError
        If the shapes don't fit.
    """
    if logits.ndim != 3 or logits.shape[:2] != symbols.shape:
        raise ValueError(
            f"logits {tuple(logits.shape)} and symbols {tuple(symbols.shape)} don't fit: they must"
            " be (batch, steps, symbols) and (batch, steps)"
        )
    return F.cross_entropy(logits.transpose(1, 2), symbols, reduction="none").sum(dim=1)


def free_bits(kl: Tensor, floor: float) -> Tensor:
    """KL to be paid when so many nats of each latent number are free: a scalar.

    Each number's mean over the batch counts at least as ``floor``: below that, nothing is gained
    by making it say less (Kingma et al., *Improved variational inference with inverse
    autoregressive flow*, 2016, section C.8).

    Parameters
    ----------
    kl : (batch, latent)
        From `kl_normal`.
    floor : float
        Nats, 0 or more; 0 gives the mean KL of a window.

    Raises
    ------
    ValueError
        If the floor is negative.
    """
    if floor < 0:
        raise ValueError(f"floor must be 0 or more, not {floor}")
    return kl.mean(dim=0).clamp(min=floor).sum()


def elbo_loss(
    *, beta: float = 1.0, warmup: int = 0, floor: float = 0.0
) -> Callable[[MelodyVAE, tuple[Tensor, ...]], Tensor]:
    """Return a loss for `mlmusic.fit`: reconstruction plus β times KL, in nats a window.

    With β = 1 and no floor it is the negative ELBO; other β are those of Higgins et al., *β-VAE*,
    2017. With β = 0 the latent numbers are the encoder's means without noise: an autoencoder.

    Parameters
    ----------
    beta : float
        Weight of the KL term.
    warmup : int
        Over so many training batches β rises from 0 (Bowman et al., *Generating sentences from a
        continuous space*, 2016). Validation has the whole β. Use a new loss for every training.
    floor : float
        Free nats of each latent number; see `free_bits`.

    Raises
    ------
    ValueError
        If a number is negative.
    """
    if min(beta, warmup, floor) < 0:
        raise ValueError("beta, warmup and floor must be 0 or more")
    seen = 0

    def loss(model: MelodyVAE, batch: tuple[Tensor, ...]) -> Tensor:
        nonlocal seen
        symbols, kind = (*batch, None)[:2]
        mean, log_variance = model.encode(symbols)
        z = reparameterise(mean, log_variance) if beta else mean
        missed = reconstruction(model.decode(z, kind, symbols), symbols).mean()
        weight = beta
        if model.training:
            weight = beta * min(1.0, seen / warmup) if warmup else beta
            seen += 1
        return missed + weight * free_bits(kl_normal(mean, log_variance), floor)

    return loss


# The network ------------------------------------------------------------------------------------


class Residual(nn.Module):
    """x + f(x), where f is a convolution over places and one of a single tap."""

    def __init__(self, channels: int, dilation: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.GELU(),
            nn.Conv1d(channels, channels, 3, padding=dilation, dilation=dilation),
            nn.GELU(),
            nn.Conv1d(channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, places) to the same shape."""
        return x + self.body(x)


class MelodyVAE(nn.Module):
    """Encoder and decoder of windows.

    The encoder's first convolution takes four steps at a time (a beat of 4/4), so that everything
    after it works on an eighth as many places as there are steps in two bars; the decoder's last
    one turns each place into four steps again. That makes training several times as fast.

    Parameters
    ----------
    steps : int
        Length of a window: a multiple of 4.
    symbols : int
        How many there are.
    latent : int
        How many numbers stand for a window.
    embedding, channels, layers : int
        Numbers for a symbol; channels and residual blocks of encoder and decoder, each.
    decoder : {"conv", "gru"}
        All symbols at once, each of them independent of the others given z; or one after the
        other, each given those before it. The second one can do without z, and then the
        posterior collapses.
    kinds : int
        Styles between which the decoder is switched (a *conditional* VAE: Sohn, Lee and Yan,
        2015); 0 for none. The encoder isn't told.

    Attributes
    ----------
    config : dict
        The parameters above: ``MelodyVAE(**config)`` is the same architecture.

    Raises
    ------
    ValueError
        If a number isn't positive, steps is no multiple of 4, or the decoder isn't known.
    """

    PATCH = 4

    def __init__(
        self,
        steps: int = 32,
        *,
        symbols: int = SYMBOLS,
        latent: int = 64,
        embedding: int = 48,
        channels: int = 192,
        layers: int = 2,
        decoder: str = "conv",
        kinds: int = 0,
    ):
        super().__init__()
        self.config = {
            "steps": steps,
            "symbols": symbols,
            "latent": latent,
            "embedding": embedding,
            "channels": channels,
            "layers": layers,
            "decoder": decoder,
            "kinds": kinds,
        }
        if decoder not in DECODERS:
            raise ValueError(f"decoder is {decoder!r}; it must be one of {DECODERS}")
        for name in ("steps", "symbols", "latent", "embedding", "channels", "layers"):
            if not isinstance(self.config[name], int) or self.config[name] < 1:
                raise ValueError(f"{name} must be a positive whole number")
        if steps % self.PATCH or kinds < 0:
            raise ValueError(f"steps must be a multiple of {self.PATCH}, and kinds 0 or more")
        places = steps // self.PATCH
        self.embed = nn.Embedding(symbols, embedding)
        self.encoder = nn.Sequential(
            nn.Conv1d(embedding, channels, self.PATCH, stride=self.PATCH),
            *[Residual(channels, 2 ** (i % 2)) for i in range(layers)],
            nn.GELU(),
            nn.Flatten(),
            nn.Linear(channels * places, 2 * latent),
        )
        if decoder == "conv":
            self.lift = nn.Linear(latent, channels * places)
            self.decoder = nn.Sequential(
                nn.Unflatten(1, (channels, places)),
                *[Residual(channels, 2 ** (i % 2)) for i in range(layers)],
                nn.GELU(),
                nn.ConvTranspose1d(channels, 64, self.PATCH, stride=self.PATCH),
                nn.GELU(),
                nn.Conv1d(64, symbols, 3, padding=1),
            )
        else:
            self.lift = nn.Linear(latent, channels)
            self.decoder = nn.GRU(embedding + channels, channels, batch_first=True)
            self.scores = nn.Linear(channels, symbols)
        if kinds:
            # What a kind adds to the lifted latent: a bias for each channel (and place).
            self.style = nn.Embedding(kinds, self.lift.out_features)

    def encode(self, symbols: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance, each (batch, latent), of windows (batch, steps) int64.

        Raises
        ------
        ValueError
            If the windows have another length, or aren't int64.
        """
        steps = self.config["steps"]
        if symbols.ndim != 2 or symbols.shape[1] != steps or symbols.dtype != torch.int64:
            raise ValueError(
                f"windows must be int64 of shape (batch, {steps}), not {symbols.dtype} of shape"
                f" {tuple(symbols.shape)}"
            )
        x = self.embed(symbols).transpose(1, 2)  # (batch, embedding, steps)
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        return mean, log_variance.clamp(*WIDEST)

    def decode(
        self, z: Tensor, kind: Tensor | None = None, symbols: Tensor | None = None
    ) -> Tensor:
        """Return logits (batch, steps, symbols) for latent numbers (batch, latent).

        Parameters
        ----------
        z : (batch, latent)
        kind : (batch,) int64, optional
            Needed if the model has kinds.
        symbols : (batch, steps) int64, optional
            The true windows, of which a GRU sees at each step those before it (teacher forcing);
            a convolution doesn't look at them.

        Raises
        ------
        ValueError
            If a shape doesn't fit, the kind is missing or superfluous, or a GRU has no windows.
        """
        x = self._lifted(z, kind)
        if self.config["decoder"] == "conv":
            return self.decoder(x).transpose(1, 2)
        if symbols is None:
            raise ValueError("a GRU decoder needs the symbols before each; see write()")
        before = F.pad(self.embed(symbols[:, :-1]), (0, 0, 1, 0))  # zeros before the first
        x = x[:, None].expand(-1, symbols.shape[1], -1)
        return self.scores(self.decoder(torch.cat([before, x], dim=2))[0])

    @torch.no_grad()
    def write(self, z: Tensor, kind: Tensor | None = None) -> Tensor:
        """Decode freely: the likeliest symbol of each step, (batch, steps) int64.

        A GRU is given what it chose itself, never the truth.
        """
        if self.config["decoder"] == "conv":
            return self.decode(z, kind).argmax(dim=2)
        x = self._lifted(z, kind)[:, None]
        last, state, found = x.new_zeros(len(z), 1, self.embed.embedding_dim), None, []
        for _ in range(self.config["steps"]):
            y, state = self.decoder(torch.cat([last, x], dim=2), state)
            found.append(self.scores(y).argmax(dim=2))
            last = self.embed(found[-1])
        return torch.cat(found, dim=1)

    @torch.no_grad()
    def sample(self, n: int, *, seed: int, kind: Tensor | None = None) -> Tensor:
        """Write windows for latent numbers drawn from the prior, (n, steps) int64."""
        draw = torch.Generator().manual_seed(seed)
        return self.write(torch.randn(n, self.config["latent"], generator=draw), kind)

    def forward(self, symbols: Tensor, kind: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits, mean and log-variance; z is drawn in training, else it's the mean."""
        mean, log_variance = self.encode(symbols)
        z = reparameterise(mean, log_variance) if self.training else mean
        return self.decode(z, kind, symbols), mean, log_variance

    def _lifted(self, z: Tensor, kind: Tensor | None) -> Tensor:
        if z.ndim != 2 or z.shape[1] != self.config["latent"]:
            raise ValueError(f"z must be (batch, {self.config['latent']}), not {tuple(z.shape)}")
        if (kind is None) != (self.config["kinds"] == 0):
            has = f"has {self.config['kinds']} kinds" if self.config["kinds"] else "has no kinds"
            raise ValueError(f"the model {has}: kind must be given just then")
        return self.lift(z) if kind is None else self.lift(z) + self.style(kind)


# Data and measures ------------------------------------------------------------------------------


class Shifted:
    """Batches of windows, each transposed anew in every epoch, as far as the range goes.

    Parameters
    ----------
    symbols : int array, shape (n, steps)
        Windows; transposing leaves everything but notes alone.
    kinds : int array, shape (n,), optional
        Passed on beside each window.
    size : int
        Windows in a batch; what doesn't fill one waits for another epoch.
    most : int
        Largest shift in semitones, up or down.
    seed : int
        Of order and shifts. Going through again draws new ones: for the same training twice, make
        the object twice.

    Raises
    ------
    ValueError
        If there isn't one batch of windows, or a number is impossible.
    """

    def __init__(
        self,
        symbols: ArrayLike,
        kinds: ArrayLike | None = None,
        *,
        size: int = 64,
        most: int = 2,
        seed: int = 0,
    ):
        self.symbols = checked(symbols)
        if size < 1 or most < 0 or self.symbols.ndim != 2 or len(self.symbols) < size:
            raise ValueError(f"{self.symbols.shape} windows don't fill a batch of {size}")
        self.kinds = None if kinds is None else np.asarray(kinds, np.int64)
        if self.kinds is not None and self.kinds.shape != (len(self.symbols),):
            raise ValueError(f"{self.kinds.shape} kinds for {len(self.symbols)} windows")
        down, up = transposable(self.symbols)
        self.low, self.high = np.maximum(down, -most), np.minimum(up, most)
        self.size, self._rng = size, np.random.default_rng(seed)

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        return len(self.symbols) // self.size

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        """Go through the windows once, in a new order."""
        order = self._rng.permutation(len(self.symbols))
        for first in range(0, len(self) * self.size, self.size):
            rows = order[first : first + self.size]
            x = self.symbols[rows]
            shift = self._rng.integers(self.low[rows], self.high[rows] + 1)
            x = torch.from_numpy(np.where(x >= FIRST, x + shift[:, None], x))
            yield (x,) if self.kinds is None else (x, torch.from_numpy(self.kinds[rows]))

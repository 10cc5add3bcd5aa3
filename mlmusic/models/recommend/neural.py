"""Recommenders that are networks: two towers, and attention over what was played in order.

References
----------
X. Yi et al., "Sampling-bias-corrected neural modeling for large corpus item recommendations",
*RecSys*, 2019. W.-C. Kang and J. McAuley, "Self-attentive sequential recommendation", *ICDM*, 2018.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.sparse import csr_matrix
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from mlmusic.models.recommend.base import Recommender


class TwoTower(Recommender):
    """One network makes a vector of a history, another a vector of an item; their dot product.

    In training, a part of each user's history is hidden, and the vector of the rest shall be
    nearer to a hidden item than to the other items of the batch (sampled softmax). Popular items
    are in batches more often, so the log of that chance is taken off (the logQ correction);
    without it, the network would learn to avoid what is popular.

    Parameters
    ----------
    factors : int
        Length of the vectors.
    features : array, shape (items, features), optional
        What can be heard in the items; the item tower then also knows new tunes a little.
    epochs, rate, seed
        Of the training with Adam.
    progress : bool
        Show a progress bar.

    Attributes
    ----------
    losses : list of float
        The mean loss of each epoch.
    """

    def __init__(
        self,
        factors: int = 64,
        features: ArrayLike | None = None,
        epochs: int = 30,
        rate: float = 5e-3,
        seed: int = 0,
        progress: bool = False,
    ) -> None:
        _check(factors, epochs, rate)
        self.factors, self.epochs, self.rate = factors, epochs, rate
        self.seed, self.progress = seed, progress
        self.features = None if features is None else np.asarray(features, np.float32)

    def _fit(self, history: csr_matrix) -> None:
        items = history.shape[1]
        if self.features is not None and len(self.features) != items:
            raise ValueError(f"features of {len(self.features)} items, but plays of {items}")
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            self._network = _Towers(items, self.factors, self.features)
        popularity = np.bincount(history.indices, minlength=items) + 1
        log_chance = torch.from_numpy(np.log(popularity / popularity.sum())).float()
        random = np.random.default_rng(self.seed)

        def loss(users: np.ndarray) -> Tensor:
            rows = history[users]
            bags, hidden = _hide(rows, random)
            who, wanted = np.nonzero(hidden >= 0)[0], hidden[hidden >= 0]
            wanted = torch.from_numpy(wanted)
            logits = self._network.user(bags)[who] @ self._network.item(wanted).T
            logits = logits - log_chance[wanted]
            # Another of the user's own items isn't a wrong answer.
            own = torch.from_numpy(rows.toarray()[who][:, wanted.numpy()] > 0)
            own.fill_diagonal_(False)
            return F.cross_entropy(logits.masked_fill(own, -1e9), torch.arange(len(wanted)))

        _train(self, self._network, history, loss, size=128)

    @torch.no_grad()
    def _score(self, history: csr_matrix) -> np.ndarray:
        bags = [torch.from_numpy(row.indices.astype(np.int64)) for row in history]
        vectors = self._network.item(torch.arange(history.shape[1]))
        return (self._network.user(bags) @ vectors.T).numpy()


class _Towers(nn.Module):
    def __init__(self, items: int, factors: int, features: np.ndarray | None) -> None:
        super().__init__()
        self.played = nn.EmbeddingBag(items, factors, mode="mean")
        self.towards = nn.Sequential(
            nn.Linear(factors, factors), nn.ReLU(), nn.Linear(factors, factors)
        )
        self.offered = nn.Embedding(items, factors)
        nn.init.normal_(self.played.weight, std=0.1)
        nn.init.normal_(self.offered.weight, std=0.1)
        self.heard = None
        if features is not None:
            self.register_buffer("features", torch.from_numpy(features))
            self.heard = nn.Linear(features.shape[1], factors)

    def user(self, bags: list[Tensor]) -> Tensor:
        """Make a vector of each history, (users, factors)."""
        lengths = torch.tensor([0, *(len(bag) for bag in bags[:-1])])
        mean = self.played(torch.cat(bags), lengths.cumsum(0))
        return mean + self.towards(mean)

    def item(self, items: Tensor) -> Tensor:
        """Make a vector of each item, (items, factors)."""
        vectors = self.offered(items)
        return vectors if self.heard is None else vectors + self.heard(self.features[items])


class SASRec(Recommender):
    """Self-attention over what was played, in order, predicts what will be played next.

    Each place of a history looks at those before it, and its vector shall be near to the next
    item and far from others drawn by lot (sampled softmax). Needs plays with times, or rows in
    the order of listening.

    Parameters
    ----------
    factors : int
        Length of the vectors.
    layers, heads : int
        Of the attention.
    longest : int
        How many of the last items are looked at.
    negatives : int
        Items drawn by lot for each batch.
    dropout : float
    epochs, rate, seed
        Of the training with Adam.
    progress : bool
        Show a progress bar.

    Attributes
    ----------
    losses : list of float
        The mean loss of each epoch.
    """

    weight = "order"

    def __init__(
        self,
        factors: int = 64,
        layers: int = 2,
        heads: int = 2,
        longest: int = 50,
        negatives: int = 512,
        dropout: float = 0.2,
        epochs: int = 30,
        rate: float = 2e-3,
        seed: int = 0,
        progress: bool = False,
    ) -> None:
        _check(factors, epochs, rate)
        if factors % heads or min(layers, heads, longest, negatives) < 1:
            raise ValueError(
                "layers, heads, longest and negatives must be at least 1, "
                "and the heads must divide the factors"
            )
        self.factors, self.layers, self.heads = factors, layers, heads
        self.longest, self.negatives, self.dropout = longest, negatives, dropout
        self.epochs, self.rate, self.seed, self.progress = epochs, rate, seed, progress

    def _fit(self, history: csr_matrix) -> None:
        items = history.shape[1]
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            self._network = _Attention(
                items, self.factors, self.layers, self.heads, self.longest, self.dropout
            )
        popularity = np.bincount(history.indices, minlength=items).astype(float)
        # Drawn by the root of popularity: hits are the wrong answers that are hard to refuse.
        chance = np.sqrt(popularity + 1)
        chance /= chance.sum()
        edges = np.cumsum(chance)
        log_chance = torch.from_numpy(np.log(chance * self.negatives)).float()
        random = np.random.default_rng(self.seed)

        def loss(users: np.ndarray) -> Tensor:
            sequences = self._sequences(history[users], self.longest + 1)
            past, following = sequences[:, :-1], sequences[:, 1:]
            known = (past >= 0) & (following >= 0)
            vectors = self._network(past)[known]
            wanted = following[known]
            drawn = np.searchsorted(edges, random.random(self.negatives)).clip(max=items - 1)
            drawn = torch.from_numpy(drawn)
            right = (vectors * self._network.items(wanted)).sum(1, keepdim=True)
            right = right - log_chance[wanted][:, None]
            others = vectors @ self._network.items(drawn).T - log_chance[drawn]
            others = others.masked_fill(drawn == wanted[:, None], -1e9)
            logits = torch.cat([right, others], 1)
            return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.int64))

        _train(self, self._network, history, loss, size=64)

    @torch.no_grad()
    def _score(self, history: csr_matrix) -> np.ndarray:
        last = self._network(self._sequences(history, self.longest))[:, -1]
        return (last @ self._network.items.weight[: history.shape[1]].T).numpy()

    def _sequences(self, history: csr_matrix, longest: int) -> Tensor:
        """Return the last items of each history in order, padded with -1 in front."""
        out = np.full((history.shape[0], longest), -1)
        for row, start, end in zip(out, history.indptr, history.indptr[1:], strict=False):
            items = history.indices[start:end][np.argsort(history.data[start:end])][-longest:]
            if len(items):
                row[-len(items) :] = items
        return torch.from_numpy(out)


class _Attention(nn.Module):
    def __init__(
        self, items: int, factors: int, layers: int, heads: int, longest: int, dropout: float
    ) -> None:
        super().__init__()
        self.items = nn.Embedding(items + 1, factors, padding_idx=items)
        self.places = nn.Parameter(torch.zeros(longest, factors))
        nn.init.normal_(self.items.weight, std=0.05)
        nn.init.normal_(self.places, std=0.05)
        layer = nn.TransformerEncoderLayer(
            factors, heads, 2 * factors, dropout, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(factors)
        self.dropout = nn.Dropout(dropout)

    def forward(self, sequences: Tensor) -> Tensor:
        """Return a vector for each place of sequences (users, time), -1 where there is nothing."""
        time = sequences.shape[1]
        missing = sequences < 0
        x = self.items(sequences.masked_fill(missing, self.items.padding_idx))
        x = self.dropout(x + self.places[-time:])
        later = torch.ones(time, time, dtype=torch.bool).triu(1)
        # A place before the first item looks at itself, or the softmax would divide 0 by 0.
        hidden = (later | missing[:, None]) & ~torch.eye(time, dtype=torch.bool)
        heads = self.layers.layers[0].self_attn.num_heads
        return self.norm(self.layers(x, mask=hidden.repeat_interleave(heads, 0)))


def _train(
    model: TwoTower | SASRec,
    network: nn.Module,
    history: csr_matrix,
    loss: Callable[[np.ndarray], Tensor],
    size: int,
) -> None:
    """Minimise the loss over batches of users who have played at least two items."""
    users = np.flatnonzero(np.diff(history.indptr) > 1)
    if not len(users):
        raise ValueError("nobody has played two items: there is nothing to predict")
    optimizer = torch.optim.Adam(network.parameters(), model.rate)
    with torch.random.fork_rng():
        torch.manual_seed(model.seed)  # dropout
        network.train()
        epochs = tqdm(
            range(model.epochs), type(model).__name__, unit="epoch", disable=not model.progress
        )
        model.losses = []
        for epoch in epochs:
            values = []
            for batch in _shuffled(users, size, model.seed + epoch):
                optimizer.zero_grad()
                value = loss(batch)
                value.backward()
                optimizer.step()
                values.append(value.item())
            model.losses.append(float(np.mean(values)))
            epochs.set_postfix_str(f"loss {model.losses[-1]:.3f}")
        network.eval()


def _shuffled(users: np.ndarray, size: int, seed: int) -> Iterator[np.ndarray]:
    users = np.random.default_rng(seed).permutation(users)
    for start in range(0, len(users), size):
        yield users[start : start + size]


def _hide(
    rows: csr_matrix, random: np.random.Generator, most: int = 4
) -> tuple[list[Tensor], np.ndarray]:
    """Take up to so many items out of each history: what is left, and (users, most) or -1."""
    bags, hidden = [], np.full((rows.shape[0], most), -1)
    for row, start, end in zip(hidden, rows.indptr, rows.indptr[1:], strict=False):
        items = random.permutation(rows.indices[start:end]).astype(np.int64)
        out = min(most, len(items) // 2)
        row[:out] = items[:out]
        bags.append(torch.from_numpy(items[out:]))
    return bags, hidden


def _check(factors: int, epochs: int, rate: float) -> None:
    if factors < 1 or epochs < 1 or not rate > 0:
        raise ValueError("factors and epochs must be at least 1, and the rate above 0")

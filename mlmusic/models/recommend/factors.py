"""Matrix factorisation: a few numbers for each listener and each tune, and their dot product.

References
----------
Y. Hu, Y. Koren and C. Volinsky, "Collaborative filtering for implicit feedback datasets", *ICDM*,
2008. G. Takács, I. Pilászy and D. Tikk, "Applications of the conjugate gradient method for
implicit feedback collaborative filtering", *RecSys*, 2011. S. Rendle et al., "BPR: Bayesian
personalized ranking from implicit feedback", *UAI*, 2009.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch.nn.functional import logsigmoid
from tqdm.auto import tqdm

from mlmusic.models.recommend.base import Recommender

_OTHERS, _STEPS = 64, 40  # items that a newcomer's are compared with, and steps of that fit


class ALS(Recommender):
    """Alternating least squares for implicit feedback.

    Every pair has a preference, 1 if it was played and 0 if not, and a confidence,
    ``1 + alpha * weight``: the unplayed are believed to be zeros, but weakly. With the items'
    factors Y fixed, each user's best factors are a ridge regression, and the other way round; the
    two take turns. Each turn is solved by a few steps of conjugate gradients for all users at
    once, from where the last turn ended.

    Parameters
    ----------
    factors : int
        Numbers for each user and each item.
    alpha : float
        How much more a play is believed than a silence.
    regularization : float
    iterations : int
        Turns of both sides.
    weight : {"binary", "count", "log"}
        How plays are weighed.
    seed : int
        Of the items' factors that it starts from; the users' start at 0.

    Attributes
    ----------
    item_factors : float32 array, shape (items, factors)
    """

    def __init__(
        self,
        factors: int = 64,
        alpha: float = 10.0,
        regularization: float = 10.0,
        iterations: int = 15,
        weight: str = "binary",
        seed: int = 0,
    ) -> None:
        if factors < 1 or iterations < 1 or alpha <= 0 or regularization <= 0:
            raise ValueError(
                "factors and iterations must be at least 1, alpha and regularization above 0"
            )
        self.factors, self.alpha, self.regularization = factors, alpha, regularization
        self.iterations, self.weight, self.seed = iterations, weight, seed

    def _fit(self, history: csr_matrix) -> None:
        generator = np.random.default_rng(self.seed)
        transposed = history.T.tocsr()
        start = generator.normal(0, 0.1, (history.shape[1], self.factors))
        self.item_factors = start.astype(np.float32)
        # From 0, so that the result depends neither on the users' number nor on their order.
        users = np.zeros((history.shape[0], self.factors), np.float32)
        for _ in range(self.iterations):
            users = self._solve(history, self.item_factors, users, steps=3)
            self.item_factors = self._solve(transposed, users, self.item_factors, steps=3)

    def _score(self, history: csr_matrix) -> np.ndarray:
        users = np.zeros((history.shape[0], self.factors), np.float32)
        users = self._solve(
            history.astype(np.float32, copy=False), self.item_factors, users, steps=20
        )
        return users @ self.item_factors.T

    def _solve(
        self, table: csr_matrix, fixed: np.ndarray, solution: np.ndarray, steps: int
    ) -> np.ndarray:
        """Solve ``(Y'Y + Y'(C - I)Y + λI) x = Y'C p`` for each row x by conjugate gradients."""
        extra = self.alpha * table.data  # confidence less 1
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
            places = torch.sparse_csr_tensor(
                torch.from_numpy(table.indptr), torch.from_numpy(table.indices),
                torch.from_numpy(table.data), table.shape, check_invariants=False,
            )  # fmt: skip
        across = torch.from_numpy(fixed).T
        everywhere = fixed.T @ fixed
        everywhere[np.diag_indices_from(everywhere)] += self.regularization
        pairs = csr_matrix((extra + 1, table.indices, table.indptr), table.shape)

        def apply(x: np.ndarray) -> np.ndarray:
            # The dot products of the pairs that stand in the table, and of no others.
            dots = torch.sparse.sampled_addmm(places, torch.from_numpy(x), across, beta=0.0)
            pairs.data = extra * dots.values().numpy()
            return x @ everywhere + pairs @ fixed

        wanted = pairs @ fixed
        residual = wanted - apply(solution)
        direction, norm = residual, np.square(residual).sum(1, keepdims=True)
        for _ in range(steps):
            applied = apply(direction)
            along = (direction * applied).sum(1, keepdims=True)
            size = norm / np.maximum(along, 1e-20)  # 0 / 0 where a row is solved already
            solution = solution + size * direction
            residual = residual - size * applied
            new = np.square(residual).sum(1, keepdims=True)
            direction = residual + new / np.maximum(norm, 1e-20) * direction
            norm = new
        return solution


class BPR(Recommender):
    """Bayesian personalised ranking: what was played shall score above what wasn't.

    For user u, each item i that u plays and an item j that u doesn't, drawn anew each time and each
    as likely as the other, maximise ``log σ(x_u · (y_i - y_j) + b_i - b_j)`` by stochastic
    gradients. Who plays everything has no such j, and teaches nothing.

    Parameters
    ----------
    factors : int
    epochs : int
        Passes through all plays.
    rate : float
        Adam's learning rate.
    regularization : float
        Weight decay.
    seed : int
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
        epochs: int = 30,
        rate: float = 0.01,
        regularization: float = 1e-3,
        seed: int = 0,
        progress: bool = False,
    ) -> None:
        if factors < 1 or epochs < 1 or rate <= 0 or regularization < 0:
            raise ValueError(
                "factors and epochs must be at least 1, the rate above 0, regularization at least 0"
            )
        self.factors, self.epochs, self.rate = factors, epochs, rate
        self.regularization, self.seed, self.progress = regularization, seed, progress

    def _fit(self, history: csr_matrix) -> None:
        generator = torch.Generator().manual_seed(self.seed)
        users, items = history.shape
        vectors = torch.randn(items, self.factors, generator=generator) * 0.1
        bias = torch.zeros(items)
        start = torch.randn(users, self.factors, generator=generator) * 0.1
        self._learn(history, start, vectors, bias, generator)
        self._vectors, self._bias = vectors.detach(), bias.detach()
        self._others = torch.randint(items, (_OTHERS,), generator=generator)

    def _score(self, history: csr_matrix) -> np.ndarray:
        users = torch.cat([self._fold_in(row) for row in _in_chunks(history, 64)])
        return (users @ self._vectors.T + self._bias).numpy()

    def _fold_in(self, history: csr_matrix) -> torch.Tensor:
        """Find the factors of histories with the items' fixed: each row's own best answer.

        The same items are drawn for everybody, so that nobody's factors depend on who else is
        asked about; each row is compared with those of them that it doesn't hold.
        """
        sizes = np.diff(history.indptr)
        known = torch.from_numpy(np.arange(max(sizes.max(), 1)) < sizes[:, None])
        items = torch.zeros(known.shape, dtype=torch.int64)
        items[known] = torch.from_numpy(history.indices.astype(np.int64))
        share = known / known.sum(1, keepdim=True).clamp(min=1)
        played, others = self._vectors[items], self._vectors[self._others]
        unplayed = torch.from_numpy(history[:, self._others.numpy()].toarray() == 0)
        unplayed = unplayed / unplayed.sum(1, keepdim=True).clamp(min=1)  # (rows, others)
        users = torch.zeros(len(sizes), self.factors, requires_grad=True)
        optimizer = torch.optim.Adam([users], 0.1)
        for _ in range(_STEPS):
            above = (played @ users[..., None])[..., 0] + self._bias[items]
            below = users @ others.T + self._bias[self._others]
            fit = (unplayed[:, None] * logsigmoid(above[..., None] - below[:, None])).sum(2)
            loss = -(share * fit).sum() + self.regularization * users.square().sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return users.detach()

    def _learn(
        self,
        history: csr_matrix,
        users: torch.Tensor,
        vectors: torch.Tensor,
        bias: torch.Tensor,
        generator: torch.Generator,
        size: int = 4096,
    ) -> None:
        user = torch.from_numpy(np.repeat(np.arange(len(users)), np.diff(history.indptr)))
        item = torch.from_numpy(history.indices.astype(np.int64))
        # Who plays everything has nothing to compare with.
        choosy = torch.from_numpy(np.diff(history.indptr) < len(vectors))[user]
        user, item = user[choosy], item[choosy]
        learned = [tensor.requires_grad_(True) for tensor in (users, vectors, bias)]
        optimizer = torch.optim.Adam(learned, self.rate)
        self.losses: list[float] = []
        for _ in tqdm(range(self.epochs), "BPR", unit="epoch", disable=not self.progress):
            total = 0.0
            other = _unplayed(history, user, generator)
            order = torch.randperm(len(user), generator=generator)
            for batch in order.split(size) if len(order) else ():
                u, i, j = users[user[batch]], item[batch], other[batch]
                margin = (u * (vectors[i] - vectors[j])).sum(1) + bias[i] - bias[j]
                squares = sum(x.square().sum() for x in (u, vectors[i], vectors[j])) / len(batch)
                loss = -logsigmoid(margin).mean() + self.regularization * squares
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.item() * len(batch)
            self.losses.append(total / max(len(user), 1))


def _unplayed(history: csr_matrix, user: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Draw for each user an item that they don't play, each as likely as the other, (users,)."""
    items, sizes = history.shape[1], np.diff(history.indptr)
    starts, sizes = (torch.from_numpy(x.astype(np.int64)) for x in (history.indptr[:-1], sizes))
    owner = torch.arange(len(sizes)).repeat_interleave(sizes)
    # How many unplayed items lie before each played one: ascending for a user, as items are.
    before = torch.from_numpy(history.indices) - (torch.arange(len(owner)) - starts[owner])
    chance = torch.rand(user.shape, generator=generator, dtype=torch.float64)
    place = (chance * (items - sizes[user])).long()  # among the unplayed
    passed = torch.searchsorted(owner * items + before, user * items + place, right=True)
    return place + passed - starts[user]


def _in_chunks(table: csr_matrix, size: int) -> Iterator[csr_matrix]:
    for start in range(0, table.shape[0], size):
        yield table[start : start + size]

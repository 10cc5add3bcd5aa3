"""Chapter 01: the line, the logistic curve, the neighbours, and a small net.

Each is as short as it can be and equals scikit-learn's or PyTorch's. Inputs are arrays of shape
(samples, features); standardize them first, so that no feature counts more for its unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

ACTIVATIONS = {
    "identity": nn.Identity,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
}


def standardize(train: ArrayLike, *others: ArrayLike) -> list[np.ndarray]:
    """Give each feature mean 0 and standard deviation 1 over the training samples.

    Parameters
    ----------
    train : array, shape (samples, features)
        Mean and deviation are taken from these alone: those of the test are not ours to know.
    *others : arrays, shape (any, features)
        Treated with the same numbers.

    Returns
    -------
    list of float arrays
        One for each argument. A feature that is the same in all of train becomes 0 there.

    Raises
    ------
    ValueError
        If an array isn't a finite table with as many features as train.
    """
    train = _table(train, "train")
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    deviation[deviation < 1e-12] = 1.0
    return [(_table(x, "an array", train.shape[1]) - mean) / deviation for x in (train, *others)]


class LinearRegression:
    """A line (with several features: a plane) through the data, from the normal equation.

    Minimises ``sum((x @ weights + bias - y) ** 2) + ridge * sum(weights ** 2)``.

    Parameters
    ----------
    ridge : float
        Penalty on large weights; 0 is ordinary least squares.

    Attributes
    ----------
    weights : array, shape (features, targets)
        For one row of targets: (features,).
    bias : array, shape (targets,)
        For one row of targets: a number.
    """

    def __init__(self, ridge: float = 0.0):
        if not ridge >= 0:
            raise ValueError(f"ridge must be 0 or more, not {ridge!r}")
        self.ridge = ridge
        self.weights = self.bias = None

    def fit(self, x: ArrayLike, y: ArrayLike) -> LinearRegression:
        """Find the weights for inputs (samples, features), targets (samples,) or (…, targets).

        Raises
        ------
        ValueError
            If the arrays don't fit or aren't finite, or if many lines fit equally well: without
            ridge, features must not repeat each other.
        """
        x = _table(x, "x")
        y = _targets(y, len(x))
        middle_x, middle_y = x.mean(axis=0), y.mean(axis=0)
        centred = x - middle_x  # the bias is then not penalised: it makes up for both means
        matrix = centred.T @ centred + self.ridge * np.eye(x.shape[1])  # (features, features)
        if np.linalg.matrix_rank(matrix) < x.shape[1]:
            raise ValueError("some features repeat others: leave them out, or take ridge=1.0")
        self.weights = np.linalg.solve(matrix, centred.T @ (y - middle_y))
        self.bias = middle_y - middle_x @ self.weights
        return self

    def predict(self, x: ArrayLike) -> np.ndarray:
        """Return predictions, shape (samples,) or (samples, targets), for inputs (…, features)."""
        _check_fitted(self, self.weights)
        return _table(x, "x", len(self.weights)) @ self.weights + self.bias


class LogisticRegression:
    """The chance of each class, from one weighted sum a class: softmax, or for two the sigmoid.

    Minimises the cross-entropy in nats, summed over samples, plus ``ridge * sum(weights**2) / 2``
    (scikit-learn's ``C`` is ``1 / ridge``). The sum is convex, so there is one best answer, and a
    quasi-Newton method (L-BFGS) over all samples at once gets there in some dozens of steps.

    Parameters
    ----------
    ridge : float
        Penalty on large weights, above 0.

    Attributes
    ----------
    classes : list of labels
        In ascending order.
    weights : array, shape (features, classes); for two classes (features, 1)
        What one more of a feature adds to the logit. With two classes, to that of the second.
    bias : array, shape (classes,); for two classes (1,)
    """

    def __init__(self, ridge: float = 1.0):
        if not ridge > 0:
            raise ValueError(f"ridge must be above 0, not {ridge!r}: separable classes need it")
        self.ridge = ridge
        self.weights = self.bias = None

    def fit(self, x: ArrayLike, labels: ArrayLike) -> LogisticRegression:
        """Find the weights for inputs (samples, features) and their labels (samples,).

        Raises
        ------
        ValueError
            If the arrays don't fit or aren't finite, or there is only one class.
        """
        x, labels = _table(x, "x"), np.asarray(labels)
        if labels.shape != (len(x),):
            raise ValueError(f"labels must be one for each of {len(x)} samples, {labels.shape=}")
        names, numbers = np.unique(labels, return_inverse=True)
        if len(names) < 2:
            raise ValueError(f"there is nothing to tell apart: all labels are {names[0]!r}")
        self.classes = names.tolist()
        columns = len(names) if len(names) > 2 else 1
        weights = torch.zeros(x.shape[1], columns, dtype=torch.float64, requires_grad=True)
        bias = torch.zeros(columns, dtype=torch.float64, requires_grad=True)
        inputs, target = torch.from_numpy(x), torch.from_numpy(numbers.astype(np.int64))
        optimizer = torch.optim.LBFGS(
            [weights, bias], max_iter=500, tolerance_grad=1e-8, tolerance_change=1e-12,
            line_search_fn="strong_wolfe",
        )  # fmt: skip

        def loss() -> Tensor:
            optimizer.zero_grad()
            logits = _with_zero(inputs @ weights + bias)
            value = nn.functional.cross_entropy(logits, target)
            value = value + self.ridge / 2 / len(x) * (weights**2).sum()
            value.backward()
            return value

        optimizer.step(loss)
        self.weights, self.bias = weights.detach().numpy(), bias.detach().numpy()
        return self

    def logits(self, x: ArrayLike) -> np.ndarray:
        """Return log odds, shape (samples, classes); with two classes, the first column is 0."""
        _check_fitted(self, self.weights)
        x = _table(x, "x", len(self.weights))
        return _with_zero(torch.from_numpy(x @ self.weights + self.bias)).numpy()

    def probabilities(self, x: ArrayLike) -> np.ndarray:
        """Return the chance of each class, shape (samples, classes): the softmax of the logits."""
        return torch.from_numpy(self.logits(x)).softmax(dim=1).numpy()

    def predict(self, x: ArrayLike) -> np.ndarray:
        """Return the likeliest label of each sample, shape (samples,)."""
        best = self.logits(x).argmax(axis=1)
        return np.array(self.classes)[best]


class NearestNeighbours:
    """No formula: look up the k training samples that are most alike, and do as they did.

    Parameters
    ----------
    k : int
        How many neighbours.
    how : {"median", "mean", "vote"}
        How their targets become one answer; ``"vote"`` takes the commonest, of several the lowest.
    """

    def __init__(self, k: int = 9, how: str = "median"):
        if not isinstance(k, (int, np.integer)) or k < 1:
            raise ValueError(f"k must be a whole number of neighbours from 1 on, not {k!r}")
        if how not in ("median", "mean", "vote"):
            raise ValueError(f"how is {how!r}; it must be 'median', 'mean' or 'vote'")
        self.k, self.how = k, how
        self.inputs = self.targets = None

    def fit(self, x: ArrayLike, y: ArrayLike) -> NearestNeighbours:
        """Remember inputs (samples, features) and targets (samples,) or (samples, targets).

        Raises
        ------
        ValueError
            If the arrays don't fit or aren't finite, or there are fewer samples than neighbours.
        """
        x = _table(x, "x")
        self.targets = _targets(y, len(x))
        if len(x) < self.k:
            raise ValueError(f"{self.k} neighbours need as many samples, not {len(x)}")
        self.inputs = torch.from_numpy(x)
        return self

    def neighbours(self, x: ArrayLike) -> np.ndarray:
        """Return the numbers of the nearest training samples, shape (samples, k), nearest first.

        Distance is Euclidean. Of samples at the same distance, any may be chosen.
        """
        _check_fitted(self, self.inputs)
        queries = torch.from_numpy(_table(x, "x", self.inputs.shape[1]))
        # In portions: all distances at once could take gigabytes.
        found = [
            torch.cdist(part, self.inputs).topk(self.k, largest=False).indices
            for part in queries.split(1024)
        ]
        return torch.cat(found).numpy()

    def predict(self, x: ArrayLike) -> np.ndarray:
        """Return predictions, shape (samples,) or (samples, targets), for inputs (…, features)."""
        found = self.neighbours(x)
        answers = self.targets[found]  # (samples, k, …)
        if self.how == "vote":
            return np.apply_along_axis(_commonest, 1, answers)
        return np.median(answers, axis=1) if self.how == "median" else answers.mean(axis=1)


class MLP(nn.Module):
    """A multilayer perceptron: weighted sums with a bend between them.

    Parameters
    ----------
    inputs, outputs : int
        Features in, numbers out (logits, or predictions).
    hidden : sequence of int
        Units of each hidden layer; none makes it linear.
    activation : {"relu", "tanh", "sigmoid", "identity"}
        The bend after each hidden layer; with ``"identity"`` there is none, and the net is linear.
    dropout : float
        Share of the hidden units that are silenced at random in training.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        hidden: Sequence[int] = (64,),
        activation: str = "relu",
        dropout: float = 0.0,
    ):
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"there is no activation {activation!r}: choose {list(ACTIVATIONS)}")
        widths = [inputs, *hidden, outputs]
        if min(widths) < 1:
            raise ValueError(f"every layer needs at least one unit, not {widths}")
        layers: list[nn.Module] = []
        for width, next_width in pairwise(widths):
            layers += [nn.Linear(width, next_width), ACTIVATIONS[activation](), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers[:-2])  # no bend after the last

    def forward(self, x: Tensor) -> Tensor:
        """Map (…, inputs) to (…, outputs)."""
        return self.layers(x)


def _with_zero(logits: Tensor) -> Tensor:
    """Give two classes, which have one logit between them, their other one: 0."""
    return torch.cat([torch.zeros_like(logits), logits], 1) if logits.shape[1] == 1 else logits


def _commonest(row: np.ndarray) -> Any:
    values, counts = np.unique(row, return_counts=True)
    return values[counts.argmax()]


def _table(x: ArrayLike, name: str, features: int | None = None) -> np.ndarray:
    x = np.asarray(x)
    if x.ndim != 2 or x.dtype.kind not in "biuf" or not x.size:
        raise ValueError(f"{name} must be numbers (samples, features), not {x.dtype} {x.shape}")
    if features is not None and x.shape[1] != features:
        raise ValueError(f"{name} has {x.shape[1]} features, but training had {features}")
    if not np.isfinite(x).all():
        sample, feature = np.argwhere(~np.isfinite(x))[0]
        raise ValueError(f"{name} isn't finite in sample {sample}, feature {feature}")
    return x.astype(np.float64)


def _targets(y: ArrayLike, samples: int) -> np.ndarray:
    y = np.asarray(y)
    if y.ndim not in (1, 2) or len(y) != samples or y.dtype.kind not in "biuf":
        raise ValueError(f"y must be numbers for each of {samples} samples: {y.dtype} {y.shape}")
    if not np.isfinite(y).all():
        raise ValueError("y has NaN or infinite targets")
    return y.astype(np.float64)


def _check_fitted(model: Any, learned: Any) -> None:
    if learned is None:
        raise ValueError(f"this {type(model).__name__} hasn't learned yet: call fit first")

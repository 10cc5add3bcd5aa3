"""How weights learn from a gradient: SGD and Adam, equal to PyTorch's step by step."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


class Optimizer:
    """What SGD and Adam share; `mlmusic.training.fit` takes them as PyTorch's own."""

    def __init__(self, parameters: Iterable[Tensor], lr: float):
        self.parameters = list(parameters)
        if not self.parameters:
            raise ValueError("there is nothing to optimise: no parameters")
        if not lr > 0:
            raise ValueError(f"the learning rate must be positive, not {lr!r}")
        self.lr = lr

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of the last step."""
        for parameter in self.parameters:
            parameter.grad = None if set_to_none else torch.zeros_like(parameter)

    @torch.no_grad()
    def step(self) -> None:
        """Move each parameter by what its gradient says."""
        for i, parameter in enumerate(self.parameters):
            if parameter.grad is not None:
                parameter -= self.lr * self.direction(i, parameter.grad)

    def direction(self, i: int, gradient: Tensor) -> Tensor:
        """Return which way parameter i goes down, before the learning rate."""
        raise NotImplementedError("a subclass says where to go")


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum: a ball that keeps rolling.

    Parameters
    ----------
    parameters : iterable of tensors
        What to change.
    lr : float
        Learning rate.
    momentum : float
        How much of the last direction is kept, from 0 to below 1.

    References
    ----------
    B. Polyak, "Some methods of speeding up the convergence of iteration methods", 1964.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, momentum: float = 0.0):
        super().__init__(parameters, lr)
        _check_share(momentum, "momentum")
        self.momentum = momentum
        self.velocity: dict[int, Tensor] = {}

    def direction(self, i: int, gradient: Tensor) -> Tensor:
        """Return the gradient plus a share of the last direction."""
        last = self.velocity.get(i)
        velocity = gradient.clone() if last is None else self.momentum * last + gradient
        self.velocity[i] = velocity
        return velocity


class Adam(Optimizer):
    """Adaptive moments: momentum, and a step size of its own for every single weight.

    Parameters
    ----------
    parameters : iterable of tensors
        What to change.
    lr : float
        Learning rate: about the largest step of a weight.
    betas : (float, float)
        How slowly the means of the gradient and of its square forget.
    eps : float
        Keeps the division finite.

    References
    ----------
    D. Kingma and J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ):
        super().__init__(parameters, lr)
        for beta in betas:
            _check_share(beta, "each beta")
        self.betas, self.eps = betas, eps
        self.moments = [
            (0, torch.zeros_like(p.detach()), torch.zeros_like(p.detach())) for p in self.parameters
        ]

    def direction(self, i: int, gradient: Tensor) -> Tensor:
        """Return the mean gradient over the root of the mean squared one."""
        (beta1, beta2), (steps, mean, square) = self.betas, self.moments[i]
        mean = beta1 * mean + (1 - beta1) * gradient
        square = beta2 * square + (1 - beta2) * gradient**2
        self.moments[i] = (steps + 1, mean, square)
        # Both means started at 0: the division makes up for it.
        unbiased_mean = mean / (1 - beta1 ** (steps + 1))
        unbiased_square = square / (1 - beta2 ** (steps + 1))
        return unbiased_mean / (unbiased_square.sqrt() + self.eps)


def _check_share(value: float, name: str) -> None:
    if not 0 <= value < 1:
        raise ValueError(f"{name} must be from 0 to below 1, not {value!r}")

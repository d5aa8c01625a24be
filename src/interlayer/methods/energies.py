"""Priors on what moves, as energies: minus the logarithm of a density, per entry.

An `Energy` is a function of latent codes or of a layer's input (B, ...) with a value (B,) for each
image, divided by the number of entries so that its weight means the same at every layer.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from deepinv.optim import Prior
from torch import Tensor

Energy = Callable[[Tensor], Tensor]


def of_score(score: Callable[[Tensor], Tensor]) -> Energy:
    """The energy whose gradient is minus a score, ``∇ log p(x)``; its value is 0.

    Args:
        score: function that gives the score (B, ...) at x (B, ...), such as a score network.

    >>> x = torch.tensor([[1.0, 3.0]], requires_grad=True)
    >>> of_score(lambda x: -x)(x).sum().backward()
    >>> x.grad  # of x² / 2, the mean of two entries
    tensor([[0.5000, 1.5000]])
    """

    def energy(x: Tensor) -> Tensor:
        with torch.no_grad():
            slope = -score(x)
        product = (x * slope).flatten(1).mean(1)
        return product - product.detach()

    return energy


def of_prior(prior: Prior, sigma: float = 0.1) -> Energy:
    """The energy of a prior of deepinv.

    Args:
        prior: explicit prior, or one that gives its gradient, such as `deepinv.optim.ScorePrior`.
        sigma: noise level at which an implicit prior is asked.

    >>> from deepinv.optim import Tikhonov
    >>> of_prior(Tikhonov())(torch.tensor([[1.0, 3.0]]))
    tensor([2.5000])
    """
    if not prior.explicit_prior:
        return of_score(lambda x: -prior.grad(x, sigma))

    def energy(x: Tensor) -> Tensor:
        return prior.fn(x) / x[0].numel()

    return energy

"""Stacking: the average of estimates, weighted by how they predict held-out measurements."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


@torch.no_grad()
def stacking_weights(predicted: Tensor, y: Tensor, held: Tensor) -> Tensor:
    r"""Convex weights of K estimates that best predict the held-out measurements of each image.

    ``argmin_a Σ held |Σ_k a_k A(x_k) - y|²`` over ``a >= 0``, ``Σ a = 1``. Estimates that err
    in different ways average to a better one, and a bad one gets no weight. For a linear operator
    ``Σ a_k A(x_k)`` is the measurement of ``Σ a_k x_k``.

    Args:
        predicted: measurements of the estimates (K, B, ...).
        y: measurements (B, ...).
        held: mask, 1 where held out, else 0; broadcasts against ``y``.

    Returns:
        Weights (K, B).

    Reference: L. Breiman, Stacked regressions, Machine Learning 24, 1996.

    >>> y = torch.zeros(1, 2)
    >>> stacking_weights(torch.tensor([[[1.0, -1.0]], [[-1.0, 1.0]]]), y, torch.ones(1, 2))
    tensor([[0.5000],
            [0.5000]])
    """
    errors = ((predicted - y) * held).flatten(2).transpose(0, 1)  # (B, K, entries)
    if errors.is_complex():
        errors = torch.view_as_real(errors).flatten(2)
    products = torch.stack([e.double() @ e.double().mT for e in errors])
    return torch.stack([_simplex(gram.cpu().numpy()) for gram in products], 1).to(y.device)


def _simplex(gram: np.ndarray) -> Tensor:
    """Minimise ``aᵀ gram a`` over the simplex, as non-negative least squares."""
    from scipy.optimize import nnls

    values, vectors = np.linalg.eigh(gram / max(np.trace(gram), 1e-300))
    root = np.sqrt(values.clip(0))[:, None] * vectors.T
    # A heavy row asks for Σ a = 1; the scale of the solution then makes it exact.
    weights, _ = nnls(np.vstack([root, np.full(len(gram), 1e3)]), np.r_[np.zeros(len(gram)), 1e3])
    return torch.from_numpy(weights / weights.sum()).float()

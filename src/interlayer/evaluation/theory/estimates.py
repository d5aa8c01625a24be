"""Estimates from practice: gains of operators, Lipschitz constants, dimensions of generators."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import groupby

import torch
from deepinv.physics import Physics
from torch import Tensor, fx, nn

from interlayer.errors import InputError
from interlayer.generators import Generator, LayerState

# Greatest slope of what acts on each entry alone, or only moves entries.
SLOPES: dict[type[nn.Module], float] = {
    nn.ReLU: 1.0,
    nn.LeakyReLU: 1.0,
    nn.Tanh: 1.0,
    nn.Sigmoid: 0.25,
    nn.Flatten: 1.0,
    nn.Unflatten: 1.0,
    nn.Identity: 1.0,
}
AFFINE = (
    nn.Linear,
    nn.Conv2d,
    nn.ConvTranspose2d,
    nn.BatchNorm1d,
    nn.BatchNorm2d,
)


def secant_gains(physics: Physics, x1: Tensor, x2: Tensor) -> Tensor:
    """``||A x1 - A x2|| / ||x1 - x2||`` (B,) of pairs of images, A scaled to preserve norms.

    Of a linear operator with a ``row_norm``, ``A sqrt(n / m) / row_norm`` preserves the norm on
    average; of others A is taken as it is. The least over many secants bounds the γ of
    S-REC(S, γ, 0) from above.

    >>> from interlayer.problem import GaussianMatrix
    >>> x1, x2 = torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4)
    >>> bool(0.9 < secant_gains(GaussianMatrix((1, 4, 4), m=1000), x1, x2) < 1.1)
    True
    """
    y = (physics.A(x1) - physics.A(x2)).flatten(1)
    d = (x1 - x2).flatten(1)
    row_norm = getattr(physics, "row_norm", None)
    scale = 1.0 if row_norm is None else math.sqrt(d.shape[1] / y.shape[1]) / row_norm
    return scale * y.norm(dim=1) / d.norm(dim=1)


def layer_map(
    generator: Generator, state: LayerState, start: int, stop: int
) -> Callable[[Tensor], Tensor]:
    """``G_stop ∘ … ∘ G_(start+1)`` as a function of the layer input h alone.

    Styles and noise maps are those of ``state``, the state before layer ``start >= 1``; the result
    is the input of layer ``stop``, or the image (B, 3, H, W) after the last layer.

    >>> from interlayer.generators import ToyGenerator
    >>> G = ToyGenerator()
    >>> state = G.run(G.start(G.sample([0])), 0, 2)
    >>> layer_map(G, state, 2, 4)(state.h).shape
    torch.Size([1, 3, 16, 16])
    """

    def mapped(h: Tensor) -> Tensor:
        last = generator.run(replace(state, h=h), start, stop)
        if stop == generator.num_layers:
            return generator.image(last)
        assert last.h is not None
        return last.h

    return mapped


def local_lipschitz(
    f: Callable[[Tensor], Tensor], x: Tensor, iterations: int = 20, seed: int = 0
) -> Tensor:
    r"""Spectral norm (B,) of the Jacobian of f at each row of x, by power iteration.

    ``v <- J^T J v / ||J^T J v||``; ``||J v||`` is returned, which never exceeds the norm and
    approaches it. f must treat rows independently and be differentiable twice by autograd.

    >>> local_lipschitz(lambda x: x * torch.tensor([3.0, 1.0]), torch.zeros(1, 2))
    tensor([3.])
    """
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        out = f(x)
        dual = torch.zeros_like(out, requires_grad=True)
        # J^T dual is linear in dual, and its transpose is J.
        (pulled,) = torch.autograd.grad(out, x, dual, create_graph=True)
    v = torch.randn(x.shape[1:], generator=torch.Generator().manual_seed(seed))
    v = v.to(x).expand_as(x)
    norms = x.new_zeros(len(x))
    for _ in range(iterations):
        v = v / _norms(v).clamp_min(torch.finfo(v.dtype).tiny).reshape(-1, *[1] * (v.ndim - 1))
        (pushed,) = torch.autograd.grad(pulled, dual, v, retain_graph=True)
        norms = _norms(pushed)
        (v,) = torch.autograd.grad(out, x, pushed, retain_graph=True)
    return norms


def secant_lipschitz(f: Callable[[Tensor], Tensor], a: Tensor, b: Tensor) -> Tensor:
    """``||f(a) - f(b)|| / ||a - b||`` (B,), each a lower bound of the Lipschitz constant.

    >>> secant_lipschitz(torch.relu, torch.tensor([[1.0]]), torch.tensor([[-1.0]]))
    tensor([0.5000])
    """
    with torch.no_grad():
        return _norms(f(a) - f(b)) / _norms(a - b)


def _norms(x: Tensor) -> Tensor:
    """The l2 norm (B,) of each row."""
    return x.flatten(1).norm(dim=1)


def spectral_product(module: nn.Module, x: Tensor, iterations: int = 100) -> float:
    r"""Upper bound of the Lipschitz constant of a chain of modules: ``Π ||W_i||``.

    Each run of affine modules (linear, convolution, batch normalisation in evaluation mode) counts
    with the spectral norm of their composition, each activation with its greatest slope. The norms
    are by power iteration, hence up to its convergence.

    Args:
        module: layer of `Sequential`, ``nn.Sequential``, or a single module.
        x: input (B, ...) of it, for the shapes.
        iterations: number of steps of each power iteration.

    Raises:
        InputError: if the module is no chain, or holds one with no known bound.

    >>> chain = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Sigmoid())
    >>> _ = chain[0].weight.data.copy_(torch.tensor([[3.0, 0.0], [0.0, 4.0]]))
    >>> spectral_product(chain, torch.zeros(1, 2))
    1.0...
    """
    product = 1.0
    x = x[:1].detach()
    for affine, run in groupby(_chain(module), key=lambda part: isinstance(part, AFFINE)):
        parts = nn.Sequential(*run)
        if affine:
            product *= float(local_lipschitz(parts, x, iterations))
        else:
            product *= math.prod(_slope(part) for part in parts)
        with torch.no_grad():
            x = parts(x)
    return product


def _slope(part: nn.Module) -> float:
    if type(part) not in SLOPES:
        raise InputError(f"no Lipschitz bound is known for {part}; estimate it by secants instead")
    return SLOPES[type(part)]


def _chain(module: nn.Module) -> list[nn.Module]:
    """The modules that are applied one after another."""
    if isinstance(module, nn.Sequential):
        return [leaf for part in module for leaf in _chain(part)]
    if not isinstance(module, fx.GraphModule):
        return [module]
    nodes = [node for node in module.graph.nodes if node.op != "output"]
    leaves = []
    for before, node in zip(nodes, nodes[1:], strict=False):
        if node.op != "call_module" or node.args != (before,):
            raise InputError(f"the layer is no chain of modules at {node.name!r}")
        leaves += _chain(module.get_submodule(node.target))
    return leaves


def effective_dimension(samples: Tensor) -> float:
    r"""Participation ratio ``(tr Σ)² / tr(Σ²)``, Σ being the covariance behind samples (N, ...).

    The number of directions that carry the variance: d for an isotropic Gaussian in d dimensions.
    Both traces are estimated without bias from differences of disjoint pairs of samples, so that
    few samples do not cap the ratio; infinite if too few were given to see any correlation.

    Raises:
        ValueError: with fewer than 4 samples.

    >>> G = torch.randn(2000, 5, generator=torch.Generator().manual_seed(0))
    >>> round(effective_dimension(G @ torch.eye(5, 300)), 1)
    5.0
    """
    if len(samples) < 4:
        raise ValueError(f"the effective dimension needs at least 4 samples, not {len(samples)}")
    flat = samples.flatten(1).double()
    pairs = (flat[0 : len(flat) // 2 * 2 : 2] - flat[1::2]) / math.sqrt(2)
    gram = pairs @ pairs.T
    count = len(pairs)
    squares = (gram.square().sum() - gram.diagonal().square().sum()) / (count * (count - 1))
    if squares <= 0:
        return math.inf
    return float(gram.diagonal().mean().square() / squares)

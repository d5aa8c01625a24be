"""The last layer is the image: what the data say beyond what the generator can."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from deepinv.physics import (
    Denoising,
    GaussianNoise,
    Inpainting,
    LinearPhysics,
    Physics,
)
from torch import Tensor

from interlayer.methods.classical import (
    LAMBDAS,
    Classical,
    bicubic,
    bm3d,
    fill,
    interpolation,
    membrane,
)
from interlayer.methods.classical.sparse import linear
from interlayer.problem import BicubicDownsampling, BlockAverage
from interlayer.problem.facts import _judged_pixels, _noiseless, _slow
from interlayer.problem.fidelity import measurement_loss
from interlayer.problem.holdout import Best, Split
from interlayer.solver.path import _Path
from interlayer.solver.projections import project_onto_measurements
from interlayer.solver.stacking import stacking_weights

PRIORS = ("tv", "wavelet")
DEVIATIONS = tuple(2.0**-k for k in range(1, 15, 2))


def ticks(physics: Physics, y: Tensor, classical: bool) -> int:
    """How many estimates `refine` yields."""
    if _slow(physics):
        return 1
    classical = classical and fits_classical(physics, y)
    return classical * len(_priors(physics, y)) * len(LAMBDAS) + len(DEVIATIONS) + 1


@torch.no_grad()
def fits_classical(physics: Physics, y: Tensor) -> bool:
    """Whether held-out measurements can compare classical estimates with a generator's.

    Not in good time where a product with the operator takes seconds; nor where colours are left
    open, as the measurements of flat pictures tell: a grey estimate of a grey picture is perfect.

    >>> from interlayer.problem.tasks import make_physics
    >>> grey, small = (make_physics(task, (3, 8, 8)) for task in ("colorize", "superres:2"))
    >>> x = torch.rand(1, 3, 8, 8)
    >>> fits_classical(grey, grey(x)), fits_classical(small, small(x))
    (False, True)
    """
    if _slow(physics):
        return False
    like = linear(physics).A_adjoint(y)
    colours = torch.eye(like.shape[1]).to(like)[..., None, None]
    seen = torch.stack([physics.A(colour.expand_as(like)) for colour in colours])
    values = torch.linalg.svdvals(seen.flatten(1))
    return bool(values[-1] > 1e-3 * values[0])


@torch.no_grad()
def refine(
    physics: LinearPhysics,
    y: Tensor,
    split: Split,
    estimates: Sequence[Tensor],
    classical: bool = True,
) -> Iterator[tuple[str, Tensor]]:
    r"""Go on from a generator's estimates in the image itself.

    1. Classical estimates of the same measurements: an interpolation where there are pixels,
       total variation, wavelets (see `methods.classical.path`); where Gaussian noise is all,
       BM3D in their place, to which they add nothing; and where there are pixels the generator's
       estimate plus the interpolation of what it misses there, as kriging with an external drift
       does: the detail of the one with the smooth parts of the other.
    2. The convex combination of all estimates that best predicts the held-out measurements
       (`stacking_weights`). Farther from known pixels than any that judges, as in a hole, they
       say nothing: there it is the generator's estimate, joined smoothly to what is around.
    3. A sparse deviation from it, ``argmin_x ||A x - y||² / (2 ||A||²) + λ ||W (x - c)||_1``.
    4. With every λ and weight so chosen, the same from all measurements; where these are free of
       noise, at last the orthogonal projection onto ``{x : A x = y}``, a set that holds the
       truth, so that it cannot lead away from it.

    With a `GaussianMatrix`, whose products take seconds, step 2 alone is taken.

    Args:
        physics: a linear operator, see `can_refine`.
        y: measurements (B, ...).
        split: those that were fitted and those that judge; the latter must have judged the
            estimates alone.
        estimates: images (B, 3, H, W) of the generator, at least one.
        classical: whether step 1 is taken, which it only is where it `fits_classical`.

    Yields:
        What is going on, and the best so far; the last one is the result.

    Reference: Dhar, Grover, Ermon, Modeling Sparse Deviations, arXiv 1807.01442, for step 3.
    """
    best, everything = Best(), split.fit + split.held
    classical = classical and fits_classical(physics, y)
    judged = _judged_pixels(physics, split)

    def judge(x: Tensor) -> Tensor:
        return measurement_loss(physics.A(x), y, split.held)

    def offer(x: Tensor) -> None:
        if judged is None:  # a hole is the generator's
            best.offer(judge(x), x=x)

    if not split.held.any():
        yield ("projection", _consistent(physics, y, estimates[-1]))
        return
    for x in estimates:
        best.offer(judge(x), x=x)
    found: list[tuple[Tensor, Callable[[], Tensor]]] = [(x, lambda x=x: x) for x in estimates]
    picture, start, lambdas = _picture(physics, y) if classical else None, None, LAMBDAS
    if picture is not None:
        x = picture(physics, y, split.fit)
        if _noiseless(physics):  # a clean picture is best kept, so λ rises from it
            start, lambdas = x, LAMBDAS[::-1]
        offer(x)
        found.append((x, lambda: picture(physics, y, everything)))
    if classical and isinstance(physics, Inpainting):
        x = _corrected(physics, y, split.fit, estimates[-1])
        offer(x)
        found.append((x, lambda: _corrected(physics, y, everything, estimates[-1])))
    for prior in _priors(physics, y) if classical else ():
        regularised = _Path(physics, y, split, prior)
        for x in regularised.tried(lambdas, judge, start):
            offer(x)
            yield (prior, best["x"])
        found.append((regularised.best["x"], regularised.from_everything))
    predicted = torch.stack([physics.A(x) for x, _ in found])
    weights = stacking_weights(predicted, y, split.held)[..., None, None, None]
    parts = (w * x for w, (x, _) in zip(weights, found, strict=True))
    stacked = _continued(sum(parts, torch.zeros_like(estimates[0])), estimates[-1], judged)
    if _slow(physics):
        yield ("average", stacked)
        return
    deviation = _Path(physics, y, split, "wavelet", centre=stacked)
    best.offer(judge(stacked), x=stacked)
    for x in deviation.tried(DEVIATIONS, judge, stacked):
        best.offer(judge(x), x=x)
        yield ("deviation", best["x"])
    parts = (w * again() for w, (_, again) in zip(weights, found, strict=True) if w.any())
    everywhere = _continued(sum(parts, torch.zeros_like(estimates[0])), estimates[-1], judged)
    yield ("all data", _consistent(physics, y, deviation.from_everything(everywhere)))


def _picture(physics: Physics, y: Tensor) -> Classical | None:
    """The quick classical method that suits the operator, if there is one."""
    if isinstance(physics, Inpainting):
        return interpolation
    if isinstance(physics, BicubicDownsampling | BlockAverage):
        return bicubic
    if isinstance(physics, Denoising) and isinstance(physics.noise_model, GaussianNoise):
        return bm3d if y.shape[1] == 3 and min(y.shape[-2:]) >= 32 else None
    return None


def _priors(physics: Physics, y: Tensor) -> tuple[str, ...]:
    """What is tried beside the quick method; nothing beside BM3D."""
    return () if _picture(physics, y) is bm3d else PRIORS


def _corrected(physics: Inpainting, y: Tensor, weight: Tensor, x: Tensor) -> Tensor:
    """An estimate plus the interpolation of its error at the known pixels that may be used."""
    known = (physics.get_buffer("mask") > 0) & (weight > 0)
    return (x + fill(y - x, known)).clamp(0, 1)


def _continued(stacked: Tensor, x: Tensor, judged: Tensor | None) -> Tensor:
    """An estimate where it is judged; elsewhere x, joined to it without a seam."""
    return stacked if judged is None else x + membrane(stacked - x, judged)


def _consistent(physics: LinearPhysics, y: Tensor, x: Tensor) -> Tensor:
    """The nearest image that has the measurements, if they are free of noise; within [0, 1]."""
    if not _noiseless(physics) or _slow(physics):
        return x.clamp(0, 1)
    return project_onto_measurements(physics, y, x).clamp(0, 1)

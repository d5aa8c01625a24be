"""Estimators: ways to an image from the measurements alone, which `auto` weighs and combines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from interlayer.methods.classical.denoising import bm3d, takes_bm3d
from interlayer.methods.classical.filling import fill
from interlayer.methods.classical.sparse import (
    LAMBDAS,
    Grid,
    SparsePath,
    coarse_factor,
    first_picture,
)
from interlayer.problem.holdout import Split
from interlayer.problem.problem import Problem

ITERATIONS, LAST_ITERATIONS = 10, 20
VISIBLE_NOISE = 1 / 255
PATIENCE = 2  # candidates in a row that are no better than the best before them
STEPS_PER_LAMBDA = 7  # of a generator, which take the time of one λ


@dataclass(frozen=True, eq=False)
class Evidence:
    """Everything that an estimator may look at.

    Attributes:
        problem: the measurements and what is known of them.
        split: the measurements that are fitted and those that judge.
        drawn: the generator's estimates (B, 3, H, W) from the fitted measurements, the deepest
            layer's last.
    """

    problem: Problem
    split: Split
    drawn: tuple[Tensor, ...]

    @cached_property
    def picture(self) -> Tensor | None:
        """The picture that the fitted measurements suggest by themselves, if they are pixels."""
        if not shows_picture(self.problem):
            return None
        return first_picture(*self.completed(self.split.fit))

    @cached_property
    def grid(self) -> Grid:
        """The grid that suits the number of fitted measurements."""
        like = self.drawn[-1]
        return Grid(self.problem, like, coarse_factor(self.problem, self.split.fit, like))

    @cached_property
    def detail(self) -> Tensor | None:
        """What of the generator's estimate a coarse grid does not show; ``None`` on the image's.

        So few measurements say nothing about it, and an estimate without it would only blur.
        """
        drawn, grid = self.drawn[-1], self.grid
        return None if grid.factor == 1 else drawn - grid.large(grid.small(drawn))

    def completed(self, weight: Tensor) -> tuple[Problem, Tensor]:
        """Measurements without gaps that a picture made of them would show, and their weight.

        Coefficients of a file that may not be used are those of the generator's estimate, since
        each of them is a pattern all over its block.
        """
        problem = self.problem
        if not problem.transformed:
            return problem, weight
        generated = problem.physics.A(self.drawn[-1])
        y = torch.where(weight.expand_as(problem.y) > 0, problem.y, generated)
        return replace(problem, y=y), torch.ones_like(weight)


@dataclass(frozen=True, eq=False)
class Candidate:
    """One image that an estimator proposes.

    Attributes:
        x: images (B, 3, H, W).
        level: parameter that it was made with, such as a weight λ, one per image (B, 1, 1, 1).
        done: fraction of the estimator's work that is done with it, in [0, 1].
    """

    x: Tensor
    level: Tensor
    done: float = 1.0

    @classmethod
    def at(cls, x: Tensor, level: float | Tensor = 1.0, done: float = 1.0) -> Candidate:
        """A candidate whose images share one level."""
        return cls(x, torch.zeros_like(x[:, :1, :1, :1]) + level, done)


@dataclass(frozen=True)
class Estimator(ABC):
    """A way to an image from measurements: first from the fitted ones, in the end from all.

    Attributes:
        name: name shown with the progress.
        work: time of `from_fitted`, in steps of a generator.
    """

    name: str
    work: float = 1

    @property
    def last_work(self) -> float:
        """Number of steps that take the time of `from_everything`."""
        return self.work

    def fits(self, problem: Problem) -> bool:
        """Whether it suits a problem, whose operator is linear and quick."""
        return True

    def patience(self, evidence: Evidence) -> int | None:
        """Number of candidates in a row that are no better after which no other is asked for."""
        return None

    @abstractmethod
    def from_fitted(self, evidence: Evidence) -> Iterator[Candidate]:
        """Candidates from the fitted measurements; held-out ones choose among them."""

    @abstractmethod
    def from_everything(self, evidence: Evidence, best: Candidate) -> Tensor:
        """The image from all measurements, made as the best of the candidates was."""


@dataclass(frozen=True)
class Direct(Estimator):
    """An estimator with nothing to choose; a subclass defines `estimate`.

    >>> @dataclass(frozen=True)
    ... class Grey(Direct):
    ...     def estimate(self, evidence, weight):
    ...         return torch.full_like(evidence.drawn[-1], 0.5)
    >>> Grey("grey")
    Grey(name='grey', work=1)
    """

    @abstractmethod
    def estimate(self, evidence: Evidence, weight: Tensor) -> Tensor:
        """Images (B, 3, H, W) from the measurements whose ``weight``, 0 or 1, is 1."""

    def from_fitted(self, evidence: Evidence) -> Iterator[Candidate]:
        yield Candidate.at(self.estimate(evidence, evidence.split.fit))

    def from_everything(self, evidence: Evidence, best: Candidate) -> Tensor:
        return self.estimate(evidence, evidence.split.everything)


@dataclass(frozen=True)
class Drawn(Estimator):
    """The generator's own estimate after one of its stages, taken as it is.

    Attributes:
        place: place in ``evidence.drawn``.
    """

    name: str = "generator"
    work: float = 0
    place: int = -1

    def from_fitted(self, evidence: Evidence) -> Iterator[Candidate]:
        yield Candidate.at(evidence.drawn[self.place])

    def from_everything(self, evidence: Evidence, best: Candidate) -> Tensor:
        return best.x


@dataclass(frozen=True)
class Interpolation(Direct):
    """The picture as it is: `interpolation` of pixels, `bicubic` of a small one, else `plain`."""

    name: str = "interpolation"
    work: float = 10

    def fits(self, problem: Problem) -> bool:
        return shows_picture(problem)

    def estimate(self, evidence: Evidence, weight: Tensor) -> Tensor:
        return first_picture(*evidence.completed(weight))

    def from_fitted(self, evidence: Evidence) -> Iterator[Candidate]:
        assert evidence.picture is not None
        yield Candidate.at(evidence.picture)


@dataclass(frozen=True)
class Kriging(Direct):
    """The generator's estimate plus the interpolation of what it misses at known pixels.

    As kriging with an external drift does: the detail of the one, the smooth parts of the other.
    """

    name: str = "kriging"
    work: float = 10

    def fits(self, problem: Problem) -> bool:
        return problem.known is not None

    def estimate(self, evidence: Evidence, weight: Tensor) -> Tensor:
        drift, problem = evidence.drawn[-1], evidence.problem
        assert problem.known is not None
        return (drift + fill(problem.y - drift, problem.known & (weight > 0))).clamp(0, 1)


@dataclass(frozen=True)
class Denoiser(Direct):
    """`bm3d`, for pictures whose Gaussian noise is known."""

    name: str = "bm3d"
    work: float = 300

    def fits(self, problem: Problem) -> bool:
        return denoises(problem)

    def estimate(self, evidence: Evidence, weight: Tensor) -> Tensor:
        return bm3d(*evidence.completed(weight))


@dataclass(frozen=True)
class Sparse(Estimator):
    """Least squares with the sparsity prior that it is named after, "tv" or "wavelet".

    The weight λ runs along a path; beside BM3D of a whole picture, to which it adds nothing, it is
    left out.
    """

    work: float = STEPS_PER_LAMBDA * len(LAMBDAS)

    @property
    def last_work(self) -> float:
        return STEPS_PER_LAMBDA * LAST_ITERATIONS / ITERATIONS

    def fits(self, problem: Problem) -> bool:
        return not (problem.whole and denoises(problem))

    def _rises(self, evidence: Evidence) -> bool:
        """Whether λ rises from a clean picture, which is best kept, instead of falling."""
        return evidence.picture is not None and evidence.problem.exact

    def patience(self, evidence: Evidence) -> int | None:
        return PATIENCE if self._rises(evidence) else None

    def from_fitted(self, evidence: Evidence) -> Iterator[Candidate]:
        start, lambdas = None, LAMBDAS if evidence.grid.factor == 1 else LAMBDAS[3::2]
        if self._rises(evidence):
            start, lambdas = evidence.picture, lambdas[::-1]
        path = self._path(evidence, evidence.split.fit, ITERATIONS)
        for number, (lambda_, x) in enumerate(path.along(lambdas, start), start=1):
            yield Candidate.at(x, lambda_, number / len(lambdas))

    def from_everything(self, evidence: Evidence, best: Candidate) -> Tensor:
        path = self._path(evidence, evidence.split.everything, LAST_ITERATIONS)
        return next(path.along([best.level], best.x))[1]

    def _path(self, evidence: Evidence, weight: Tensor, steps: int) -> SparsePath:
        return SparsePath(
            evidence.problem, weight, self.name, evidence.detail, steps, evidence.grid
        )


def shows_picture(problem: Problem) -> bool:
    """Whether the measurements are pixels of the image, or of a smaller one."""
    depicted = problem.approximate and problem.depicts
    return problem.known is not None or problem.small or depicted


def denoises(problem: Problem) -> bool:
    """Whether the measurements are pictures with Gaussian noise that BM3D takes, and removes."""
    sigma = problem.picture_noise if takes_bm3d(problem) else None
    noisy = sigma is not None and (sigma > VISIBLE_NOISE or not problem.approximate)
    return noisy and problem.noise.source == "known"


ESTIMATORS: tuple[Estimator, ...] = (
    Interpolation(),
    Denoiser(),
    Kriging(),
    Sparse("tv"),
    Sparse("wavelet"),
)
"""Estimators that `auto` weighs beside the estimates of its own stages."""

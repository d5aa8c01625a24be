r"""The image stage: the image as the last layer, and what the data say beyond the generator.

1. Every estimator that fits proposes candidates from the fitted measurements; held-out ones choose
   its best.
2. The convex combination of all of them, the generator's stages included, that best predicts the
   held-out measurements (`stacking_weights`). Farther from known pixels than any that judges, as in
   a hole, they say nothing: there it is the generator's estimate, joined smoothly to the rim.
3. A sparse deviation from it, ``argmin_x ||A x - y||² / (2 ||A||²) + λ ||W (x - c)||_1``; where
   the operator itself is in doubt, only one that predicts the held-out measurements clearly better.
4. With every setting and weight so chosen, the same from all measurements; where these are free of
   noise, finally the orthogonal projection onto ``{x : A x = y}``, which cannot lead away from the
   truth, since the set holds it.

Where every product with the operator takes seconds, only step 2 is taken, with the generator's
estimates alone; where nothing is held out, only the projection. Where the measurements fail to tell
some colours apart, the held-out ones cannot compare other estimates with the generator's, since a
grey estimate of a grey picture is perfect: the other estimators are left out.

Reference: Dhar, Grover, Ermon, Modeling Sparse Deviations, arXiv 1807.01442, for step 3.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from interlayer.methods.classical.filling import membrane
from interlayer.methods.classical.sparse import Grid, SparsePath
from interlayer.methods.estimators import (
    ITERATIONS,
    LAST_ITERATIONS,
    PATIENCE,
    STEPS_PER_LAMBDA,
    Candidate,
    Drawn,
    Estimator,
    Evidence,
)
from interlayer.problem.fidelity import Fidelity, measurement_loss
from interlayer.problem.holdout import Best, Split, judged_pixels
from interlayer.problem.problem import Problem
from interlayer.solver.projections import project_onto_measurements
from interlayer.solver.stacking import stacking_weights

DEVIATIONS = tuple(2.0**-k for k in range(1, 15, 2))
DOUBT = 0.05  # of the held-out error of an approximate problem, which a deviation has to gain


@dataclass(frozen=True)
class Tick:
    """One step of the image stage.

    Attributes:
        label: description of the step in a few words.
        x: the best image (B, 3, H, W) so far.
        predicted: its measurements (B, ...) by the operator.
        done: work done so far, in steps of a generator.
    """

    label: str
    x: Tensor
    predicted: Tensor
    done: float


class ImageStage:
    """The stage that starts from a generator's estimates and moves the image itself.

    Args:
        problem: problem that least squares suit, see `Problem.least_squares`.
        split: the measurements that were fitted and those that judge; the latter must have judged
            the generator's estimates alone.
        estimators: estimators that may join.
        judge: error of held-out measurements; by another than the squared one, a single estimate is
            chosen in place of a combination, and nothing is projected.
    """

    def __init__(
        self,
        problem: Problem,
        split: Split,
        estimators: Sequence[Estimator] = (),
        judge: Fidelity = measurement_loss,
    ) -> None:
        self.problem, self.split, self.judge = problem, split, judge
        compares = split.judges and not problem.slow and not problem.colours_open
        self.estimators = [e for e in estimators if e.fits(problem)] if compares else []

    @property
    def work(self) -> float:
        """The work of the whole stage, in steps of a generator."""
        if self.problem.slow or not self.split.judges:
            return STEPS_PER_LAMBDA
        own = Deviation.work + Deviation.last_work
        return own + sum(e.work + e.last_work for e in self.estimators)

    @torch.no_grad()
    def run(self, drawn: Sequence[Tensor]) -> Iterator[Tick]:
        """Go on from a generator's estimates (B, 3, H, W), of which there is at least one.

        Yields:
            Ticks with the best image so far and how much of `work` is done; the last is the result.
        """
        if not self.split.judges:
            yield self._tick("projection", self._consistent(drawn[-1]))
            return
        problem, best = self.problem, Best()
        evidence = Evidence(problem, self.split, tuple(drawn))
        judged = self._judged(drawn[-1])
        # 1. candidates of every estimator
        found, done = yield from self._propose(evidence, judged, best)
        # 2. the combination that best predicts what is held out
        weights = self._weights([own for _, own in found])
        parts = torch.stack([w * own["x"] for w, (_, own) in zip(weights, found, strict=True)])
        stacked = _continued(parts.sum(0), drawn[-1], judged)
        if problem.slow:
            yield self._tick("average", stacked)
            return
        # 3. a sparse deviation from it
        own = Best(None if problem.approximate else PATIENCE)
        deviation = Deviation(self.split, stacked, evidence.grid)
        for candidate in deviation.from_fitted():
            doubted = problem.approximate and candidate.done > 0
            best.offer(**self._offer(own, candidate, DOUBT if doubted else 0.0))
            now = done + deviation.work * candidate.done
            yield Tick("deviation", best["x"], best["predicted"], now)
            if own.settled:
                break
        # 4. the same from all measurements
        done, again = done + deviation.work, torch.zeros_like(stacked)
        for w, (estimator, each) in zip(weights, found, strict=True):
            if w.any():
                candidate = Candidate(each["x"], each["level"])
                again += w * estimator.from_everything(evidence, candidate)
            if estimator.last_work:
                done += estimator.last_work
                yield Tick("all data", best["x"], best["predicted"], done)
        centre = _continued(again, drawn[-1], judged)
        x = deviation.from_everything(centre, Candidate(own["x"], own["level"]))
        yield self._tick("all data", self._consistent(x))

    def _judged(self, like: Tensor) -> Tensor | None:
        """The pixels of the image that held-out ones speak for; ``None`` for all."""
        if self.problem.measured is None:
            return None
        fitted, held = (self.problem.picture_in(w)[1] for w in (self.split.fit, self.split.held))
        judged = judged_pixels(fitted, held)
        if judged is None or judged.shape[-2:] == like.shape[-2:]:
            return judged
        judged = self.problem.upright(judged.float(), like.shape[-1]) > 0.5
        return F.interpolate(judged.float(), like.shape[-2:], mode="nearest") > 0

    def _propose(
        self, evidence: Evidence, judged: Tensor | None, best: Best
    ) -> Generator[Tick, None, tuple[list[tuple[Estimator, Best]], float]]:
        """Ask every estimator for candidates; return each with its own best, and the work done."""
        generators = [Drawn(place=place) for place in range(len(evidence.drawn))]
        found, done = list[tuple[Estimator, Best]](), 0.0
        for estimator in (*generators, *self.estimators):
            own = Best(estimator.patience(evidence))
            for candidate in estimator.from_fitted(evidence):
                proposed = self._offer(own, candidate)
                if judged is None or estimator in generators:  # a hole is the generator's
                    best.offer(**proposed)
                if estimator.work:
                    now = done + estimator.work * candidate.done
                    yield Tick(estimator.name, best["x"], best["predicted"], now)
                if own.settled:
                    break
            done += estimator.work
            found.append((estimator, own))
        return found, done

    def _offer(self, own: Best, candidate: Candidate, doubt: float = 0.0) -> dict[str, Tensor]:
        """Judge a candidate and keep it if it is its estimator's best; return what `Best` takes.

        Its error counts as larger by the share ``doubt``.
        """
        predicted = self.problem.physics.A(candidate.x)
        x = candidate.x
        error = (1 + doubt) * self.judge(predicted, self.problem.y, self.split.held, x)
        proposed = {"score": error, "x": x, "predicted": predicted}
        own.offer(**proposed, level=candidate.level)
        return proposed

    def _weights(self, found: Sequence[Best]) -> Tensor:
        """Convex weights (K, B, 1, 1, 1) of the estimators' best images."""
        if self.judge is not measurement_loss:
            errors = torch.stack([own.score for own in found]).nan_to_num(torch.inf)
            chosen = F.one_hot(errors.argmin(0), len(found)).T.to(self.problem.y.real.dtype)
            return chosen[..., None, None, None]
        predicted = torch.stack([own["predicted"] for own in found])
        weights = stacking_weights(predicted, self.problem.y, self.split.held)
        return weights[..., None, None, None]

    def _consistent(self, x: Tensor) -> Tensor:
        """The nearest image with the same measurements, if they are exact, clipped to [0, 1]."""
        problem = self.problem
        if problem.exact and not problem.slow and self.judge is measurement_loss:
            x = project_onto_measurements(problem.linear_physics, problem.y, x)
        return x.clamp(0, 1)

    def _tick(self, label: str, x: Tensor) -> Tick:
        """The last tick of a stage."""
        return Tick(label, x, self.problem.physics.A(x), self.work)


class Deviation:
    """A sparse deviation from an image, none at all being the first candidate.

    Args:
        split: the measurements that are fitted and those that judge.
        centre: the image (B, 3, H, W) to deviate from.
        grid: the measurements, and the grid of what deviates.
    """

    work = STEPS_PER_LAMBDA * len(DEVIATIONS)
    last_work = STEPS_PER_LAMBDA * LAST_ITERATIONS / ITERATIONS

    def __init__(self, split: Split, centre: Tensor, grid: Grid) -> None:
        self.split, self.centre, self.grid = split, centre, grid

    def from_fitted(self) -> Iterator[Candidate]:
        """Candidates from the fitted measurements, from the largest λ, infinity, to the least."""
        yield Candidate.at(self.centre, torch.inf, done=0.0)
        path = self._path(self.split.fit, self.centre, ITERATIONS)
        lambdas = DEVIATIONS if self.grid.factor == 1 else DEVIATIONS[1::2]
        for number, (lambda_, x) in enumerate(path.along(lambdas, self.centre), start=1):
            yield Candidate.at(x, lambda_, number / len(lambdas))

    def from_everything(self, centre: Tensor, best: Candidate) -> Tensor:
        """The deviation from another centre, made as ``best`` was, from all measurements."""
        start, lambda_ = centre + best.x - self.centre, best.level
        if lambda_.isinf().all():
            return start
        path = self._path(self.split.everything, centre, LAST_ITERATIONS)
        _, x = next(path.along([lambda_.nan_to_num(posinf=1.0)], start))
        return torch.where(lambda_.isinf(), start, x)

    def _path(self, weight: Tensor, centre: Tensor, steps: int) -> SparsePath:
        return SparsePath(self.grid.problem, weight, "wavelet", centre, steps, self.grid)


def _continued(stacked: Tensor, x: Tensor, judged: Tensor | None) -> Tensor:
    """An estimate where it is judged; elsewhere x, joined to it without a seam."""
    return stacked if judged is None else x + membrane(stacked - x, judged)

"""The problem: measurements of an image, their operator, and all that follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from deepinv.optim import DataFidelity
from deepinv.physics import LinearPhysics, Physics
from torch import Tensor

from interlayer.errors import InputError
from interlayer.media.faces import Square, cut
from interlayer.problem import facts
from interlayer.problem.border import accepted
from interlayer.problem.facts import Noise
from interlayer.problem.fidelity import Fidelity, OfDataFidelity, measurement_loss
from interlayer.problem.holdout import Split, split_measurements
from interlayer.problem.likelihoods import UNBIASED, fidelity_for, unknown_noise
from interlayer.problem.tasks import Task


@dataclass(frozen=True, eq=False)
class Problem:
    """Measurements ``y = A(x) + noise`` of images, with what is known about how they were made.

    Whoever needs to know what kind of measurement this is asks here. The answers follow from the
    operator and the measurements alone, and each is worked out once, when it is first asked for.

    Attributes:
        physics: the forward operator ``A`` with its noise and sensor, on images (B, C, H, W); a
            function that maps images to measurements becomes one.
        y: measurements (B, ...), finite, as a tensor or an array of any type, or several of them.
        fidelity: the requested measurement error, also one of `deepinv.optim`; ``None`` leaves it
            to the method, and then to the noise.
        approximate: whether the operator is only thought to be the one that measured, as for a
            photo that came with no record of its making.
        task: the task that makes the operator again; ``None`` where it was not made from one.

    Raises:
        InputError: if ``y`` holds NaN or infinity, or one of the two is something else.

    >>> from interlayer import Problem, make_physics
    >>> physics = make_physics("inpaint:0.5", (3, 16, 16))
    >>> problem = Problem(physics, physics(torch.rand(1, 3, 16, 16)))
    >>> problem.exact, problem.linear, problem.slow, problem.noise.source
    (True, True, False, 'none')
    """

    physics: Physics
    y: Tensor
    fidelity: Fidelity | DataFidelity | None = None
    task: Task | None = None
    approximate: bool = False

    def __post_init__(self) -> None:
        physics, y = accepted(self.physics, self.y)
        object.__setattr__(self, "physics", physics)
        object.__setattr__(self, "y", y)
        if isinstance(self.fidelity, DataFidelity):
            object.__setattr__(self, "fidelity", OfDataFidelity(self.fidelity))

    def __len__(self) -> int:
        return len(self.y)

    def __repr__(self) -> str:
        made_by = self.task.text if self.task else type(self.physics).__name__
        return f"Problem({made_by}, y={tuple(self.y.shape)}, noise {self.noise.source})"

    def alone(self, row: int) -> Problem:
        """The problem of one image of the batch."""
        return replace(self, y=self.y[row : row + 1])

    def with_known(self, x_hat: Tensor) -> Tensor:
        """Images (B, C, H, W) with the measured pixels put back as they were measured.

        Raises:
            InputError: if the measurements are not noiseless pixels.
        """
        if self.known is None or not self.exact:
            raise InputError(
                "only pixels measured without noise can be kept; use inpaint, mask, box or half "
                "alone"
            )
        return torch.where(self.known, self.y, x_hat)

    @cached_property
    def noise(self) -> Noise:
        """Noise of the measurements: none, known, estimated or unknown."""
        return facts.noise_of(self.physics, self.y)

    @cached_property
    def exact(self) -> bool:
        """Whether the measurements are free of noise."""
        return facts.is_exact(self.physics)

    @cached_property
    def linear(self) -> bool:
        """Whether the operator is linear."""
        return isinstance(self.physics, LinearPhysics)

    @cached_property
    def slow(self) -> bool:
        """Whether every product with the operator takes seconds."""
        return facts.is_slow(self.physics)

    @cached_property
    def known(self) -> Tensor | None:
        """Mask of the known pixels; ``None`` where the measurements are not pixels of the image."""
        known = facts.known_pixels(self.physics)
        return None if known is None else known.to(self.y.device)

    @cached_property
    def small(self) -> bool:
        """Whether the measurements are the image at a fraction of its size."""
        return facts.is_small_picture(self.physics)

    @cached_property
    def whole(self) -> bool:
        """Whether the measurements are the image itself, up to noise."""
        return facts.is_whole_picture(self.physics)

    @cached_property
    def depicts(self) -> bool:
        """Whether the measurements are the image as a picture: small, blurred, with holes."""
        return facts.depicts(self.physics)

    @cached_property
    def measured(self) -> Tensor | None:
        """Mask (1, 1, h, w) of a picture's entries of ``y`` that are measured; ``None`` for all."""
        entries = facts.measured_entries(self.physics) if self.depicts else None
        return None if entries is None else entries.to(self.y.device)

    def picture_in(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """The picture (B, C, h, w) that the measurements are, and which pixels it knows.

        Args:
            weight: mask, 1 for measurements that may be used, else 0; broadcastable to ``y``.
        """
        return facts.picture_in(self.physics, self.y, weight)

    @cached_property
    def square(self) -> Square | None:
        """The turned square that the image is in a measured picture; ``None`` for all of it."""
        return facts.square_in(self.physics)

    def upright(self, picture: Tensor, side: int) -> Tensor:
        """The image's part of a measured picture (B, C, h, w), as (B, C, side, side) if turned."""
        if self.square is None:
            return picture
        return torch.cat([cut(each, self.square, side) for each in picture.split(1)])

    @cached_property
    def picture_noise(self) -> float | None:
        """Standard deviation of the noise in the picture that the measurements are."""
        return facts.picture_noise(self.physics, self.y)

    @cached_property
    def planar(self) -> bool:
        """Whether the measurements lie in rows and columns as an image does."""
        return self.y.ndim == 4

    @cached_property
    def picture(self) -> bool:
        """Whether the measurements are RGB pictures."""
        rgb = self.planar and self.y.shape[1] == 3 and not self.y.is_complex()
        return rgb and not self.transformed

    @cached_property
    def transformed(self) -> bool:
        """Whether the measurements are the cosine transform of a picture."""
        return facts.is_transformed(self.physics)

    @cached_property
    def colours_open(self) -> bool:
        """Whether the measurements of a linear operator fail to tell some colours apart."""
        return facts.leaves_colours_open(self.linear_physics, self.y)

    @property
    def own_fidelity(self) -> Fidelity | None:
        """The measurement error that was asked for; ``None`` where none was."""
        assert not isinstance(self.fidelity, DataFidelity)
        return self.fidelity

    @cached_property
    def unknown_noise(self) -> str | None:
        """The name of the noise model if no measurement error is known to suit it."""
        return unknown_noise(self.physics)

    @cached_property
    def natural_fidelity(self) -> Fidelity:
        """The measurement error that suits the noise and the sensor."""
        return fidelity_for(self.physics)

    @cached_property
    def least_squares(self) -> bool:
        """Whether least squares in the image are apt: a linear operator, and noise of mean 0."""
        unbiased = isinstance(self.physics.noise_model, UNBIASED)
        return self.linear and (unbiased or self.natural_fidelity is measurement_loss)

    @property
    def linear_physics(self) -> LinearPhysics:
        """The operator, which has to be linear.

        Raises:
            InputError: if it is not.
        """
        if not isinstance(self.physics, LinearPhysics):
            raise InputError(
                "tv, wavelet and dip need a linear operator, which this one is not; "
                "use a method with a generator"
            )
        return self.physics

    def split(self, like: Tensor, fraction: float, seeds: Sequence[int]) -> Split:
        """The measurements that are fitted and those that judge, see `split_measurements`."""
        return split_measurements(self.physics, self.y, like, fraction, seeds)

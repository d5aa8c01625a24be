"""Generation towards a class: a classifier as the operator, its class as the measurement."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from deepinv.physics import Physics
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from interlayer.errors import InputError
from interlayer.generators import Generator
from interlayer.methods.stages import Latent, Layer, Method, Stage
from interlayer.networks.classifiers import Classifier, resize
from interlayer.networks.perceptual import load_perceptual
from interlayer.problem.problem import Problem
from interlayer.solver.adam import BatchAdam, cosine_ramp
from interlayer.solver.records import DEFAULT_SETTINGS, GeneratorPoint, Settings, State
from interlayer.solver.solving import iterate

ImageDistance = Callable[[Tensor, Tensor], Tensor]
BLUR_KERNEL = 5
SMOOTHING = 0.8
TRUNCATION = 0.7  # of the samples to start from


@dataclass(frozen=True)
class Views:
    """Random changes of an image before the classifier looks at it.

    Attributes:
        count: number of views per look, at least 1.
        smallest: side of the smallest square crop, as a fraction of the image's, in (0, 1].
        blur: largest standard deviation of a Gaussian blur, in pixels of the classifier's input.
        noise: standard deviation of Gaussian noise, in units of [0, 1].
        seed: seed of all draws.

    Raises:
        ValueError: if a value is out of range.
    """

    count: int = 4
    smallest: float = 0.6
    blur: float = 1.0
    noise: float = 0.03
    seed: int = 0

    def __post_init__(self) -> None:
        if self.count < 1 or not 0 < self.smallest <= 1 or min(self.blur, self.noise) < 0:
            raise ValueError(f"views need count >= 1, smallest in (0, 1] and no negatives: {self}")


FRESH = Views(count=32, seed=2**32)


def draw_views(x: Tensor, size: int, views: Views, rng: torch.Generator) -> Tensor:
    """Random crops of images, mirrored or not, blurred and noisy, (count, B, 3, size, size).

    The draws are the same for every image of the batch, and gradients pass.

    Args:
        x: images (B, 3, H, W) in [0, 1].
        size: height and width of a view.
        views: ranges of the random changes.
        rng: generator on the CPU; it advances by as much whatever the batch.

    >>> rng = torch.Generator().manual_seed(0)
    >>> draw_views(torch.rand(2, 3, 64, 64), 32, Views(count=5), rng).shape
    torch.Size([5, 2, 3, 32, 32])
    """
    # One antialiased reduction for all views; the smallest crop has `size` pixels.
    x = resize(x, math.ceil(size / views.smallest))
    return torch.stack([_draw_view(x, size, views, rng) for _ in range(views.count)])


def _draw_view(x: Tensor, size: int, views: Views, rng: torch.Generator) -> Tensor:
    scale, top, left, flip, blur = torch.rand(5, generator=rng).tolist()
    noise = torch.randn(x.shape[1], size, size, generator=rng)
    side = round(x.shape[-1] * (views.smallest + (1 - views.smallest) * scale))
    top, left = (round(start * (x.shape[-1] - side)) for start in (top, left))
    view = resize(x[..., top : top + side, left : left + side], size)
    if flip < 0.5:
        view = view.flip(-1)
    if views.blur:
        view = gaussian_blur(view, [BLUR_KERNEL] * 2, [max(1e-3, blur * views.blur)] * 2)
    return view + views.noise * noise.to(view)


class ClassifierPhysics(Physics):
    """A classifier as a forward operator: ``A(x) = mean over views v of log p(class | v(x))``.

    Ordinary classifiers answer to patterns that nobody sees, so a gradient at one view leads to
    noise; the mean over random views, new ones at every call, keeps what survives small changes.

    Args:
        classifier: the network.
        views: random changes of the images; the draws start at the seed, the same for all images.

    >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 5))
    >>> physics = ClassifierPhysics(Classifier(network, size=8))
    >>> physics.A(torch.rand(2, 3, 16, 16)).shape
    torch.Size([2, 5])
    """

    def __init__(self, classifier: Classifier, views: Views = Views()) -> None:
        super().__init__()
        self.classifier, self.views = classifier, views
        self.rng = torch.Generator().manual_seed(views.seed)

    def A(self, x: Tensor, **kwargs) -> Tensor:
        """Mean log-probabilities (B, classes) of images (B, 3, H, W) in [0, 1]."""
        return self.log_probabilities(x).mean(0)

    def log_probabilities(self, x: Tensor) -> Tensor:
        """Log-probabilities (views, B, classes) of every view by itself."""
        # Clipped, so that nothing is gained where no picture can show it.
        views = draw_views(x.clamp(0, 1), self.classifier.size, self.views, self.rng)
        logits = self.classifier(views.flatten(0, 1))
        return logits.log_softmax(-1).unflatten(0, views.shape[:2])


def mean_squared_error(x: Tensor, near: Tensor) -> Tensor:
    """Mean squared error ``mean |x - near|²`` (B,)."""
    return (x - near).square().flatten(1).mean(1)


@dataclass(frozen=True)
class Near:
    """An image to stay close to.

    Attributes:
        x: image (1 or B, 3, H, W) in [0, 1].
        weight: weight of the distance, in nats per unit of it.
        distance: a distance between images, (B,), e.g. `perceptual_distance()`.
    """

    x: Tensor
    weight: float = 1.0
    distance: ImageDistance = mean_squared_error


class ClassFidelity:
    """Cross-entropy of the wanted class, plus the weighted distance to an image.

    A `Fidelity`. Views differ between steps, so the value is a running mean over steps, by which
    the best of them can be told; the gradient is that of the step alone.

    Args:
        near: an image to stay close to, or ``None``.
    """

    def __init__(self, near: Near | None = None) -> None:
        self.near = near
        self._running: Tensor | None = None

    def __call__(self, predicted: Tensor, y: Tensor, weight: Tensor, x: Tensor, /) -> Tensor:
        """The loss (B,) in nats; NaN where all weights are 0."""
        if not weight.any():
            return predicted.new_full((len(predicted),), torch.nan)
        loss = -(weight * y * predicted).sum(1)
        if self.near is not None:
            loss = loss + self.near.weight * self.near.distance(x, self.near.x)
        now = loss.detach()
        before = now if self._running is None else self._running
        mean = SMOOTHING * before + (1 - SMOOTHING) * now
        self._running = torch.where(now.isfinite(), mean, before)
        return loss - now + self._running


def perceptual_distance(size: int = 256) -> ImageDistance:
    """The distance that a network sees between images, both reduced to ``size`` pixels.

    Raises:
        InputError: if the weights `perceptual` cannot be pulled.
    """
    network = load_perceptual()
    return lambda x, near: network.to(x.device)(resize(x, size), resize(near, size))


def towards_class(
    steps: int = 72,
    layers: Sequence[int] = (0, 2, 3, 4, 5),
    radius: float = 0.1,
    lr: float = 0.05,
    layer_lr: float = 0.04,
) -> Method:
    """The stages of `imagine`: two fifths of the steps at the first layer, then equal shares.

    Later layers do most: with `faces`, a tabby's probability was 0.01 after the latent code, 0.95
    at the end. The radius is wider than that of `ilo`, since only the class is known of the image.
    """
    first, *later = layers
    share = round(600 / max(1, len(later)))
    expansion = [Stage(Layer(p, radius), share, layer_lr) for p in later]
    stages = [Stage(Layer(first) if first else Latent(), 400, lr), *expansion]
    return Method("imagine", tuple(stages)).scaled(steps)


def imagine(
    generator: Generator,
    physics: ClassifierPhysics,
    target: str | int,
    *,
    method: Method | None = None,
    near: Near | None = None,
    settings: Settings = DEFAULT_SETTINGS,
) -> Iterator[State]:
    r"""Draw images of a class with a generator that may never have seen it, step by step.

    The loss is ``-mean over views v of log p(target | v(x)) + weight * distance(x, near)``,
    minimised over the l1 balls of the intermediate layers; the last `State`'s ``solution()`` is the
    result. Judge it by `class_probability` on fresh views, and by `imagine_pixels`, which has as
    high a probability and shows nothing: a high probability alone means little.

    Args:
        generator: the prior.
        physics: a classifier of images, whose views vary; the paper uses a robust one, see
            `load_classifier`.
        target: name or number of a class.
        method: stages to run; `towards_class` by default.
        near: an image to stay close to.
        settings: seeds, one per image to draw, and a starting point, e.g. that of recovering the
            image to stay near, to morph it; by default the samples that the seeds draw. Nothing is
            held out.

    Raises:
        InputError: if no class is called ``target``, or the image to stay near is not of the
            generator's size.

    Reference: Daras et al., ICML 2021, arXiv 2102.07364, figures 4 and 5.

    >>> from interlayer.generators import ToyGenerator
    >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 16 * 16, 3))
    >>> physics = ClassifierPhysics(Classifier(network, size=16))
    >>> method = towards_class(steps=8, layers=(0, 2))
    >>> [*_, last] = imagine(ToyGenerator(), physics, 2, method=method)
    >>> last.solution().x_hat.shape
    torch.Size([1, 3, 16, 16])
    """
    seeds = settings.seeds(1 if isinstance(settings.seed, int) else len(settings.seed))
    size = (generator.channels, generator.resolution, generator.resolution)
    if near is not None and near.x.shape[1:] != size:
        raise InputError(
            f"the image to stay near is {tuple(near.x.shape)}, not (B, {size}); resize it"
        )
    y = one_hot(physics.classifier, target, len(seeds))
    start = settings.start or GeneratorPoint(generator.sample(seeds, TRUNCATION))
    return iterate(
        Problem(physics, y, ClassFidelity(near)),
        generator,
        method or towards_class().within(generator.num_layers),
        replace(settings, seed=seeds, holdout=0, start=start),
    )


def imagine_pixels(
    physics: ClassifierPhysics,
    x: Tensor,
    target: str | int,
    *,
    steps: int = 72,
    lr: float = 0.02,
) -> Tensor:
    """Move pixels by the loss, views and steps of `imagine` without a generator, within [0, 1].

    The pixels of ``x`` (B, 3, H, W) move by Adam. A control: the probability rises as high while
    hardly anything is to be seen.
    """
    fidelity, y = ClassFidelity(), one_hot(physics.classifier, target, len(x))
    x = x.detach().clone().requires_grad_()
    adam = BatchAdam([x])
    for step in range(steps):
        with torch.enable_grad():
            loss = fidelity(physics.A(x), y, torch.ones_like(y), x)
            gradient = torch.autograd.grad(loss.sum(), [x])
        adam.step(loss.detach(), gradient, lr * cosine_ramp(step, steps))
        with torch.no_grad():
            x.clamp_(0, 1)
    return x.detach()


@torch.no_grad()
def class_probability(
    classifier: Classifier,
    x: Tensor,
    target: str | int,
    *,
    views: Views = FRESH,
) -> Tensor:
    """Mean probability (B,) of a class over random views of images, in [0, 1].

    By default over 32 views that `imagine` has not used, so that it cannot have fitted them.
    """
    physics = ClassifierPhysics(classifier, views)
    return physics.log_probabilities(x)[..., classifier.index(str(target))].exp().mean(0)


def one_hot(classifier: Classifier, target: str | int, batch: int) -> Tensor:
    """The measurement (B, classes) of images that are surely of a class."""
    y = classifier.mean.new_zeros(batch, classifier.num_classes)
    y[:, classifier.index(str(target))] = 1
    return y

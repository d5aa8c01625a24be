"""The methods of the literature, and `auto`, as settings of one loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from interlayer.methods.energies import Energy
from interlayer.methods.estimators import ESTIMATORS, Estimator
from interlayer.methods.stages import Descent, Latent, Layer, Losses, Method, Reached, Stage
from interlayer.problem.fidelity import l1_loss

DEFAULT_STEPS = 120


AUTO_STEPS = 140
GENTLE = Descent(momentum=0.8, warm_up=0.25)
DAMPED = replace(GENTLE, damping=2)
TOGETHER = Losses(geocross=1e-2)
NO_ENERGIES: Mapping[int, Energy] = MappingProxyType({})


def csgm(steps: int = DEFAULT_STEPS, lr: float = 0.2) -> Method:
    """One stage over the latent code alone (Bora et al., CSGM, arXiv 1703.03208)."""
    return Method("csgm", (Stage(Latent(), steps, lr),))


def pulse(
    steps: int = DEFAULT_STEPS,
    lr: float = 0.4,
    geocross: float = 5e-4,
    fidelity: float = 1.0,
    perceptual: float = 0.0,
) -> Method:
    """One stage on the sphere, with the geodesic cross loss (Menon et al., arXiv 2003.03808).

    Loss weights and step size are the paper's (100 against 0.05; spherical Adam at 0.4). The ILO
    paper also runs it with the perceptual loss, alone and beside the squared error.
    """
    losses = Losses(fidelity=fidelity, perceptual=perceptual, geocross=geocross)
    name = "pulse" + "-mse" * (fidelity > 0 and perceptual > 0) + "-lpips" * (perceptual > 0)
    return Method(name, (Stage(Latent("sphere"), steps, lr, losses),), random_start=True)


def pulse_lpips(steps: int = DEFAULT_STEPS) -> Method:
    """`pulse` with the perceptual loss alone."""
    return pulse(steps, fidelity=0.0, perceptual=1.0)


def pulse_mse_lpips(steps: int = DEFAULT_STEPS) -> Method:
    """`pulse` with the squared error and a tenth of the perceptual loss, which is as large."""
    return pulse(steps, perceptual=0.1)


def ilo(
    steps: int = DEFAULT_STEPS,
    layers: Sequence[int] = (0, 2, 3, 4, 5),
    radius: float = 0.15,
    lr: float = 0.15,
    layer_lr: float = 0.05,
    rounds: int = 1,
    losses: Losses = TOGETHER,
) -> Method:
    """Intermediate Layer Optimization (Daras et al., ICML 2021, arXiv 2102.07364).

    Every layer has the same share of the steps, each but the first within an l1 ball of ``radius``
    around what the stage before reached. A short first stage is better than a long one: a latent
    code that has been fitted further has left the prior further behind. The geodesic cross loss,
    which the paper lacks, keeps the style inputs together: it gained 0.1 to 0.25 dB wherever it was
    tried, and what fills a missing region looks like a face. Every further round goes back first:
    the latent code that comes nearest to the last layer's input replaces the search from the
    measurements, as in the paper's Algorithm 1.
    """
    first, *later = layers
    if rounds < 1 or (rounds > 1 and first != 0):
        raise ValueError("a method has at least one round, and goes back to layer 0 only")
    share = max(1, steps // (rounds * len(layers)))
    expansion = [Stage(Layer(p, radius), share, layer_lr, losses) for p in later]
    stages = [Stage(Layer(first) if first else Latent(), share, lr, losses), *expansion]
    for _ in range(rounds - 1):
        stages += [Stage(Latent(), share, lr, Reached()), *expansion]
    return Method("ilo", tuple(stages)).scaled(steps)


def auto(steps: int = AUTO_STEPS, estimators: tuple[Estimator, ...] = ESTIMATORS) -> Method:
    """The default method: the measurements decide where to begin, how deep and how far to go.

    It begins as `robust` does: one code for all style inputs, which stays in the generator's range,
    then one for each with smaller steps, in a quarter of all steps. Then layers 2 to 6 as in `ilo`,
    each as far as held-out measurements say it helps, and the image stage, where the image is the
    last layer and ``estimators`` join the generator's. Damped steps with less momentum reach in 140
    what Adam's usual ones reach in 280.
    """
    shared = Stage(Latent("tied"), 20, 0.1, TOGETHER, descent=GENTLE)
    freed = Stage(Latent(), 13, 0.05, TOGETHER, descent=GENTLE)
    later = [
        Stage(Layer(p, radius=0.15), n, 0.15, TOGETHER, descent=DAMPED)
        for p, n in ((2, 18), (3, 24), (4, 24), (5, 24), (6, 17))
    ]
    return Method("auto", (shared, freed, *later), estimators=estimators).scaled(steps)


def sparse_gen(steps: int = DEFAULT_STEPS) -> Method:
    """A latent code and a sparse deviation from its image, in wavelets.

    Dhar, Grover, Ermon, Modeling Sparse Deviations for Compressed Sensing, arXiv 1807.01442; one
    after the other, the weight of the deviation being chosen from held-out measurements.
    """
    return replace(csgm(steps), name="sparse-gen", estimators=())


def wplus(steps: int = DEFAULT_STEPS, lr: float = 0.2, perceptual: float = 0.1) -> Method:
    """One code for each style input, squared error and perceptual loss.

    Abdal et al., Image2StyleGAN, arXiv 1904.03189; in the whitened style space, where the code has
    the scale of the prior, so that hundreds of steps do where the paper takes thousands.
    """
    return Method("wplus", (Stage(Latent(), steps, lr, Losses(perceptual=perceptual)),))


def robust(steps: int = DEFAULT_STEPS, perceptual: float = 1.0, fidelity: float = 0.1) -> Method:
    """One code for all style inputs, then one each, with ever smaller steps.

    Poirier-Ginter and Lalonde, Robust Unsupervised StyleGAN Image Restoration, CVPR 2023, with its
    loss (perceptual at several scales + 0.1 l1, noise imitated). Adam takes the place of its
    normalised gradient, and the input of a middle layer that of its third phase, a code for each
    filter, which generators need not have. `DEFAULT_STEPS` are fewer than its 450.
    """
    losses = Losses(fidelity=fidelity, perceptual=perceptual)
    stages = (
        Stage(Latent("tied"), 1, 0.1, losses),
        Stage(Latent(), 1, 0.05, losses),
        Stage(Layer(2, radius=0.05), 1, 0.025, losses),
    )
    method = Method("robust", stages, fidelity=l1_loss, multiscale=True, pictures_only=False)
    return method.scaled(steps)


def sgilo(
    steps: int = DEFAULT_STEPS,
    temperature: float = 1e-5,
    prior: float = 0.05,
    energies: Mapping[int, Energy] = NO_ENERGIES,
    learned: float = 0.01,
) -> Method:
    """Langevin steps in the latent space, then at a middle layer under a prior.

    Daras et al., Score-Guided Intermediate Layer Optimization, arXiv 2206.09104. A layer without an
    energy has a Gaussian of its own spread over prior samples. The weights are those of a
    log-posterior: the fewer the measurements, the heavier the priors.

    Args:
        steps: number of steps in all.
        temperature: temperature of the Langevin noise.
        prior: weight of the Gaussian prior of the latent code.
        energies: energies of the inputs of layers, such as those of a `LearnedPrior`.
        learned: weight of those energies.
    """
    losses = Losses(latent=prior, layer=prior / 50, posterior=True)
    latent = Stage(Latent(), 1, 0.15, losses, temperature)
    towards = {p: replace(losses, layer=learned, layer_energy=e) for p, e in energies.items()}
    later = [
        Stage(Layer(p), 1, 0.05, towards.get(p, losses), temperature)
        for p in sorted({2, 3, 4, *energies})
    ]
    return Method("sgilo", (latent, *later)).scaled(steps)


def ilo_mse_lpips(steps: int = DEFAULT_STEPS) -> Method:
    """`ilo` with a perceptual loss and a stronger prior, for large missing regions.

    No measurement judges what fills a hole, so the fit of its surroundings must not cost
    plausibility: more than half of the steps are for one code that all style inputs share, with
    squared error and perceptual distance weighed as in the paper's figure 1, and the prior is ten
    times that of `ilo`.
    """
    first = Stage(Latent("tied"), 6, 0.05, Losses(perceptual=0.3, latent=3e-3))
    together = Losses(geocross=0.1)
    later = [Stage(Layer(p, radius=0.05), 1, 0.05, together) for p in (2, 3, 4, 5)]
    return Method("ilo-mse-lpips", (first, *later)).scaled(steps)


METHODS: Mapping[str, Callable[..., Method]] = {
    "auto": auto,
    "ilo": ilo,
    "ilo-mse-lpips": ilo_mse_lpips,
    "csgm": csgm,
    "pulse": pulse,
    "pulse-lpips": pulse_lpips,
    "pulse-mse-lpips": pulse_mse_lpips,
    "wplus": wplus,
    "robust": robust,
    "sparse-gen": sparse_gen,
    "sgilo": sgilo,
}

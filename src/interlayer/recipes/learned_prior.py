"""A learned prior of layer inputs: denoisers that know what a generator's own samples look like."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from interlayer.errors import InputError
from interlayer.generators import Generator
from interlayer.media.files import replacing
from interlayer.methods.energies import Energy, of_score
from interlayer.networks.denoiser import Denoiser
from interlayer.recipes.saving import read_tensors

FORMAT = "interlayer prior 1"
SIGMA = 1.0


class LearnedPrior:
    """Denoisers of the inputs of some layers of one generator, see `interlayer.recipes.training`.

    Args:
        denoisers: a denoiser for each layer.
        generator: name of the generator from whose samples they were learned.
    """

    def __init__(self, denoisers: Mapping[int, Denoiser], generator: str) -> None:
        self.denoisers, self.generator = dict(denoisers), generator

    def energies(self, sigma: float = SIGMA) -> dict[int, Energy]:
        """The energy of each layer's input, regularisation by denoising.

        Its gradient is ``(u - D(u; σ)) / numel`` for the whitened input u: the negative score of
        the density blurred by σ, times σ² (Romano et al., arXiv 1611.02862; Daras et al., arXiv
        2206.09104, as a score).

        Args:
            sigma: noise level at which the denoisers are asked, in standard deviations of the
                layer's input.
        """
        return {layer: _energy(net, sigma) for layer, net in self.denoisers.items()}

    def save(self, path: Path) -> None:
        """Write the prior as a ``.safetensors`` file for `load_prior`."""
        tensors = {
            f"{layer}.{name}": tensor.cpu().contiguous()
            for layer, net in self.denoisers.items()
            for name, tensor in net.state_dict().items()
        }
        content = save(tensors, {"format": FORMAT, "generator": self.generator})
        with replacing(path) as temporary:
            temporary.write_bytes(content)


def load_prior(path: Path, generator: Generator) -> LearnedPrior:
    """Read a prior that `LearnedPrior.save` wrote, for a generator.

    Args:
        path: the file.
        generator: the generator whose layers it is to judge.

    Raises:
        InputError: if the file is missing or of another kind, or was learned from another
            generator.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist; `interlayer train-prior` writes such a file")
    try:
        metadata, tensors = read_tensors(path, FORMAT)
        denoisers = {layer: _denoiser(layer, tensors) for layer in _layers(tensors)}
    except (KeyError, ValueError, RuntimeError, IndexError):
        raise InputError(
            f"{path} is no prior of this version ({FORMAT}); `interlayer train-prior` writes one"
        ) from None
    if metadata.get("generator") != generator.name or not all(
        _fits(net, generator, layer) for layer, net in denoisers.items()
    ):
        raise InputError(
            f"{path} was learned from {metadata.get('generator')}, not from {generator.name}; "
            "learn one with `interlayer train-prior`"
        )
    device = generator.sample([0]).device
    return LearnedPrior({n: net.to(device) for n, net in denoisers.items()}, generator.name)


def _layers(tensors: Mapping[str, Tensor]) -> list[int]:
    return sorted({int(name.split(".")[0]) for name in tensors})


def _denoiser(layer: int, tensors: Mapping[str, Tensor]) -> Denoiser:
    """The denoiser of a layer, with the width and depth that its tensors have."""
    start = f"{layer}."
    state = {n.removeprefix(start): t.float() for n, t in tensors.items() if n.startswith(start)}
    depth = len({name.split(".")[1] for name in state if name.startswith("blocks.")})
    net = Denoiser(state["mean"], state["std"], state["first.bias"].numel(), depth)
    net.load_state_dict(state)
    return net.eval().requires_grad_(False)


def _fits(net: Denoiser, generator: Generator, layer: int) -> bool:
    if not 1 <= layer < generator.num_layers:
        return False
    h = generator.run(generator.start(generator.sample([0])), 0, layer).h
    return h is not None and h.shape[1:] == net.mean.shape


def _energy(net: Denoiser, sigma: float) -> Energy:
    levels = net.mean.new_tensor([sigma])
    pull = of_score(lambda u: net(u, levels.expand(len(u))) - u)
    return lambda h: pull(net.whiten(h))

"""Any network whose forward is a chain, as a generator with cuts at named submodules."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, fx, nn
from torch.fx.proxy import TraceError

from interlayer.errors import InputError
from interlayer.generators.base import Generator, LayerState, gaussian_by_seed

_TOLERANCE = 1e-5


class Sequential(Generator):
    r"""Generator made of ``module``, cut behind each of the named submodules.

    With cuts ``c_1, …, c_(L-1)`` in the order in which forward reaches them, layer 0 runs from the
    latent code to the output of ``c_1``, layer i from there to the output of ``c_(i+1)``, and the
    last layer to the image. Forward is followed symbolically, so what it does between submodules
    (``view``, ``relu``) belongs to the layers too; inside a submodule that holds no cut it may do
    anything.

    The module is copied, in evaluation mode, in single precision and without gradients; ``z``
    (B, \*latent_shape) is standard Gaussian. Searches set out from ``z = 0`` unless all rectifiers
    of a layer are off there, so that no gradient leads away.

    Args:
        module: network that maps (B, \*latent_shape) to images (B, C, H, W).
        cuts: dotted names of submodules, as in ``module.named_modules()``.
        latent_shape: shape of one latent code.
        image_range: values of black and white in the module's images: ``(-1, 1)`` after a tanh,
            ``(0, 1)`` after a sigmoid.
        name: name of the generator in results.

    Raises:
        InputError: if a cut does not exist, is not reached exactly once or is not all that the
            layers behind it read, if the chained layers differ from ``module(z)``, or if a layer
            changes its input in place (submodules with an ``inplace`` flag are told not to).

    >>> decoder = nn.Sequential(nn.Linear(4, 12), nn.ReLU(), nn.Unflatten(1, (3, 2, 2)), nn.Tanh())
    >>> G = Sequential(decoder, cuts=["1"], latent_shape=(4,))
    >>> G.num_layers, G(G.sample([0, 1])).shape
    (2, torch.Size([2, 3, 2, 2]))
    """

    def __init__(
        self,
        module: nn.Module,
        cuts: Sequence[str],
        latent_shape: Sequence[int],
        *,
        image_range: tuple[float, float] = (-1.0, 1.0),
        name: str = "sequential",
    ) -> None:
        super().__init__()
        if not image_range[0] < image_range[1]:
            raise InputError(f"give image_range as (black, white), black first, not {image_range}")
        self.name, self.image_range = name, image_range
        self.latent_shape = tuple(latent_shape)
        whole = copy.deepcopy(module).float().eval().requires_grad_(False)
        for part in whole.modules():
            if getattr(part, "inplace", False) is True:
                setattr(part, "inplace", False)  # noqa: B010 - a layer must not change its input
        self.layers = nn.ModuleList(split_at(whole, cuts))
        self.num_layers = len(self.layers)
        self._img_size = self._check(whole)
        self.channels, self.resolution = self._img_size[:2]
        self.starts_at_mean = self._leads_away()

    @property
    def img_size(self) -> tuple[int, int, int]:
        """The shape (C, H, W) of an image."""
        return self._img_size

    @torch.no_grad()
    def _check(self, whole: nn.Module) -> tuple[int, int, int]:
        """Compare with the module on two codes, and return the shape of an image."""
        z = self.sample([0, 1])
        try:
            x = whole(z)
        except (RuntimeError, TypeError, ValueError) as error:
            raise InputError(f"the module does not take codes {tuple(z.shape)}: {error}") from error
        if not isinstance(x, Tensor) or x.ndim != 4 or len(x) != 2:
            shape = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise InputError(f"the module gives {shape} for 2 codes, not images (2, C, H, W)")
        chained = self._run_unchanged(z)
        if chained.shape != x.shape or (chained - x).abs().max() > _TOLERANCE * x.abs().max():
            raise InputError("the chained layers do not give what the module gives; is it random?")
        channels, height, width = x.shape[1:]
        return channels, height, width

    @torch.enable_grad()
    def _leads_away(self) -> bool:
        """Whether the image changes with the code at ``z = 0``."""
        z = torch.zeros(1, *self.latent_shape, requires_grad=True)
        (gradient,) = torch.autograd.grad(self(z).square().sum(), z, materialize_grads=True)
        return bool(gradient.any())

    def _run_unchanged(self, h: Tensor) -> Tensor:
        """Run the layers one by one, and refuse one that changes its input."""
        for index, layer in enumerate(self.layers):
            before = h.clone()
            after = layer(h)
            if not torch.equal(before, h):
                raise InputError(
                    f"layer {index} changes its input in place, so it cannot be cut off"
                )
            h = after
        return h

    def sample(self, seeds: Sequence[int], truncation: float = 1.0) -> Tensor:
        r"""Draw Gaussian codes (B, \*latent_shape), scaled by ``truncation``."""
        weights = next((p for p in self.layers.parameters()), torch.empty(0))
        return truncation * gaussian_by_seed(seeds, self.latent_shape).to(weights.device)

    def start(self, z: Tensor, noise: Sequence[Tensor] | None = None) -> LayerState:
        """Return the state before layer 0, the code itself; there are no noise maps."""
        if noise:
            raise InputError(f"{self.name} has no noise maps; leave out the noise")
        return LayerState(h=z)

    def layer(self, index: int, state: LayerState) -> LayerState:
        """Apply the piece of the module between two cuts."""
        return LayerState(h=self.layers[index](state.h))

    def image(self, state: LayerState) -> Tensor:
        """Return the image (B, C, H, W), black at 0 and white at 1."""
        black, white = self.image_range
        assert state.h is not None
        return (state.h - black) / (white - black)


class Adapted(nn.Module):
    """A module whose forward takes more than the code, or gives more than images, for `Sequential`.

    Args:
        module: network; its submodules are ``module.NAME`` where cuts are named.
        call: function ``(module, z) -> images`` that calls it.

    >>> class Pair(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.up = nn.Linear(4, 12)
    ...     def forward(self, z, scale):
    ...         return scale * self.up(z).view(-1, 3, 2, 2), None
    >>> decoder = Adapted(Pair(), lambda module, z: module(z, 0.5)[0])
    >>> Sequential(decoder, cuts=["module.up"], latent_shape=(4,)).num_layers
    2
    """

    def __init__(self, module: nn.Module, call: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.module, self.call = module, call

    def forward(self, z: Tensor) -> Tensor:
        """Images of codes."""
        return self.call(self.module, z)


class _Tracer(fx.Tracer):
    """Tracer that follows forward into those submodules alone that have a cut inside."""

    def __init__(self, cuts: Sequence[str]) -> None:
        super().__init__()
        self.cuts = cuts

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return not any(cut.startswith(f"{module_qualified_name}.") for cut in self.cuts)


def split_at(module: nn.Module, cuts: Sequence[str]) -> list[nn.Module]:
    """Split a module's forward at the outputs of the named submodules.

    Raises:
        InputError: as `Sequential`, if it cannot be cut there.
    """
    known = dict(module.named_modules())
    for cut in cuts:
        if not cut or cut not in known:
            raise InputError(f"the module has no submodule {cut!r} to cut behind")
    try:
        nodes = list(_Tracer(cuts).trace(module).nodes)
    except (TraceError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"the module's forward cannot be followed: {error}") from error
    if sum(node.op == "placeholder" for node in nodes) != 1:
        raise InputError("the module's forward takes more than the latent code")
    targets = [node.target if node.op == "call_module" else None for node in nodes]
    for cut in cuts:
        if targets.count(cut) != 1:
            raise InputError(
                f"forward reaches {cut!r} {targets.count(cut)} times, so it cannot be a cut"
            )
    places = [targets.index(cut) for cut in cuts]
    if places != sorted(set(places)):
        raise InputError("the cuts are not in the order in which forward reaches them")
    code = next(i for i, node in enumerate(nodes) if node.op == "placeholder")
    edges = [code, *places, len(nodes) - 1]
    return [piece(module, nodes, *pair) for pair in zip(edges[:-1], edges[1:], strict=True)]


def piece(module: nn.Module, nodes: Sequence[fx.Node], first: int, last: int) -> nn.Module:
    """Make a module of the computation from the output of node ``first`` to that of ``last``."""
    graph = fx.Graph()
    copies = {nodes[first]: graph.placeholder("h")}

    def copied(node: fx.Node) -> fx.Node:
        if node not in copies and node.op == "get_attr":
            copies[node] = graph.node_copy(node)
        if node not in copies:
            raise InputError(
                f"a layer behind the cut {str(nodes[first].target)!r} also reads {node.name!r}, "
                "which lies before it, so the module is no chain there"
            )
        return copies[node]

    for node in nodes[first + 1 : last + 1]:
        if node.op != "output":
            copies[node] = graph.node_copy(node, copied)
    result = nodes[last].args[0] if nodes[last].op == "output" else nodes[last]
    if not isinstance(result, fx.Node):
        raise InputError("the module's forward gives something else than one tensor")
    graph.output(copied(result))
    return fx.GraphModule(module, graph)

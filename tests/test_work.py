"""The work of a step, counted rather than timed: it must not grow unnoticed."""

import math
from collections import Counter

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from interlayer import Latent, Layer, Method, Stage, iterate
from interlayer.generators import ToyGenerator
from interlayer.problem import measure

SIZE = (3, 16, 16)
PROJECTED = Stage(Layer(2, radius=0.05), 6)
LATENT_CALLS, LAYER_CALLS, LARGE_PASSES = 260, 320, 35


class Calls(TorchDispatchMode):
    """Counts operator calls, the bytes of what they return, and passes over large tensors.

    A pass is a call that computes a tensor with at least as many entries as an image; a view, which
    computes nothing, is none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls, self.bytes, self.passes = Counter[str](), 0, Counter[str]()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.calls[str(func)] += 1
        tensors = out if isinstance(out, tuple | list) else [out]
        self.bytes += sum(t.nbytes for t in tensors if isinstance(t, torch.Tensor))
        read = {t.data_ptr() for t in args if isinstance(t, torch.Tensor)}
        large = [t for t in tensors if isinstance(t, torch.Tensor) and t.numel() >= math.prod(SIZE)]
        if any("_." in str(func) or t.data_ptr() not in read for t in large):
            self.passes[str(func)] += 1
        return out


def steps_of(stage: Stage, batch: int = 1):
    x = torch.rand(batch, *SIZE, generator=torch.Generator().manual_seed(0))
    problem = measure(x, "circulant:0.2", seed=0)
    steps = iterate(problem, ToyGenerator(), Method("one", (stage,)))
    next(steps)
    next(steps)
    return steps


def counted(stage: Stage, batch: int = 1) -> Calls:
    steps = steps_of(stage, batch)
    with Calls() as work:
        next(steps)
    return work


def test_a_step_makes_no_more_operator_calls_than_it_did():
    assert counted(Stage(Latent(), 6)).calls.total() <= LATENT_CALLS
    assert counted(PROJECTED).calls.total() <= LAYER_CALLS


def test_a_step_makes_no_more_passes_over_large_tensors_than_it_did():
    """Forward, backward and update, with an input of a layer as large as the image."""
    assert counted(Stage(Layer(3, radius=0.05), 6)).passes.total() <= LARGE_PASSES


def test_calls_do_not_grow_with_the_batch_and_bytes_grow_no_faster():
    one, four = counted(PROJECTED), counted(PROJECTED, batch=4)
    assert four.calls.total() <= one.calls.total() * 1.6
    assert four.bytes <= 4 * one.bytes


def test_later_layers_do_less_arithmetic():
    flops = []
    for layer in range(3):
        steps = steps_of(Stage(Layer(layer) if layer else Latent(), 6))
        with FlopCounterMode(display=False) as counter:
            next(steps)
        flops.append(counter.get_total_flops())
    assert flops[0] > flops[1] > flops[2] > 0


def test_no_step_waits_for_a_value_but_to_see_whether_it_diverged():
    assert counted(Stage(Latent(), 6)).calls["aten._local_scalar_dense.default"] <= 1

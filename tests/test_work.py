"""The work of a step, counted rather than timed: it must not grow unnoticed."""

from collections import Counter

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from interlayer import Latent, Layer, Method, Stage, iterate
from interlayer.generators import ToyGenerator
from interlayer.problem import measure

SIZE = (3, 16, 16)
PROJECTED = Stage(Layer(2, radius=0.05), 6)
LATENT_CALLS, LAYER_CALLS = 260, 320


class Calls(TorchDispatchMode):
    """Counts operator calls and the bytes of what they return."""

    def __init__(self) -> None:
        super().__init__()
        self.calls, self.bytes = Counter[str](), 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.calls[str(func)] += 1
        tensors = out if isinstance(out, tuple | list) else [out]
        self.bytes += sum(t.nbytes for t in tensors if isinstance(t, torch.Tensor))
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

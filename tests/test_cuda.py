"""What runs on the CPU runs on a GPU, with the same answers; skipped on machines without one."""

import json
import sys
from collections import deque

import pytest
import torch

from interlayer import make_physics, reconstruct
from interlayer.app import cli
from interlayer.generators import ToyGenerator, draw_truths
from interlayer.problem import measure

from .test_tasks import EVERY

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.mark.parametrize("task", EVERY)
def test_auto_takes_every_task_on_a_gpu(task):
    G = ToyGenerator().cuda()
    x = draw_truths(G, [0])
    problem = measure(x, task, seed=0)
    assert problem.y.is_cuda
    x_hat = deque(reconstruct(problem, G, quality="draft"), maxlen=1)[0].solution().x_hat
    assert x_hat.is_cuda and x_hat.shape == x.shape and x_hat.isfinite().all()


@pytest.mark.parametrize("task", EVERY)
def test_a_gpu_measures_as_a_cpu_does(task):
    x = draw_truths(ToyGenerator(), [0])
    physics = make_physics(task, tuple(x.shape[1:]), seed=0)
    expected = physics.A(x)
    torch.testing.assert_close(physics.cuda().A(x.cuda()).cpu(), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("method", ["auto", "tv"])
def test_the_command_line_computes_on_a_gpu(monkeypatch, tmp_path, method):
    flags = f"recover sample:astronaut --generator faces64 --device cuda --method {method}"
    more = f"--quality draft --task inpaint:0.3 --out {tmp_path}"
    monkeypatch.setattr(sys, "argv", ["interlayer", *flags.split(), *more.split()])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert not caught.value.code
    result = json.loads((tmp_path / "astronaut" / "result.json").read_text())
    assert result["device"].startswith("cuda") and result["psnr"] > 15

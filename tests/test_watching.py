"""Progress in a terminal and in a log, and a notebook from end to end."""

import io

import pytest
from rich.console import Console

from interlayer import ilo, make_physics, solve
from interlayer.generators import ToyGenerator, draw_truths
from interlayer.recipes import watching

nbformat = pytest.importorskip("nbformat", reason="needs the extra test")
nbclient = pytest.importorskip("nbclient", reason="needs the extra test")

CELLS = [
    """
import torch
import matplotlib.pyplot as plt
import interlayer as il
from interlayer.generators import ToyGenerator, draw_truths
from interlayer.recipes.watching import progress_bar
G = ToyGenerator()
x = draw_truths(G, [0])
physics = il.make_physics("inpaint:0.3", G.img_size)
with progress_bar() as callback:
    solution = il.solve(physics, physics(x), G, callback=callback)
solution
""",
    """
figure, axes = plt.subplots(1, 1 + len(solution.stages))
axes[0].imshow(x[0].permute(1, 2, 0))
for axis, record in zip(axes[1:], solution.stages):
    axis.imshow(record.x_hat[0].permute(1, 2, 0))
plt.figure(); plt.semilogy(solution.losses[:, 0, 0]); figure
""",
    """
from dataclasses import replace
edited = replace(solution.point, z=solution.point.z + 0.3)
assert not torch.equal(edited.image(G), solution.point.image(G))
on = il.solve(physics, physics(x), G, il.ilo(12, layers=(0, 2)), start=edited)
again = il.solve(physics, physics(x), G)
assert torch.equal(again.x_hat, solution.x_hat)
print("done", on)
""",
]


def solved(console: Console) -> None:
    G = ToyGenerator()
    physics = make_physics("inpaint:0.3", G.img_size)
    with watching.progress_bar(console) as callback:
        solve(physics, physics(draw_truths(G, [0])), G, ilo(20, layers=(0, 2)), callback=callback)


def test_a_log_gets_a_line_now_and_then(monkeypatch):
    log = io.StringIO()
    monkeypatch.setattr(watching, "LOG_SECONDS", 0.0)
    solved(Console(file=log, force_terminal=False))
    lines = log.getvalue().splitlines()
    assert lines[3].startswith("layer 0: 20 % done, about") and lines[-1].startswith("layer 2: 100")
    monkeypatch.setattr(watching, "LOG_SECONDS", 3600.0)
    solved(Console(file=log, force_terminal=False))
    assert log.getvalue().splitlines() == lines


def test_a_terminal_gets_a_bar():
    terminal = io.StringIO()
    solved(Console(file=terminal, force_terminal=True, width=80))
    assert "100%" in terminal.getvalue() and "% done" not in terminal.getvalue()


def test_a_notebook_recovers_plots_edits_and_repeats(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in CELLS])
    nbclient.NotebookClient(notebook, timeout=200, resources={"path": str(tmp_path)}).execute()
    shown, plotted, last = (cell["outputs"] for cell in notebook.cells)
    assert "Solution(x_hat=(1, 3, 16, 16)" in str(shown)
    assert "image/png" in str([list(output.get("data", {})) for output in plotted])
    assert any("done" in output.get("text", "") for output in last)

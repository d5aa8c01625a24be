"""Where practice stands against the bounds of docs/theory.md: four figures and their tables.

    python examples/theory_figures.py [--only abcde] [--seeds 100] [PHOTO...]

(a) least gains of operators over secants of an extended range; (b) the measurement optimum of CSGM,
CSGM at the intermediate layer and ILO on random ReLU networks of Lipschitz constant 1, beside the
bounds; (c) ILO's error against the radius, with the generator `faces64` on photos and with `faces`
on one, and how far `auto` goes; (d) circulant against Gaussian measurements; (e) what enters the
bounds. Figures go to docs/pictures, tables to the terminal.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

import interlayer as il
from interlayer.evaluation import theory
from interlayer.media.files import replacing
from interlayer.media.samples import sample_photo
from interlayer.memory import keep_freed_memory
from interlayer.problem import GaussianMatrix, PartialCirculant

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
K, P, N = 4, 64, 256  # dimensions of the random networks: code, intermediate layer, image
FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0, 16.0)  # ILO's radius, in units of the truth's own deviation
SPARSITY, DEVIATION = 3, 0.5  # of the truth at the intermediate layer, the latter relative to it


class Networks(NamedTuple):
    """``G1(z) = relu(W1 z)``, ``G2(h) = W3 relu(W2 h)``, one pair per row, with L1 = L2 = 1.

    Every matrix has orthonormal columns, so that no layer lengthens anything.
    """

    W1: Tensor
    W2: Tensor
    W3: Tensor

    def first(self, z: Tensor) -> Tensor:
        """Layer inputs (S, B, P) of codes (S, B, K)."""
        return (z @ self.W1.mT).relu()

    def second(self, h: Tensor) -> Tensor:
        """Images (S, B, N) of layer inputs (S, B, P)."""
        return (h @ self.W2.mT).relu() @ self.W3.mT


class Problems(NamedTuple):
    """One truth per network: ``x = G2(G1(z) + u)`` with a sparse u of l1 norm ``rho``."""

    networks: Networks
    x: Tensor
    rho: Tensor


def random_problems(seeds: Sequence[int]) -> Problems:
    """A network and a truth per seed, each from its own seed alone."""
    rows = []
    for seed in seeds:
        rng = torch.Generator().manual_seed(seed)
        W1, W2, W3 = (
            torch.linalg.qr(torch.randn(shape, generator=rng)).Q
            for shape in ((P, K), (N, P), (N, N))
        )
        centre = (W1 @ torch.randn(K, generator=rng)).relu()
        u = torch.zeros(P)
        places = torch.randperm(P, generator=rng)[:SPARSITY]
        u[places] = torch.randn(SPARSITY, generator=rng).sign()
        u *= DEVIATION * centre.norm() / u.norm()
        x = W3 @ (W2 @ (centre + u)).relu()
        rows.append((W1, W2, W3, x, u.abs().sum()))
    W1, W2, W3, x, rho = (torch.stack(column) for column in zip(*rows, strict=True))
    return Problems(Networks(W1, W2, W3), x, rho)


def project_rows(u: Tensor, radii: Tensor) -> Tensor:
    """Nearest points of l1 balls, each row (..., P) with a radius of its own."""
    ordered = u.abs().sort(dim=-1, descending=True).values
    excess = ordered.cumsum(-1) - radii[..., None]
    counts = torch.arange(1, u.shape[-1] + 1)
    last = (ordered * counts > excess).sum(-1, keepdim=True).clamp_min(1)
    tau = (excess.gather(-1, last - 1) / last).clamp_min(0)
    return u.sign() * (u.abs() - tau).clamp_min(0)


def optimum_errors(
    problems: Problems, m: int, seed: int, *, starts: int = 3, steps: int = 400, lr: float = 0.05
) -> dict[str, Tensor]:
    """Relative errors (S,) of the measurement optimum of each method from m Gaussian measurements.

    The optimum is sought by projected Adam from random points of each method's set, and the start
    that ends with the least measurement error is kept; the truth plays no part.
    """
    networks, S = problems.networks, len(problems.x)
    rng = torch.Generator().manual_seed(seed)
    A = torch.randn(S, m, N, generator=rng) / m**0.5
    y = A @ problems.x[..., None]
    measured = networks._replace(W3=A @ networks.W3)
    names = ["csgm", *(f"ilo {factor:g}" for factor in FACTORS), "intermediate"]
    factors = torch.tensor([0.0, *FACTORS, 0.0]).repeat_interleave(starts)
    from_code = torch.ones(len(factors), 1)
    from_code[-starts:] = 0  # CSGM at the intermediate layer has no code, and no ball
    radii = problems.rho[:, None] * factors
    z = torch.randn(S, len(factors), K, generator=rng)
    u = torch.randn(S, len(factors), P, generator=rng)
    u[:, -starts:] *= (problems.x.norm(dim=1) / P**0.5)[:, None, None]

    def projected(u: Tensor) -> Tensor:
        return torch.where(from_code > 0, project_rows(u, radii), u)

    z, u = z.requires_grad_(), projected(u).requires_grad_()
    adam = torch.optim.Adam([z, u], lr=lr)
    for step in range(steps):
        adam.param_groups[0]["lr"] = lr * (1 - step / steps)
        predicted = measured.second(from_code * networks.first(z) + u)
        loss = (predicted - y.mT).square().sum(-1)
        adam.zero_grad()
        loss.sum().backward()
        adam.step()
        with torch.no_grad():
            u.copy_(projected(u))
    with torch.no_grad():
        h = from_code * networks.first(z) + u
        loss = (measured.second(h) - y.mT).norm(dim=-1).reshape(S, -1, starts)
        error = (networks.second(h) - problems.x[:, None]).norm(dim=-1).reshape(S, -1, starts)
        best = error.gather(2, loss.argmin(2, keepdim=True))[..., 0]
    relative = best / problems.x.norm(dim=1, keepdim=True)
    return dict(zip(names, relative.unbind(1), strict=True))


def bounds_of_networks(m: int, norm: float, rho: float, gap: float) -> dict[str, float]:
    """`theory.error_bound` of each method on the random networks, relative to the norm of x."""
    code = theory.ExtendedRange(k=K, r1=2 * K**0.5, L1=1.0, p=P, r2=0.0, L2=1.0)
    sets = {"csgm": (code, gap), "intermediate": (theory.ExtendedRange.csgm(P, 2 * norm, 1.0), 0.0)}
    for factor in FACTORS:
        sets[f"ilo {factor:g}"] = (replace(code, r2=factor * rho), max(0.0, 1 - factor) * gap)
    return {name: theory.error_bound(s, m, best) / norm for name, (s, best) in sets.items()}


def figure_networks(seeds: Sequence[int]) -> None:
    """(b) Error of the measurement optimum against m, its bound, and error against the radius."""
    problems = random_problems(seeds)
    counts = (8, 16, 24, 32, 48, 64, 96, 128, 192)
    errors = {m: optimum_errors(problems, m, seed=m) for m in counts}
    names = list(errors[counts[0]])
    print("\n(b) median relative error of the measurement optimum\n")
    print_table("m", names, {m: [errors[m][n].median().item() for n in names] for m in counts})
    for m, better, worse in ORDERINGS:
        failed = [
            s for s, ok in zip(seeds, errors[m][better] < errors[m][worse], strict=True) if not ok
        ]
        print(f"m = {m}: {better} < {worse} in {len(seeds) - len(failed)} seeds; not in {failed}")
    norm, rho = problems.x.norm(dim=1).median().item(), problems.rho.median().item()
    gap = rho / SPARSITY**0.5
    many = (10**2, 10**3, 3000, 10**4, 3 * 10**4, 10**5, 3 * 10**5, 10**6)
    bounds = {m: bounds_of_networks(m, norm, rho, gap) for m in many}
    print("\n(b) bound of the relative error, with probability 0.99\n")
    print_table("m", names, {m: [bounds[m][n] for n in names] for m in many})
    figure, (left, middle, right) = canvas(3)
    for name in ("csgm", "ilo 1", "ilo 16", "intermediate"):
        left.loglog(
            counts, [max(errors[m][name].median().item(), 1e-3) for m in counts], label=name
        )
        middle.loglog(many, [bounds[m][name] for m in many], label=name)
    for m in (24, 48, 96):
        right.loglog(
            FACTORS, [max(errors[m][f"ilo {f:g}"].median().item(), 1e-3) for f in FACTORS],
            "o-", label=f"m = {m}",
        )  # fmt: skip
    left.set(xlabel="m", ylabel="relative error, median", title="measurement optimum")
    middle.set(xlabel="m", title="bound (note its own m)")
    right.set(xlabel="l1 radius / the truth's deviation", title="ILO, by radius")
    save(figure, "theory_networks")


# (m, better, worse) of `optimum_errors`: what the paper predicts.
ORDERINGS = (
    (48, "ilo 1", "csgm"),  # the ball reaches what the range does not,
    (48, "ilo 1", "intermediate"),  # for far fewer measurements than the whole layer needs,
    (48, "ilo 1", "ilo 16"),  # unless it is too large;
    (16, "csgm", "intermediate"),
    (192, "intermediate", "csgm"),  # with many the order of the two turns round.
)


def figure_gains(pairs: int = 200, layer: int = 2, radius: float = 0.05) -> None:
    """(a) Least gain of operators over sampled secants of the extended range of `faces64`."""
    generator = il.load("faces64", precision=torch.float32)
    with torch.no_grad():
        x1, x2 = extended_pairs(generator, pairs, layer, radius)
    size, n = x1.shape[1:], x1[0].numel()
    counts = (30, 100, 300, 1000, 3000)
    rows = {}
    for m in counts:
        makers = (GaussianMatrix, PartialCirculant)
        rows[m] = [theory.secant_gains(made(size, m), x1, x2).min().item() for made in makers]
        rows[m].append(1 - (torch.tensor(pairs / 0.01).log().item() / m) ** 0.5)
    names = ["gaussian", "circulant", "bound for as many Gaussian secants"]
    print(f"\n(a) least gain over {pairs} secants, n = {n}\n")
    print_table("m", names, rows)
    figure, (axis,) = canvas(1)
    for i, name in enumerate(names):
        axis.semilogx(counts, [max(rows[m][i], 0) for m in counts], "o-", label=name)
    axis.set(xlabel="m", ylabel=r"min $\|Ad\|/\|d\|$", title="secants of the extended range")
    save(figure, "theory_gains")


def extended_pairs(
    generator: il.Generator, pairs: int, layer: int, radius: float
) -> tuple[Tensor, Tensor]:
    """Pairs of images of the extended range: of two codes, or of one with two deviations."""
    rng = torch.Generator().manual_seed(0)
    codes = generator.sample(range(2 * pairs))
    codes[pairs : pairs + pairs // 2] = codes[: pairs // 2]
    state = generator.run(generator.start(codes), 0, layer)
    assert state.h is not None
    size = state.h[0].numel()
    u = torch.zeros(2 * pairs, size)
    for row in u:  # Maurey's averages of 20 vertices of the ball
        places = torch.randint(0, size, (20,), generator=rng)
        row.index_add_(0, places, torch.randn(20, generator=rng).sign() * radius * size / 20)
    h = state.h + generator.statistics(layer).std * u.reshape(state.h.shape)
    x = theory.layer_map(generator, state, layer, generator.num_layers)(h)
    return x[:pairs], x[pairs:]


STEPS = 180
RADII = (0.0, 0.0125, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8)


def figure_radius(x: Tensor) -> None:
    """(c) True error of ILO against its radius, and the radius that held-out data would choose."""
    generator = il.load("faces64", precision=torch.float32)
    levels = (0.01, 0.03, 0.1, 0.3)
    figure, (left, right) = canvas(2)
    rows, best, chosen = {}, [], []
    for level in levels:
        physics = il.make_physics(f"circulant:{level}", x.shape[1:])
        y = physics(x)
        found = [il.solve(physics, y, generator, ilo_from_random(r)) for r in RADII]
        errors = torch.stack([distance(s.x_hat, x) for s in found])
        held = torch.stack([s.stages[-1].holdout_loss for s in found])
        picked = held.argmin(0)
        best.append(torch.tensor(RADII)[errors.argmin(0)])
        chosen.append(torch.tensor(RADII)[picked])
        regret = (errors.gather(0, picked[None])[0] / errors.min(0).values - 1).max().item()
        rows[level] = [*errors.mean(1).tolist(), 100 * regret]
        left.plot(range(len(RADII)), errors.mean(1), "o-", label=f"{100 * level:g} %")
    print(
        "\n(c) mean relative error of ILO by radius; worst loss in % by choosing on held-out data\n"
    )
    print_table("m / n", [*(f"{r:g}" for r in RADII), "loss %"], rows)
    print_table("m / n", ["best radius per photo", "chosen"], {
        level: [spell(b), spell(c)]
        for level, b, c in zip(levels, best, chosen, strict=True)
    })  # fmt: skip
    left.set_xticks(range(len(RADII)), [f"{r:g}" for r in RADII], fontsize=8)
    left.set(xlabel="radius per entry, in std", ylabel="relative error, mean", yscale="log")
    left.set_title("faces64, by m / n")
    for name, values in (("least error", best), ("held-out choice", chosen)):
        right.plot(levels, [v.mean().item() for v in values], "o-", label=name)
    right.set(xlabel="m / n", ylabel="radius, mean over photos", xscale="log", title="best radius")
    save(figure, "theory_radius")


def figure_faces(x: Tensor) -> None:
    """(c) The same at 1024x1024 with the built-in generator, and how far `auto` goes."""
    generator, levels, radii = il.load("faces"), (0.002, 0.01, 0.05), RADII[:6]
    figure, (left, right) = canvas(2)
    errors, reached = {}, {}
    for level in levels:
        physics = il.make_physics(f"circulant:{level}", x.shape[1:])
        y = physics(x)
        methods = [il.ilo(steps=60, radius=radius) for radius in radii]
        found = [il.solve(physics, y, generator, method) for method in methods]
        errors[level] = [distance(solution.x_hat, x).item() for solution in found]
        deepest = replace(il.auto(84), estimators=None)
        stages = [s for s in il.solve(physics, y, generator, deepest).stages if s.layer]
        reached[level] = [record.deviation.item() for record in stages]
        left.plot(range(len(radii)), errors[level], "o-", label=f"{100 * level:g} %")
        layers = [record.layer for record in stages]
        right.plot(layers, reached[level], "o-", label=f"{100 * level:g} %")
    print(
        "\n(c) relative error of ILO with faces by radius; mean deviation at each layer of auto\n"
    )
    print_table("m / n", [f"{r:g}" for r in radii], errors)
    print_table("m / n", [f"layer {layer}" for layer in layers], reached)
    left.set_xticks(range(len(radii)), [f"{r:g}" for r in radii])
    left.set(xlabel="radius per entry, in std", ylabel="relative error", title="faces, by m / n")
    right.set(xlabel="layer", ylabel="mean |h - c| / std", title="where auto stops")
    save(figure, "theory_faces")


def figure_operators(x: Tensor) -> None:
    """(d) Circulant against Gaussian measurements at equal m."""
    generator = il.load("faces64", precision=torch.float32)
    levels, rows = (0.01, 0.03, 0.1), {}
    csgm = replace(il.csgm(STEPS), random_start=True)
    figure, (axis,) = canvas(1)
    for level in levels:
        size = x.shape[1:]
        m = round(level * size.numel())
        rows[level] = []
        for made in (GaussianMatrix, PartialCirculant):
            physics = made(size, m)
            for method in (csgm, ilo_from_random(0.1)):
                solution = il.solve(physics, physics(x), generator, method)
                rows[level].append(distance(solution.x_hat, x).mean().item())
    names = ["gaussian, csgm", "gaussian, ilo", "circulant, csgm", "circulant, ilo"]
    print("\n(d) mean relative error at equal m\n")
    print_table("m / n", names, rows)
    for i, name in enumerate(names):
        axis.semilogx(levels, [rows[level][i] for level in levels], "o-", label=name)
    axis.set(xlabel="m / n", ylabel="relative error, mean", title="operators at equal m")
    save(figure, "theory_operators")


def print_estimates(name: str, layers: Sequence[int], samples: int, iterations: int) -> None:
    """(e) Per layer: entries, effective dimension of the range, Lipschitz constants behind it."""
    generator = il.load(name, precision=torch.float32)
    last, rows = generator.num_layers, {}
    states = generator.start(generator.sample(range(samples)))
    reached = 0
    for layer in layers:
        with torch.no_grad():
            states = generator.run(states, reached, layer)
        reached, h = layer, states.h
        assert h is not None
        state = states.map(lambda tensor: tensor[:1])
        onward = theory.layer_map(generator, state, layer, last)
        upper = "unknown"
        if isinstance(generator, il.Sequential):
            upper = f"{product_to_image(generator, layer, h[:1]):.3g}"
        close = h[1:2] + 0.05 * h[1:2].std() * torch.randn(
            h[1:2].shape, generator=torch.Generator().manual_seed(0)
        )
        rows[layer] = [
            str(h[0].numel()),
            f"{theory.effective_dimension(h):.3g}",
            upper,
            f"{theory.local_lipschitz(onward, h[:1], iterations).item():.3g}",
            f"{theory.secant_lipschitz(onward, h[1:2], close).item():.3g}",
        ]
    print(f"\n(e) {name}, from {samples} samples\n")
    columns = ["entries p", "effective dim.", "spectral product", "local L2", "random secant"]
    print_table("layer", columns, rows)


@torch.no_grad()
def product_to_image(generator: il.Sequential, layer: int, h: Tensor) -> float:
    """Upper bound of the Lipschitz constant from the input h of a layer to the image."""
    black, white = generator.image_range
    product = 1 / (white - black)
    for part in generator.layers[layer:]:
        product *= theory.spectral_product(part, h)
        h = part(h)
    return product


def ilo_from_random(radius: float) -> il.Method:
    """From a random code: at 0 all ReLUs of the first layer of `faces64` are off, for good."""
    method = il.ilo(steps=STEPS, layers=(0, 2, 3, 4), radius=radius)
    return replace(method, random_start=True)


def spell(values: Tensor) -> str:
    return ", ".join(f"{value:g}" for value in values.tolist())


def distance(x_hat: Tensor, x: Tensor) -> Tensor:
    """``||x_hat - x|| / ||x||`` (B,)."""
    return (x_hat - x).flatten(1).norm(dim=1) / x.flatten(1).norm(dim=1)


def print_table(corner: str, columns: Sequence[str], rows: dict) -> None:
    """A Markdown table, one row per key."""
    print(f"| {corner} | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
    for key, values in rows.items():
        cells = [v if isinstance(v, str) else f"{v:.3g}" for v in values]
        print(f"| {key} | {' | '.join(cells)} |", flush=True)


def canvas(columns: int):
    """A figure that needs no display, and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * columns, 3.4), layout="constrained")
    return figure, figure.subplots(1, columns, squeeze=False)[0]


def save(figure, name: str) -> None:
    for axis in figure.axes:
        axis.legend(fontsize=7)
        axis.grid(alpha=0.3)
    with replacing(PICTURES / f"{name}.png") as temporary:
        figure.savefig(temporary, dpi=110)


def main() -> None:
    """Make the figures asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", nargs="*", type=Path, help="for (c) and (d); else a sample photo")
    parser.add_argument("--only", default="abcde")
    parser.add_argument("--seeds", type=int, default=100)
    options = parser.parse_args()
    photos = [il.read_image(photo, 64) for photo in options.photos]
    x = torch.cat(photos or [sample_photo("astronaut", 64)])
    if "a" in options.only:
        figure_gains()
    if "b" in options.only:
        figure_networks(range(options.seeds))
    if "c" in options.only:
        figure_radius(x)
        figure_faces(sample_photo("astronaut", 1024))
    if "d" in options.only:
        figure_operators(x)
    if "e" in options.only:
        print_estimates("faces64", (1, 2, 3, 4), samples=400, iterations=30)
        print_estimates("faces", (2, 4), samples=16, iterations=6)


if __name__ == "__main__":
    keep_freed_memory()
    main()

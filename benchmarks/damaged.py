"""Damaged photos, recovered as their owners would: every task under every condition.

    python benchmarks/damaged.py FOLDER SOURCE... [--quality draft] [--generator faces]

A source is a file of FOLDER, read as the generator's images are, or generated:N. One of its copies
is damaged by a task, in a way that the task knows nothing of (the condition), saved, and recovered
by `read_measured` with what the owner would say. A row is the PSNR of a method's answer; rows that
results/damaged.jsonl holds already are not measured again. What a condition cannot change is left
out: a photo that is not blurred has no borders to get wrong.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from deepinv.loss.metric import PSNR
from PIL import Image, ImageDraw
from torch import Tensor

from interlayer import InputError, Problem, load, reconstruct
from interlayer.generators import Generator, draw_truths
from interlayer.media.images import read_image
from interlayer.problem.measurements import measure
from interlayer.problem.tasks import make_physics
from interlayer.recipes.damaged_photos import read_measured

RESULTS = Path(__file__).parent / "results" / "damaged.jsonl"
METHODS = ("auto", "plain", "ilo", "tv", "bm3d")
ANY = ("exact", "clipped noise", "JPEG 60", "gamma 1.2", "8 bit", "JPEG 90")
LEVELS = ("level wrong by 30 %", "level not given")
BORDERS = "borders not periodic"
MASK = "scratches.png"
SEPIA = ((0.393, 0.769, 0.189), (0.349, 0.686, 0.168), (0.272, 0.534, 0.131))


@dataclass(frozen=True)
class Damage:
    """A kind of damage, and what the owner of the photo says of it.

    Attributes:
        made: parts that make the damaged photo from an image, after it is made smaller.
        told: task that is given; ``wrong`` and ``blind`` where its level is wrong or left out.
        factor: size of the image in that of the photo.
    """

    made: str
    told: str
    wrong: str = ""
    blind: str = ""
    factor: int = 2


DAMAGES = {
    "deblur, 2 px": Damage("deblur:2", "deblur:2", "deblur:2.6", "deblur"),
    "deblur, 6 px": Damage("deblur:6", "deblur:6", "deblur:7.8", "deblur"),
    "motion, 20 px": Damage("motion:20,30", "motion:20,30", "motion:26,30", "motion"),
    "superres, 4": Damage("", "superres", factor=4),
    "superres, 16": Damage("", "superres", factor=16),
    "scratches": Damage("", f"mask:{MASK}"),
    "denoise, 0.1": Damage("denoise:0.1", "denoise:0.1", "denoise:0.13", "denoise"),
    "colorize": Damage("colorize", "colorize"),
    "jpeg, 10": Damage("jpeg:10", "jpeg:10", "jpeg:13", "jpeg"),
    "scratches and sepia": Damage("", f"colorize+mask:{MASK}"),
}


def conditions_of(name: str) -> tuple[str, ...]:
    """The conditions that make a difference to a task."""
    damage = DAMAGES[name]
    borders = (BORDERS,) if name.startswith(("deblur", "motion")) else ()
    return (*ANY, *borders, *(LEVELS if damage.wrong else ()))


def scratches(side: int) -> Image.Image:
    """Scratches of an old print: white where it is intact."""
    draw = np.random.default_rng(0)
    mask = Image.new("L", (side, side), 255)
    for _ in range(12):
        start, end = draw.uniform(-0.1, 1.1, 2), draw.uniform(-0.1, 1.1, 2)
        points = [tuple(side * point) for point in (start, (start + end) / 2 + 0.05, end)]
        ImageDraw.Draw(mask).line(points, fill=0, width=max(1, side // 80))
    return mask


def problem_of(x: Tensor, name: str, condition: str, folder: Path) -> Problem:
    """The problem that an owner of the damaged image x (1, 3, H, W) would pose."""
    damage, size = DAMAGES[name], tuple(x.shape[1:])
    side = size[-1] // damage.factor
    scratches(side).save(folder / MASK)
    told = damage.told.replace(MASK, str(folder / MASK))
    if condition == "exact":
        smaller = "" if name.startswith("superres") else f"superres:{damage.factor}+"
        return measure(x, smaller + told.replace("superres", f"superres:{damage.factor}"), 0)
    y = make_physics(f"superres:{damage.factor}", size).A(x)
    if damage.made:
        part = f"{damage.made},open" if condition == BORDERS else damage.made
        y = make_physics(part, (3, side, side), 0)(y).expand(-1, 3, -1, -1)
    if "scratches" in name:
        known = torch.from_numpy(np.array(scratches(side)) > 0)
        toned = torch.einsum("ij,bjhw->bihw", torch.tensor(SEPIA), y) if "sepia" in name else y
        y = toned.where(known, 0.9)
    if condition == "gamma 1.2":
        y = y.clamp(0, 1) ** 1.2
    if condition == "clipped noise":
        seeded = torch.Generator().manual_seed(1)
        sigma = 0.25 if name.startswith("denoise") else 0.1
        y = y + sigma * torch.randn(y.shape, generator=seeded)
        told = "denoise" if name.startswith("denoise") else f"{told}+denoise"
    if condition == LEVELS[0]:
        told = damage.wrong
    if condition == LEVELS[1]:
        told = damage.blind
    file = save(y, folder, condition, name)
    return read_measured(file, told, size).problem


def save(y: Tensor, folder: Path, condition: str, name: str) -> Path:
    """Save a photo as the condition has it."""
    picture = Image.fromarray((y[0] * 255).round().clamp(0, 255).byte().permute(1, 2, 0).numpy())
    quality = {"JPEG 90": 90, "JPEG 60": 60}.get(condition)
    if name.startswith("jpeg") and condition == LEVELS[1]:
        quality = 10
    file = folder / ("photo.png" if quality is None else "photo.jpg")
    picture.save(file, quality=quality or 0)
    return file


def rows_of(source: str, x: Tensor, G: Generator, args: argparse.Namespace) -> Iterator[dict]:
    """Measure what is not measured yet."""
    done = set()
    if RESULTS.exists():
        done = {key_of(json.loads(line)) for line in RESULTS.read_text("utf-8").splitlines()}
    for condition in (*ANY[1:], *LEVELS, BORDERS, ANY[0]):
        for name in (name for name in DAMAGES if condition in conditions_of(name)):
            row = {"generator": G.name, "quality": args.quality, "photo": source}
            row |= {"task": name, "condition": condition}
            left = [m for m in METHODS if key_of(row | {"method": m}) not in done]
            if not left:
                continue
            try:
                with TemporaryDirectory() as folder:
                    problem = problem_of(x, name, condition, Path(folder))
            except InputError as error:
                yield from (row | {"method": m, "refused": str(error)} for m in left)
                continue
            for method in left:
                yield row | {"method": method} | figures(problem, method, x, G, args.quality)


def figures(problem: Problem, method: str, x: Tensor, G: Generator, quality: str) -> dict:
    """What a method makes of a problem."""
    started = time.monotonic()
    try:
        states = reconstruct(problem, G, method, quality=quality)
        solution = deque(states, maxlen=1)[0].solution()
    except InputError as error:
        return {"refused": str(error)}
    seconds = round(time.monotonic() - started, 1)
    return {"psnr": round(PSNR()(solution.x_hat, x).item(), 3), "seconds": seconds}


def key_of(row: dict) -> tuple[str, ...]:
    """What makes a row one."""
    return tuple(row[k] for k in ("generator", "quality", "photo", "task", "condition", "method"))


def main() -> None:
    """Measure, and append a line for each answer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, help="Folder of the photos.")
    parser.add_argument("sources", nargs="+", help="Names of photos, or generated:N.")
    parser.add_argument("--quality", default="draft")
    parser.add_argument("--generator", default="faces")
    args = parser.parse_args()
    G = load(args.generator)
    for source in args.sources:
        if source.startswith("generated:"):
            x = draw_truths(G, [int(source.partition(":")[2])])
        else:
            x = read_image(args.folder / source, G.resolution)
        for row in rows_of(Path(source).stem, x, G, args):
            print(json.dumps(row), flush=True)
            with RESULTS.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()

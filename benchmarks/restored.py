"""Photos restored by the command: time, memory, and each face's seam and PSNR.

    python benchmarks/restored.py FOLDER PICTURES [--quality normal]

Four photos are put together from faces of FOLDER in front of a still life, and damaged:
two faces; one that is turned; one in a photo 3000 pixels wide; none. They and what `interlayer
restore` makes of them lie in PICTURES afterwards, to be looked at. A row of
results/restored.jsonl is a photo. The seam is the mean step from the last pixel outside a
face's square to the first one inside, over that to the next one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import skimage.data
import torch
import torch.nn.functional as F
from deepinv.loss.metric import PSNR
from torch import Tensor

from interlayer.media.faces import Square, cut, paste_back
from interlayer.media.images import read_image, to_picture
from interlayer.media.photos import read_photo
from interlayer.problem.tasks import make_physics
from interlayer.recipes.restoring import examine

RESULTS = Path(__file__).parent / "results" / "restored.jsonl"


@dataclass(frozen=True)
class Scene:
    """A photo: its size, its faces as (file, square), its damage, and how it is saved."""

    width: int
    height: int
    faces: tuple[tuple[str, Square], ...]
    damage: str
    suffix: str = ".png"


SCENES = {
    "two": Scene(
        1000,
        640,
        (
            ("celebahq_00234.png", Square(290 + 330j, 230 + 8j)),
            ("celebahq_10404.jpg", Square(740 + 300j, 170 - 10j)),
        ),
        "deblur:2,open+denoise:0.03",
        ".jpg",
    ),
    "turned": Scene(
        720, 720, (("celebahq_13131.jpg", Square(360 + 350j, 210 + 80j)),), "deblur:3,open"
    ),
    "wide": Scene(
        3000, 2000, (("celebahq_00258.png", Square(1700 + 900j, 420 + 0j)),), "denoise:0.06"
    ),
    "no face": Scene(600, 400, (), "denoise:0.05"),
}


def photo_of(scene: Scene, folder: Path) -> Tensor:
    """The photo (1, 3, H, W) before it is damaged."""
    table = torch.from_numpy(skimage.data.coffee()).permute(2, 0, 1)[None] / 255
    size = (scene.height, scene.width)
    photo = F.interpolate(table, size, mode="bicubic", antialias=True).clamp(0, 1)
    for name, square in scene.faces:
        photo = paste_back(photo, square, read_image(folder / name, 1024))
    return photo


def seam_of(photo: Tensor, square: Square) -> float:
    """Step across a face's border, relative to the step one pixel inside."""
    side = round(square.side)
    x = cut(photo, Square(square.centre, square.axis * (side + 4) / square.side), side + 4)
    across, inside = 0.0, 0.0
    for turns in range(4):
        a, b, c = x.rot90(turns, (-2, -1))[..., 2 : side + 2, 1:4].unbind(-1)
        across, inside = across + (a - b).abs().mean().item(), inside + (b - c).abs().mean().item()
    return across / inside


def quality_of(photo: Tensor, x: Tensor, scene: Scene) -> list[float]:
    """PSNR of each face, or of the whole photo where there is none."""
    pairs = [(cut(photo, face, 512), cut(x, face, 512)) for _, face in scene.faces]
    return [PSNR()(a, b).item() for a, b in pairs or [(photo, x)]]


def run(command: Sequence[str]) -> tuple[float, float]:
    """Seconds and GB that a command takes."""
    started = time.monotonic()
    process = subprocess.Popen(command)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} has failed")
    return time.monotonic() - started, used.ru_maxrss / 1e6


def main() -> None:
    """Restore the photos, and append a line for each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, help="Folder of the faces.")
    parser.add_argument("pictures", type=Path, help="Folder of the photos that are made.")
    parser.add_argument("--quality", default="normal")
    parser.add_argument("--only", choices=SCENES, help="Restore one of the four.")
    args = parser.parse_args()
    args.pictures.mkdir(parents=True, exist_ok=True)
    for name in [args.only] if args.only else SCENES:
        scene = SCENES[name]
        x = photo_of(scene, args.folder)
        y = make_physics(scene.damage, tuple(x.shape[1:]), 0)(x).clamp(0, 1)
        damaged = args.pictures / f"{name.replace(' ', '-')}{scene.suffix}"
        restored = args.pictures / "restored" / f"{damaged.stem}.png"
        restored.unlink(missing_ok=True)
        to_picture(y).save(damaged, quality=90)
        command = [str(Path(sys.executable).with_name("interlayer")), "restore", str(damaged)]
        command += ["--out", str(restored.parent), "--quality", args.quality]
        seconds, memory = run(command)
        findings, after = examine(read_photo(damaged)), read_photo(restored).x
        shrunk = F.interpolate(after, y.shape[-2:], mode="bicubic", antialias=True)
        row = {
            "photo": name,
            "quality": args.quality,
            "threads": torch.get_num_threads(),
            "scene": {k: v for k, v in asdict(scene).items() if k != "faces"},
            "faces": [round(face.side) for face in findings.faces],
            "seconds": round(seconds),
            "GB": round(memory, 2),
            "seams": [round(seam_of(shrunk, face), 2) for face in findings.faces],
            "before": [round(v, 2) for v in quality_of(read_photo(damaged).x, x, scene)],
            "after": [round(v, 2) for v in quality_of(shrunk, x, scene)],
        }
        print(json.dumps(row), flush=True)
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()

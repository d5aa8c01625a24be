"""Photos that nothing is wrong with, recovered all the same: how much of them comes back.

    python benchmarks/undamaged.py FOLDER PHOTO... [--quality draft] [--generator faces]

Each photo of FOLDER is saved at the generator's size, as PNG and as JPEG 95, and read back; once
by `restore`, and once by each task whose level the photo tells, as with `recover --measured`. A
row is the PSNR of the answer against the file, and against the photo before it was saved; rows
that results/undamaged.jsonl holds already are not measured again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import deque
from pathlib import Path
from tempfile import TemporaryDirectory

from deepinv.loss.metric import PSNR
from PIL import Image
from torch import Tensor

from interlayer import load, reconstruct
from interlayer.generators import Generator
from interlayer.media.images import read_image
from interlayer.media.photos import read_photo
from interlayer.recipes.damaged_photos import read_measured
from interlayer.recipes.restoring import Plan, examine, restore

RESULTS = Path(__file__).parent / "results" / "undamaged.jsonl"
FILES = {"PNG": "photo.png", "JPEG 95": "photo.jpg"}
WAYS = ("restore", "denoise", "deblur", "defocus", "motion", "superres", "jpeg")


def recovered(file: Path, way: str, G: Generator, quality: str) -> Tensor:
    """What a command makes of a file."""
    if way == "restore":
        photo = read_photo(file)
        return deque(restore(photo, Plan(examine(photo), quality=quality), G), maxlen=1)[0].photo
    problem = read_measured(file, way, (3, G.resolution, G.resolution)).problem
    states = reconstruct(problem, G, quality=quality)
    return deque(states, maxlen=1)[0].solution().x_hat


def row_of(x: Tensor, kind: str, way: str, G: Generator, quality: str) -> dict:
    """Save an image as one kind of file, recover it in one way, and compare."""
    pixels = (x[0] * 255).round().byte().permute(1, 2, 0).numpy()
    with TemporaryDirectory() as folder:
        file = Path(folder) / FILES[kind]
        Image.fromarray(pixels).save(file, quality=95)
        saved = read_photo(file).x
        started = time.monotonic()
        after = recovered(file, way, G, quality)
    seconds = round(time.monotonic() - started, 1)
    against = {"file": saved, "photo": x}
    return {k: round(PSNR()(after, v).item(), 2) for k, v in against.items()} | {"seconds": seconds}


def main() -> None:
    """Measure, and append a line for each answer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, help="Folder of the photos.")
    parser.add_argument("photos", nargs="+", help="Names of photos.")
    parser.add_argument("--quality", default="draft")
    parser.add_argument("--generator", default="faces")
    args = parser.parse_args()
    G = load(args.generator)
    done = RESULTS.read_text("utf-8").splitlines() if RESULTS.exists() else []
    keys = [{k: json.loads(line)[k] for k in ("generator", "name", "kind", "way")} for line in done]
    for name in args.photos:
        x = read_image(args.folder / name, G.resolution)
        for kind in FILES:
            for way in (way for way in WAYS if (way != "jpeg" or kind == "JPEG 95")):
                key = {"generator": G.name, "name": name, "kind": kind, "way": way}
                if key in keys:
                    continue
                row = key | row_of(x, kind, way, G, args.quality)
                print(json.dumps(row), flush=True)
                with RESULTS.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()

"""The command `interlayer restore`: photos as people have them, each made as good as it can be."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from torch import Tensor
from typer import Argument, Option

from interlayer.app.console import INTERRUPTED, progress_bar, say
from interlayer.app.models import open_model
from interlayer.app.options import Device, Generators, MaskIs, Precision, Quality, Seed
from interlayer.app.wishes import Wishes, read_blur
from interlayer.errors import InputError
from interlayer.generators import Generator
from interlayer.media.files import digest_files, writable_folder, write_text
from interlayer.media.images import write_image
from interlayer.media.masks import fit_mask, read_mask
from interlayer.media.photos import Photo, read_photo
from interlayer.recipes.restoring import Progress, enlargement, examine, restore
from interlayer.solver.by_name import QUALITIES

SUFFIXES = (
    ".png .jpg .jpeg .jfif .webp .tif .tiff .bmp .gif .ppm .pgm .avif .jp2 .heic .heif".split()
)
ALL = "all"


def restore_photos(
    photos: Annotated[list[Path], Argument(help="Photo files, or folders of them.")],
    out: Annotated[Path, Option(help="Folder for the restored photos.")] = Path("restored"),
    faces: Annotated[
        str, Option(help="Number of faces to restore, the largest first, or all.")
    ] = ALL,
    colorize: Annotated[bool, Option(help="Give faces of grey or sepia photos colours.")] = False,
    mask: Annotated[
        Path | None, Option(help="Picture of what is missing, painted over the photo.")
    ] = None,
    mask_is: MaskIs = None,
    noise: Annotated[
        float | None, Option(min=0, max=1, help="Noise, white being 1, instead of an estimate.")
    ] = None,
    blur: Annotated[
        str | None,
        Option(help="Blur in pixels: none, gaussian:S, disc:R or line:LENGTH:ANGLE."),
    ] = None,
    jpeg: Annotated[
        bool | None, Option("--jpeg/--no-jpeg", help="Account for the compression of JPEG files.")
    ] = None,
    quality: Quality = "normal",
    seed: Seed = 0,
    generator: Generators = "faces",
    device: Device = "cpu",
    precision: Precision = None,
) -> None:
    """Restore damaged photos: faces by the generator, all else by classical methods.

    What is wrong with a photo is found out: noise, blur, JPEG, size, lost colours; what is missing
    is what is transparent, or what --mask says. The same command goes on where it was stopped.
    """
    if quality not in QUALITIES:
        raise InputError(f"{quality!r} is none of {', '.join(QUALITIES)}")
    if mask_is and mask is None:
        raise InputError("--mask-is says what white is in a --mask; give one")
    amount, smear = _count(faces), None if blur is None else read_blur(blur)
    wishes = Wishes(amount, noise, smear, jpeg, colorize, quality, seed, mask, mask_is)
    names = found_photos(photos)
    if mask is not None and len(names) > 1:
        raise InputError(f"--mask is for one photo, not for {len(names)}; give them one by one")
    writable_folder(out)
    model = open_model(generator, None, device, precision)
    if failures := restore_all(names, out, wishes, model):
        for sentence in failures:
            say(f"error: {sentence}")
        sys.exit(2)


def restore_all(
    photos: Sequence[Path], out: Path, wishes: Wishes, generator: Generator
) -> list[str]:
    """Restore photos that are not restored yet, and return a sentence for each that cannot be."""
    failures = list[str]()
    for path, target in zip(photos, targets(out, photos), strict=True):
        try:
            restore_one(path, target, wishes, generator)
        except InputError as error:
            failures.append(str(error) if path.name in str(error) else f"{path.name}: {error}")
        except KeyboardInterrupt:
            say("interrupted: the same command goes on where it stopped")
            sys.exit(INTERRUPTED)
    return failures


def restore_one(path: Path, target: Path, wishes: Wishes, generator: Generator) -> None:
    """Restore a photo, unless ``target`` is this very restoration already.

    The record beside it, of the same name with .json, is written last.
    """
    photo = read_photo(path)
    record = record_of(path, wishes, generator)
    if target.exists() and _read(target.with_suffix(".json")).get("of") == record:
        say(f"{path.name}: restored already, {target}")
        return
    started = time.monotonic()
    height, width = photo.x.shape[-2:]
    say(", ".join([f"{path.name}: {width}x{height} pixels", *photo.notes]))
    plan = wishes.plan(photo, examine(photo, _intact(photo, wishes)))
    for sentence in plan.findings.sentences():
        say(f"  {sentence}")
    last = _watched(restore(photo, plan, generator, note=lambda text: say(f"  {text}")))
    restored = last.picture()
    write_image(target, restored)
    seconds = round(time.monotonic() - started, 1)
    facts = {"found": plan.findings.sentences(), "seconds": seconds}
    write_text(target.with_suffix(".json"), json.dumps({"of": record, **facts}, indent=2) + "\n")
    done = "no face" if not last.faces else "1 face" if last.faces == 1 else f"{last.faces} faces"
    grown = enlargement(photo)
    larger = "" if grown == 1 else f", enlarged {grown} times"
    say(f"{path.name}: {done} restored{larger}, in {seconds:.0f} s; {target}")


def found_photos(given: Sequence[Path]) -> list[Path]:
    """The photos that are given, those of folders in the order of their names.

    Raises:
        InputError: if a folder holds none.
    """
    names = list[Path]()
    for path in given:
        if not path.is_dir():
            names.append(path)
            continue
        inside = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
        if not inside:
            raise InputError(f"{path} holds no photos; give one that does, or the photos")
        names += inside
    return names


def targets(out: Path, photos: Sequence[Path]) -> list[Path]:
    """The file for each restored photo, numbered where two photos share a stem.

    >>> [str(target) for target in targets(Path("out"), [Path("a.jpg"), Path("b/a.png")])]
    ['out/a.png', 'out/a-2.png']
    """
    chosen = list[Path]()
    for photo in photos:
        target, number = out / f"{photo.stem}.png", 2
        while target in chosen:
            target, number = out / f"{photo.stem}-{number}.png", number + 1
        chosen.append(target)
    return chosen


def record_of(path: Path, wishes: Wishes, generator: Generator) -> dict[str, Any]:
    """What makes a restoration the same: the photo, what is asked, the generator, the version."""
    return {
        "photo": path.name,
        "sha256": digest_files([path]),
        **asdict(wishes),
        "mask": None if wishes.mask is None else digest_files([wishes.mask]),
        "generator": generator.name,
        "version": version("interlayer"),
    }


def _watched(steps: Iterator[Progress]) -> Progress:
    """Run to the end with a bar, and return the last step."""
    step = None
    with progress_bar() as bar:
        task = bar.add_task("starting", total=1.0, loss="")
        for step in steps:
            number = f"face {step.face + 1}/{step.faces} " if step.faces > 1 else ""
            bar.update(task, completed=step.fraction, description=number + step.label)
    assert step is not None
    return step


def _count(faces: str) -> int | None:
    if faces == ALL:
        return None
    if not faces.isdecimal():
        raise InputError(f"--faces {faces}: give a number, or {ALL}")
    return int(faces)


def _intact(photo: Photo, wishes: Wishes) -> Tensor | None:
    """The intact pixels of a photo by its alpha and the mask; ``None`` where all are."""
    if wishes.mask is None:
        return photo.known
    mask = read_mask(wishes.mask, wishes.mask_is)
    say(f"{wishes.mask.name}: {', '.join(mask.notes)}")
    known = fit_mask(mask.known, photo)
    return known if photo.known is None else known & photo.known


def _read(path: Path) -> dict[str, Any]:
    """A record, empty where there is none that can be read."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}

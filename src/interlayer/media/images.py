"""Picture files as tensors (B, 3, H, W) in [0, 1] and back; 8-bit values exist only here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from interlayer.media.files import replacing
from interlayer.media.photos import as_image, read_photo

WHITE, GREY, BLACK = (255, 255, 255), (96, 96, 96), (16, 16, 16)


def read_image(
    path: str | Path, size: int | None = None, note: Callable[[str], None] | None = None
) -> Tensor:
    """Read any still picture as a tensor (1, 3, H, W) in [0, 1], as `read_photo` does.

    A picture is turned as its EXIF tag says, transparency is laid on white, and grey and palette
    pictures become RGB.

    Args:
        path: file in PNG, JPEG, WebP, TIFF, BMP, GIF, PPM, AVIF, JPEG 2000 or HEIC.
        size: side to which the picture's central square is resized (Lanczos, 8 bits); by default
            the picture stays as it is.
        note: function that is called with one sentence if the picture was cropped, resized, laid
            on white, or changed otherwise.

    Raises:
        InputError: if `read_photo` does not read the file.
    """
    path = Path(path)
    photo = read_photo(path)
    x, changes = photo.x, [*photo.notes]
    height, width = x.shape[-2:]
    if size is not None and (height, width) != (size, size):
        picture, more = central_square(to_picture(x), size)
        x, changes = to_tensor(picture), changes + more
    if note is not None and changes:
        note(f"{path.name}: {width}x{height} {' and '.join(changes)}")
    return x


def write_image(path: str | Path, x: Tensor) -> None:
    """Write an image (1, 3, H, W) or (3, H, W), clipped to [0, 1] and rounded, as an 8-bit PNG."""
    with replacing(Path(path)) as temporary:
        to_picture(x).save(temporary, format="PNG")


def write_gif(
    path: str | Path, frames: Sequence[Tensor], seconds_per_frame: float = 0.1, size: int = 256
) -> None:
    """Write images (1, 3, H, W) as a looping GIF of ``size`` x ``size``; the last one stays 2 s.

    Raises:
        ValueError: if there is no frame.
    """
    if not frames:
        raise ValueError("an animation needs at least one frame")
    pictures = [
        to_picture(x).resize((size, size), Image.Resampling.LANCZOS).quantize(256) for x in frames
    ]
    milliseconds = [round(1000 * seconds_per_frame)] * (len(frames) - 1) + [2000]
    with replacing(Path(path)) as temporary:
        pictures[0].save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=pictures[1:],
            duration=milliseconds,
            loop=0,
        )


def contact_sheet(panels: Sequence[tuple[str, Tensor]], height: int = 512) -> Tensor:
    """Lay pictures side by side on white, (1, 3, H, W), each below its label.

    Args:
        panels: pairs of label (lines separated by a newline) and image (1, 3, H, W).
        height: height of each picture, in pixels.
    """
    pictures = [_scaled(to_picture(x), height) for _, x in panels]
    letter, gap = max(11, height // 18), max(6, height // 32)
    font, line = ImageFont.load_default(size=letter), round(1.3 * letter)
    lines = max(label.count("\n") + 1 for label, _ in panels)
    top = 2 * gap + line * lines
    width = sum(picture.width + gap for picture in pictures) + gap
    sheet = Image.new("RGB", (width, top + height + gap), WHITE)
    draw = ImageDraw.Draw(sheet)
    left = gap
    for (label, _), picture in zip(panels, pictures, strict=True):
        for number, text in enumerate(label.split("\n")):
            at = (left + picture.width / 2, gap + line * (number + 0.5))
            draw.text(at, text, fill=GREY if number else BLACK, font=font, anchor="mm")
        sheet.paste(picture, (left, top))
        left += picture.width + gap
    return to_tensor(sheet)


def central_square(picture: Image.Image, size: int) -> tuple[Image.Image, list[str]]:
    """Crop and resize to the central square at ``size`` x ``size``, and say what was changed."""
    changes, side = [], min(picture.size)
    if picture.width != picture.height:
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        picture = picture.crop((left, top, left + side, top + side))
        changes.append(f"cropped to its central {side}x{side} square")
    if side != size:
        picture = picture.resize((size, size), Image.Resampling.LANCZOS, reducing_gap=3.0)
        changes.append(f"resized to {size}x{size}")
    return picture, changes


def _scaled(picture: Image.Image, height: int) -> Image.Image:
    width = max(1, round(picture.width * height / picture.height))
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def to_tensor(picture: Image.Image) -> Tensor:
    """Convert an RGB picture to (1, 3, H, W) in [0, 1]."""
    return as_image(np.array(picture), 255)


def to_picture(x: Tensor) -> Image.Image:
    """Convert an image (1, 3, H, W) or (3, H, W) to an 8-bit picture, clipped and rounded."""
    if x.dim() == 4 and x.shape[0] == 1:
        x = x[0]
    if x.dim() != 3 or x.shape[0] != 3:
        raise ValueError(f"an image is (1, 3, H, W) or (3, H, W), not {tuple(x.shape)}")
    values = x.detach().float().nan_to_num().clamp(0, 1).mul(255).round()
    return Image.fromarray(values.byte().permute(1, 2, 0).cpu().contiguous().numpy())

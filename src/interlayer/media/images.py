"""Picture files as tensors (B, 3, H, W) in [0, 1] and back; 8-bit values exist only here."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont, ImageOps
from torch import Tensor

from interlayer.errors import InputError
from interlayer.media.files import replacing

MAX_PIXELS = 40_000_000
MIN_SIDE = 16
# Only decoders that parse: PostScript and its like would start another program.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000")
# Several pictures in one file that are still one photo: phones store previews beside it.
STILL_FORMATS = ("MPO",)
WHITE, GREY, BLACK = (255, 255, 255), (96, 96, 96), (16, 16, 16)


def read_image(
    path: str | Path, size: int | None = None, note: Callable[[str], None] | None = None
) -> Tensor:
    """Read any still picture as a tensor (1, 3, H, W) in [0, 1].

    A picture is turned as its EXIF tag says, transparency is laid on white, grey and palette
    pictures become RGB, and 16-bit grey keeps its upper 8 bits.

    Args:
        path: file in PNG, JPEG, WebP, TIFF, BMP, GIF, PPM, AVIF or JPEG 2000.
        size: side to which the picture's central square is resized (Lanczos); by default the
            picture stays as it is.
        note: function that is called with one sentence if the picture was cropped, resized or laid
            on white.

    Raises:
        InputError: if the file is missing, no picture, damaged, animated, less than 16 pixels wide
            or high, or larger than 40 megapixels.
    """
    path = Path(path)
    picture, changes = _decode(path)
    width, height = picture.size
    if min(width, height) < MIN_SIDE:
        raise InputError(
            f"{path} is only {width}x{height} pixels; give a picture of at least "
            f"{MIN_SIDE}x{MIN_SIDE}"
        )
    if size is not None:
        picture, more = central_square(picture, size)
        changes += more
    if note is not None and changes:
        note(f"{path.name}: {width}x{height} {' and '.join(changes)}")
    return to_tensor(picture)


def read_mask(path: str | Path, size: int) -> Tensor:
    """Read a mask (1, 1, size, size) of ones (white, measured) and zeros (black, missing).

    Raises:
        InputError: if the file is no picture, has another size or has no white pixel.
    """
    path = Path(path)
    picture, _ = _decode(path)
    width, height = picture.size
    if (width, height) != (size, size):
        raise InputError(
            f"{path} is {width}x{height} but the image is {size}x{size}: "
            f"draw the mask at {size}x{size}"
        )
    mask = torch.from_numpy(np.array(picture.convert("L")) >= 128).float()
    if not mask.any():
        raise InputError(
            f"{path} has no white pixel, so nothing is measured: paint white what is known"
        )
    return mask[None, None]


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


def _decode(path: Path) -> tuple[Image.Image, list[str]]:
    """Decode a file to an upright RGB picture, and say what was changed."""
    _refuse_non_files(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=FORMATS) as picture:
                _refuse_from_header(path, picture)
                return _rgb(ImageOps.exif_transpose(picture))
    except InputError:
        raise
    except Image.DecompressionBombError:
        raise InputError(_too_large(path, "far more than")) from None
    except Image.UnidentifiedImageError:
        raise InputError(
            f"{path} is not a picture this program reads; save it as PNG or JPEG"
        ) from None
    except Exception as error:  # damaged files make decoders raise nearly anything
        raise InputError(
            f"{path} is damaged and cannot be read ({error}); save it again as PNG or JPEG"
        ) from None


def _refuse_non_files(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"{path} is a folder; give a picture file in it")
    if not path.exists():
        raise InputError(f"{path} does not exist; check the name of the picture")
    if not path.is_file():
        raise InputError(f"{path} is not a regular file; give a picture file")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes); copy or download the picture again")


def _refuse_from_header(path: Path, picture: Image.Image) -> None:
    """Refuse pictures that must not be decoded, before any pixel is."""
    if picture.width * picture.height > MAX_PIXELS:
        raise InputError(_too_large(path, f"{picture.width}x{picture.height} pixels, more than"))
    if getattr(picture, "is_animated", False) and picture.format not in STILL_FORMATS:
        raise InputError(f"{path} has several frames or pages; save one of them as PNG or JPEG")


def _too_large(path: Path, amount: str) -> str:
    megapixels = MAX_PIXELS // 1_000_000
    return f"{path} has {amount} {megapixels} megapixels; make it smaller first"


def _rgb(picture: Image.Image) -> tuple[Image.Image, list[str]]:
    if picture.mode == "F":
        raise ValueError("floating-point values of unknown range")
    if picture.mode.startswith("I"):
        values = np.clip(np.asarray(picture).astype(np.int64), 0, 65535) // 256
        return Image.fromarray(values.astype(np.uint8)).convert("RGB"), []
    if not picture.has_transparency_data:
        return picture.convert("RGB"), []
    layer = picture.convert("RGBA")
    paper = Image.new("RGBA", layer.size, (*WHITE, 255))
    return Image.alpha_composite(paper, layer).convert("RGB"), ["laid on white"]


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
    values = torch.from_numpy(np.array(picture, dtype=np.float32) / 255)
    return values.permute(2, 0, 1)[None].contiguous()


def to_picture(x: Tensor) -> Image.Image:
    """Convert an image (1, 3, H, W) or (3, H, W) to an 8-bit picture, clipped and rounded."""
    if x.dim() == 4 and x.shape[0] == 1:
        x = x[0]
    if x.dim() != 3 or x.shape[0] != 3:
        raise ValueError(f"an image is (1, 3, H, W) or (3, H, W), not {tuple(x.shape)}")
    values = x.detach().float().nan_to_num().clamp(0, 1).mul(255).round()
    return Image.fromarray(values.byte().permute(1, 2, 0).cpu().contiguous().numpy())

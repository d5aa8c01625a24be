"""Opening of picture files: which are decoded, and what is wrong with the others."""

from __future__ import annotations

import warnings
from pathlib import Path

from PIL import Image, features

from interlayer.errors import InputError

MAX_PIXELS = 40_000_000
MIN_SIDE = 8
# Only decoders that parse: PostScript and its like would start another program.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000")
# Several pictures in one file that are still one photo: phones store previews beside it.
STILL_FORMATS = ("MPO", "HEIF")
# What a file says about itself in its first bytes, whatever its name is.
AVIF_BRANDS = {b"avif", b"avis"}
HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}


def decoded(path: Path) -> Image.Image:
    """Decode a still picture, in the colours and the direction in which the file holds it.

    Raises:
        InputError: if the file is missing, no picture, damaged, animated, less than 8 pixels wide
            or high, larger than 40 megapixels, or in a format whose decoder is not installed.
    """
    _refuse_non_files(path)
    formats = _formats(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=formats) as picture:
                _refuse_from_header(path, picture)
                picture.load()
                picture.getexif()  # kept in the picture; some formats read it from the file
                return picture
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


def _formats(path: Path) -> tuple[str, ...]:
    """Formats that the file may have; HEIF is one only if its first bytes say so."""
    brands = _brands(path)
    if brands & AVIF_BRANDS:
        if not features.check("avif"):
            raise InputError(
                f"{path} is an AVIF picture, which this build of Pillow does not read; "
                "save it as PNG or JPEG, or run pip install --upgrade pillow"
            )
        return FORMATS
    if not brands & HEIF_BRANDS:
        return FORMATS
    try:
        from pillow_heif import register_heif_opener
    except ImportError as error:
        raise InputError(
            f"{path} is a HEIC picture, whose decoder is not installed ({error}); "
            "run pip install 'interlayer[heif]', or save it as PNG or JPEG"
        ) from None
    register_heif_opener()
    return (*FORMATS, "HEIF")


def _brands(path: Path) -> set[bytes]:
    """Brands in the ``ftyp`` box with which HEIC and AVIF begin; none in other formats."""
    with path.open("rb") as file:
        head = file.read(256)
    if head[4:8] != b"ftyp":
        return set()
    end = min(len(head), int.from_bytes(head[:4], "big"))
    return {head[8:12], *(head[start : start + 4] for start in range(16, end, 4))}


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
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise InputError(_too_large(path, f"{width}x{height} pixels, more than"))
    if getattr(picture, "is_animated", False) and picture.format not in STILL_FORMATS:
        raise InputError(f"{path} has several frames or pages; save one of them as PNG or JPEG")
    if min(width, height) < MIN_SIDE:
        raise InputError(
            f"{path} is only {width}x{height} pixels; give a picture of at least "
            f"{MIN_SIDE}x{MIN_SIDE}"
        )
    if picture.mode == "LAB":
        raise InputError(f"{path} has Lab colours; save it in RGB as PNG or JPEG")


def _too_large(path: Path, amount: str) -> str:
    megapixels = MAX_PIXELS // 1_000_000
    return f"{path} has {amount} {megapixels} megapixels; make it smaller first"

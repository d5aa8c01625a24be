"""Colours of picture files: any mode and colour profile to sRGB."""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

# Colour spaces in the header of profiles, and the mode in which Pillow passes such colours to one.
PROFILE_MODES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
GREY_MODES = ("1", "L", "LA", "La")
SAME = 2  # levels of 255 by which profiles of the same colours differ


class Srgb(NamedTuple):
    """Picture in sRGB, its opacity if it has any, what was done, and whether pixels are the file's.

    Attributes:
        picture: picture in mode RGB, without regard to transparency.
        alpha: opacity in mode L; None where everything is opaque.
        notes: clauses that say what was changed.
        as_stored: whether no colour was converted.
    """

    picture: Image.Image
    alpha: Image.Image | None
    notes: tuple[str, ...] = ()
    as_stored: bool = True


def in_srgb(picture: Image.Image) -> Srgb:
    """Convert a decoded picture of 8-bit values to sRGB, by its colour profile if it has one.

    >>> in_srgb(Image.new("CMYK", (1, 1), (0, 255, 255, 0))).picture.getpixel((0, 0))
    (255, 0, 0)
    """
    profile = picture.info.get("icc_profile")
    alpha = alpha_of(picture)
    if alpha is not None:
        grey = picture.mode in GREY_MODES
        picture = picture.convert("RGBA").convert("L" if grey else "RGB")
    plain = Srgb(picture.convert("RGB"), alpha)
    if picture.mode == "CMYK":
        plain = plain._replace(notes=("converted from CMYK",), as_stored=False)
    if not profile:
        return plain
    try:
        return _by_profile(picture, profile, plain)
    except (OSError, ImageCms.PyCMSError):
        return plain._replace(notes=(*plain.notes, "its colour profile is damaged and was ignored"))


def alpha_of(picture: Image.Image) -> Image.Image | None:
    """Return the opacity of a picture in mode L, or None where everything is opaque."""
    if not picture.has_transparency_data:
        return None
    alpha = picture.convert("RGBA").getchannel("A")
    return None if alpha.getextrema()[0] == 255 else alpha


def _by_profile(picture: Image.Image, icc: bytes, plain: Srgb) -> Srgb:
    profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    mode = PROFILE_MODES.get(icc[16:20], "")
    grey, cmyk = picture.mode in GREY_MODES, picture.mode == "CMYK"
    if not mode or (mode == "CMYK") != cmyk or (mode == "L" and not grey):
        return plain._replace(
            notes=(*plain.notes, "its colour profile is for other colours and was ignored")
        )
    to_srgb = ImageCms.buildTransform(
        profile, ImageCms.createProfile("sRGB"), mode, "RGB", ImageCms.Intent.PERCEPTUAL
    )
    if not cmyk and _changes_nothing(to_srgb, mode):
        return plain
    converted = ImageCms.applyTransform(picture.convert(mode), to_srgb)
    assert converted is not None  # as it is not made in place
    name = ImageCms.getProfileDescription(profile).strip()
    named = f" ({name})" if name.isprintable() and 0 < len(name) <= 60 else ""
    note = f"converted from {'CMYK' if cmyk else 'its colour profile'}{named}"
    return Srgb(converted, plain.alpha, (note,), as_stored=False)


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Say whether a profile is sRGB under another name: no colour of a lattice moves."""
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(len(levels), -1, 3)
    if mode == "L":
        colours = colours[..., :1].repeat(3, -1)
    lattice = Image.fromarray(colours)
    seen = ImageCms.applyTransform(lattice.convert(mode), transform)
    return bool((np.abs(np.asarray(seen, np.int16) - colours) <= SAME).all())

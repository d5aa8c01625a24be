"""What tests of the page share about restoration: photos that are dropped, and wishes for them."""

import base64
import io
import re
from functools import cache
from typing import Any

import gradio as gr
from PIL import Image

from interlayer.app.demo.wishes import ALL, LARGEST, Dropped, Wish, dropped, shown

from .photo_files import ORIENTATION, noisy_faces

STROKE = [0.1, 0.3, 0.3, 0.5, 0.5]
EVERYTHING: dict[str, Any] = {
    **{"brushed": True, "strokes": [STROKE], "faces": LARGEST, "noise": 5.37, "jpeg": False},
    **{"blur": "line", "size": 2.5, "angle": 30, "colorize": True, "seed": 3},
}


@cache
def two_faces() -> Dropped:
    """A photo with two faces, one above the other, as a JPEG file; turned by its EXIF."""
    content, exif = io.BytesIO(), Image.Exif()
    exif[ORIENTATION] = 6
    turned = noisy_faces(2).transpose(Image.Transpose.ROTATE_90)
    turned.save(content, format="JPEG", quality=95, exif=exif)
    return dropped("old photo (1).jpg", content.getvalue())[0]


def png_of(picture: Image.Image) -> bytes:
    content = io.BytesIO()
    picture.save(content, format="PNG")
    return content.getvalue()


def photo_of(picture: Image.Image) -> Dropped:
    return dropped("photo.png", png_of(picture))[0]


def wish_of(photo: Dropped | None = None, **changes: Any) -> Wish:
    """A wish in which nothing is corrected but what is said, by default about two faces."""
    photo = photo or two_faces()
    fields: dict[str, Any] = shown(photo.findings) | {"quality": "draft", "seed": 0}
    return Wish(photo, False, [], False, ALL, **fields)._replace(**changes)


def visitor(session: str = "tab") -> gr.Request:
    return gr.Request(session_hash=session)


def kept(downloads: str, name: str) -> Image.Image:
    """A picture among the links to download."""
    return Image.open(io.BytesIO(content_of(downloads, name)))


def content_of(downloads: str, name: str) -> bytes:
    url = re.search(f'download="{name}" href="data:image/[a-z]+;base64,([^"]+)"', downloads)
    assert url is not None
    return base64.b64decode(url.group(1))

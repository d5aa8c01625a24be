"""Faces in photos: find them, cut one out as FFHQ does, lay the result back in.

Points of a photo are complex numbers, column + i row in pixels, with 0 at the outer corner of the
first pixel: a turn by 90 degrees is a product with i, and a turned square is two numbers.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from interlayer.errors import InputError

# Faces are searched for in the photo at this longer side, then looked at again in upright crops.
SEARCH_SIDE, LEAST_SEARCHED, CLOSER_SIDE = 640, 320, 256
MIN_SCORE = 0.9
MARGIN = 4  # pixels that bicubic interpolation may want beyond the square


class Landmarks(NamedTuple):
    """Eye centres and mouth corners in a photo; left and right are the beholder's."""

    left_eye: complex
    right_eye: complex
    left_mouth: complex
    right_mouth: complex


class Square(NamedTuple):
    """Turned square in a photo: its centre, and the way from there to its right edge.

    Its point v, with real and imaginary part in [-1, 1], lies at ``centre + axis * v``.

    >>> Square(centre=50 + 50j, axis=10 + 0j).corners
    ((40+40j), (60+40j), (60+60j), (40+60j))
    """

    centre: complex
    axis: complex

    @property
    def side(self) -> float:
        return 2 * abs(self.axis)

    @property
    def corners(self) -> tuple[complex, complex, complex, complex]:
        """Corners from the upper left one clockwise, as seen with the face upright."""
        c, x, y = self.centre, self.axis, 1j * self.axis
        return c - x - y, c + x - y, c + x + y, c - x + y


class Aligned(NamedTuple):
    """Face ``x`` (1, 3, size, size) in [0, 1], and the square of the photo that it shows."""

    x: Tensor
    square: Square


def align(photo: Tensor, size: int, face: int = 0) -> Aligned:
    """Cut a face out of a photo (1, 3, H, W) in [0, 1], upright and framed as in FFHQ.

    Where the square reaches beyond the photo, the photo is mirrored.

    Args:
        photo: photo as `interlayer.media.images.read_image` reads it without a size.
        size: side of the result in pixels.
        face: number of the face, counted from 0, the largest first.

    Raises:
        InputError: if the photo shows no face, or not that many.

    >>> import skimage.data
    >>> photo = torch.from_numpy(skimage.data.astronaut()).permute(2, 0, 1)[None] / 255
    >>> aligned = align(photo, 256)
    >>> aligned.x.shape, round(aligned.square.side)
    (torch.Size([1, 3, 256, 256]), 170)
    """
    square = face_square(photo, face)
    return Aligned(cut(photo, square, size), square)


def face_square(photo: Tensor, face: int = 0) -> Square:
    """Find the square of a face in a photo (1, 3, H, W), as FFHQ frames it.

    Args:
        photo: photo in [0, 1].
        face: number of the face, counted from 0, the largest first.

    Raises:
        InputError: if the photo shows no face, or not that many.
    """
    faces = find_faces(photo)
    if not faces:
        raise InputError(
            "no face was found in the photo; give one where a face is upright and at least a "
            "fortieth of the picture wide, or go on without alignment"
        )
    if not 0 <= face < len(faces):
        raise InputError(
            f"there is no face {face}: the photo shows {len(faces)}; "
            "they are counted from 0, the largest first"
        )
    return ffhq_square(faces[face])


def find_faces(photo: Tensor) -> list[Landmarks]:
    """Find the faces of a photo (1, 3, H, W) in [0, 1], the largest first.

    RetinaFace (arXiv 1905.00641) searches the whole photo, then an upright crop of every face, so
    that the landmarks hardly depend on how large the face is or how it is turned.

    Raises:
        InputError: if the detector is not installed.
        ValueError: if the photo has another shape.
    """
    if photo.dim() != 4 or photo.shape[:2] != (1, 3):
        raise ValueError(f"a photo is (1, 3, H, W), not {tuple(photo.shape)}")
    height, width = photo.shape[-2:]
    longer = max(height, width)
    small = _reduced(photo, longer / SEARCH_SIDE)
    if longer < LEAST_SEARCHED:
        sides = [max(1, side * LEAST_SEARCHED // longer) for side in (height, width)]
        small = F.interpolate(photo, sides, mode="bicubic", antialias=True).clamp(0, 1)
    scale = (width / small.shape[-1], height / small.shape[-2])
    found = [
        Landmarks(*(complex(p.real * scale[0], p.imag * scale[1]) for p in face))
        for face in _detect(small)
    ]
    closer = (_looked_closer(photo, face) for face in found)
    return sorted(closer, key=lambda face: ffhq_square(face).side, reverse=True)


def ffhq_square(face: Landmarks) -> Square:
    """Return the square that FFHQ cuts around a face.

    With ``e`` the middle between the eyes, ``d`` the way from the left eye to the right one and
    ``m`` that from ``e`` to the middle of the mouth:

        axis = (d - i m) / |d - i m| * max(2 |d|, 1.8 |m|),    centre = e + m / 10

    Source: the data set of Karras, Laine, Aila, *A Style-Based Generator Architecture for
    Generative Adversarial Networks*, arXiv 1812.04948.

    >>> ffhq_square(Landmarks(-10 + 0j, 10 + 0j, -8 + 20j, 8 + 20j))
    Square(centre=2j, axis=(40+0j))
    """
    eyes = (face.left_eye + face.right_eye) / 2
    eye_to_eye = face.right_eye - face.left_eye
    eye_to_mouth = (face.left_mouth + face.right_mouth) / 2 - eyes
    direction = eye_to_eye - 1j * eye_to_mouth
    length = max(2 * abs(eye_to_eye), 1.8 * abs(eye_to_mouth))
    return Square(eyes + eye_to_mouth / 10, direction / abs(direction) * length)


def middle_square(photo: Tensor) -> Square:
    """Return the largest upright square in the middle of a photo (1, 3, H, W), on whole pixels.

    >>> middle_square(torch.zeros(1, 3, 4, 7)).corners
    ((1+0j), (5+0j), (5+4j), (1+4j))
    """
    height, width = photo.shape[-2:]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    return Square(complex(left + side / 2, top + side / 2), complex(side / 2))


def cut(photo: Tensor, square: Square, size: int) -> Tensor:
    """Cut a square of a photo (1, 3, H, W) out as an upright image (1, 3, size, size).

    The photo is shrunk with antialiasing before it is turned (bicubic), and mirrored at its edges.

    >>> x = torch.rand(1, 3, 64, 64)
    >>> torch.allclose(cut(x, Square(32 + 32j, 32 + 0j), 64), x, atol=1e-5)
    True
    """
    left, top, right, bottom = _bounds(photo, square, MARGIN * max(1.0, square.side / size))
    region = photo[..., top:bottom, left:right]
    v = _lattice(size, size, photo.device) * (2 / size) - (1 + 1j)
    at = square.centre + square.axis * v - complex(left, top)
    x, y = at.real / (right - left) * 2 - 1, at.imag / (bottom - top) * 2 - 1
    return _values_at(_reduced(region, square.side / size), x, y).clamp(0, 1)


def paste_back(photo: Tensor, square: Square, x_hat: Tensor, feather: float = 0.1) -> Tensor:
    """Lay an image (1, 3, size, size) into the square of the photo (1, 3, H, W) it was cut from.

    Args:
        photo: whole photo, which is not changed.
        square: square that `align` has cut out.
        x_hat: image that takes its place, at any size.
        feather: width of the soft edge within the square, in halves of its side, in (0, 1].

    >>> photo, square = torch.rand(1, 3, 48, 64), Square(30 + 20j, 8 + 2j)
    >>> grey = paste_back(photo, square, torch.full((1, 3, 16, 16), 0.5))
    >>> grey[0, :, 20, 30], bool((grey[..., :8] == photo[..., :8]).all())
    (tensor([0.5000, 0.5000, 0.5000]), True)
    """
    left, top, right, bottom = _bounds(photo, square)
    z = _lattice(right - left, bottom - top, photo.device) + complex(left, top)
    v = (z - square.centre) / square.axis
    weight = ((1 - torch.maximum(v.real.abs(), v.imag.abs())) / feather).clamp(0, 1)
    patch = _values_at(_reduced(x_hat, x_hat.shape[-1] / square.side), v.real, v.imag).clamp(0, 1)
    result = photo.clone()
    result[..., top:bottom, left:right].lerp_(patch, weight * weight * (3 - 2 * weight))
    return result


def _detect(image: Tensor) -> list[Landmarks]:
    """Detect the faces in an image (1, 3, H, W), in the image's pixels."""
    try:
        from retinaface import detect_faces
    except ImportError as error:
        raise InputError(
            f"the face detector is not installed ({error}); run pip install 'interlayer[align]'"
        ) from None
    levels = image[0].permute(1, 2, 0).mul(255).round().cpu().numpy()
    faces = detect_faces(levels, score_threshold=MIN_SCORE)
    # The detector rounds down, so a landmark lies half a pixel further on average.
    points = [[complex(p.x + 0.5, p.y + 0.5) for p in face.landmarks] for face in faces]
    return [Landmarks(left, right, *mouth) for left, right, _, *mouth in points]


def _looked_closer(photo: Tensor, face: Landmarks) -> Landmarks:
    """Detect the landmarks of a face again, in its upright crop."""
    square = ffhq_square(face)
    middle = (1 + 1j) * CLOSER_SIDE / 2
    seen = _detect(cut(photo, square, CLOSER_SIDE))
    if not seen:
        return face
    nearest = min(seen, key=lambda other: abs(ffhq_square(other).centre - middle))
    step = square.side / CLOSER_SIDE * (square.axis / abs(square.axis))
    return Landmarks(*(square.centre + step * (point - middle) for point in nearest))


def _bounds(photo: Tensor, square: Square, margin: float = 0) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the part of the photo with the square and a margin."""
    height, width = photo.shape[-2:]
    columns, rows = zip(*((corner.real, corner.imag) for corner in square.corners), strict=True)
    return (
        max(0, int(min(columns) - margin)),
        max(0, int(min(rows) - margin)),
        min(width, int(max(columns) + margin) + 1),
        min(height, int(max(rows) + margin) + 1),
    )


def _lattice(width: int, height: int, device: torch.device) -> Tensor:
    """Centres of pixels, (height, width) complex."""
    columns, rows = (torch.arange(side, device=device) + 0.5 for side in (width, height))
    return torch.complex(columns.expand(height, width), rows[:, None].expand(height, width))


def _reduced(image: Tensor, factor: float) -> Tensor:
    """Make an image ``factor`` times smaller with antialiasing; leave it if that is below 1."""
    if factor <= 1:
        return image
    size = [max(1, round(side / factor)) for side in image.shape[-2:]]
    return F.interpolate(image, size, mode="bicubic", antialias=True)


def _values_at(image: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Interpolate an image at points (h, w), where its edges are -1 and 1."""
    grid = torch.stack([x, y], -1)[None].to(image.dtype)
    return F.grid_sample(image, grid, "bicubic", "reflection", align_corners=False)

"""Sequences of images, read from folders or video files and written frame by frame."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from PIL import Image
from torch import Tensor

from interlayer.errors import InputError
from interlayer.media.files import replacing
from interlayer.media.images import central_square, read_image, to_picture, to_tensor
from interlayer.media.opening import MAX_PIXELS

PICTURE_SUFFIXES = frozenset(".png .jpg .jpeg .webp .gif .bmp .tif .tiff .ppm .avif .jp2".split())
DEFAULT_FPS = 25.0
# A playlist could otherwise make the decoder open other files or addresses.
LOCAL_ONLY = ["-protocol_whitelist", "file"]
ENCODERS = {
    # Players want even sides: one black row or column is added where they are odd.
    ".mp4": {
        "codec": "libx264",
        "quality": 8,
        "output_params": ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2"],
    },
    ".gif": {
        "codec": "gif",
        "pix_fmt_out": "pal8",
        "quality": None,
        "output_params": ["-filter_complex", "split[a][b];[a]palettegen[p];[b][p]paletteuse"],
    },
}


@dataclass(frozen=True)
class Frames:
    """Images (1, 3, H, W) in [0, 1] in their order; every loop over them reads them anew.

    A frame that turns out to be damaged raises `InputError` when the loop reaches it.

    Attributes:
        path: folder or video file that they are read from.
        fps: frames per second.
        size: side to which the central square is resized; None leaves frames as they are.
    """

    path: Path
    fps: float
    size: int | None = None

    def __iter__(self) -> Iterator[Tensor]:
        if self.path.is_dir():
            return (read_image(file, self.size) for file in _pictures(self.path))
        return _decoded(self.path, self.size)


def read_frames(path: str | Path, size: int | None = None) -> Frames:
    """Read the frames of a folder of pictures, in natural order of their names, or of a video.

    Args:
        path: folder, where files that are no pictures are passed over, or any video that FFmpeg
            reads.
        size: side of the frames, as in `Frames`.

    Raises:
        InputError: if nothing is there, the first frame cannot be read or is larger than 40
            megapixels, or the path is a video and imageio-ffmpeg is not installed.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for number in (10, 9):
    ...         Image.new("L", (32, 16), number).save(Path(folder) / f"frame{number}.png")
    ...     [round(255 * float(x.mean())) for x in read_frames(folder)]
    [9, 10]
    """
    path = Path(path)
    if path.is_dir():
        if not _pictures(path):
            raise InputError(f"{path} holds no picture; give a folder of PNG or JPEG files")
        frames = Frames(path, DEFAULT_FPS, size)
    elif not path.is_file():
        raise InputError(f"{path} does not exist; give a folder of pictures or a video file")
    else:
        frames = Frames(path, _frame_rate(path), size)
    if next(iter(frames), None) is None:
        raise InputError(f"{path} holds no frame; give a folder of pictures or a video file")
    return frames


def write_video(path: str | Path, frames: Iterable[Tensor], fps: float = DEFAULT_FPS) -> None:
    """Write images (1, 3, H, W) in [0, 1], all of one size, as an MP4 (H.264) or a looping GIF.

    They are taken one at a time, so a sequence needs no more memory than a frame. The file appears
    when it is complete.

    Raises:
        InputError: if the name ends in neither .mp4 nor .gif, if imageio-ffmpeg is not installed,
            if fps is not positive, if there is no frame or one of another size, or if the file
            cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in ENCODERS:
        raise InputError(f"cannot write {path.name}: end the name of a video in .mp4 or .gif")
    if fps <= 0:
        raise InputError(f"a video needs a positive number of frames per second, not {fps:g}")
    pictures = map(to_picture, frames)
    first = next(pictures, None)
    if first is None:
        raise InputError(f"there is no frame to write to {path.name}")
    with replacing(path) as temporary:
        writer = _ffmpeg().write_frames(
            str(temporary.absolute()),
            first.size,
            fps=fps,
            macro_block_size=1,
            ffmpeg_log_level="fatal",
            **ENCODERS[path.suffix.lower()],
        )
        try:
            writer.send(None)
            writer.send(first.tobytes())
            for number, picture in enumerate(pictures, start=2):
                if picture.size != first.size:
                    raise InputError(
                        f"frame {number} is {picture.width}x{picture.height} but the first is "
                        f"{first.width}x{first.height}; give frames of one size"
                    )
                writer.send(picture.tobytes())
        finally:
            writer.close()
        if not (temporary.exists() and temporary.stat().st_size):
            raise OSError("the encoder gave nothing; is the disk full, or the folder missing?")


def _ffmpeg() -> ModuleType:
    try:
        import imageio_ffmpeg
    except ImportError:
        raise InputError(
            "videos need imageio-ffmpeg; run pip install 'interlayer[video]'"
        ) from None
    return imageio_ffmpeg


def _pictures(folder: Path) -> list[Path]:
    """List the pictures of a folder; numbers in their names count as numbers."""
    files = [
        file
        for file in folder.iterdir()
        if file.suffix.lower() in PICTURE_SUFFIXES and not file.name.startswith(".")
    ]
    return sorted(files, key=lambda file: _natural(file.name))


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key in which runs of digits compare as numbers.

    >>> sorted(["b1", "a10", "a9"], key=_natural)
    ['a9', 'a10', 'b1']
    """
    parts = re.findall(r"[0-9]+|[^0-9]+", name.lower())
    return [(int(part), "") if part[0] in "0123456789" else (0, part) for part in parts]


def _frame_rate(path: Path) -> float:
    stream = _stream(path)
    facts = next(stream)
    stream.close()
    return facts["fps"] or DEFAULT_FPS


def _decoded(path: Path, size: int | None) -> Iterator[Tensor]:
    stream = _stream(path)
    width, height = next(stream)["size"]
    if width * height > MAX_PIXELS:
        raise InputError(f"{path} has frames of {width}x{height} pixels; make it smaller first")
    for values in stream:
        picture = Image.frombytes("RGB", (width, height), values)
        yield to_tensor(picture if size is None else central_square(picture, size)[0])


def _stream(path: Path) -> Generator[Any, None, None]:
    """Yield a dictionary of FFmpeg's facts about a video, then the RGB bytes of each frame."""
    stream = _ffmpeg().read_frames(str(path.absolute()), input_params=LOCAL_ONLY)
    try:
        yield from stream
    except Exception:  # whatever the decoder's output makes its reader stumble over
        raise InputError(
            f"{path} is damaged or no video that can be read; save it again as MP4"
        ) from None

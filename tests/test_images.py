import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from interlayer.errors import InputError
from interlayer.media.images import contact_sheet, read_image, write_gif, write_image


@pytest.fixture
def x() -> Tensor:
    """An image whose values are multiples of 1/255, taller than wide."""
    values = torch.randint(0, 256, (1, 3, 24, 20), generator=torch.Generator().manual_seed(0))
    return values / 255


def png_header(path: Path, width: int, height: int) -> Path:
    """A grey PNG that claims a size and carries no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    return path


def save(path: Path, picture: Image.Image, **options) -> Path:
    picture.save(path, **options)
    return path


def filled(mode: str, colour, size: tuple[int, int] = (20, 24)) -> Image.Image:
    return Image.new(mode, size, colour)


def test_written_images_read_back_exactly(tmp_path: Path, x: Tensor) -> None:
    write_image(tmp_path / "x.png", x)
    assert torch.equal(read_image(tmp_path / "x.png"), x)
    write_image(tmp_path / "x.png", x[0])
    assert torch.equal(read_image(str(tmp_path / "x.png")), x)


def test_writing_clips_rounds_and_survives_nan(tmp_path: Path) -> None:
    values = torch.tensor([-0.5, 1.5, 0.4999 / 255, 0.5001 / 255, float("nan")])
    write_image(
        tmp_path / "x.png", values.repeat(4, 1).repeat(1, 4).expand(3, -1, -1).repeat(1, 4, 1)
    )
    read = read_image(tmp_path / "x.png")[0, 0, 0, :5]
    assert torch.equal(read, torch.tensor([0, 1, 0, 1 / 255, 0]))


@pytest.mark.parametrize("shape", [(2, 3, 16, 16), (1, 1, 16, 16), (16, 16)])
def test_only_one_rgb_image_is_written(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="an image is"):
        write_image(tmp_path / "x.png", torch.zeros(shape))
    assert not list(tmp_path.iterdir())


RED = (1.0, 0.0, 0.0)
HALF_RED_ON_WHITE = (1.0, 127 / 255, 127 / 255)
MODES = {
    "rgb": (filled("RGB", (255, 0, 0)), "png", RED),
    "rgba": (filled("RGBA", (255, 0, 0, 128)), "png", HALF_RED_ON_WHITE),
    "grey": (filled("L", 51), "png", (0.2, 0.2, 0.2)),
    "grey with alpha": (filled("LA", (0, 0)), "png", (1.0, 1.0, 1.0)),
    "bilevel": (filled("1", 1), "png", (1.0, 1.0, 1.0)),
    "palette": (filled("RGB", (255, 0, 0)).quantize(4), "png", RED),
    "16 bit": (filled("I;16", 102 * 257), "png", (0.4, 0.4, 0.4)),
    "32 bit": (filled("I", 102 * 257), "tiff", (0.4, 0.4, 0.4)),
    "float": (filled("F", 0.4), "tiff", (0.4, 0.4, 0.4)),
    "cmyk": (filled("CMYK", (0, 255, 255, 0)), "tiff", RED),
}


@pytest.mark.parametrize("case", MODES)
def test_every_mode_becomes_rgb(tmp_path: Path, case: str) -> None:
    picture, suffix, colour = MODES[case]
    x = read_image(save(tmp_path / f"x.{suffix}", picture))
    assert x.shape == (1, 3, 24, 20) and x.dtype == torch.float32
    expected = torch.tensor(colour).reshape(1, 3, 1, 1).expand_as(x)
    torch.testing.assert_close(x, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_a_transparent_palette_entry_is_white(tmp_path: Path, suffix: str) -> None:
    picture = filled("RGB", (255, 0, 0)).quantize(4)
    index = picture.getpixel((0, 0))
    notes: list[str] = []
    x = read_image(save(tmp_path / f"x.{suffix}", picture, transparency=index), note=notes.append)
    assert torch.equal(x, torch.ones_like(x))
    assert notes == [f"x.{suffix}: 20x24 laid on white"]


def test_the_exif_orientation_is_applied(tmp_path: Path, x: Tensor) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to view
    write_image(tmp_path / "x.png", x)
    with Image.open(tmp_path / "x.png") as picture:
        picture.save(tmp_path / "turned.png", exif=exif)
    assert torch.equal(read_image(tmp_path / "turned.png"), x.rot90(-1, (2, 3)))


def test_a_phone_photo_with_a_preview_is_a_still(tmp_path: Path) -> None:
    photo, preview = filled("RGB", (255, 0, 0)), filled("RGB", (0, 0, 255))
    save(tmp_path / "x.jpg", photo, format="MPO", save_all=True, append_images=[preview])
    assert read_image(tmp_path / "x.jpg")[0, 0].min() > 0.9


def test_the_central_square_is_kept_and_reported(tmp_path: Path) -> None:
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 255
    save(tmp_path / "wide.png", Image.fromarray(wide))
    notes: list[str] = []
    x = read_image(tmp_path / "wide.png", 20, notes.append)
    assert torch.equal(x, torch.ones(1, 3, 20, 20))
    tall = save(tmp_path / "tall.png", Image.fromarray(wide).transpose(Image.Transpose.ROTATE_90))
    assert torch.equal(read_image(tall, 40, notes.append), torch.ones(1, 3, 40, 40))
    assert notes == [
        "wide.png: 60x20 cropped to its central 20x20 square",
        "tall.png: 20x60 cropped to its central 20x20 square and resized to 40x40",
    ]


def test_a_square_of_the_right_size_is_untouched_and_unreported(tmp_path: Path, x: Tensor) -> None:
    write_image(tmp_path / "x.png", x[..., :20, :])
    notes: list[str] = []
    assert torch.equal(read_image(tmp_path / "x.png", 20, notes.append), x[..., :20, :])
    assert notes == []


def test_shrinking_averages_and_does_not_pick(tmp_path: Path) -> None:
    checks = np.indices((256, 256)).sum(0) % 2 * np.uint8(255)
    x = read_image(save(tmp_path / "x.png", Image.fromarray(checks.astype(np.uint8))), 16)
    assert (x[..., 2:-2, 2:-2] - 0.5).abs().max() < 0.05


def animation(path: Path) -> Path:
    frames = [filled("RGB", (255, 0, 0)), filled("RGB", (0, 0, 255))]
    return save(path, frames[0], save_all=True, append_images=frames[1:])


def truncated(path: Path) -> Path:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    save(path, Image.fromarray(noise))
    path.write_bytes(path.read_bytes()[:2000])
    return path


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


BAD_FILES = {
    "missing": (lambda folder: folder / "x.png", "does not exist"),
    "folder": (lambda folder: folder, "is a folder"),
    "zero bytes": (lambda folder: written(folder / "x.png", b""), "is empty"),
    "text": (lambda folder: written(folder / "x.png", b"hello" * 99), "is not a picture"),
    "postscript": (lambda folder: save(folder / "x.eps", filled("RGB", 0)), "is not a picture"),
    "truncated png": (lambda folder: truncated(folder / "x.png"), "is damaged"),
    "truncated jpeg": (lambda folder: truncated(folder / "x.jpg"), "is damaged"),
    "no pixels": (lambda folder: png_header(folder / "x.png", 64, 64), "is damaged"),
    "1x1": (lambda folder: save(folder / "x.png", filled("L", 0, (1, 1))), "only 1x1 pixels"),
    "thin": (lambda folder: save(folder / "x.png", filled("L", 0, (99, 7))), "only 99x7 pixels"),
    "50 megapixels": (
        lambda folder: png_header(folder / "x.png", 10_000, 5_000),
        "10000x5000 pixels, more than 40 megapixels",
    ),
    "100 megapixels": (lambda folder: png_header(folder / "x.png", 10_000, 10_000), "more than 40"),
    "900 megapixels": (lambda folder: png_header(folder / "x.png", 30_000, 30_000), "more than 40"),
    "gif": (lambda folder: animation(folder / "x.gif"), "several frames"),
    "webp": (lambda folder: animation(folder / "x.webp"), "several frames"),
    "apng": (lambda folder: animation(folder / "x.png"), "several frames"),
    "pages": (lambda folder: animation(folder / "x.tiff"), "several frames"),
    "lab": (lambda folder: save(folder / "x.tiff", filled("LAB", (99, 0, 0))), "Lab colours"),
    "not finite": (
        lambda folder: save(folder / "x.tiff", filled("F", float("nan"))),
        "infinite or no numbers",
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
@pytest.mark.parametrize("size", [None, 16])
def test_bad_files_are_refused_in_one_sentence(tmp_path: Path, case: str, size: int | None) -> None:
    make, reason = BAD_FILES[case]
    path = make(tmp_path)
    with pytest.raises(InputError, match=reason) as caught:
        read_image(path, size)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_a_contact_sheet_holds_every_panel_below_its_label(x: Tensor) -> None:
    red = torch.tensor(RED).reshape(1, 3, 1, 1).expand(1, 3, 32, 64)
    sheet = contact_sheet([("truth", red), ("recovered\n24.1 dB", red)], height=64)
    is_red = (sheet[0] == torch.tensor(RED).reshape(3, 1, 1)).all(0)
    rows, columns = is_red.any(1), is_red.any(0)
    assert (int(rows.sum()), int(columns.sum())) == (64, 2 * 128)
    top = int(rows.nonzero()[0])
    halves = (sheet[0].mean(0)[:top] < 0.5).chunk(2, dim=1)
    assert all(half.any() for half in halves)
    for edge in (sheet[..., 0], sheet[..., -1], sheet[..., 0, :], sheet[..., -1, :]):
        assert (edge == 1).all()


def test_a_gif_loops_and_holds_its_last_frame(tmp_path: Path) -> None:
    frames = [torch.full((1, 3, 16, 16), level) for level in (0.0, 0.4, 1.0)]
    write_gif(tmp_path / "x.gif", frames, seconds_per_frame=0.2, size=32)
    with Image.open(tmp_path / "x.gif") as gif:
        assert gif.size == (32, 32) and gif.info["loop"] == 0
        seen = []
        for number in range(3):
            gif.seek(number)
            seen.append((gif.info["duration"], gif.convert("RGB").getpixel((9, 9))))
    assert seen == [(200, (0,) * 3), (200, (102,) * 3), (2000, (255,) * 3)]
    assert [path.name for path in tmp_path.iterdir()] == ["x.gif"]


def test_an_animation_needs_a_frame(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one"):
        write_gif(tmp_path / "x.gif", [])

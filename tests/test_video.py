import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from interlayer.errors import InputError
from interlayer.media.images import read_image, write_image
from interlayer.media.video import DEFAULT_FPS, read_frames, write_video

# imageio-ffmpeg leaves the pipes of a process that has ended to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")


def shades(count: int, height: int = 32, width: int = 48) -> list[Tensor]:
    """Frames that are told apart by their grey, each brighter than the one before."""
    return [torch.full((1, 3, height, width), (i + 1) / (count + 1)) for i in range(count)]


@pytest.mark.parametrize(("suffix", "error"), [(".mp4", 0.02), (".gif", 0.01)])
def test_a_written_video_reads_back(tmp_path: Path, suffix: str, error: float) -> None:
    written = shades(5)
    write_video(tmp_path / f"x{suffix}", iter(written), fps=10)
    frames = read_frames(tmp_path / f"x{suffix}")
    assert frames.fps == 10
    assert [file.name for file in tmp_path.iterdir()] == [f"x{suffix}"]
    for _ in range(2):
        for x, x_read in zip(written, frames, strict=True):
            assert x_read.shape == x.shape
            assert (x_read - x).abs().max() < error


def test_an_odd_side_is_filled_up_without_moving_the_picture(tmp_path: Path) -> None:
    x = torch.zeros(1, 3, 33, 47)
    x[..., 8:24, 8:24] = 1
    write_video(tmp_path / "x.mp4", [x])
    (x_read,) = read_frames(tmp_path / "x.mp4")
    assert x_read.shape == (1, 3, 34, 48)
    assert (x_read[..., :33, :47] - x).abs().mean() < 0.01


def test_a_folder_is_read_in_natural_order_and_as_single_pictures_are(tmp_path: Path) -> None:
    names = ["frame1.png", "frame2.png", "frame10.PNG", "last.png"]
    for name, x in zip(names, shades(4), strict=True):
        write_image(tmp_path / name, x)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden.png").write_text("no picture either")
    frames = read_frames(tmp_path)
    assert frames.fps == DEFAULT_FPS
    for name, x in zip(names, frames, strict=True):
        assert torch.equal(x, read_image(tmp_path / name))


@pytest.mark.parametrize("kind", ["folder", "video"])
def test_frames_are_cropped_to_the_square_that_was_asked_for(tmp_path: Path, kind: str) -> None:
    x = torch.zeros(1, 3, 32, 64)
    x[..., 16:48] = 1
    source = tmp_path if kind == "folder" else tmp_path / "x.mp4"
    write_image(tmp_path / "x.png", x) if kind == "folder" else write_video(source, [x])
    (x_read,) = read_frames(source, size=16)
    assert x_read.shape == (1, 3, 16, 16)
    assert x_read[..., 1:-1].min() > 0.95


def test_a_loop_over_a_video_may_stop_early(tmp_path: Path) -> None:
    write_video(tmp_path / "x.mp4", shades(50))
    first = next(iter(read_frames(tmp_path / "x.mp4")))
    assert first.mean() < 0.1


def test_what_is_no_sequence_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="missing.mp4 does not exist"):
        read_frames(tmp_path / "missing.mp4")
    with pytest.raises(InputError, match="holds no picture"):
        read_frames(tmp_path)
    for content in (b"", b"no video", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/x.ts\n"):
        (tmp_path / "x.mp4").write_bytes(content)
        with pytest.raises(InputError, match="no video that can be read"):
            read_frames(tmp_path / "x.mp4")
    (tmp_path / "x.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="not a picture"):
        read_frames(tmp_path)


def test_a_truncated_video_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    write_video(path, shades(5))
    path.write_bytes(path.read_bytes()[:-600])
    with pytest.raises(InputError, match="damaged"):
        read_frames(path)


def test_a_video_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    path.write_text("old")
    with pytest.raises(InputError, match="frame 3 is 50x32 but the first is 48x32"):
        write_video(path, shades(2) + shades(1, width=50))
    with pytest.raises(InputError, match="no frame"):
        write_video(path, [])
    with pytest.raises(InputError, match="positive"):
        write_video(path, shades(1), fps=0)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(InputError, match="in .mp4 or .gif"):
        write_video(tmp_path / "x.avi", shades(1))
    with pytest.raises(InputError, match="cannot write .*the encoder gave nothing"):
        write_video(tmp_path / "missing" / "x.mp4", shades(1))


def test_a_missing_ffmpeg_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(InputError, match=r"pip install 'interlayer\[video\]'"):
        write_video(tmp_path / "x.mp4", shades(1))

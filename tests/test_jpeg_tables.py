"""What JPEG files say about their compression."""

from pathlib import Path

import numpy as np
import pytest
import scipy.fft
import torch

from interlayer.media.jpeg_tables import JpegTables, standard_tables
from interlayer.media.photos import read_photo

from .photo_files import noise, saved


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_the_quality_of_a_jpeg_file_is_read_exactly(tmp_path: Path, mode: str, subsampling: int):
    levels = noise(16, 16) if mode == "RGB" else noise(16, 16)[..., 0]
    read = []
    for quality in range(1, 101):
        options = {"subsampling": subsampling} if mode == "RGB" else {}
        path = saved(tmp_path / "x.jpg", levels, quality=quality, **options)
        jpeg = read_photo(path).jpeg
        assert jpeg is not None and jpeg.nearest_quality == quality
        read.append(jpeg.quality)
        assert torch.equal(jpeg.luma, standard_tables(quality)[0])
        assert (jpeg.chroma is None) == (mode == "L")
        assert jpeg.subsampling == ((2, 2) if mode == "RGB" and subsampling else (1, 1))
    assert read == list(range(1, 101))


def test_tables_of_no_quality_have_a_nearest_one(tmp_path: Path) -> None:
    luma, chroma = (table.int().flatten().tolist() for table in standard_tables(60))
    luma[5] += 1
    path = saved(tmp_path / "x.jpg", noise(16, 16), qtables=[luma, chroma])
    jpeg = read_photo(path).jpeg
    assert jpeg is not None
    assert jpeg.luma[0, 5] == standard_tables(60)[0][0, 5] + 1  # natural order, rows are vertical
    assert jpeg.quality is None and jpeg.nearest_quality == 60


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_the_tables_are_turned_with_the_photo(tmp_path: Path, orientation: int) -> None:
    grey = 64 + noise(64, 48)[..., 0] // 2
    path = saved(tmp_path / "x.jpg", grey, orientation, quality=40)
    photo = read_photo(path)
    assert photo.jpeg is not None and photo.jpeg.quality == 40
    values = (255 * photo.x[0, 0] - 128).double().numpy()
    height, width = values.shape
    blocks = values.reshape(height // 8, 8, width // 8, 8).swapaxes(1, 2)
    multiples = scipy.fft.dctn(blocks, axes=(2, 3), norm="ortho") / photo.jpeg.luma.numpy()
    assert np.abs(multiples - multiples.round()).max() < 0.2
    wrong = multiples * photo.jpeg.luma.numpy() / photo.jpeg.luma.T.numpy()
    assert np.abs(wrong - wrong.round()).max() > 0.4


@pytest.mark.parametrize(("orientation", "factors"), [(1, (1, 2)), (3, (1, 2)), (8, (2, 1))])
def test_colours_that_are_coarser_one_way_turn_too(
    tmp_path: Path, orientation: int, factors: tuple[int, int]
) -> None:
    path = saved(tmp_path / "x.jpg", noise(32, 48), orientation, subsampling="4:2:2", quality=77)
    jpeg = read_photo(path).jpeg
    assert jpeg is not None and jpeg.subsampling == factors and jpeg.quality == 77


def test_blocks_that_no_longer_begin_at_the_corner_are_not_told(tmp_path: Path) -> None:
    def jpeg(orientation: int) -> JpegTables | None:
        return read_photo(saved(tmp_path / "x.jpg", noise(24, 20), orientation)).jpeg

    assert jpeg(1) is not None and jpeg(5) is not None
    assert jpeg(2) is None  # 20 columns, mirrored, end with half a block
    assert jpeg(4) is None  # of 24 rows, blocks of coarse colours have 16

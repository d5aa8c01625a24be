"""The restoration of the page without a browser: photos, runs and what is kept of them."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from interlayer.app.demo import restore_view
from interlayer.app.demo.restoration import Restored
from interlayer.app.demo.restore_handlers import RestoreHandlers, example_photo
from interlayer.app.demo.visits import CLEARED
from interlayer.generators import ToyGenerator
from interlayer.recipes.restoring import Findings

from .photo_files import noise, noisy_faces
from .wished import STROKE, content_of, kept, photo_of, png_of, visitor, wish_of

TOY = ToyGenerator()


def test_a_run_shows_the_face_and_then_the_whole_photo() -> None:
    handlers = RestoreHandlers(TOY, "toy", 60)
    panels = list(handlers.restore(wish_of(), visitor()))
    around, last = panels[0], panels[-1]
    assert "The photo around the faces" in around[1] and "s left" not in around[1]
    assert "--across: 512; --down: 1024" in around[1]
    _, result, downloads, _ = last
    assert result.index('class="whole"') < result.index('type="range"')
    assert result.index('type="range"') < result.index("of white</li>")
    assert "2 faces were restored. 512x1024 pixels, enlarged 8 times, in" in result
    assert "not evidence" in " ".join(result.split()) and "identify" in result
    assert "interlayer restore &#x27;old photo (1).jpg&#x27;" in downloads
    assert kept(downloads, "restored.png").size == (512, 1024)
    assert 'download="scratches.png"' not in downloads
    assert handlers.visits.running == {}


def test_the_face_under_way_is_shown_with_the_time_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("interlayer.app.demo.restoration.INTERVAL", 0)
    handlers = RestoreHandlers(TOY, "toy", 60)
    shown_live = [panels[1] for panels in handlers.restore(wish_of(), visitor())]
    assert "Face 1 of 2" in shown_live[1] and "s left" in shown_live[1]
    assert "Face 2 of 2" in shown_live[-2] and "--across: 16; --down: 16" in shown_live[-2]


def test_a_restored_photo_has_the_shape_of_what_is_restored() -> None:
    before, after = torch.rand(1, 3, 90, 60), torch.rand(1, 3, 180, 120)
    result = restore_view.compared(Restored(before, after, Findings(), 3, False))
    assert "120x180 pixels, enlarged 2 times" in result
    assert result.count("--across: 120; --down: 180") == 2


def test_stop_keeps_the_best_so_far() -> None:
    handlers = RestoreHandlers(TOY, "toy", 60)
    panels = handlers.restore(wish_of(), visitor())
    next(panels)
    handlers.visits.stop(visitor("another"))
    handlers.visits.stop(visitor())
    (last,) = panels
    assert "The best so far (you stopped it)" in last[1] and 'download="restored.png"' in last[2]
    assert "not finished" in last[1] and "restored." not in last[1]
    *_, last = RestoreHandlers(TOY, "toy", 0).restore(wish_of(), visitor())
    assert "its 0 s were over" in last[1]


def test_brushed_scratches_are_there_to_download() -> None:
    wish = wish_of(brushed=True, strokes=[STROKE])
    *_, last = RestoreHandlers(TOY, "toy", 60).restore(wish, visitor())
    mask = kept(last[2], "scratches.png").convert("L")
    assert mask.size == (64, 128) and mask.getpixel((51, 51)) == 0 and mask.getpixel((5, 5)) == 255


def test_a_photo_without_a_face_is_restored_around_it() -> None:
    photo = photo_of(Image.fromarray(noise(60, 80)))
    assert photo.findings.sentences()[0] == "No face is found"
    wish = wish_of(photo)
    (last,) = RestoreHandlers(TOY, "toy", 60).restore(wish, visitor())
    assert "No face was found; the rest of the photo was restored. 960x720 pixels" in last[1]
    assert "not evidence" not in last[1]  # no face is invented
    assert kept(last[2], "restored.png").size == (960, 720)


def test_a_photo_that_lacks_nothing_is_said_to_be_as_it_was() -> None:
    photo = photo_of(Image.new("RGB", (600, 200), "teal"))
    wish = wish_of(photo)
    (last,) = RestoreHandlers(TOY, "toy", 60).restore(wish, visitor())
    assert "Nothing is seen to be wrong with it: the photo is as it was." in last[1]


def test_a_photo_with_colours_keeps_them_and_says_so() -> None:
    *_, last = RestoreHandlers(TOY, "toy", 60).restore(wish_of(colorize=True), visitor())
    assert "<li>The photo has colours, which its faces keep</li>" in last[1]


def test_a_new_photo_is_examined_and_its_upload_is_gone(tmp_path: Path) -> None:
    upload = tmp_path / "hash" / "group.png"
    upload.parent.mkdir()
    upload.write_bytes(png_of(noisy_faces(2).transpose(Image.Transpose.ROTATE_90)))
    new, painter, about, lines, *rest = RestoreHandlers(TOY, "toy", 60).photo(str(upload))
    assert new.name == "group.png" and not upload.exists()
    assert "128x64" in about and "<li>Noise of" in lines
    assert (painter.props["across"], painter.props["down"]) == (512, 256)
    assert rest[-4:] == [*CLEARED, None]


def test_a_broken_photo_clears_the_one_before(tmp_path: Path) -> None:
    upload = tmp_path / "hash" / "photo.jpg"
    upload.parent.mkdir()
    upload.write_bytes(b"\xff\xd8 no more")
    new, painter, about, lines, *rest = RestoreHandlers(TOY, "toy", 60).photo(str(upload))
    assert new is None and painter.props["picture"] == "" and lines == ""
    assert 'role="alert"' in about and "this file" in about and str(tmp_path) not in about
    assert rest[-4:] == [*CLEARED, None] and not upload.exists()


def test_the_example_is_a_grey_photo_with_a_face_that_the_visitor_can_keep() -> None:
    handlers = RestoreHandlers(TOY, "toy", 60)
    example, *_ = handlers.example()
    found = example.findings
    assert len(found.faces) == 1 and found.toned and found.jpeg and found.noise > 0.02
    *_, last = handlers.restore(wish_of(example), visitor())
    assert content_of(last[2], "example.jpg") == example_photo()
    assert "interlayer restore example.jpg " in last[2]

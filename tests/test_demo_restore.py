"""The restoration of the page without a browser: findings, corrections, runs."""

import base64
import io
import re
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
import torch
from PIL import Image

from interlayer.app import cli, restore
from interlayer.app.demo import restore_view
from interlayer.app.demo.restoration import Restored
from interlayer.app.demo.restore_handlers import RestoreHandlers, example_photo
from interlayer.app.demo.visits import CLEARED
from interlayer.app.demo.wishes import (
    ALL,
    LARGEST,
    Dropped,
    Wish,
    command,
    dropped,
    plan_of,
    scratches,
    shown,
    wishes_of,
)
from interlayer.errors import InputError
from interlayer.generators import ToyGenerator
from interlayer.problem.blur_level import Blur
from interlayer.recipes.restoring import Findings
from interlayer.weights import loading

from .photo_files import ORIENTATION, noisy_faces

TOY = ToyGenerator()
STROKE = [0.1, 0.3, 0.3, 0.5, 0.5]
EVERYTHING: dict[str, Any] = {
    **{"brushed": True, "strokes": [STROKE], "faces": LARGEST, "noise": 5.37, "jpeg": False},
    **{"blur": "line", "size": 2.5, "angle": 30, "colorize": True, "seed": 3},
}


@pytest.fixture(scope="module")
def held() -> Dropped:
    """A photo with two faces, one above the other, as a JPEG file; turned by its EXIF."""
    content, exif = io.BytesIO(), Image.Exif()
    exif[ORIENTATION] = 6
    turned = noisy_faces(2).transpose(Image.Transpose.ROTATE_90)
    turned.save(content, format="JPEG", quality=95, exif=exif)
    return dropped("old photo (1).jpg", content.getvalue())[0]


@pytest.fixture
def wish_of(held: Dropped) -> Callable[..., Wish]:
    """Makes a wish in which nothing is corrected but what is said."""

    def wished(found: Findings | None = None, **changes: Any) -> Wish:
        photo = replace(held, findings=found or held.findings)
        fields = shown(photo.findings)
        plain = Wish(photo, False, [], False, ALL, **fields, quality="draft", seed=0)
        return plain._replace(**changes)

    return wished


@pytest.fixture
def request_of() -> Callable:
    return lambda session: gr.Request(session_hash=session)


def file_of(picture: Image.Image) -> bytes:
    content = io.BytesIO()
    picture.save(content, format="PNG")
    return content.getvalue()


def kept(downloads: str, name: str) -> Image.Image:
    """A picture among the links to download."""
    return Image.open(io.BytesIO(content_of(downloads, name)))


def content_of(downloads: str, name: str) -> bytes:
    url = re.search(f'download="{name}" href="data:image/[a-z]+;base64,([^"]+)"', downloads)
    assert url is not None
    return base64.b64decode(url.group(1))


def plan(wish: Wish) -> Any:
    assert wish.dropped is not None
    return plan_of(wish, wish.dropped.photo())


def test_what_is_not_corrected_stays_exactly_as_it_was_found(wish_of: Callable) -> None:
    found = Findings(noise=0.0512, blur=Blur("disc", 1.74), jpeg=True)
    wish = wish_of(found)
    assert wish.noise == 5.1 and wish.size == 1.7
    assert plan(wish).findings.__dict__ == found.__dict__
    assert (
        plan(wish_of(found, noise=None, size=None, angle=None)).findings.__dict__ == found.__dict__
    )


def test_corrections_replace_what_was_found(wish_of: Callable, held: Dropped) -> None:
    told = {"noise": 8, "blur": "line", "size": 12, "angle": 30, "jpeg": False}
    planned = plan(wish_of(**told, faces=LARGEST, colorize=True))
    assert planned.colorize and planned.findings.noise == 0.08
    assert planned.findings.blur == Blur("line", 12, 30) and not planned.findings.jpeg
    assert held.findings.jpeg and len(held.findings.faces) == 2
    assert planned.findings.faces == held.findings.faces[:1]
    blurred = Findings(blur=Blur("disc", 1.74))
    assert plan(wish_of(blurred, blur="none")).findings.blur == Blur("none")


def test_the_steps_of_a_file_that_has_none_are_not_taken_into_account() -> None:
    photo, _ = dropped("faces.png", file_of(noisy_faces(1)))
    fields = shown(photo.findings) | {"jpeg": True}
    wish = Wish(photo, False, [], False, ALL, **fields, quality="draft", seed=0)
    assert plan(wish).findings.jpeg is False


def test_what_is_brushed_over_is_not_known(wish_of: Callable) -> None:
    known = plan(wish_of(brushed=True, strokes=[STROKE])).findings.known
    assert known.shape == (1, 1, 128, 64) and known.dtype == torch.bool
    assert not known[0, 0, 51, 51] and known[0, 0, 5, 5]
    assert plan(wish_of(brushed=False, strokes=[STROKE])).findings.known is None


def test_scratches_are_not_taken_for_noise(wish_of: Callable) -> None:
    picture = noisy_faces(1)
    picture.paste(Image.effect_noise((64, 20), 250), (0, 0))
    photo, _ = dropped("torn.png", file_of(picture))
    torn = shown(photo.findings)
    stroke = [0.34, 0, 0.16, 1, 0.16]
    wish = Wish(photo, True, [stroke], False, ALL, **torn, quality="draft", seed=0)
    assert plan(wish).findings.noise < photo.findings.noise - 0.02
    assert plan(wish._replace(noise=4)).findings.noise == 0.04


def test_holes_of_the_file_stay_holes_under_the_brush() -> None:
    picture = noisy_faces(1).convert("RGBA")
    picture.paste((0, 0, 0, 0), (0, 0, 64, 8))
    photo, _ = dropped("torn.png", file_of(picture))
    fields = shown(photo.findings)
    wish = Wish(photo, True, [STROKE], False, ALL, **fields, quality="draft", seed=0)
    known = plan(wish).findings.known
    assert not known[0, 0, 26, 26] and not known[0, 0, 5, 5] and known[0, 0, 60, 50]
    brushed = scratches(wish, photo.photo())
    assert brushed is not None and not brushed[0, 0, 26, 26] and brushed[0, 0, 5, 5]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"dropped": None}, "no photo yet"),
        ({"noise": 120}, "noise must be between 0 and 100, not 120"),
        ({"noise": float("nan")}, "noise must be between"),
        ({"blur": "gaussian", "size": 0}, "size of the blur is 0"),
        ({"blur": "line", "size": 3, "angle": 200}, "direction must be between 0 and 180"),
        ({"brushed": True, "strokes": [[0.1, "a"]]}, "cannot be read"),
    ],
)
def test_a_senseless_wish_is_one_sentence(
    wish_of: Callable, held: Dropped, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        plan_of(wish_of(**changes), held.photo())


def test_the_command_says_what_was_corrected_and_nothing_else(wish_of: Callable) -> None:
    words = shlex.split(command(wish_of(), "toy"))
    assert words[:3] == ["interlayer", "restore", "old photo (1).jpg"]
    assert words[3:] == [
        *("--quality", "draft", "--seed", "0"),
        *("--generator", "toy", "--out", "restored"),
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        EVERYTHING,
        {"blur": "gaussian", "size": 0.3, "noise": 0},
        {"blur": "disc", "size": 1 / 3, "noise": 100 / 3},
        {"blur": "line", "size": 7, "angle": 180},
        {"noise": 0.0001, "quality": "best"},
    ],
)
def test_the_command_line_reads_what_the_page_writes(
    monkeypatch: pytest.MonkeyPatch, wish_of: Callable, tmp_path: Path, changes: dict[str, Any]
) -> None:
    read = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loading, "load", lambda name, note: read.append(name) or TOY)
    monkeypatch.setattr(restore, "restore_all", lambda *given: read.extend(given))
    wish = wish_of(**changes)
    wish = wish._replace(dropped=replace(wish.dropped, name="-1.jpg"))
    type_in(monkeypatch, command(wish, "a generator's file"))
    assert read[0] == "a generator's file"
    assert read[1:] == [[Path("-1.jpg")], Path("restored"), wishes_of(wish), TOY]


@pytest.mark.parametrize("changes", [{}, EVERYTHING], ids=["nothing", "everything"])
def test_the_command_repeats_the_restoration_to_the_bit(
    monkeypatch: pytest.MonkeyPatch,
    wish_of: Callable,
    request_of: Callable,
    tmp_path: Path,
    changes: dict[str, Any],
) -> None:
    wish = wish_of(**changes)
    *_, last = RestoreHandlers(TOY, "toy", 60).restore(wish, request_of("tab"))
    (tmp_path / wish.dropped.name).write_bytes(wish.dropped.content)
    if wish.brushed:
        kept(last[2], "scratches.png").save(tmp_path / "scratches.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loading, "load", lambda name, note: TOY)
    type_in(monkeypatch, command(wish, "toy"))
    with Image.open(tmp_path / "restored" / "old photo (1).png") as again:
        assert again.tobytes() == kept(last[2], "restored.png").tobytes()


def type_in(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """Have the command line do what a shell would hand to it, without a complaint."""
    monkeypatch.setattr(sys, "argv", shlex.split(line))
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert not caught.value.code


def test_a_run_shows_the_face_and_then_the_whole_photo(
    wish_of: Callable, request_of: Callable
) -> None:
    handlers = RestoreHandlers(TOY, "toy", 60)
    panels = list(handlers.restore(wish_of(), request_of("tab")))
    around, last = panels[0], panels[-1]
    assert "The photo around the faces" in around[1] and "s left" not in around[1]
    assert "--across: 512; --down: 1024" in around[1]
    _, result, downloads, _ = last
    assert result.index('class="whole"') < result.index('type="range"')
    assert result.index('type="range"') < result.index("of white</li>")
    assert "2 faces were restored. 512x1024 pixels, enlarged 8 times, in" in result
    assert "The photo is taken as" in result
    assert "not evidence" in " ".join(result.split()) and "identify" in result
    assert "interlayer restore &#x27;old photo (1).jpg&#x27;" in downloads
    assert kept(downloads, "restored.png").size == (512, 1024)
    assert 'download="scratches.png"' not in downloads
    assert handlers.visits.running == {}


def test_the_face_under_way_is_shown_with_the_time_left(
    monkeypatch: pytest.MonkeyPatch, wish_of: Callable, request_of: Callable
) -> None:
    monkeypatch.setattr("interlayer.app.demo.restoration.INTERVAL", 0)
    handlers = RestoreHandlers(TOY, "toy", 60)
    shown_live = [panels[1] for panels in handlers.restore(wish_of(), request_of("tab"))]
    assert "Face 1 of 2" in shown_live[1] and "s left" in shown_live[1]
    assert "Face 2 of 2" in shown_live[-2] and "--across: 16; --down: 16" in shown_live[-2]


def test_a_restored_photo_has_the_shape_of_what_is_restored() -> None:
    before, after = torch.rand(1, 3, 90, 60), torch.rand(1, 3, 180, 120)
    result = restore_view.compared(Restored(before, after, Findings(), 3, False))
    assert "120x180 pixels, enlarged 2 times" in result
    assert result.count("--across: 120; --down: 180") == 2


def test_stop_keeps_the_best_so_far(wish_of: Callable, request_of: Callable) -> None:
    handlers = RestoreHandlers(TOY, "toy", 60)
    panels = handlers.restore(wish_of(), request_of("tab"))
    next(panels)
    handlers.visits.stop(request_of("another"))
    handlers.visits.stop(request_of("tab"))
    (last,) = panels
    assert "The best so far (you stopped it)" in last[1] and 'download="restored.png"' in last[2]
    assert "not finished" in last[1] and "restored." not in last[1]
    *_, last = RestoreHandlers(TOY, "toy", 0).restore(wish_of(), request_of("tab"))
    assert "its 0 s were over" in last[1]


def test_brushed_scratches_are_there_to_download(wish_of: Callable, request_of: Callable) -> None:
    wish = wish_of(brushed=True, strokes=[STROKE])
    *_, last = RestoreHandlers(TOY, "toy", 60).restore(wish, request_of("tab"))
    mask = kept(last[2], "scratches.png").convert("L")
    assert mask.size == (64, 128) and mask.getpixel((51, 51)) == 0 and mask.getpixel((5, 5)) == 255


def test_a_photo_without_a_face_is_restored_around_it(request_of: Callable) -> None:
    noisy = Image.effect_noise((80, 60), 40).convert("RGB")
    photo, _ = dropped("night.png", file_of(noisy))
    assert photo.findings.sentences()[0] == "No face is found"
    fields = shown(photo.findings)
    wish = Wish(photo, False, [], False, ALL, **fields, quality="draft", seed=0)
    (last,) = RestoreHandlers(TOY, "toy", 60).restore(wish, request_of("tab"))
    assert "No face was found; the rest of the photo was restored. 960x720 pixels" in last[1]
    assert "not evidence" not in last[1]  # no face is invented
    assert kept(last[2], "restored.png").size == (960, 720)


def test_a_photo_that_lacks_nothing_is_said_to_be_as_it_was(request_of: Callable) -> None:
    photo, _ = dropped("wall.png", file_of(Image.new("RGB", (600, 200), "teal")))
    fields = shown(photo.findings)
    wish = Wish(photo, False, [], False, ALL, **fields, quality="draft", seed=0)
    (last,) = RestoreHandlers(TOY, "toy", 60).restore(wish, request_of("tab"))
    assert "nothing else to restore: the photo is as it was" in last[1]


def test_a_photo_with_colours_keeps_them_and_says_so(
    wish_of: Callable, request_of: Callable
) -> None:
    *_, last = RestoreHandlers(TOY, "toy", 60).restore(wish_of(colorize=True), request_of("tab"))
    assert "<li>The photo has colours, which its faces keep</li>" in last[1]


def test_a_new_photo_is_examined_and_its_upload_is_gone(tmp_path: Path) -> None:
    upload = tmp_path / "hash" / "group.png"
    upload.parent.mkdir()
    upload.write_bytes(file_of(noisy_faces(2).transpose(Image.Transpose.ROTATE_90)))
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


def test_the_example_is_a_grey_photo_with_a_face_that_the_visitor_can_keep(
    request_of: Callable,
) -> None:
    handlers = RestoreHandlers(TOY, "toy", 60)
    example, *_ = handlers.example()
    found = example.findings
    assert len(found.faces) == 1 and found.toned and found.jpeg and found.noise > 0.02
    fields = shown(found)
    wish = Wish(example, False, [], False, ALL, **fields, quality="draft", seed=0)
    *_, last = handlers.restore(wish, request_of("tab"))
    assert content_of(last[2], "example.jpg") == example_photo()
    assert "interlayer restore example.jpg " in last[2]

"""The restoration of the page without a browser: findings, corrections, runs."""

import base64
import io
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
import torch
from PIL import Image

from interlayer.app.demo import restore_view
from interlayer.app.demo.restoration import Restored
from interlayer.app.demo.restore_handlers import RestoreHandlers, example_photo
from interlayer.app.demo.visits import CLEARED
from interlayer.app.demo.wishes import ALL, LARGEST, Wish, command, dropped, plan_of, shown
from interlayer.errors import InputError
from interlayer.generators import ToyGenerator

from . import restoring_stub

TOY = ToyGenerator()
STROKE = [0.1, 0.3, 0.3, 0.5, 0.5]


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    restoring_stub.put_in_place(monkeypatch)


@pytest.fixture
def request_of() -> Callable:
    return lambda session: gr.Request(session_hash=session)


def file_of(size: tuple[int, int] = (60, 90), colour: str = "teal") -> bytes:
    content = io.BytesIO()
    Image.new("RGB", size, colour).save(content, format="PNG")
    return content.getvalue()


def kept(downloads: str, name: str) -> Image.Image:
    """A picture among the links to download."""
    url = re.search(f'download="{name}" href="data:image/png;base64,([^"]+)"', downloads)
    assert url is not None
    return Image.open(io.BytesIO(base64.b64decode(url.group(1))))


def wish_of(**changes: Any) -> Wish:
    held, _ = dropped("old photo.png", file_of())
    fields = shown(held.findings)
    return Wish(held, False, [], False, ALL, **fields, quality="draft", seed=0)._replace(**changes)


def plan(wish: Wish) -> Any:
    assert wish.dropped is not None
    return plan_of(wish, wish.dropped.photo())


def test_what_is_not_corrected_stays_exactly_as_it_was_found() -> None:
    wish = wish_of()
    assert wish.noise == 5.1 and wish.size == 1.7
    found, planned = wish.dropped.findings, plan(wish).findings  # type: ignore[union-attr]
    assert planned.noise == found.noise == 0.0512
    assert planned.blur == found.blur and planned.faces == found.faces
    assert planned.known is None and planned.jpeg is False
    assert plan(wish_of(noise=None, size=None, angle=None)).findings.noise == found.noise


def test_corrections_replace_what_was_found() -> None:
    wish = wish_of(noise=8, blur="line", size=12, angle=30, jpeg=True, faces=LARGEST, colorize=True)
    planned = plan(wish)
    assert planned.colorize and planned.findings.toned and planned.findings.jpeg
    assert planned.findings.noise == 0.08
    assert planned.findings.blur.shape == "line"
    assert (planned.findings.blur.size, planned.findings.blur.angle) == (12, 30)
    assert planned.findings.faces == wish.dropped.findings.faces[:1]  # type: ignore[union-attr]
    assert plan(wish_of(blur="none")).findings.blur.size == 0


def test_what_is_brushed_over_is_not_known() -> None:
    known = plan(wish_of(brushed=True, strokes=[STROKE])).findings.known
    assert known.shape == (1, 1, 90, 60) and known.dtype == torch.bool
    assert not known[0, 0, 36, 36] and known[0, 0, 5, 5]
    assert plan(wish_of(brushed=False, strokes=[STROKE])).findings.known is None


def test_scratches_are_not_taken_for_noise_or_blur() -> None:
    brushed = plan(wish_of(brushed=True, strokes=[STROKE])).findings
    assert brushed.noise == 0.03  # the small engine finds less noise without the scratches
    assert plan(wish_of(brushed=True, strokes=[STROKE], noise=8)).findings.noise == 0.08
    assert plan(wish_of()).findings.noise == 0.0512


def test_holes_of_the_file_stay_holes_under_the_brush() -> None:
    wish = wish_of(brushed=True, strokes=[STROKE])
    holes = torch.ones(1, 1, 90, 60, dtype=torch.bool)
    holes[..., :10] = False
    object.__setattr__(wish.dropped.findings, "known", holes)  # type: ignore[union-attr]
    known = plan(wish).findings.known
    assert not known[0, 0, 36, 36] and not known[0, 0, 5, 5] and known[0, 0, 80, 50]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"dropped": None}, "no photo yet"),
        ({"noise": 120}, "noise must be between 0 and 100, not 120"),
        ({"noise": float("nan")}, "noise must be between"),
        ({"blur": "gaussian", "size": 0}, "size of the blur is 0"),
        ({"blur": "line", "angle": 200}, "direction must be between 0 and 180"),
        ({"brushed": True, "strokes": [[0.1, "a"]]}, "cannot be read"),
    ],
)
def test_a_senseless_wish_is_one_sentence(changes: dict[str, Any], says: str) -> None:
    photo = wish_of().dropped.photo()  # type: ignore[union-attr]
    with pytest.raises(InputError, match=says):
        plan_of(wish_of(**changes), photo)


def test_the_command_says_what_was_corrected_and_nothing_else() -> None:
    def words(**changes: Any) -> list[str]:
        wish = wish_of(**changes)
        return shlex.split(command(wish, plan(wish), "toy"))

    plain = words()
    assert plain[:3] == ["interlayer", "restore", "old photo.png"]
    assert plain[3:] == [
        *("--quality", "draft", "--seed", "0"),
        *("--generator", "toy", "--out", "restored.png"),
    ]
    told = words(brushed=True, strokes=[STROKE], faces=LARGEST, noise=8, blur="none", jpeg=True)
    assert told[3:14] == [
        *("--mask", "scratches.png", "--mask-is", "known", "--faces", "1"),
        *("--noise", "0.08", "--blur", "none", "--jpeg"),
    ]
    assert "--noise" not in words(brushed=True, strokes=[STROKE])
    assert "line:12:30" in words(blur="line", size=12, angle=30)
    assert "--colorize" in words(colorize=True)


def test_a_run_shows_the_face_and_then_the_whole_photo(request_of: Callable) -> None:
    handlers = RestoreHandlers(TOY, "toy", 60)
    first, *_, last = handlers.restore(wish_of(), request_of("tab"))
    assert "Face 1 of 2" in first[1] and "s left" in first[1]
    _, result, downloads, _ = last
    assert result.index('class="whole"') < result.index('type="range"')
    assert result.index('type="range"') < result.index("The noise is 5.1% of white.")
    assert "2 faces in" in result and "60x90 pixels" in result
    assert "not evidence" in " ".join(result.split()) and "identify" in result
    assert "interlayer restore &#x27;old photo.png&#x27;" in downloads
    assert kept(downloads, "restored.png").size == (60, 90)
    assert handlers.visits.running == {}


def test_a_photo_that_was_enlarged_is_kept_at_its_new_size() -> None:
    found = restoring_stub.examine(wish_of().dropped.photo())  # type: ignore[union-attr]
    restored = Restored(torch.rand(1, 3, 90, 60), torch.rand(1, 3, 180, 120), found, 3, False)
    result, downloads = (
        restore_view.compared(restored),
        restore_view.downloads(restored, "interlayer", None),
    )
    assert "120x180 pixels" in result and result.count("--across: 120; --down: 180") == 2
    assert kept(downloads, "restored.png").size == (120, 180)


def test_stop_keeps_the_best_so_far(request_of: Callable) -> None:
    handlers = RestoreHandlers(TOY, "toy", 60)
    panels = handlers.restore(wish_of(), request_of("tab"))
    next(panels)
    handlers.visits.stop(request_of("another"))
    handlers.visits.stop(request_of("tab"))
    (last,) = panels
    assert "The best so far (you stopped it)" in last[1] and 'download="restored.png"' in last[2]
    *_, last = RestoreHandlers(TOY, "toy", 0).restore(wish_of(), request_of("tab"))
    assert "its 0 s were over" in last[1]


def test_brushed_scratches_are_there_to_download(request_of: Callable) -> None:
    wish = wish_of(brushed=True, strokes=[STROKE])
    *_, last = RestoreHandlers(TOY, "toy", 60).restore(wish, request_of("tab"))
    mask = kept(last[2], "scratches.png").convert("L")
    assert mask.size == (60, 90) and mask.getpixel((36, 36)) == 0 and mask.getpixel((5, 5)) == 255


def test_a_photo_without_a_face_is_said_and_nothing_is_shown(request_of: Callable) -> None:
    held, _ = dropped("night.png", file_of(colour="black"))
    (panels,) = RestoreHandlers(TOY, "toy", 60).restore(wish_of(dropped=held), request_of("tab"))
    assert "no face was found" in panels[0] and panels[1:3] == ("", "")


def test_a_new_photo_is_examined_and_its_upload_is_gone(tmp_path: Path) -> None:
    upload = tmp_path / "hash" / "group.png"
    upload.parent.mkdir()
    upload.write_bytes(file_of((90, 60)))
    held, painter, about, lines, *rest = RestoreHandlers(TOY, "toy", 60).photo(str(upload))
    assert held.name == "group.png" and not upload.exists()
    assert "90x60" in about and "<li>2 faces are in it.</li>" in lines
    assert (painter.props["across"], painter.props["down"]) == (512, 341)
    assert rest[-4:] == [*CLEARED, None]


def test_a_broken_photo_clears_the_one_before(tmp_path: Path) -> None:
    upload = tmp_path / "hash" / "photo.jpg"
    upload.parent.mkdir()
    upload.write_bytes(b"\xff\xd8 no more")
    held, painter, about, lines, *rest = RestoreHandlers(TOY, "toy", 60).photo(str(upload))
    assert held is None and painter.props["picture"] == "" and lines == ""
    assert 'role="alert"' in about and "this file" in about and str(tmp_path) not in about
    assert rest[-4:] == [*CLEARED, None] and not upload.exists()


def test_the_example_is_a_grey_photo_that_is_not_square() -> None:
    picture = Image.open(io.BytesIO(example_photo()))
    assert picture.format == "JPEG" and picture.width != picture.height
    red, _, blue = picture.convert("RGB").split()
    assert abs(red.resize((1, 1)).getpixel((0, 0)) - blue.resize((1, 1)).getpixel((0, 0))) <= 1  # type: ignore[operator]

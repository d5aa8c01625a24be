"""The page without a browser: what its choices mean and what its runs give."""

import contextlib
import json
import runpy
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import interlayer
from interlayer.app.approach import Approach
from interlayer.app.cli import app
from interlayer.app.demo import pictures, view
from interlayer.app.demo.choices import DAMAGES, MASK_FILE, PAINT, methods, qualities, task_of
from interlayer.app.demo.command import serve_page
from interlayer.app.demo.handlers import Chosen, Handlers
from interlayer.app.demo.run import Ending, Order, Update, fulfil
from interlayer.app.demo.visits import CLEARED
from interlayer.app.results import PSNR
from interlayer.errors import InputError
from interlayer.generators import ToyGenerator
from interlayer.problem.tasks import make_physics
from interlayer.weights import loading

TOY = ToyGenerator()
STROKE = [0.4, 0.2, 0.5, 0.8, 0.5]


def order_of(damage: str = "inpaint", level: float = 30, samples: int = 1) -> Order:
    masks = {MASK_FILE: pictures.painted_mask([STROKE], (16, 16))} if damage == PAINT else {}
    approach = Approach("ilo", "draft", seed=3, samples=samples)
    return Order(pictures.drawn(TOY, 5), task_of(damage, level, 16), approach, masks)


def ending_of(order: Order, **settings: Any) -> Ending:
    *_, last = fulfil(order, TOY, "toy", **settings)
    assert isinstance(last, Ending)
    return last


@pytest.mark.parametrize("name", DAMAGES)
def test_every_level_of_every_damage_is_a_task(name: str) -> None:
    damage = DAMAGES[name]
    for level in (damage.low, damage.default, damage.high):
        masks = {MASK_FILE: torch.ones(1, 1, 64, 64)}
        physics = make_physics(task_of(name, level, 64), (3, 64, 64), tensors=masks)
        assert physics(torch.rand(1, 3, 64, 64)).isfinite().all()


def test_choices_are_pairs_of_words_and_name() -> None:
    assert ("Quick (draft)", "draft") in qualities()
    assert "ilo" in dict(methods()).values()
    with pytest.raises(InputError, match="not on the list"):
        task_of("my_operator.py:make_physics", 1, 16)


@pytest.mark.parametrize(("damage", "samples"), [("circulant", 1), ("circulant", 2), (PAINT, 1)])
@pytest.mark.parametrize("again", ["command", "python"])
def test_what_repeats_a_run_repeats_it(
    damage: str, samples: int, again: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ending = ending_of(order_of(damage, samples=samples))
    for name, content in ending.files.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.setattr(loading, "load", lambda *args, **kwargs: TOY)
    monkeypatch.setattr(interlayer, "load", lambda name: TOY)
    with contextlib.chdir(tmp_path):
        if again == "command":
            words = shlex.split(Path("repeat.sh").read_text())
            assert words.pop(0) == "interlayer"
            assert CliRunner().invoke(app, words).exit_code == 0
            repeated = json.loads(Path("repeated/input/result.json").read_text())["psnr"]
        else:
            values = runpy.run_path("repeat.py")
            repeated = PSNR()(values["x_hat"], values["x"]).item()
    assert repeated == ending.result["psnr"]


def test_a_run_gives_updates_and_every_file_there_is_a_link_for() -> None:
    first, *_, last = fulfil(order_of(PAINT), TOY, "toy")
    assert isinstance(first, Update) and isinstance(last, Ending)
    assert set(last.files) == set(view.DOWNLOADS) - {"std.png"}
    assert json.loads(last.files["result.json"]) == last.result
    for name in last.files:
        assert f'download="{name}"' in view.downloads(last)


def test_several_solutions_are_shown_with_their_spread() -> None:
    ending = ending_of(order_of(PAINT, samples=2))
    assert {"sample1.png", "sample2.png", "std.png"} <= set(ending.files)
    shown = view.compared(ending)
    assert "Solution 2" in shown and "uncertainty map" in shown
    assert 'download="std.png"' in view.downloads(ending)
    assert "uncertainty map" not in view.compared(ending_of(order_of(PAINT)))


@pytest.mark.parametrize("limit", [{"stopped": lambda: True}, {"max_seconds": 0}])
def test_a_run_that_is_stopped_gives_the_best_so_far(limit: dict[str, Any]) -> None:
    ending = ending_of(order_of(), **limit)
    assert ending.result["interrupted"] and ending.result["steps"] == 1
    assert not ending_of(order_of()).result["interrupted"]


def test_strokes_become_holes() -> None:
    mask = pictures.painted_mask([STROKE], (16, 16))
    assert mask.shape == (1, 1, 16, 16)
    assert mask[0, 0, 8, 8] == 0 and mask[0, 0, 0, 0] == 1
    fine = pictures.painted_mask([STROKE], (256, 256))
    assert abs(fine.mean() - mask.mean()) < 0.02


@pytest.mark.parametrize("size", [(30, 90), (90, 30), (1500, 4500)])
def test_strokes_are_measured_by_the_longer_side(size: tuple[int, int]) -> None:
    longer = max(size)
    mask = pictures.painted_mask([[0.1, 0.1, 0.1, 0.2, 0.2]], size)
    assert mask.shape == (1, 1, *size)
    (rows, columns) = (mask[0, 0] == 0).nonzero(as_tuple=True)
    for places in (rows, columns):
        first, last = places.min().item() / longer, (places.max().item() + 1) / longer
        assert abs(first - 0.05) < 0.012 and abs(last - 0.25) < 0.012


@pytest.mark.parametrize(
    ("strokes", "says"),
    [
        ([], "nothing is painted"),
        ([[1.0, 0.0, 0.5, 1.0, 0.5]] * 2, "everything is painted"),
        ([[0.1, 0.5]], "cannot be read"),
        ([[0.1, 0.5, float("nan")]], "cannot be read"),
        ([[0.1, "a", "b"]], "cannot be read"),
        (None, "cannot be read"),
        ([[0.1, *[0.5] * 200_000]], "cannot be read"),
    ],
)
def test_a_bad_painting_is_one_sentence(strokes: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        pictures.painted_mask(strokes, (16, 16))


def test_a_photo_is_aligned_or_cut_to_its_middle(tmp_path: Path) -> None:
    face, empty = tmp_path / "face.png", tmp_path / "empty.png"
    pictures.sample_photo("astronaut")
    pictures.to_picture(pictures.sample_photo("astronaut")).save(face)
    Image.new("RGB", (300, 200), "white").save(empty)
    aligned, found = pictures.framed(face, 64)
    middle, missing = pictures.framed(empty, 64)
    assert aligned.size == middle.size == (64, 64)
    assert "was found" in found and "no face was found" in missing


@pytest.mark.parametrize("size", [(8000, 6250), (7, 7), None])
def test_an_unsuitable_upload_is_refused_without_its_path_and_removed(
    size: tuple[int, int] | None, tmp_path: Path
) -> None:
    upload = tmp_path / "hash" / "photo.png"
    upload.parent.mkdir()
    (tmp_path / "tmpempty").touch()
    if size is None:
        upload.write_bytes(b"no picture")
    else:
        Image.new("1", size).save(upload)
    picture, _, sentence, *emptied = Handlers(TOY, "toy", 60).photo(str(upload))
    assert picture is None and emptied == [*CLEARED, None]
    assert 'role="alert"' in sentence and "Sorry: " in sentence
    assert str(tmp_path) not in sentence
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_a_sentence_is_text_and_no_markup() -> None:
    assert "<b>" not in view.note("<b>a.png</b> is damaged")


@pytest.mark.parametrize(
    ("fail", "says", "hides"),
    [(InputError("too few"), "too few", "Error"), (OSError("/secret"), "log", "/secret")],
)
def test_a_failure_is_one_sentence(
    fail: Exception, says: str, hides: str, monkeypatch: pytest.MonkeyPatch, request_of: Callable
) -> None:
    def failing(*args: Any, **kwargs: Any) -> None:
        raise fail

    monkeypatch.setattr("interlayer.app.demo.handlers.fulfil", failing)
    handlers = Handlers(TOY, "toy", 60)
    chosen = Chosen(pictures.drawn(TOY, 0), [], "inpaint", 30, "ilo", "draft", 0, 1)
    (panels,) = handlers.recover(chosen, request_of("tab"))
    assert says in panels[0] and hides not in panels[0]
    assert handlers.visits.running == {}


def test_without_a_picture_nothing_is_recovered(request_of: Callable) -> None:
    chosen = Chosen(None, [], "inpaint", 30, "ilo", "draft", 0, 1)
    (panels,) = Handlers(TOY, "toy", 60).recover(chosen, request_of("tab"))
    assert "no picture yet" in panels[0] and panels[1:3] == ("", "")


def test_stopping_one_visitor_leaves_the_others(request_of: Callable) -> None:
    handlers = Handlers(TOY, "toy", 60)
    chosen = Chosen(pictures.drawn(TOY, 0), [], "inpaint", 30, "ilo", "draft", 0, 1)
    runs = [handlers.recover(chosen, request_of(tab)) for tab in ("a", "b")]
    for panels in runs:
        next(panels)
    handlers.visits.stop(request_of("a"))
    stopped, finished = (list(panels)[-1][1] for panels in runs)
    assert "you stopped it" in stopped and "you stopped it" not in finished


@pytest.fixture
def request_of() -> Callable:
    import gradio as gr

    return lambda session: gr.Request(session_hash=session)


@pytest.mark.parametrize("auth", ["ada", ":secret", "ada:"])
def test_half_of_a_login_is_refused(auth: str) -> None:
    with pytest.raises(InputError, match="USER:PASSWORD"):
        serve_page(auth=auth)

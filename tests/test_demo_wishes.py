"""What a visitor corrects, and the command line that does the same."""

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from interlayer.app import cli, restore
from interlayer.app.demo.restore_handlers import RestoreHandlers
from interlayer.app.demo.wishes import LARGEST, Wish, command, plan_of, scratches, wishes_of
from interlayer.errors import InputError
from interlayer.generators import ToyGenerator
from interlayer.problem.blur_level import Blur
from interlayer.recipes.restoring import Findings, Plan
from interlayer.weights import loading

from .photo_files import noise, noisy_faces
from .wished import EVERYTHING, STROKE, kept, photo_of, two_faces, visitor, wish_of

TOY = ToyGenerator()


def plan(wish: Wish) -> Plan:
    assert wish.dropped is not None
    return plan_of(wish, wish.dropped.photo())


def type_in(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """Have the command line do what a shell would hand to it, without a complaint."""
    monkeypatch.setattr(sys, "argv", shlex.split(line))
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert not caught.value.code


def test_what_is_not_corrected_stays_exactly_as_it_was_found() -> None:
    found = Findings(noise=0.0512, blur=Blur("disc", 1.74), jpeg=True)
    wish = wish_of(replace(two_faces(), findings=found))
    assert wish.noise == 5.1 and wish.size == 1.7
    for emptied in ({}, {"noise": None, "size": None, "angle": None}):
        assert vars(plan(wish._replace(**emptied)).findings) == vars(found)


def test_corrections_replace_what_was_found() -> None:
    found = two_faces().findings
    told = {"noise": 8, "blur": "line", "size": 12, "angle": 30, "jpeg": False}
    planned = plan(wish_of(faces=LARGEST, colorize=True)._replace(**told))
    assert planned.colorize and planned.findings.noise == 0.08
    assert planned.findings.blur == Blur("line", 12, 30) and not planned.findings.jpeg
    assert found.jpeg and len(found.faces) == 2
    assert planned.findings.faces == found.faces[:1]
    blurred = replace(two_faces(), findings=Findings(blur=Blur("disc", 1.74)))
    assert plan(wish_of(blurred, blur="none")).findings.blur == Blur("none")


def test_the_steps_of_a_file_that_has_none_are_not_taken_into_account() -> None:
    photo = photo_of(noisy_faces(1))
    assert plan(wish_of(photo, jpeg=True)).findings.jpeg is False


def test_what_is_brushed_over_is_not_known() -> None:
    known = plan(wish_of(brushed=True, strokes=[STROKE])).findings.known
    assert known is not None and known.shape == (1, 1, 128, 64) and known.dtype == torch.bool
    assert not known[0, 0, 51, 51] and known[0, 0, 5, 5]
    assert plan(wish_of(brushed=False, strokes=[STROKE])).findings.known is None


def test_scratches_are_not_taken_for_noise() -> None:
    picture = noisy_faces(1)
    picture.paste(Image.fromarray(noise(20, 64)), (0, 0))
    photo = photo_of(picture)
    wish = wish_of(photo, brushed=True, strokes=[[0.34, 0, 0.16, 1, 0.16]])
    assert plan(wish).findings.noise < photo.findings.noise - 0.02
    assert plan(wish._replace(noise=4)).findings.noise == 0.04


def test_holes_of_the_file_stay_holes_under_the_brush() -> None:
    picture = noisy_faces(1).convert("RGBA")
    picture.paste((0, 0, 0, 0), (0, 0, 64, 8))
    photo = photo_of(picture)
    wish = wish_of(photo, brushed=True, strokes=[STROKE])
    known = plan(wish).findings.known
    brushed = scratches(wish, photo.photo())
    assert known is not None and brushed is not None
    assert not known[0, 0, 26, 26] and not known[0, 0, 5, 5] and known[0, 0, 60, 50]
    assert not brushed[0, 0, 26, 26] and brushed[0, 0, 5, 5]


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
def test_a_senseless_wish_is_one_sentence(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        plan_of(wish_of(**changes), two_faces().photo())


def test_the_command_says_what_was_corrected_and_nothing_else() -> None:
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
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changes: dict[str, Any]
) -> None:
    read = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loading, "load", lambda name, *args, **kwargs: read.append(name) or TOY)
    monkeypatch.setattr(restore, "restore_all", lambda *given: read.extend(given))
    wish = wish_of(replace(two_faces(), name="-1.jpg"), **changes)
    type_in(monkeypatch, command(wish, "a generator's file"))
    assert read[0] == "a generator's file"
    assert read[1:] == [[Path("-1.jpg")], Path("restored"), wishes_of(wish), TOY]


@pytest.mark.parametrize("changes", [{}, EVERYTHING], ids=["nothing", "everything"])
def test_the_command_repeats_the_restoration_to_the_bit(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    changes: dict[str, Any],
) -> None:
    wish = wish_of(**changes)
    *_, last = RestoreHandlers(TOY, "toy", 60).restore(wish, visitor())
    (tmp_path / two_faces().name).write_bytes(two_faces().content)
    if wish.brushed:
        kept(last[2], "scratches.png").save(tmp_path / "scratches.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loading, "load", lambda *args, **kwargs: TOY)
    type_in(monkeypatch, command(wish, "toy"))
    with Image.open(tmp_path / "restored" / "old photo (1).png") as again:
        assert again.tobytes() == kept(last[2], "restored.png").tobytes()

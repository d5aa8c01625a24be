"""What `interlayer bench` says when it is asked for what cannot be."""

import re
import sqlite3
import sys
from pathlib import Path

import pytest
import torch

from interlayer import write_image
from interlayer.app import studies
from interlayer.app.cli import main
from interlayer.evaluation.studies import reading, store, writing
from interlayer.evaluation.studies.store import VERSION
from interlayer.evaluation.studies.worker import Setup, Worker
from interlayer.generators import ToyGenerator

from .bench_studies import Inline, jobs

TOY = ["--generator", "toy", "--quality", "draft"]


@pytest.fixture
def command(tmp_path: Path, monkeypatch, capsys):
    """Runs `interlayer bench` in a folder of its own: exit status and what it said."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["interlayer", "bench", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0), capsys.readouterr().err

    return command


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"methods": "magic"}, "methods: 'magic' is none of"),
        ({"tasks": "sharpen:3"}, "there is no task 'sharpen:3'"),
        ({"images": "nowhere"}, "there are no images at nowhere"),
        ({"images": "photos/*.png"}, "there are no images at photos"),
        ({"seeds": "-1"}, "'-1' is not a list of seeds"),
        ({"samples": "0"}, "samples: Input should be greater than or equal to 1"),
        ({"generator": "gone.pkl"}, "gone.pkl"),
        ({"device": "tpu"}, "'tpu' is none of cpu, cuda"),
        ({"device": "cuda"}, "PyTorch finds no device 'cuda' on this machine; give cpu"),
        ({"shard": "3/2"}, "'3/2' is no shard"),
        ({"budget": "soon"}, "'soon' is no length of time; write 90s, 30m"),
        ({"store": "."}, ". is a folder; name a file"),
        ({"store": "/dev/null/study.db"}, "cannot write beside /dev/null/study.db"),
    ],
)
def test_a_bad_request_is_one_sentence_and_leaves_nothing(
    command, tmp_path: Path, monkeypatch, changes, said
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    settings = {"images": "generated:0", "tasks": "inpaint:0.5", "methods": "csgm"}
    settings |= {"generator": "toy"} | changes
    flags = [f"--{name}={value}" for name, value in settings.items()]
    for more in ([], ["--dry-run"] if "store" not in changes else []):
        status, text = command("run", *flags, *more)
        assert status == 2 and text.startswith("error: ") and said in text
        assert text.count("\n") == 1 and not list(tmp_path.iterdir())


def test_a_study_of_nothing_says_what_is_missing(command):
    status, text = command("run", "--images", "generated:0", "--methods", "csgm")
    assert status == 2 and "tasks: this is missing; give --tasks, or a line `tasks: ...`" in text


@pytest.mark.parametrize("name", ["status", "report", "export", "resume", "fid"])
def test_every_command_refuses_what_is_no_study(command, name: str):
    for content in (None, b"", b"no database " * 500):
        if content is not None:
            Path("study.db").write_bytes(content)
        status, text = command(name)
        assert status == 2 and text.startswith("error: ") and text.count("\n") == 1


def test_a_merge_of_what_is_no_study_leaves_nothing(command, tmp_path: Path):
    status, text = command("merge", "none.db", "--store", "whole.db")
    assert status == 2 and "there is no study at none.db" in text
    assert not list(tmp_path.iterdir())


def test_a_full_disk_ends_the_study_in_a_sentence_and_it_goes_on(command, monkeypatch):
    worker = Inline(Worker(Setup(torch.get_num_threads())).run)
    monkeypatch.setattr(studies, "local_slots", lambda *_: [worker])

    def full(_):
        raise OSError(28, "No space left on device")

    flags = ["--images=generated:0-1", "--tasks=inpaint:0.5", "--methods=csgm,interpolation", *TOY]
    with monkeypatch.context() as patch:
        patch.setattr(store, "replacing", full)
        status, text = command("run", *flags)
    assert status == 2 and worker.stopped
    assert "error: cannot write beside study.db: No space left on device; make room" in text
    status, text = command("run", *flags)
    assert status == 0 and "4 jobs are recorded in study.db\n" in text


def test_every_extra_that_is_named_exists():
    root = Path(__file__).parents[1]
    table = (root / "pyproject.toml").read_text("utf-8").partition("optional-dependencies]")[2]
    extras = set(re.findall(r"^([\w-]+) = ", table.partition("\n[")[0], re.MULTILINE))
    texts = [file.read_text("utf-8") for file in (root / "src").rglob("*.py")]
    texts += [file.read_text("utf-8") for file in [root / "README.md", *root.glob("docs/*.md")]]
    named = {
        name
        for text in texts
        for found in re.findall(r"interlayer\[([\w,-]+)\]|extra `([\w-]+)`", text)
        for name in "".join(found).split(",")
    }
    assert {"distributed", "fidelity", "parquet"} <= named <= extras


def test_a_study_of_a_newer_version_is_left_alone(command):
    with writing(Path("study.db")) as study:
        study.plan(jobs("generated:0"))
    with sqlite3.connect("study.db") as database:
        database.execute(f"PRAGMA user_version = {VERSION + 1}")
    database.close()
    before = Path("study.db").read_bytes()
    flags = ["--images", "generated:0", "--tasks", "inpaint:0.5", "--methods", "csgm", *TOY]
    status, text = command("run", *flags)
    assert status == 2 and "written by a newer interlayer" in text
    assert Path("study.db").read_bytes() == before


def test_what_cannot_be_read_or_does_not_fit_is_recorded_and_the_rest_goes_on(command, monkeypatch):
    """One damaged file among others, two with one name, and a method that takes no such task."""
    worker = Worker(Setup(torch.get_num_threads()))
    monkeypatch.setattr(
        studies, "local_slots", lambda *_: [Inline(lambda batch: worker.run(batch))]
    )
    G = ToyGenerator()
    for seed, name in enumerate(("a/one.png", "a/two.png", "b/one.png")):
        Path(name).parent.mkdir(exist_ok=True)
        write_image(name, G(G.sample([seed])))
    Path("a/damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n no more")
    flags = ["--tasks", "superres:4", "--methods", "bicubic,interpolation", *TOY]
    status, text = command("run", "--images", "a", "--images", "b", *flags)
    assert status == 0 and "8 jobs are recorded in study.db; 5 failed" in text
    with reading(Path("study.db")) as study:
        rows = list(study.rows())
    errors = {(Path(row["image"]).name, row["method"]): row["error"] or "" for row in rows}
    assert "damaged.png is" in errors["damaged", "bicubic"]
    assert all("needs known pixels" in errors[name, "interpolation"] for name in ("one.png", "two"))
    names = {Path(row["image"]).name for row in rows}
    assert names == {"one.png", "two", "damaged"} and len({row["image"] for row in rows}) == 4
    assert all("\n" not in row["error"] for row in rows if row["error"])

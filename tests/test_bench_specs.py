"""The specs of benchmarks/, and what their tables need: parts, steps, an oracle, Markdown."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from deepinv.loss.metric import PSNR
from torch import nn
from typer.testing import CliRunner

from interlayer.app import studies
from interlayer.errors import InputError
from interlayer.evaluation import quality
from interlayer.evaluation.studies import Store, plan, reading, writing
from interlayer.evaluation.studies.markdown import means_table
from interlayer.evaluation.studies.report import tables, write_report
from interlayer.evaluation.studies.rerun import commands
from interlayer.evaluation.studies.spec import checked, parts, read_spec
from interlayer.evaluation.studies.worker import Setup, Worker
from interlayer.generators import Sequential
from interlayer.problem.tasks import make_physics
from interlayer.weights import cache

from .bench_studies import jobs, outcome

ROOT = Path(__file__).parents[1]
SPECS = sorted((ROOT / "benchmarks").glob("*.yaml"))


@pytest.fixture
def worker() -> Worker:
    return Worker(Setup(torch.get_num_threads()))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with writing(tmp_path / "study.db") as study:
        yield study


@pytest.mark.parametrize("file", SPECS, ids=lambda file: file.stem)
def test_every_spec_is_one_that_bench_run_takes(file: Path, monkeypatch) -> None:
    monkeypatch.chdir(ROOT)
    for part in parts(read_spec(file)):
        for task in checked(part).tasks:
            size = 1024 if task.startswith("mask:") else 64
            make_physics(task, (3, size, size))
    text = file.read_text("utf-8")
    assert f"interlayer bench run benchmarks/{file.name} --store {file.stem}.db" in text
    assert ("photos/" in text) == ("project: put them into photos/" in text)


def test_the_specs_that_the_documentation_shows_are_specs(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "scaling.md").read_text("utf-8")
    shown = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert len(shown) == 2
    for number, content in enumerate(shown):
        file = tmp_path / f"{number}.yaml"
        file.write_text(content)
        assert all(checked(part) for part in parts(read_spec(file)))


def test_the_pages_of_benchmarks_name_every_spec_and_script() -> None:
    table = (ROOT / "benchmarks" / "README.md").read_text("utf-8")
    files = {file.name for file in (ROOT / "benchmarks").glob("*.*")} - {"README.md"}
    assert set(re.findall(r"^\| `([\w.]+)` ", table, re.MULTILINE)) == files
    table = (ROOT / "benchmarks" / "results" / "README.md").read_text("utf-8")
    files = {file.name for file in (ROOT / "benchmarks" / "results").glob("*.json*")}
    assert files <= set(re.findall(r"`([\w.]+)`", table))


def test_parts_share_what_the_file_says_and_flags_go_before_both(tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text(
        "generator: toy\nmethods: [csgm, tv]\nimages: generated:0\nparts:\n"
        "- {tasks: inpaint:0.2}\n- {tasks: superres:4, images: generated:1-2, methods: ilo}\n"
        "- {tasks: inpaint:0.2, methods: csgm}\n"
    )
    found = [(job.source, job.task, job.method) for job in studies.planned(file, {"label": None})]
    assert found == [
        ("generated:0", "inpaint:0.2", "csgm"),
        ("generated:0", "inpaint:0.2", "tv"),
        ("generated:1", "superres:4", "ilo"),
        ("generated:2", "superres:4", "ilo"),
    ]
    given = studies.planned(file, {"images": ["generated:7"], "steps": 3})
    assert {(job.source, job.steps) for job in given} == {("generated:7", 3)}


@pytest.mark.parametrize("given", [[], "inpaint:0.2", {"tasks": "jpeg:9"}, ["jpeg:9"]])
def test_what_are_no_parts_is_refused(given) -> None:
    with pytest.raises(InputError, match="parts: this is no list of settings"):
        parts({"methods": "ilo", "parts": given})


def test_the_commands_of_the_page_plan_the_jobs_of_parts(store: Store) -> None:
    rows = [("generated:0", "inpaint:0.2"), ("generated:0", "jpeg:9"), ("generated:1", "jpeg:3")]
    planned = [job for image, task in rows for job in jobs(image, tasks=task, steps=5)]
    store.plan(planned)
    found = list[str]()
    for command in commands(store.rows(), "study.db"):
        flags = dict(re.findall(r"--(\w+) (\S+)", command))
        values = {k: v for k, v in flags.items() if k not in ("store", "tasks", "methods")}
        values |= {name: flags[name].split(",") for name in ("tasks", "methods")}
        found += [job.id for job in plan(checked(values), print)]
    assert sorted(found) == sorted(job.id for job in planned)


def test_steps_are_the_methods_in_all_and_part_of_what_is_asked(worker: Worker) -> None:
    [few] = jobs("generated:0", tasks="inpaint:0.2", methods="ilo", steps=7)
    [found] = worker.run([few])
    assert sum(stage.steps for stage in found.stages) == 7
    [draft] = jobs("generated:0", tasks="inpaint:0.2", methods="ilo")
    assert len({few.id, draft.id, replace(few, steps=8).id}) == 3
    assert few.method_sha256 != draft.method_sha256


def test_the_oracle_is_the_nearest_iterate_and_never_below_the_estimate(worker: Worker) -> None:
    for method in ("csgm", "ilo", "tv"):
        [job] = jobs("generated:0", tasks="inpaint:0.2", methods=method)
        [found] = worker.run([job])
        x = worker._truth(job, None)
        iterates = [PSNR()(state.x, x).item() for state in worker.trial(job)]
        most = max(*iterates, found.figures["psnr"])
        assert found.figures["oracle_psnr"] == pytest.approx(most, abs=1e-3)
    [several] = worker.run([replace(job, method="csgm", samples=2)])
    assert "oracle_psnr" not in several.figures, "their mean is no iterate"


@pytest.fixture
def drawn_alike(monkeypatch) -> Sequential:
    """A generator whose samples are what a random start draws for the same seed."""
    torch.manual_seed(0)
    draw = nn.Sequential(nn.Linear(64, 3 * 16 * 16), nn.Unflatten(1, (3, 16, 16)), nn.Tanh())
    generator = Sequential(draw, cuts=["0"], latent_shape=(64,))
    monkeypatch.setattr("interlayer.evaluation.studies.worker._load", lambda *_: generator)
    return generator


def test_a_random_start_is_not_at_the_truth_of_the_same_seed(worker: Worker, drawn_alike) -> None:
    for planned in jobs("generated:0-3", tasks="inpaint:1", methods="pulse"):
        job = replace(planned, seed=int(planned.source.removeprefix("generated:")))
        x, first = worker._truth(job, None), next(worker.trial(job))
        alike, point = drawn_alike.sample([job.seed]), first.solution().point
        assert point is not None
        assert torch.cosine_similarity(point.z, alike).item() > 0.99, "it begins at its seed's code"
        assert PSNR()(first.x, x).item() < 20
        with torch.no_grad():
            assert PSNR()(drawn_alike(alike), x).item() < 20, "which is not the truth's"


def figures(psnr: float, distance: float, oracle: float) -> dict[str, float]:
    return {"psnr": psnr, "ssim": 0.9, "mse": 0.01, "stlpips": distance, "oracle_psnr": oracle}


def test_the_markdown_table_has_means_the_best_and_the_oracles_gain(store: Store) -> None:
    planned = jobs(tasks=["inpaint:0.2", "superres:4"], methods=["bicubic", "auto", "csgm"])
    store.plan(planned)
    for job in planned:
        image = int(job.source[-1])
        psnr = {"auto": 30.0, "csgm": 20.0, "bicubic": 31.0}[job.method] + image
        made = replace(outcome(job), figures=figures(psnr, 20 / psnr, psnr + image / 4))
        refused = job.method == "bicubic" and (job.task, image) != ("superres:4", 1)
        store.record([outcome(job, error="does not fit") if refused else made])
    assert means_table(store.rows()).splitlines() == [
        "| task | bicubic | auto | csgm | oracle's gain |",
        "| --- | --- | --- | --- | --- |",
        "| `inpaint:0.2` |  | **30.50** (**0.656**) | 20.50 (0.976) | 0.25 |",
        "| `superres:4` | 32.00 (0.625), 1 of 2 | **30.50** (**0.656**) | 20.50 (0.976) | 0.25 |",
    ]


def test_without_auto_or_a_distance_the_table_has_neither(store: Store) -> None:
    planned = [job for steps in (None, 560) for job in jobs("generated:0", steps=steps)]
    store.plan(planned)
    store.record(outcome(job) for job in planned if job.method == "csgm")
    head, _, first, *_ = means_table(store.rows()).splitlines()
    assert head == "| task | csgm | csgm 560 steps |"
    assert first == "| `circulant:0.2` | **20.00** | **20.00** |"


def test_the_command_line_exports_markdown_but_not_of_stages(store: Store) -> None:
    store.plan(jobs("generated:0"))
    store.record(outcome(job) for job in store.jobs())
    flags = ["export", "--store", str(store.path), "--format", "markdown"]
    result = CliRunner().invoke(studies.app, flags)
    assert result.exit_code == 0 and result.stdout == means_table(store.rows())
    refused = CliRunner().invoke(studies.app, [*flags, "--stages"]).exception
    assert isinstance(refused, InputError) and "no means of stages" in str(refused)


def test_the_page_says_that_no_method_sees_what_the_oracle_does(store: Store, tmp_path) -> None:
    planned = jobs("generated:0", tasks="inpaint:0.2")
    store.plan(planned)
    store.record([replace(outcome(job), figures=figures(20, 0.3, 20.75)) for job in planned])
    done = list(store.rows())
    [table] = tables(done, ["csgm", "ilo"])
    place = table.metrics.index("oracle’s PSNR")
    entry = table.lines["ilo"][place]
    assert (entry.text, entry.best, entry.level) == ("20.75", False, False)
    write_report(store, tmp_path / "page.html")
    assert "only one who knows the truth can choose" in (tmp_path / "page.html").read_text("utf-8")


def test_the_weights_of_the_distance_are_pulled_where_there_is_one(monkeypatch) -> None:
    pulled = list[str]()
    monkeypatch.setattr(cache, "is_cached", lambda _: False)
    monkeypatch.setattr(cache, "pull", lambda name, note: pulled.append(name))
    monkeypatch.setattr(quality, "_has_alexnet", lambda: False)
    jobs("generated:0")
    assert not pulled, "the small generator's images are too small for a distance"
    monkeypatch.setattr(quality, "MIN_SIZE", 16)
    jobs("generated:0")
    assert pulled == ["perceptual"]
    monkeypatch.setattr(quality, "_has_alexnet", lambda: True)
    jobs("generated:0")
    assert pulled == ["perceptual"]


def test_figures_and_steps_are_read_back(store: Store) -> None:
    [job] = jobs("generated:0", tasks="inpaint:0.2", methods="csgm", steps=9)
    store.plan([job])
    store.record([replace(outcome(job), figures=figures(20, 0.3, 21))])
    with reading(store.path) as study:
        assert study.jobs() == [job] and list(study.outcomes())[0].figures["oracle_psnr"] == 21

import csv
import re
import statistics
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from scipy.stats import ttest_1samp
from typer.testing import CliRunner

from interlayer import InputError, write_image
from interlayer.app import studies
from interlayer.evaluation.studies import plan, reading, writing
from interlayer.evaluation.studies.compare import differences, mean_interval
from interlayer.evaluation.studies.figures import (
    calibration_charts,
    cost_chart,
    draw,
    inline_svg,
    level_charts,
    stage_charts,
)
from interlayer.evaluation.studies.parsing import split_list
from interlayer.evaluation.studies.report import calibration, legend, tables
from interlayer.evaluation.studies.spec import checked
from interlayer.evaluation.studies.store import Store

from .bench_studies import Inline, jobs, outcome

LEVELS = ["inpaint:0.1", "inpaint:0.2", "superres:4"]


def quality(job) -> float:
    """A made-up PSNR: ilo is better than csgm, and by how much depends on the image."""
    image, level = int(job.source[-1]), float(job.task.split(":")[1])
    return 20 + 10 * level + image + (2 + 0.1 * image if job.method == "ilo" else 0)


@pytest.fixture
def study(tmp_path: Path):
    """A study of 4 images with one failure and real pictures."""
    planned = jobs("generated:0-3", tasks=LEVELS)
    write_image(tmp_path / "grey.png", torch.full((3, 8, 8), 0.5))
    png = {
        kind: (tmp_path / "grey.png").read_bytes() for kind in ("truth", "measured", "recovered")
    }
    with writing(tmp_path / "study.db") as store:
        store.plan(planned)
        for job in planned[:-1]:
            store.record([replace(outcome(job, quality(job)), pictures=png)])
        store.record([outcome(planned[-1], error="<script>alert(1)</script> & more")])
        yield store


def test_the_interval_is_students():
    values = [3.0, 1.0, 4.0, 1.0, 5.0]
    theirs = ttest_1samp(values, 0).confidence_interval(0.9)
    assert mean_interval(values, 0.9)[1:] == pytest.approx((theirs.low, theirs.high))


def test_a_study_equals_itself_and_a_worse_one_is_found(study: Store, tmp_path: Path):
    planned = study.jobs()
    assert {each.verdict for each in differences(study.rows(), study.rows())} == {"same"}
    with writing(tmp_path / "worse.db") as worse:
        worse.plan(planned)
        for job in planned:
            lost = (0.5 + 0.01 * int(job.source[-1])) * (job.method == "ilo")
            worse.record([outcome(job, quality(job) - lost)])
        found = {(e.task, e.method): e for e in differences(study.rows(), worse.rows())}
        assert {m: e.verdict for (_, m), e in found.items()} == {"ilo": "worse", "csgm": "same"}
        one = found["inpaint:0.1", "ilo"]
        assert one.images == 4 and one.low < one.mean < one.high < 0
        assert one.mean == pytest.approx(-0.515)
        back = differences(worse.rows(), study.rows(), tolerance=0.6)
        assert {each.verdict for each in back} == {"same"}


def test_one_image_proves_nothing(tmp_path: Path):
    with writing(tmp_path / "a.db") as a, writing(tmp_path / "b.db") as b:
        for store, psnr in ((a, 20.0), (b, 10.0)):
            store.plan(jobs("generated:0"))
            store.record(outcome(job, psnr) for job in jobs("generated:0"))
        assert {each.verdict for each in differences(a.rows(), b.rows())} == {"same"}
        with pytest.raises(InputError, match="share no image, task and method with lpips"):
            differences(a.rows(), b.rows(), "lpips")


def test_tables_show_mean_and_spread_and_what_is_best(study: Store):
    first = tables([row for row in study.rows() if row["status"] == "done"], ["csgm", "ilo"])[0]
    values = [quality(job) for job in study.jobs() if job.task == first.task][::2]
    csgm, ilo = first.lines["csgm"][0], first.lines["ilo"][0]
    assert csgm.text == f"{statistics.fmean(values):.2f} ± {statistics.pstdev(values):.2f}"
    assert ilo.best and not csgm.best and not csgm.level
    assert all(entries[1].best for entries in first.lines.values()), "SSIM is equal"


def test_curves_hold_the_means_over_images(study: Store):
    charts = {chart.name: chart for chart in level_charts(study.rows())}
    assert set(charts) == {f"inpaint-{metric}" for metric in ("psnr", "ssim", "mse")}
    line = charts["inpaint-psnr"].lines["csgm"]
    assert list(line.x) == [0.1, 0.2]
    assert list(line.y) == pytest.approx([22.5, 23.5])
    spread = statistics.pstdev([21.0, 22.0, 23.0, 24.0])
    assert list(line.low) == pytest.approx([22.5 - spread, 23.5 - spread])
    svg = inline_svg(charts["inpaint-psnr"], ["csgm", "ilo"])
    assert "var(--c0)" in svg and "var(--ink)" in svg and "<?xml" not in svg


def test_the_band_of_the_squared_error_is_symmetric_on_its_axis(tmp_path: Path):
    errors = [1e-4, 1e-2, 1e-3, 1e-3]
    with writing(tmp_path / "study.db") as store:
        planned = jobs("generated:0-3", tasks=LEVELS[:2], methods="ilo")
        store.plan(planned)
        for job, mse in zip(planned, [e for e in errors for _ in range(2)], strict=True):
            store.record([replace(outcome(job), figures={"psnr": 20.0, "ssim": 0.9, "mse": mse})])
        line = {chart.name: chart for chart in level_charts(store.rows())}["inpaint-mse"].lines[
            "ilo"
        ]
    factor = 10 ** statistics.pstdev([-4, -2, -3, -3])
    for low, y, high in zip(line.low, line.y, line.high, strict=True):
        assert y == pytest.approx(statistics.fmean(errors))
        assert (low, high) == (pytest.approx(y / factor), pytest.approx(y * factor))


def test_points_of_different_tasks_are_not_joined(study: Store):
    [axes] = draw(cost_chart(study.rows()), ["csgm", "ilo"]).axes
    assert {line.get_linestyle() for line in axes.get_lines()} == {"None"}
    [axes] = draw(level_charts(study.rows())[0], ["csgm", "ilo"]).axes
    assert {line.get_linestyle() for line in axes.get_lines()} == {"-"}


def test_twenty_methods_look_like_twenty():
    names = [f"method {number}" for number in range(20)]
    assert len({(colour, symbol) for _, colour, symbol in legend(names)}) == 20


def test_stage_charts_are_in_the_order_of_the_tasks(study: Store):
    assert [chart.title for chart in stage_charts(study.rows(), study.stages())] == LEVELS


def test_what_was_sampled_is_compared_with_the_true_error(tmp_path: Path):
    with writing(tmp_path / "study.db") as store:
        planned = jobs("generated:0-1", tasks=LEVELS[:1])
        store.plan(planned)
        for job in planned:
            sampled = {"coverage": 0.5, "std": 0.05} if job.method == "ilo" else {}
            figures = {"psnr": 20.0, "ssim": 0.9, "mse": 0.01, **sampled}
            store.record([replace(outcome(job), figures=figures, pictures={})])
        rows = list(store.rows())
        studies.write_report(store, tmp_path / "page.html")
    assert calibration(rows) == [("inpaint:0.1", "ilo", "0.50", "0.050", "0.100")]
    [chart] = calibration_charts(rows)
    assert {name: (line.x, line.y) for name, line in chart.lines.items()} == {
        "ilo": ([0.05], [0.1])
    }
    assert "<h2>Calibration</h2>" in (tmp_path / "page.html").read_text("utf-8")


class Page(HTMLParser):
    """What a page refers to, and its elements."""

    def __init__(self, text: str):
        super().__init__()
        self.references: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.references += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href")]


def test_the_page_needs_nothing_else_and_trusts_no_text(study: Store, tmp_path: Path):
    with reading(study.path) as store:
        studies.write_report(store, tmp_path / "page.html", pictures=2)
        assert len(studies.write_figures(store, tmp_path / "figures")) == 3 * (3 + 3 + 1)
    text = (tmp_path / "page.html").read_text("utf-8")
    page = Page(text)
    assert all(each.startswith(("data:", "#")) for each in page.references)
    assert not re.search(r"url\((?!#)", text) and "script" not in page.tags
    assert page.tags.count("svg") == 3 + 3 + 1
    assert page.tags.count("img") == sum(2 * (2 + 2 * 2) for _ in LEVELS)
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more (1 job)" in text and "<strong>" in text
    assert "Calibration" not in text, "nothing was sampled"


def test_the_pages_command_plans_the_same_jobs(study: Store, tmp_path: Path):
    with reading(study.path) as store:
        studies.write_report(store, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    found = re.search(r"<pre>interlayer bench run (.*?)  #", page, re.DOTALL)
    assert found is not None
    flags = re.findall(r"--(\w+) (\S+)", found[1])
    values: dict[str, object] = {k: v for k, v in flags if k not in ("store", "seeds")}
    for name in ("images", "tasks", "methods"):
        values[name] = split_list([value for flag, value in flags if flag == name])
    assert plan(checked(values), print) == study.jobs()


def test_nothing_to_report_is_said(tmp_path: Path):
    with writing(tmp_path / "empty.db") as store:
        store.plan(jobs())
        with pytest.raises(InputError, match="has no results yet"):
            studies.write_report(store, tmp_path / "page.html")


def invoke(*arguments: object):
    return CliRunner().invoke(studies.app, [str(argument) for argument in arguments])


def test_the_command_line_runs_resumes_and_exports(tmp_path: Path, monkeypatch):
    store = tmp_path / "study.db"
    monkeypatch.setattr(
        studies, "local_slots", lambda *_: [Inline(lambda b: [outcome(j) for j in b])]
    )
    flags = ["--tasks", "inpaint:0.5,superres:4", "--methods", "csgm", "--generator", "toy"]
    few = ["run", "--images", "generated:0-3", *flags, "--store", store]
    assert invoke(*few, "--shard", "1/2", "--budget", "0s").exit_code == 0
    with reading(store) as study:
        assert len(study.jobs()) == 4 and study.pending(study.jobs()) == study.jobs()
    assert invoke("resume", "--store", store).exit_code == 0
    assert invoke(*few).exit_code == 0
    with reading(store) as study:
        assert len(study.jobs()) == 8 and study.pending(study.jobs()) == []
    rows = list(csv.DictReader(invoke("export", "--store", store).stdout.splitlines()))
    assert {(row["status"], row["psnr"]) for row in rows} == {("done", "20.0")}
    assert len(invoke("export", "--stages", "--store", store).stdout.splitlines()) == 1 + 8
    assert invoke("merge", store, "--store", tmp_path / "copy.db").exit_code == 0
    assert invoke("compare", store, tmp_path / "copy.db").exit_code == 0
    assert "inpaint:0.5" in invoke("status", "--store", store).stdout
    assert invoke("report", "--store", store, "--pictures", 0).exit_code == 0
    assert (tmp_path / "study.html").exists()


def test_a_regression_is_an_exit_status(tmp_path: Path):
    for name, loss in (("a", 0.0), ("b", 1.0)):
        with writing(tmp_path / f"{name}.db") as store:
            store.plan(jobs("generated:0-3"))
            for job in jobs("generated:0-3"):
                store.record([outcome(job, 20 - loss * (1 + 0.01 * int(job.source[-1])))])
    assert invoke("compare", tmp_path / "a.db", tmp_path / "b.db").exit_code == 1
    assert invoke("compare", tmp_path / "b.db", tmp_path / "a.db").exit_code == 0


def test_a_dry_run_runs_nothing_and_estimates(tmp_path: Path):
    threads = torch.get_num_threads()
    flags = ["--tasks", "inpaint:0.5", "--methods", "csgm", "--generator", "toy"]
    result = invoke(
        "run", "--images", "generated:0-99", *flags, "--store", tmp_path / "s.db", "--dry-run"
    )
    assert re.search(r"100 jobs, 100 of them.*\nabout [\d.]+ (s|min|h)", result.stdout), result
    assert not (tmp_path / "s.db").exists() and torch.get_num_threads() == threads


def test_a_stores_operator_files_are_not_run(tmp_path: Path):
    operator = tmp_path / "mine.py"
    operator.write_text("import deepinv\ndef make(**_):\n    return deepinv.physics.Denoising()\n")
    planned = jobs("generated:0", tasks=f"{operator}:make")
    with writing(tmp_path / "s.db") as store:
        store.plan(planned)
    result = invoke("resume", "--store", tmp_path / "s.db")
    assert isinstance(result.exception, InputError)
    assert "is not run for a file's sake" in str(result.exception)


def test_parquet_holds_what_csv_does(study: Store, tmp_path: Path):
    parquet = pytest.importorskip("pyarrow.parquet")
    out = tmp_path / "rows.parquet"
    assert (
        invoke("export", "--store", study.path, "--format", "parquet", "--out", out).exit_code == 0
    )
    assert parquet.read_table(out).to_pylist() == list(study.rows())
    assert isinstance(
        invoke("export", "--store", study.path, "--format", "xml").exception, InputError
    )

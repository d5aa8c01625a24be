"""Commands of ``interlayer bench``: flags to specs, rows to tables."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from interlayer.app.console import INTERRUPTED, progress_bar, say
from interlayer.app.study_options import (
    BatchSize,
    Budget,
    Class,
    Device,
    DryRun,
    GeneratorName,
    Gpus,
    Holdout,
    Images,
    Methods,
    PictureHeight,
    Precision,
    Quality,
    RayAddress,
    Retry,
    SampleCount,
    Seeds,
    SendImages,
    Shard,
    SpecFile,
    Steps,
    Study,
    Tasks,
    Workers,
)
from interlayer.errors import InputError
from interlayer.evaluation.studies.compare import differences
from interlayer.evaluation.studies.estimate import seconds_of, spoken
from interlayer.evaluation.studies.export import write_table
from interlayer.evaluation.studies.fid import distances
from interlayer.evaluation.studies.jobs import Job, batches, method_digest
from interlayer.evaluation.studies.parsing import parse_duration, parse_shard, split_list
from interlayer.evaluation.studies.ray_runner import ray_slots
from interlayer.evaluation.studies.report import write_figures, write_report
from interlayer.evaluation.studies.runners import Slot, local_slots, stream
from interlayer.evaluation.studies.spec import checked, parts, plan, read_spec
from interlayer.evaluation.studies.store import Row, Store, reading, with_variants, writing
from interlayer.problem.tasks import runs_code
from interlayer.weights.loading import present

app = typer.Typer(no_args_is_help=True, help="Studies of many images, tasks and methods.")
DEFAULT = Path("study.db")


@app.command()
def run(
    spec: SpecFile = None,
    images: Images = None,
    tasks: Tasks = None,
    methods: Methods = None,
    seeds: Seeds = None,
    generator: GeneratorName = None,
    label: Class = None,
    quality: Quality = None,
    steps: Steps = None,
    holdout: Holdout = None,
    precision: Precision = None,
    pictures: PictureHeight = None,
    samples: SampleCount = None,
    store: Study = DEFAULT,
    shard: Shard = "1/1",
    dry_run: DryRun = False,
    retry: Retry = False,
    workers: Workers = None,
    device: Device = "cpu",
    batch: BatchSize = 1,
    budget: Budget = None,
    ray: RayAddress = None,
    gpus: Gpus = 0,
    send_images: SendImages = False,
) -> None:
    """Run what a study lacks; the same command again goes on where it stopped."""
    flags = {
        "images": images,
        "tasks": tasks and split_list(tasks),
        "methods": methods and split_list(methods),
        "seeds": seeds,
        "generator": generator,
        "label": label,
        "quality": quality,
        "steps": steps,
        "holdout": holdout,
        "precision": precision,
        "pictures": pictures,
        "samples": samples,
    }
    place, shards = parse_shard(shard)
    limit = parse_duration(budget) if budget else None
    jobs = planned(spec, flags)[place::shards]
    if dry_run:
        _foretell(jobs, store, workers, device)
        return
    with _slots(workers, device, ray, gpus, send_images) as slots, writing(store) as study:
        study.plan(jobs)
        execute(study, study.pending(jobs, retry=retry), slots, batch, limit)


@app.command()
def resume(
    store: Study = DEFAULT,
    retry: Retry = False,
    workers: Workers = None,
    device: Device = "cpu",
    batch: BatchSize = 1,
    budget: Budget = None,
    ray: RayAddress = None,
    gpus: Gpus = 0,
    send_images: SendImages = False,
) -> None:
    """Run what is left of a study, without its spec."""
    limit = parse_duration(budget) if budget else None
    _require(store)
    with _slots(workers, device, ray, gpus, send_images) as slots, writing(store) as study:
        jobs = study.pending(study.jobs(), retry=retry)
        for job in jobs:
            _refuse_unlike(job, store)
        execute(study, jobs, slots, batch, limit)


def planned(spec: Path | None, flags: Mapping[str, Any]) -> list[Job]:
    """Plan the jobs of every part of a spec, each once.

    Args:
        spec: file of settings, if there is one.
        flags: settings that replace the file's in every part, where they are not ``None``.

    Raises:
        InputError: as `read_spec`, `parts`, `checked` and `plan`.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    studies = [checked(part | given) for part in parts(read_spec(spec) if spec else {})]
    return list({job.id: job for study in studies for job in plan(study, say)}.values())


def execute(
    study: Store, jobs: Sequence[Job], slots: Sequence[Slot], batch: int, limit: float | None
) -> None:
    """Run jobs and record them as they come; exits with 130 when interrupted.

    Args:
        study: store that the jobs are planned in.
        jobs: jobs to run.
        slots: places of the workers.
        batch: greatest number of jobs that a worker is given at once.
        limit: seconds after which no job is started, ``None`` for no such limit.

    Raises:
        InputError: if workers cannot start, or there is no room for what they find.
    """
    deadline = time.monotonic() + (float("inf") if limit is None else limit)
    finished = failed = 0
    try:
        results = stream(slots, batches(jobs, batch), lambda: time.monotonic() > deadline)
        with progress_bar() as bar, closing(results):
            task = bar.add_task("jobs", total=len(jobs), loss="")
            for outcomes in results if jobs else ():
                study.record(outcomes)
                finished += len(outcomes)
                failed += sum(outcome.error is not None for outcome in outcomes)
                bar.update(task, completed=finished, loss=f"{failed} failed" if failed else "")
    except KeyboardInterrupt:
        say(f"interrupted: {finished} jobs are recorded; the same command runs the others")
        sys.exit(INTERRUPTED)
    left = len(jobs) - finished
    say(f"{finished} jobs are recorded in {study.path}" + (f"; {failed} failed" if failed else ""))
    if left:
        say(f"{left} jobs are left, for the budget is spent; the same command runs them")


@app.command()
def status(store: Study = DEFAULT) -> None:
    """Show what is done, and the reasons for failures."""
    with reading(store) as study:
        rows = with_variants(study.rows())
    table = Table("task", "method", "done", "failed", "pending", "s per job", "PSNR")
    for task, method in dict.fromkeys((row["task"], row["method"]) for row in rows):
        cell = [row for row in rows if (row["task"], row["method"]) == (task, method)]
        counts = [
            sum(row["status"] == name for row in cell) for name in ("done", "failed", "pending")
        ]
        means = [_mean(cell, name) for name in ("seconds", "psnr")]
        table.add_row(escape(task), method, *map(str, counts), *means)
    Console().print(table)
    reasons = dict.fromkeys(row["error"] for row in rows if row["error"])
    for reason in list(reasons)[:20]:
        say(f"failed: {reason}")


@app.command()
def export(
    store: Study = DEFAULT,
    format: Annotated[
        str, typer.Option(help="csv or parquet of all results, or markdown of their means.")
    ] = "csv",
    out: Annotated[
        Path | None, typer.Option(help="File to write; default: standard output.")
    ] = None,
    stages: Annotated[bool, typer.Option("--stages", help="Stages instead of results.")] = False,
) -> None:
    """Write the results as one table."""
    if stages and format == "markdown":
        raise InputError("there are no means of stages; give --format csv or parquet")
    with reading(store) as study:
        write_table(study.stages() if stages else study.rows(), format, out)


@app.command()
def merge(
    sources: Annotated[list[Path], typer.Argument(help="Studies, such as shards of one.")],
    store: Study = DEFAULT,
) -> None:
    """Merge several studies into one, whose own results stay."""
    for source in sources:
        _require(source)
    with writing(store) as study:
        for source in sources:
            with reading(source) as other:
                study.plan(other.jobs())
                for outcome in other.outcomes():
                    study.record([outcome])
        say(f"{store} now holds {len(study.jobs())} jobs")


@app.command()
def compare(
    before: Annotated[Path, typer.Argument(help="Study to compare with.")],
    after: Annotated[Path, typer.Argument(help="Study of the same images that is judged.")],
    metric: Annotated[str, typer.Option(help="psnr, ssim, mse, lpips or stlpips.")] = "psnr",
    confidence: Annotated[
        float, typer.Option(min=0.5, max=0.9999, help="Confidence of all intervals together.")
    ] = 0.95,
    tolerance: Annotated[float, typer.Option(min=0, help="Worsening that is let pass.")] = 0,
) -> None:
    """Compare two studies image by image; exit status 1 if anything became worse."""
    with reading(before) as first, reading(after) as second:
        found = differences(first.rows(), second.rows(), metric, confidence, tolerance)
    table = Table("task", "method", "images", f"{metric} difference", "interval", "")
    for each in found:
        interval = f"{each.low:+.4g} to {each.high:+.4g}" if each.images > 1 else "one image"
        table.add_row(
            escape(each.task),
            each.method,
            str(each.images),
            f"{each.mean:+.4g}",
            interval,
            each.verdict,
        )
    Console().print(table)
    if any(each.verdict == "worse" for each in found):
        raise typer.Exit(1)


@app.command()
def fid(
    store: Study = DEFAULT,
    reference: Annotated[
        Path | None, typer.Option(help="Folder of pictures; default: the study's truths.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Inception's weights, as torch-fidelity publishes them.")
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Let torch-fidelity fetch the weights.")
    ] = False,
    device: Device = "cpu",
) -> None:
    """Print how far recovered pictures are, as a set, from true ones: FID and KID."""
    with reading(store) as study:
        for each in distances(
            study, reference, weights=weights, download=download, device=_present(device), note=say
        ):
            print(
                f"{each.task} {each.method}: FID {each.fid:.2f}, "
                f"KID {each.kid:.5f} ± {each.kid_std:.5f}, {each.pictures} pictures",
                flush=True,
            )


@app.command()
def report(
    store: Study = DEFAULT,
    out: Annotated[
        Path | None, typer.Option(help="File to write; default: the study's name, .html.")
    ] = None,
    pictures: Annotated[int, typer.Option(min=0, help="Images shown per task.")] = 3,
    figures: Annotated[
        Path | None, typer.Option(help="Folder for the curves as SVG, PNG and PDF.")
    ] = None,
) -> None:
    """Write a study as one page that needs nothing else."""
    with reading(store) as study:
        out = out or store.with_suffix(".html")
        write_report(study, out, pictures)
        say(f"{out} is written")
        if figures:
            say(f"{len(write_figures(study, figures))} figures are in {figures}")


def _require(store: Path) -> None:
    """Refuse what is no study before anything is written."""
    with reading(store):
        pass


def _refuse_unlike(job: Job, store: Path) -> None:
    """Refuse a stored job that would run code, or that would not be what it was planned to be."""
    if runs_code(job.task):
        raise InputError(
            f"{store} names an operator in a Python file, which is not run for a file's sake; give "
            "the study's own command again"
        )
    found = job.method_sha256, job.version
    if found != (method_digest(job.method, job.quality, job.steps), version("interlayer")):
        raise InputError(
            f"{store} was planned with interlayer {job.version}, where {job.method} was another; "
            "install that one, or give the study's own command again to run it with this one"
        )


@contextmanager
def _slots(
    workers: int | None, device: str, ray: str | None, gpus: float, send_images: bool
) -> Iterator[Sequence[Slot]]:
    if ray is None:
        yield local_slots(workers, _present(device))
        return
    with ray_slots(ray, workers, _known(device), gpus, send_images) as slots:
        yield slots


def _known(device: str) -> str:
    if device not in ("cpu", "cuda"):
        raise InputError(f"{device!r} is none of cpu, cuda")
    return device


def _present(device: str) -> str:
    """A device that this machine has; one of a cluster's machines may have others."""
    return present(_known(device))


def _foretell(jobs: Sequence[Job], store: Path, workers: int | None, device: str) -> None:
    """Print how many jobs there are and how long those that are left would take here."""
    todo: Sequence[Job] = jobs
    if store.exists():
        with reading(store) as study:
            todo = study.pending(jobs)
    slots = local_slots(workers, _present(device))
    print(f"{len(jobs)} jobs, {len(todo)} of them still to run")
    if todo:
        seconds = seconds_of(todo, slots[0].setup) / len(slots)
        print(f"about {spoken(seconds)} on this machine; workers: {len(slots)}")


def _mean(rows: Sequence[Row], name: str) -> str:
    values = [row[name] for row in rows if row[name] is not None]
    return f"{sum(values) / len(values):.2f}" if values else ""

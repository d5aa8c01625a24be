"""Flags of ``interlayer bench``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SpecFile = Annotated[
    Path | None, typer.Argument(help="YAML with the settings below, which flags replace.")
]
Images = Annotated[
    list[str] | None,
    typer.Option(help="File, folder, glob, deepinv:NAME:FOLDER or generated:0-99; repeatable."),
]
Tasks = Annotated[
    list[str] | None, typer.Option(help="Tasks such as circulant:0.01,inpaint:0.1; repeatable.")
]
Methods = Annotated[list[str] | None, typer.Option(help="Methods such as csgm,ilo; repeatable.")]
Seeds = Annotated[str | None, typer.Option(help="Seeds such as 0-3 or 0,5; default 0.")]
GeneratorName = Annotated[str | None, typer.Option(help="Named weights or a file.")]
Class = Annotated[int | None, typer.Option(min=0, help="Class to draw.")]
Quality = Annotated[str | None, typer.Option(help="draft, normal or best.")]
Steps = Annotated[int | None, typer.Option(help="Steps in all, instead of the quality's.")]
Holdout = Annotated[
    float | None, typer.Option(help="Fraction of measurements that judge; default 0.1.")
]
Precision = Annotated[str | None, typer.Option(help="float32 or bfloat16.")]
PictureHeight = Annotated[
    int | None, typer.Option(help="Height of the kept pictures, 0: none; default 256.")
]
SampleCount = Annotated[
    int | None, typer.Option(help="Solutions of each job; their spread is judged. Default 1.")
]
Study = Annotated[Path, typer.Option("--store", help="File of the study.")]
Shard = Annotated[str, typer.Option(help="Part of the jobs, such as 1/4 for the first fourth.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say how many jobs and how long.")]
Retry = Annotated[bool, typer.Option(help="Run failed jobs again.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes; default: one per 4 cores.")]
Device = Annotated[str, typer.Option(help="cpu or cuda.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Images that are recovered together.")]
Budget = Annotated[str | None, typer.Option(help="Time such as 2h, after which no job is started.")]
RayAddress = Annotated[
    str | None, typer.Option("--ray", help="Run on Ray: local, auto or a cluster's address.")
]
Gpus = Annotated[float, typer.Option(min=0, help="Share of a GPU for each worker, with --ray.")]
SendImages = Annotated[
    bool, typer.Option(help="Send image files to workers that do not see them, with --ray.")
]

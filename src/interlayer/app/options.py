"""Flags that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Generators = Annotated[str, typer.Option(help="Named weights or a weights file.")]
Label = Annotated[
    int | None, typer.Option(min=0, help="The class to draw, for class-conditional weights.")
]

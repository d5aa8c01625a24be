"""The results of a study as a table for other programs, or for a page."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

from interlayer.errors import InputError
from interlayer.evaluation.studies.markdown import means_table
from interlayer.evaluation.studies.store import Row
from interlayer.media.files import replacing

FORMATS = ("csv", "parquet", "markdown")


def write_table(rows: Iterable[Row], format: str, path: Path | None) -> None:
    """Write rows as CSV or as Parquet, which needs pyarrow, or their means as Markdown.

    Args:
        rows: results or stages, all with the same keys; for Markdown, results.
        format: ``csv``, ``parquet`` or ``markdown``.
        path: file to write; text goes to standard output if there is none.

    Raises:
        InputError: if the format is unknown or has no file, pyarrow is not installed, or the file
            cannot be written.

    >>> write_table([{"task": "jpeg:9", "psnr": 21.5}], "csv", None)
    task,psnr
    jpeg:9,21.5
    """
    if format not in FORMATS:
        raise InputError(f"{format!r} is none of {', '.join(FORMATS)}")
    if path is None:
        if format == "parquet":
            raise InputError("parquet is no text; name a file with --out")
        _write_text(rows, format, sys.stdout)
        return
    with replacing(path) as temporary:
        if format == "parquet":
            _write_parquet(rows, temporary)
        else:
            with temporary.open("w", newline="", encoding="utf-8") as file:
                _write_text(rows, format, file)


def _write_text(rows: Iterable[Row], format: str, file: TextIO) -> None:
    if format == "markdown":
        file.write(means_table(rows))
        return
    writer: csv.DictWriter[str] | None = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(file, list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow(row)


def _write_parquet(rows: Iterable[Row], path: Path) -> None:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise InputError(
            "pyarrow is not installed; run pip install 'interlayer[parquet]' or export csv"
        ) from None
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)

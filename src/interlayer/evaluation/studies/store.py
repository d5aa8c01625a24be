"""A study in one SQLite file: its jobs, their outcomes, and small pictures beside it."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from interlayer.errors import InputError
from interlayer.evaluation.studies.jobs import Job, Outcome, StageFigures
from interlayer.media.files import digest, replacing

Row = dict[str, Any]
APPLICATION, VERSION = 0x494C4253, 3
METRICS = ("psnr", "ssim", "mse", "lpips", "stlpips")
ORACLE = "oracle_psnr"  # no method sees it
CALIBRATION = ("coverage", "std")
PICTURES = ("truth", "measured", "recovered")
MOST_SAID = 200  # letters of what SQLite says
JOB = tuple(field.name for field in fields(Job))
STAGE = tuple(field.name for field in fields(StageFigures))
FIGURES = (*METRICS, ORACLE, *CALIBRATION)
RESULT = ("job", "error", *FIGURES, "seconds", "finished", *PICTURES, "environment")
SCHEMA = f"""
    CREATE TABLE jobs (
        id TEXT PRIMARY KEY, image TEXT NOT NULL, source TEXT NOT NULL, image_sha256 TEXT NOT NULL,
        task TEXT NOT NULL, task_sha256 TEXT NOT NULL, method TEXT NOT NULL,
        method_sha256 TEXT NOT NULL, quality TEXT NOT NULL, holdout REAL NOT NULL,
        seed INTEGER NOT NULL, generator TEXT NOT NULL, generator_sha256 TEXT NOT NULL,
        label INTEGER, precision TEXT NOT NULL, version TEXT NOT NULL, pictures INTEGER NOT NULL,
        samples INTEGER NOT NULL, steps INTEGER
    );
    CREATE TABLE environments (id TEXT PRIMARY KEY, content TEXT NOT NULL);
    CREATE TABLE results (
        job TEXT PRIMARY KEY REFERENCES jobs, error TEXT,
        psnr REAL, ssim REAL, mse REAL, lpips REAL, stlpips REAL, {ORACLE} REAL,
        coverage REAL, std REAL, seconds REAL,
        finished TEXT NOT NULL, truth TEXT, measured TEXT, recovered TEXT,
        environment TEXT REFERENCES environments
    );
    CREATE TABLE stages (
        job TEXT REFERENCES jobs, number INTEGER, layer INTEGER NOT NULL, steps INTEGER NOT NULL,
        psnr REAL NOT NULL, measurement_loss REAL NOT NULL, holdout_loss REAL, deviation REAL,
        seconds REAL NOT NULL, PRIMARY KEY (job, number)
    );
    PRAGMA application_id = {APPLICATION};
    PRAGMA user_version = {VERSION};
"""


class Store:
    """File of a study and the folder ``NAME.pictures`` beside it; see `reading`, `writing`.

    A picture's name is the SHA-256 of its content. Pictures are renamed into place first; then a
    result and its stages are written in one transaction. Whatever dies in between, the file holds
    whole results, and none twice.
    """

    def __init__(self, path: Path, database: sqlite3.Connection) -> None:
        self.path, self._db = path, database
        self.folder = path.with_suffix(".pictures")

    def plan(self, jobs: Iterable[Job]) -> None:
        """Add jobs; those that are there stay as they are.

        Raises:
            InputError: if the disk is full or cannot be written.
        """
        with _naming(self.path), self._db:
            self._db.executemany(
                _insert("jobs", ("id", *JOB)), ({"id": job.id, **vars(job)} for job in jobs)
            )

    def jobs(self) -> list[Job]:
        """All jobs in the order they were added."""
        rows = self._db.execute(f"SELECT {', '.join(JOB)} FROM jobs ORDER BY rowid")
        return [Job(**dict(row)) for row in rows]

    def pending(self, jobs: Iterable[Job], *, retry: bool = False) -> list[Job]:
        """Return those jobs that have no result; with ``retry``, also those that failed."""
        query = "SELECT job FROM results" + " WHERE error IS NULL" * retry
        finished = {row["job"] for row in self._db.execute(query)}
        return [job for job in jobs if job.id not in finished]

    def record(self, outcomes: Iterable[Outcome]) -> None:
        """Keep outcomes of planned jobs; a result stays, a failure gives way to what comes later.

        Raises:
            InputError: if the disk is full or cannot be written.
        """
        with _placing(self.path):
            kept = [(outcome, self._keep_pictures(outcome)) for outcome in outcomes]
        with _naming(self.path), self._db:
            for outcome, pictures in kept:
                self._record_one(outcome, pictures)

    def _record_one(self, outcome: Outcome, pictures: Mapping[str, str]) -> None:
        job = outcome.job.id
        environment = json.dumps(dict(outcome.environment), sort_keys=True)
        key = digest(environment.encode())
        self._db.execute("INSERT OR IGNORE INTO environments VALUES (?, ?)", (key, environment))
        self._db.execute("DELETE FROM results WHERE job = ? AND error IS NOT NULL", (job,))
        row = dict.fromkeys(RESULT) | dict(outcome.figures) | dict(pictures)
        row |= {"job": job, "error": outcome.error, "seconds": outcome.seconds, "environment": key}
        row["finished"] = datetime.now(timezone.utc).isoformat(timespec="seconds")
        if self._db.execute(_insert("results", RESULT), row).rowcount:
            stages = ({"job": job, "number": n, **asdict(s)} for n, s in enumerate(outcome.stages))
            self._db.executemany(_insert("stages", ("job", "number", *STAGE)), stages)

    def _keep_pictures(self, outcome: Outcome) -> dict[str, str]:
        names = {kind: digest(content) for kind, content in outcome.pictures.items()}
        for kind, content in outcome.pictures.items():
            path = self.picture(names[kind])
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                with replacing(path) as temporary:
                    temporary.write_bytes(content)
        return names

    def picture(self, name: str) -> Path:
        """Path of a picture."""
        if not re.fullmatch("[0-9a-f]{64}", name):
            raise InputError(f"{self.path} is damaged: it names a picture {name!r}")
        return self.folder / name[:2] / f"{name}.png"

    def rows(self) -> Iterator[Row]:
        """All jobs, one after another, with their results; those are ``None`` where none is yet.

        ``status`` is done, failed or pending.
        """
        query = (
            "SELECT jobs.*, results.*, CASE WHEN job IS NULL THEN 'pending' "
            "WHEN error IS NULL THEN 'done' ELSE 'failed' END AS status "
            "FROM jobs LEFT JOIN results ON results.job = jobs.id ORDER BY jobs.rowid"
        )
        for row in self._db.execute(query):
            yield {k: v for k, v in dict(row).items() if k != "job"}

    def stages(self) -> Iterator[Row]:
        """All stages of all results."""
        return map(dict, self._db.execute("SELECT * FROM stages ORDER BY job, number"))

    def environments(self) -> dict[str, dict[str, str]]:
        """Machines and versions that results were computed on, by the ids that the rows name."""
        return {
            row["id"]: json.loads(row["content"])
            for row in self._db.execute("SELECT * FROM environments")
        }

    def outcomes(self) -> Iterator[Outcome]:
        """Everything that `record` was given, pictures included where their files are there."""
        environments = self.environments()
        stages: dict[str, list[StageFigures]] = {}
        for row in self.stages():
            stages.setdefault(row["job"], []).append(StageFigures(**{k: row[k] for k in STAGE}))
        for row in self.rows():
            if row["status"] == "pending":
                continue
            paths = {kind: self.picture(row[kind]) for kind in PICTURES if row[kind]}
            yield Outcome(
                Job(**{name: row[name] for name in JOB}),
                error=row["error"],
                figures={name: row[name] for name in FIGURES if row[name] is not None},
                seconds=row["seconds"],
                stages=tuple(stages.get(row["id"], ())),
                pictures={kind: file.read_bytes() for kind, file in paths.items() if file.exists()},
                environment=environments[row["environment"]],
            )


@contextmanager
def reading(path: Path) -> Iterator[Store]:
    """Open the store of a study to read it, even while another process writes.

    Raises:
        InputError: if there is no such file, it is no study, or another version has written it.
    """
    if not path.is_file():
        raise InputError(f"there is no study at {path}; `interlayer bench run` makes one")
    with _opened(path, new=False) as database:
        yield Store(path, database)


@contextmanager
def writing(path: Path) -> Iterator[Store]:
    """Open the store of a study, made if it is not there, for this process alone.

    Raises:
        InputError: as `reading`, if another process writes, or the file cannot be written.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file of your own, such as study.db")
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    with _placing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise InputError(
                f"another process writes to {path}; wait for it, or give this one a --store of its "
                "own and merge them"
            ) from None
    try:
        with _opened(path, new=True) as database:
            yield Store(path, database)
    finally:
        lock.release()


@contextmanager
def _opened(path: Path, *, new: bool) -> Iterator[sqlite3.Connection]:
    with _naming(path), closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        _check(database, path, new)
        yield database


def _check(database: sqlite3.Connection, path: Path, new: bool) -> None:
    """Make the tables of a new file; refuse one of another program or version."""
    application, found = (
        database.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("application_id", "user_version")
    )
    if new and not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(f"BEGIN; {SCHEMA} COMMIT;")
    elif application != APPLICATION:
        raise InputError(f"{path} is not a study of interlayer; choose another name")
    elif found != VERSION:
        age = "a newer" if found > VERSION else "an older"
        raise InputError(f"{path} was written by {age} interlayer; install that one to use it")


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Say in one sentence what SQLite refuses."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise InputError(
            f"cannot use {path}: {_said(error)}; make room or choose another place, then run the "
            "same command again"
        ) from None
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} is not a study of interlayer, or a damaged one ({_said(error)}); "
            "choose another name"
        ) from None


def _said(error: Exception) -> str:
    """What SQLite says, on one line and no longer than a line."""
    return " ".join(str(error).split())[:MOST_SAID]


@contextmanager
def _placing(path: Path) -> Iterator[None]:
    """Say in one sentence what the file system refuses."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"cannot write beside {path}: {error.strerror}; make room or choose another place, "
            "then run the same command again"
        ) from None


SETTINGS = (
    *("quality", "steps", "generator", "label", "holdout", "precision", "samples", "version"),
)
COUNTS = ("steps", "samples")


def with_variants(rows: Iterable[Row]) -> list[Row]:
    """Rows whose method's name is followed by those settings in which the study is mixed.

    >>> row = dict.fromkeys(SETTINGS) | {"method": "ilo"}
    >>> rows = [row | {"quality": quality} for quality in ("draft", "best")]
    >>> [row["method"] for row in with_variants(rows)], with_variants(rows[:1])[0]["method"]
    (['ilo draft', 'ilo best'], 'ilo')
    >>> [row["method"] for row in with_variants([row, row | {"steps": 560}])]
    ['ilo', 'ilo 560 steps']
    """
    rows = list(rows)
    mixed = [name for name in SETTINGS if len({row[name] for row in rows}) > 1]
    if not mixed:
        return rows
    return [row | {"method": " ".join([row["method"], *_spoken(row, mixed)])} for row in rows]


def _spoken(row: Row, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        if row[name] is not None:
            yield f"{row[name]} {name}" if name in COUNTS else str(row[name])


def _insert(table: str, columns: Sequence[str]) -> str:
    names = ", ".join(columns)
    return f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({', '.join(f':{c}' for c in columns)})"

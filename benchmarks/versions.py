"""Time, memory and quality of `interlayer recover` in this version and in another, side by side.

    python benchmarks/versions.py OTHER PHOTO... [--tasks TASK...] [--qualities normal draft]

OTHER is a checkout of another version. Each photo is recovered by both in turn, each time in a
process of its own whose seconds count from its start to its end. A JSON line per recovery is
appended to results/versions.jsonl; what is there already is not measured again. The means of both
and their ratios are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean, median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "versions.jsonl"
PROGRAM = "from interlayer.app.cli import main; main()"
FIGURES = ("seconds", "peak_gb", "psnr", "stlpips")


def recovered(version: Path, photo: Path, task: str, quality: str) -> dict[str, Any]:
    """Figures of one recovery by the version of a checkout."""
    with tempfile.TemporaryDirectory() as folder:
        flags = [str(photo), "--task", task, "--quality", quality, "--out", folder]
        environment = {**os.environ, "PYTHONPATH": str(version / "src")}
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "recover", *flags],
            env=environment,
            stderr=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{version} ended with status {process.returncode}")
        result = json.loads((Path(folder) / photo.stem / "result.json").read_text("utf-8"))
    return {
        "seconds": round(seconds, 1),
        "peak_gb": round(usage.ru_maxrss / 2**20, 2),
        "psnr": result["psnr"],
        "stlpips": result["stlpips"],
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path)
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--tasks", nargs="+", default=["circulant:0.01", "inpaint:0.01"])
    parser.add_argument("--qualities", nargs="+", default=["normal"])
    options = parser.parse_args()
    rows = [json.loads(line) for line in RESULTS.open()] if RESULTS.exists() else []
    done = {(r["version"], r["photo"], r["task"], r["quality"]): r for r in rows}
    cells = [(q, t, p) for q in options.qualities for t in options.tasks for p in options.photos]
    for quality, task, photo in cells:
        for name, version in (("other", options.other.resolve()), ("this", ROOT)):
            key = (name, photo.stem, task, quality)
            if key not in done:
                done[key] = dict(zip(("version", "photo", "task", "quality"), key, strict=True))
                done[key] |= recovered(version, photo, task, quality)
                with RESULTS.open("a") as file:
                    file.write(json.dumps(done[key]) + "\n")
            print(done[key], flush=True)
    print("| task | quality | " + " | ".join(FIGURES) + " | ratio of seconds |")
    print("|---|---|" + "---|" * (len(FIGURES) + 1))
    for quality in options.qualities:
        for task in options.tasks:
            pairs = [
                [done[name, p.stem, task, quality] for name in ("other", "this")]
                for p in options.photos
            ]
            means = [
                " → ".join(f"{fmean(pair[i][figure] for pair in pairs):.4g}" for i in (0, 1))
                for figure in FIGURES
            ]
            ratio = median(new["seconds"] / old["seconds"] for old, new in pairs)
            print(f"| `{task}` | {quality} | " + " | ".join(means) + f" | {ratio:.2f} |")


if __name__ == "__main__":
    main()

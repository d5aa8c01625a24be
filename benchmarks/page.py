"""Endurance of the page: recoveries one after another, then at once, with the small generator.

    python benchmarks/page.py [--visits 200] [--at-once 8]

The recoveries that come to an end are counted, and the memory of the serving process, which is this
one; the browser is another. Needs the extra `test` and Debian's package chromium.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright
from rich.progress import track

from interlayer.app.demo.page import build
from interlayer.app.demo.server import launch
from interlayer.generators import ToyGenerator

RESULTS = Path(__file__).parent / "results" / "page.json"
PORT = 7871
WARM = 20  # visits until everything that is loaded once has been
PATIENCE = 60_000  # milliseconds


def main() -> None:
    """Visit the page, and print and keep what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visits", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=8)
    options = parser.parse_args()
    # gradio makes event loops that playwright's own does not bear beside it
    with ThreadPoolExecutor(1) as other:
        page, address = other.submit(asyncio.run, served()).result()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        found = one_after_another(browser, address, options.visits)
        found |= at_once(browser, address, options.at_once)
        browser.close()
    page.close(verbose=False)
    print(json.dumps(found, indent=2))
    RESULTS.write_text(json.dumps(found, indent=2) + "\n")


async def served() -> tuple[Any, str]:
    """The page and its address."""
    page = build(ToyGenerator())
    return page, launch(page, port=PORT, open_browser=False, block=False)


def one_after_another(browser: Browser, address: str, visits: int) -> dict[str, float]:
    """Recoveries of one visitor, and memory in MB after the first few, at its peak and at last."""
    tab, memory, ended = visit(browser, address), [], 0
    started = time.perf_counter()
    for _ in track(range(visits)):
        tab.evaluate("document.querySelector('.compare')?.remove()")
        tab.click("#recover")
        tab.wait_for_selector(".compare")
        ended += 1
        memory.append(resident())
    tab.context.close()
    later = memory[WARM:] or memory
    return {
        "visits": visits,
        "ended": ended,
        "seconds_each": round((time.perf_counter() - started) / visits, 2),
        "memory_after_warm_up": later[0],
        "memory_at_most": max(later),
        "memory_at_last": later[-1],
        "growth": round(later[-1] / later[0] - 1, 3),
    }


def at_once(browser: Browser, address: str, visitors: int) -> dict[str, int]:
    """Recoveries of several visitors who press the button together."""
    tabs = [visit(browser, address) for _ in range(visitors)]
    for tab in tabs:
        tab.click("#recover")
    for tab in tabs:
        tab.wait_for_selector(".compare")
    return {"at_once": visitors, "at_once_ended": len(tabs), "at_once_memory": resident()}


def visit(browser: Browser, address: str) -> Page:
    """A new visitor's tab."""
    tab = browser.new_context().new_page()
    tab.set_default_timeout(PATIENCE)
    tab.goto(address)
    tab.wait_for_selector("#recover")
    return tab


def resident() -> int:
    """Memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 // 2**20


if __name__ == "__main__":
    main()

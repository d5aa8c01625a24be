"""What the tests of the page in a real browser share: a slow toy, the page served, a tab."""

import asyncio
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from interlayer.app.demo.page import build
from interlayer.app.demo.server import launch
from interlayer.generators import LayerState, ToyGenerator

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
Axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-core").Axe
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
expect = sync_api.expect

PATIENCE = 60_000  # milliseconds; a busy machine is slow
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1440, "height": 900}
# Boxes of what can be pressed or read and is not under the bar, of which none may overlap another.
BOXES = """(root) => [...document.querySelectorAll(
    `${root} button, ${root} label, ${root} h2, ${root} h3, ${root} p, ${root} li, ${root} pre`)]
  .filter((e) => e.checkVisibility({ visibilityProperty: true }) && e.innerText.trim())
  .map((e) => {
    const words = e.querySelector(".wrap"); // of an upload area, whose label is in its corner
    const range = document.createRange();
    range.selectNodeContents(words ?? e);
    return { e, box: (words ? range : e).getBoundingClientRect() };
  })
  .filter(({ box }) => box.width > 0 && box.height > 0)"""
OVERLAPS = f"""(root) => {{
  const boxes = ({BOXES})(root);
  const found = [];
  boxes.forEach((a, i) => boxes.slice(i + 1).forEach((b) => {{
    if (a.e.contains(b.e) || b.e.contains(a.e)) return;
    const across = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left);
    const down = Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top);
    if (across > 1 && down > 1) found.push([a.e.innerText, b.e.innerText]);
  }}));
  return found;
}}"""


class SlowToy(ToyGenerator):
    """A toy that takes its time, and counts how often it is asked."""

    calls = 0

    def layer(self, index: int, state: LayerState) -> LayerState:
        type(self).calls += 1
        time.sleep(0.004)
        return super().layer(index, state)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def served(generator: ToyGenerator, port: int) -> tuple[Any, str]:
    """The page and its address.

    Outside of an event loop gradio makes loops that nobody closes; playwright runs one in this
    thread, so another thread has it.
    """

    async def serve() -> tuple[Any, str]:
        page = build(generator)
        return page, launch(page, port=port, open_browser=False, block=False)

    with ThreadPoolExecutor(1) as other:
        return other.submit(asyncio.run, serve()).result()


@contextmanager
def chromium() -> Iterator[Any]:
    """Debian's Chromium."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def visitors(browser: Any, address: str) -> Iterator[Callable[..., Any]]:
    """Open visitors' tabs; all are closed at the end."""
    contexts = []

    def opened(**settings: Any) -> Any:
        contexts.append(browser.new_context(**{"viewport": DESKTOP} | settings))
        tab = contexts[-1].new_page()
        tab.set_default_timeout(PATIENCE)
        tab.requested = []
        tab.on("request", lambda request: tab.requested.append(request.url))
        tab.goto(address)
        tab.wait_for_selector("#restore")
        return tab

    yield opened
    for context in contexts:
        context.close()


def barriers(tab: Any) -> list[tuple[str, list[str]]]:
    """What axe-core calls serious or critical."""
    return [
        (violation["id"], [node["html"] for node in violation["nodes"]])
        for violation in Axe().run(tab).response["violations"]
        if violation["impact"] in ("serious", "critical")
    ]


def overlaps(tab: Any, root: str) -> list[list[str]]:
    """Pairs of texts within the elements of a selector that lie over one another.

    The bar of buttons is left out of the flow's way by scrolling to the end.
    """
    tab.evaluate("window.scrollTo(0, document.documentElement.scrollHeight)")
    return tab.evaluate(OVERLAPS, root)


def in_view(tab: Any, selector: str) -> bool:
    """Whether all of an element can be seen, and nothing lies over its middle."""
    return tab.locator(selector).evaluate(
        """(e) => {
  const { left, right, top, bottom } = e.getBoundingClientRect();
  const there = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
  return top >= 0 && bottom <= window.innerHeight && e.contains(there);
}"""
    )

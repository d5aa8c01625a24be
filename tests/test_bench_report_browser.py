"""The page of a study in a real browser: Debian's Chromium."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from interlayer import write_image
from interlayer.evaluation.studies import writing
from interlayer.evaluation.studies.report import write_report

from .bench_studies import jobs, outcome

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
Axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-core").Axe
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's package chromium")

PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1440, "height": 900}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a study with levels, samples, pictures and a failure with a long reason."""
    folder = tmp_path_factory.mktemp("study")
    png: dict[str, bytes] = {}
    for kind, grey in (("truth", 0.25), ("measured", 0.5), ("recovered", 0.5)):
        write_image(folder / "grey.png", torch.full((3, 8, 8), grey))
        png[kind] = (folder / "grey.png").read_bytes()
    planned = jobs("generated:0-1", tasks=["inpaint:0.1", "inpaint:0.2", "superres:4"])
    figures = {"psnr": 20.0, "ssim": 0.9, "mse": 0.01, "lpips": 0.3, "coverage": 0.5, "std": 0.05}
    with writing(folder / "study.db") as store:
        store.plan(planned)
        done = [replace(outcome(job), figures=figures, pictures=png) for job in planned[:-1]]
        store.record([*done, outcome(planned[-1], error="/a/path/without/a/break" * 9)])
        write_report(store, folder / "page.html")
    return folder / "page.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_the_page_is_whole_quiet_and_open_to_everyone(
    browser: Any, page: Path, viewport: dict[str, int], scheme: str
) -> None:
    context = browser.new_context(viewport=viewport, color_scheme=scheme)
    tab, requested, said = context.new_page(), [], []
    tab.on("request", lambda request: requested.append(request.url))
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.goto(page.as_uri())
    tab.locator("details").evaluate_all("all => all.forEach((each) => { each.open = true; })")
    assert tab.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    assert [url for url in requested if not url.startswith("data:")] == [page.as_uri()]
    images = tab.locator("img").evaluate_all("all => all.map((each) => each.naturalWidth)")
    assert images and min(images) > 0
    serious = [
        (violation["id"], [node["html"][:200] for node in violation["nodes"]])
        for violation in Axe().run(tab).response["violations"]
        if violation["impact"] in ("serious", "critical")
    ]
    assert serious == [] and said == []
    context.close()


def test_a_picture_becomes_its_difference_and_is_enlarged(browser: Any, page: Path) -> None:
    context = browser.new_context(viewport=DESKTOP)
    tab = context.new_page()
    tab.goto(page.as_uri())
    frame, over = tab.locator(".compared").first, tab.locator(".compared .over").first
    before = frame.bounding_box()
    assert not over.is_visible()
    tab.check("#difference")
    assert over.is_visible()
    frame.click()
    assert frame.bounding_box()["width"] > 2 * before["width"]
    context.close()

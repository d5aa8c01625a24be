"""The page in a real browser: Debian's Chromium on a slow toy generator."""

import contextlib
import json
import re
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from PIL import Image
from typer.testing import CliRunner

from interlayer.app.cli import app
from interlayer.app.demo.server import HEADERS, MAX_UPLOAD
from interlayer.errors import InputError
from interlayer.generators import ToyGenerator
from interlayer.weights import loading

from .browsing import (
    CHROMIUM,
    DESKTOP,
    PATIENCE,
    PHONE,
    SlowToy,
    barriers,
    chromium,
    expect,
    free_port,
    in_view,
    overlaps,
    served,
    visitors,
)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's package chromium")

COUNT_LIVE = """() => {
  window.seen = new Set();
  const look = () => document.querySelectorAll(".live img").forEach((i) => seen.add(i.src));
  new MutationObserver(look).observe(
    document.querySelector("#shown"), {subtree: true, childList: true, attributes: true});
}"""


@pytest.fixture(scope="module")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("uploads")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        yield folder


@pytest.fixture(scope="module")
def address(uploads: Path) -> Iterator[str]:
    page, address = served(SlowToy(), free_port())
    yield address
    page.close(verbose=False)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Callable[..., Any]]:
    """Opens a visitor's tab at the experiments."""
    with visitors(browser, address) as visited:

        def opened(**settings: Any) -> Any:
            tab = visited(**settings)
            tab.get_by_role("tab", name="Experiment").click()
            tab.wait_for_selector("#recover")
            tab.evaluate(COUNT_LIVE)
            return tab

        yield opened


@pytest.fixture
def tab(visit: Callable[..., Any]) -> Any:
    return visit()


def choose(tab: Any, label: str, option: str) -> None:
    tab.get_by_label(label).click()
    tab.get_by_role("option", name=option).click()


def finished(tab: Any) -> None:
    tab.wait_for_selector("#shown .compare")


def kept(tab: Any, name: str, folder: Path) -> Path:
    """A file that the visitor downloads."""
    with tab.expect_download() as download:
        tab.click(f'a[download="{name}"]')
    download.value.save_as(folder / name)
    return folder / name


def test_a_whole_visit(tab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tab.click("#draw")
    tab.get_by_text("Drawn by the generator, number 1.").wait_for()
    choose(tab, "What happens to it", "Paint over")
    canvas = tab.locator("#painter canvas")
    expect(canvas).to_be_visible(timeout=PATIENCE)
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    tab.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"])
    tab.mouse.down()
    tab.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.6 * box["height"], steps=5)
    tab.mouse.up()
    tab.click("#recover")
    finished(tab)
    assert tab.evaluate("seen.size") >= 3

    tab.get_by_label("Slide between").fill("80")
    assert tab.locator(".compare").evaluate("e => e.style.getPropertyValue('--cut')") == "80%"
    tab.get_by_role("button", name="truth").click()
    expect(tab.locator(".before.input")).to_be_visible()
    expect(tab.locator(".before.measured")).to_be_hidden()
    expect(tab.locator("#shown .warning")).to_contain_text("do not use it to identify anyone")

    for name in ("input.png", "mask.png", "recovered.png", "progress.gif"):
        Image.open(kept(tab, name, tmp_path)).verify()
    result = json.loads(kept(tab, "result.json", tmp_path).read_text())
    words = shlex.split(kept(tab, "repeat.sh", tmp_path).read_text())
    monkeypatch.setattr(loading, "load", lambda *args, **kwargs: ToyGenerator())
    with contextlib.chdir(tmp_path):
        assert CliRunner().invoke(app, words[1:]).exit_code == 0
    again = json.loads((tmp_path / "repeated/input/result.json").read_text())
    assert again["psnr"] == result["psnr"]
    assert {re.match(r"\w+://[^/:]+|\w+:", url).group() for url in tab.requested} <= {  # type: ignore[union-attr]
        "http://127.0.0.1",
        "data:",
        "blob:http://127.0.0.1",
        "blob:",
    }
    paint = tab.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    assert paint < 3000


def test_stop_keeps_the_best(tab: Any) -> None:
    tab.get_by_role("radio", name="As good as it gets").check()
    tab.click("#recover")
    tab.click("#stop:not([disabled])")
    finished(tab)
    expect(tab.get_by_role("heading", name="The best so far")).to_contain_text("you stopped it")
    expect(tab.locator("#stop")).to_be_disabled()


def test_uploads_are_judged_and_not_kept(tab: Any, tmp_path: Path, uploads: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no more")
    Image.new("1", (10_000, 5_000)).save(tmp_path / "huge.png")
    Image.new("RGB", (200, 300), "teal").save(tmp_path / "nobody.png")
    about = tab.locator("#about")
    for name, says in (
        ("broken.jpg", "Sorry: this file is"),
        ("huge.png", "more than 40 megapixels"),
        ("nobody.png", "no face was found"),
    ):
        tab.locator("#photo input[type=file]").set_input_files(tmp_path / name)
        expect(about).to_contain_text(says, timeout=PATIENCE)
        assert str(uploads) not in tab.content()
        cleared = "Sorry" in says or "megapixels" in says
        expect(tab.locator("#painter img")).to_be_visible(visible=not cleared, timeout=PATIENCE)
    (tmp_path / "heavy.png").write_bytes(b"0" * (MAX_UPLOAD + 2**20))
    tab.locator("#photo input[type=file]").set_input_files(tmp_path / "heavy.png")
    tab.get_by_text("exceed").first.wait_for()
    assert [file for file in uploads.rglob("*") if file.is_file()] == []


def test_two_tabs_are_apart_and_a_closed_one_frees_the_worker(visit: Callable[..., Any]) -> None:
    first, second = visit(), visit()
    first.get_by_role("radio", name="As good as it gets").check()
    first.click("#recover")
    first.wait_for_selector(".live")
    second.click("#recover")
    second.get_by_text(re.compile(r"queue: \d")).wait_for()
    assert second.locator(".live").count() == 0
    first.context.close()
    second.wait_for_selector(".live, .compare", timeout=5000)
    finished(second)
    calls = SlowToy.calls
    time.sleep(0.3)
    assert SlowToy.calls == calls


def test_eight_visitors_at_once_all_get_theirs(visit: Callable[..., Any]) -> None:
    tabs = [visit() for _ in range(8)]
    for number, tab in enumerate(tabs):
        tab.get_by_label("Which face to draw").fill(str(number))
        tab.click("#draw")
        tab.get_by_text(f"Drawn by the generator, number {number}.").wait_for()
        tab.click("#recover")
    truths = []
    for tab in tabs:
        finished(tab)
        truths.append(tab.locator(".before.input").get_attribute("src"))
    assert len(set(truths)) == 8


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_nothing_serious_keeps_anyone_out(
    visit: Callable[..., Any], viewport: dict[str, int], scheme: str
) -> None:
    tab = visit(viewport=viewport, color_scheme=scheme)
    choose(tab, "What happens to it", "Paint over")
    canvas = tab.locator("#painter canvas")
    expect(canvas).to_be_visible(timeout=PATIENCE)
    canvas.focus()
    for key in ("ArrowLeft", " ", "ArrowDown", " "):
        tab.keyboard.press(key)
    tab.locator("#recover").focus()
    tab.keyboard.press("Enter")
    finished(tab)
    assert barriers(tab) == []
    assert overlaps(tab, ".gradio-container") == []
    assert in_view(tab, "#recover") and in_view(tab, "#stop")
    tab.evaluate("window.scrollTo(0, 0)")
    assert in_view(tab, "#recover") and in_view(tab, "#stop")
    width = tab.evaluate("document.documentElement.scrollWidth")
    assert width <= viewport["width"]
    columns = {round(tab.locator(s).bounding_box()["x"]) for s in ("#painter", "#shown")}
    assert len(columns) == (2 if viewport is DESKTOP else 1)


def test_health_and_headers(address: str) -> None:
    with urlopen(f"{address}health") as answer:
        assert json.load(answer) == {"status": "ok"}
        assert answer.headers["content-security-policy"] == HEADERS["content-security-policy"]


def test_a_taken_port_is_one_sentence(address: str) -> None:
    port = int(address.rstrip("/").rpartition(":")[2])
    with pytest.raises(InputError, match="choose another, --port N"):
        served(ToyGenerator(), port)

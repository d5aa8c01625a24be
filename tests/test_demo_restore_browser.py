"""The restoration of a photo in a real browser, with a slow toy generator."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

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
from .photo_files import noise, noisy_faces

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's package chromium")
WIDTHS = pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])


@pytest.fixture(scope="module")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("uploads")


@pytest.fixture(scope="module")
def address(uploads: Path) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(uploads))
        page, address = served(SlowToy(), free_port())
        yield address
        page.close(verbose=False)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Callable[..., Any]]:
    with visitors(browser, address) as visited:
        yield visited


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A photo that is taller than wide, with two faces."""
    file = tmp_path / "grandmothers.png"
    noisy_faces(2).save(file)
    return file


def drop(tab: Any, file: Path) -> None:
    tab.locator("#restore-photo input[type=file]").set_input_files(file)


def brush(tab: Any) -> None:
    """Paint a scratch across the photo, once it is there."""
    tab.locator("#restore-findings li").first.wait_for()
    tab.get_by_label("It has scratches or holes").check()
    canvas = tab.locator("#restore-painter canvas")
    expect(canvas).to_be_visible(timeout=PATIENCE)
    canvas.evaluate("e => e.scrollIntoView({block: 'start'})")
    box = canvas.bounding_box()
    tab.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 0.25 * box["height"])
    tab.mouse.down()
    tab.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 0.5 * box["height"], steps=5)
    tab.mouse.up()


def finished(tab: Any) -> None:
    tab.wait_for_selector("#restore-shown .compare")


def kept(tab: Any, name: str, folder: Path) -> Image.Image:
    """A picture that the visitor downloads."""
    with tab.expect_download() as download:
        tab.click(f'#restore-downloads a[download="{name}"]')
    download.value.save_as(folder / f"kept-{name}")
    with Image.open(folder / f"kept-{name}") as picture:
        return picture.copy()


@WIDTHS
def test_a_photo_is_dropped_brushed_restored_and_kept(
    visit: Callable[..., Any], viewport: dict[str, int], photo: Path, tmp_path: Path, uploads: Path
) -> None:
    tab = visit(viewport=viewport)
    assert "toy, 16x16" in tab.locator(".at-work").inner_text()
    expect(tab.get_by_text("must not be used to identify anyone")).to_be_visible()
    drop(tab, photo)
    findings = tab.locator("#restore-findings li")
    expect(findings).to_contain_text(["2 faces", "Noise of 8", "No blur"])
    shape = tab.locator("#restore-painter .pictures").bounding_box()
    assert abs(shape["height"] / shape["width"] - 2) < 0.02
    brush(tab)
    tab.get_by_label("The largest").check()

    tab.click("#restore")
    expect(tab.locator("#restore-shown .live")).to_contain_text("Face 1 of 1", timeout=PATIENCE)
    expect(tab.locator("#restore-shown .live")).to_contain_text("s left")
    assert tab.locator("#restore-shown .live progress").count() == 1
    finished(tab)
    tops = [
        tab.locator(f"#restore-shown {part}").bounding_box()["y"]
        for part in (".whole", ".warning", ".pictures")
    ]
    assert tops == sorted(tops)
    whole = tab.locator("#restore-shown .whole").bounding_box()
    assert abs(whole["height"] / whole["width"] - 2) < 0.02
    assert kept(tab, "restored.png", tmp_path).size == (512, 1024)
    mask = kept(tab, "scratches.png", tmp_path).convert("L")
    assert mask.size == (64, 128)
    # the middle of the stroke is missing, the same place reflected is not
    assert mask.getpixel((32, 48)) == 0 and mask.getpixel((32, 80)) == 255
    command = tab.locator("#restore-downloads pre").inner_text()
    assert command.startswith(
        "interlayer restore grandmothers.png --mask scratches.png --mask-is known --faces 1 "
    )
    assert [file for file in uploads.rglob("*") if file.is_file()] == []


@WIDTHS
def test_nothing_overlaps_or_keeps_anyone_out(
    visit: Callable[..., Any], viewport: dict[str, int], photo: Path
) -> None:
    tab = visit(viewport=viewport)
    drop(tab, photo)
    brush(tab)
    tab.get_by_role("button", name="Correct what was found").click()
    expect(tab.get_by_label("Noise, in percent")).to_have_value(re.compile("^8"))
    tab.get_by_label("Quick (draft)").first.check()
    for _ in ("before", "after"):
        assert barriers(tab) == []
        assert overlaps(tab, ".gradio-container") == []
        assert tab.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        for part in ("0", "300", "document.documentElement.scrollHeight"):
            tab.evaluate(f"window.scrollTo({{top: {part}, behavior: 'instant'}})")
            assert in_view(tab, "#restore") and in_view(tab, "#restore-stop")
        tab.click("#restore")
        finished(tab)


def test_a_run_is_brought_into_view_on_a_phone(visit: Callable[..., Any], photo: Path) -> None:
    tab = visit(viewport=PHONE)
    drop(tab, photo)
    tab.locator("#restore-findings li").first.wait_for()
    tab.evaluate("window.scrollTo({top: 0, behavior: 'instant'})")
    tab.click("#restore")
    tab.locator("#restore-shown .live").wait_for()
    top = tab.locator("#restore-shown .live").bounding_box()["y"]
    assert -1 <= top < PHONE["height"] / 2


def test_an_error_clears_the_picture_that_it_is_not_about(
    visit: Callable[..., Any], photo: Path, tmp_path: Path
) -> None:
    tab = visit()
    tab.click("#restore")
    expect(tab.locator("#restore-status")).to_contain_text("no photo yet", timeout=PATIENCE)
    drop(tab, photo)
    tab.locator("#restore-findings li").first.wait_for()
    tab.get_by_label("Quick (draft)").first.check()
    tab.click("#restore")
    finished(tab)

    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no more")
    drop(tab, tmp_path / "broken.jpg")
    alert = tab.locator("#restore-about [role=alert]")
    expect(alert).to_contain_text("Sorry: this file is", timeout=PATIENCE)
    expect(tab.locator("#restore-painter img")).to_be_hidden()
    assert tab.locator("#restore-findings li, #restore-shown .compare").count() == 0
    assert tab.locator("#restore-downloads a").count() == 0


def test_what_is_corrected_is_taken_into_account(visit: Callable[..., Any], photo: Path) -> None:
    tab = visit()
    drop(tab, photo)
    tab.locator("#restore-findings li").first.wait_for()
    tab.get_by_role("button", name="Correct what was found").click()
    tab.get_by_label("Noise, in percent").fill("4.5")
    expect(tab.get_by_label("Size of the blur")).to_be_hidden()
    tab.get_by_label("Blur", exact=True).click()
    tab.get_by_role("option", name="It is out of focus (disc)").click()
    tab.get_by_label("Size of the blur").fill("1.5")
    expect(tab.get_by_label("Direction of the line")).to_be_hidden()
    expect(tab.get_by_label("Take the losses of the JPEG file")).to_be_hidden()
    tab.get_by_label("Quick (draft)").first.check()
    tab.click("#restore")
    finished(tab)
    lines = tab.locator("#restore-shown .findings li")
    expect(lines).to_contain_text(["2 faces", "Noise of 4.5% of white", "Lens blur of 1.5 px"])
    command = tab.locator("#restore-downloads pre").inner_text()
    assert "--noise 0.045 --blur disc:1.5 --quality draft" in command


def test_a_photo_without_a_face_is_restored_around_it(
    visit: Callable[..., Any], tmp_path: Path
) -> None:
    Image.fromarray(noise(80, 100)).save(tmp_path / "night.png")
    tab = visit()
    drop(tab, tmp_path / "night.png")
    findings = tab.locator("#restore-findings li")
    expect(findings.first).to_have_text("No face is found", timeout=PATIENCE)
    tab.click("#restore")
    finished(tab)
    expect(tab.locator("#restore-shown")).to_contain_text("No face was found")
    assert kept(tab, "restored.png", tmp_path).size == (1000, 800)


def test_stop_keeps_the_best_so_far(visit: Callable[..., Any], photo: Path, tmp_path: Path) -> None:
    tab = visit()
    drop(tab, photo)
    tab.locator("#restore-findings li").first.wait_for()
    tab.get_by_label("As good as it gets").first.check()
    tab.click("#restore")
    tab.click("#restore-stop:not([disabled])")
    finished(tab)
    title = tab.get_by_role("heading", name="The best so far")
    expect(title).to_contain_text("you stopped it")
    expect(tab.locator("#restore-stop")).to_be_disabled()
    assert kept(tab, "restored.png", tmp_path).size == (512, 1024)

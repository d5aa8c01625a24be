import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from interlayer import read_image, write_image
from interlayer.app import cli, imagine
from interlayer.generators import ToyGenerator
from interlayer.generators.base import draw_truths
from interlayer.media.samples import sample_photo
from interlayer.media.video import read_frames
from interlayer.networks.classifiers import Classifier
from interlayer.weights import loading

FILES = {
    "recovered.png",
    "measured.png",
    "comparison.png",
    "progress.gif",
    "measurements.pt",
    "result.json",
}


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> ToyGenerator:
    """The command line with a small generator in place of the real one."""
    generator = ToyGenerator(64)
    monkeypatch.setattr(loading, "load", lambda *args, **kwargs: generator)
    return generator


@pytest.fixture
def photo(tmp_path: Path, toy: ToyGenerator) -> Path:
    write_image(tmp_path / "photo.png", toy(toy.sample([3])))
    return tmp_path / "photo.png"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The exit status of the command line."""
    monkeypatch.setattr(sys, "argv", ["interlayer", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(caught.value.code or 0)


def recover(monkeypatch, *arguments) -> int:
    few = ["--steps", "12", "--method", "csgm"]
    return run(monkeypatch, "recover", *few, *arguments)


@pytest.mark.parametrize("task", ["inpaint:0.2", "superres:8", "circulant:0.1", "denoise:0.2"])
def test_recover_writes_its_pictures_and_figures(monkeypatch, capsys, tmp_path, photo, task):
    out = tmp_path / "out"
    assert recover(monkeypatch, photo, "--task", task, "--out", out, "--json") == 0
    assert {p.name for p in (out / "photo").iterdir()} == FILES
    printed = capsys.readouterr()
    result = json.loads(printed.out)
    assert result == json.loads((out / "photo" / "result.json").read_text())
    assert result["task"] == task and result["method"] == "csgm" and result["steps"] == 12
    assert "recovered at" in printed.err
    estimate, truth = read_image(out / "photo" / "recovered.png"), read_image(photo)
    mse = (estimate - truth).square().mean().item()
    assert mse == pytest.approx(result["mse"], abs=2e-4)
    with Image.open(out / "photo" / "progress.gif") as animation:
        assert getattr(animation, "n_frames", 1) > 5


def test_given_measurements_are_recovered_without_a_truth(monkeypatch, tmp_path, photo):
    assert recover(monkeypatch, photo, "--out", tmp_path / "a", "--task", "inpaint:0.2") == 0
    stored = tmp_path / "a" / "photo" / "measurements.pt"
    assert recover(monkeypatch, "--measurements", stored, "--out", tmp_path / "b") == 0
    first, second = (
        json.loads(path.read_text())
        for path in (stored.parent / "result.json", tmp_path / "b/measurements/result.json")
    )
    assert second["psnr"] is None and second["task"] == "inpaint:0.2"
    assert second["measurement_loss"] == pytest.approx(first["measurement_loss"], rel=1e-3)


def test_a_photo_that_is_measured_already_is_recovered_as_it_is(monkeypatch, tmp_path, toy, photo):
    truth, noisy = read_image(photo), tmp_path / "noisy.png"
    rng = torch.Generator().manual_seed(0)
    write_image(noisy, truth + 0.2 * torch.randn(truth.shape, generator=rng))
    given = [noisy, "--measured", "--task", "denoise", "--out", tmp_path / "out"]
    assert run(monkeypatch, "recover", *given, "--steps", 60) == 0
    result = json.loads((tmp_path / "out/noisy/result.json").read_text())
    assert result["psnr"] is None
    assert float(result["task"].removeprefix("denoise:")) == pytest.approx(0.2, rel=0.2)

    def error(path: Path) -> float:
        return (read_image(path) - truth).square().mean().item()

    assert error(tmp_path / "out/noisy/recovered.png") < 0.2 * error(noisy)


@pytest.mark.parametrize("other", [["--align"], ["--task", "circulant:0.1"]])
def test_photos_that_are_measured_already_are_not_treated_further(
    monkeypatch, capsys, tmp_path, photo, other
):
    given = [photo, "--measured", *other, "--out", tmp_path / "out"]
    assert run(monkeypatch, "recover", *given) == 2
    assert capsys.readouterr().err.count("error:") == 1


def test_samples_are_written_with_their_mean_and_spread(monkeypatch, tmp_path, photo):
    out = tmp_path / "out"
    arguments = [photo, "--task", "half:left", "--samples", 3, "--steps", 40, "--out", out]
    assert run(monkeypatch, "recover", *arguments, "--method", "ilo") == 0
    folder = out / "photo"
    drawn = [read_image(folder / f"sample{number}.png") for number in (1, 2, 3)]
    mean = read_image(folder / "recovered.png")
    assert (torch.cat(drawn).mean(0) - mean[0]).abs().max() < 2 / 255
    left, right = read_image(folder / "std.png").chunk(2, dim=-1)
    assert left.mean() > right.mean()


def test_a_classical_method_needs_no_generator_of_its_own(monkeypatch, tmp_path, photo):
    out = tmp_path / "out"
    arguments = [photo, "--task", "inpaint:0.5", "--method", "interpolation", "--out", out]
    assert run(monkeypatch, "recover", *arguments) == 0
    assert json.loads((out / "photo" / "result.json").read_text())["psnr"] > 20


@pytest.mark.parametrize(
    "arguments",
    [
        ["--method", "tv", "--samples", "2"],
        ["--method", "interpolation", "--task", "circulant:0.1"],
        ["--quality", "superb"],
    ],
)
def test_what_does_not_fit_together_is_refused(monkeypatch, capsys, tmp_path, photo, arguments):
    assert run(monkeypatch, "recover", photo, *arguments, "--out", tmp_path / "out") == 2
    assert capsys.readouterr().err.count("error:") == 1


def test_several_photos_with_one_stem_get_folders_of_their_own(monkeypatch, tmp_path, photo):
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / "photo.png"
    shutil.copy(photo, twin)
    assert recover(monkeypatch, photo, twin, "--out", tmp_path / "out") == 0
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"photo", "photo-2"}


def test_the_sample_photo_comes_with_the_package(monkeypatch, tmp_path, toy):
    out = tmp_path / "out"
    arguments = ["sample:astronaut", "--steps", "12", "--out", out, "--method", "pulse"]
    assert run(monkeypatch, "recover", *arguments) == 0
    assert json.loads((out / "astronaut" / "result.json").read_text())["method"] == "pulse"


def test_photos_of_any_shape_are_cropped_with_a_message(monkeypatch, capsys, tmp_path, toy):
    Image.new("L", (300, 200), 90).save(tmp_path / "grey.jpg")
    assert recover(monkeypatch, tmp_path / "grey.jpg", "--out", tmp_path / "out") == 0
    assert "cropped to its central 200x200 square" in capsys.readouterr().err


def bad(path: Path, kind: str) -> Path:
    """A file that cannot be recovered."""
    if kind == "zero-byte":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("not a picture")
    elif kind == "1x1":
        Image.new("RGB", (1, 1)).save(path)
    elif kind == "50 megapixels":
        Image.new("1", (10_000, 5_000)).save(path)
    elif kind == "animated":
        frames = [Image.new("RGB", (32, 32), (i, 0, 0)) for i in (0, 200)]
        frames[0].save(path, format="GIF", save_all=True, append_images=frames[1:])
    return path


@pytest.mark.parametrize(
    "kind", ["missing", "zero-byte", "text", "1x1", "50 megapixels", "animated"]
)
def test_bad_photos_are_refused(monkeypatch, capsys, tmp_path, toy, kind):
    path, out = bad(tmp_path / "photo.png", kind), tmp_path / "out"
    assert recover(monkeypatch, path, "--out", out) == 2
    refused_in_one_sentence(capsys, str(path))
    assert not any(out.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ["--task", "inpaint:0"],
        ["--task", "inpaint:1.5"],
        ["--task", "superres-avg:7"],
        ["--task", "blur:2"],
        ["--method", "magic"],
        ["--out", "/proc/nowhere"],
    ],
    ids=" ".join,
)
def test_bad_options_are_refused(monkeypatch, capsys, tmp_path, photo, arguments):
    assert recover(monkeypatch, photo, "--out", tmp_path / "out", *arguments) == 2
    refused_in_one_sentence(capsys, arguments[1].split(":")[0])


def test_masks_of_another_shape_are_refused(monkeypatch, capsys, tmp_path, photo):
    Image.new("L", (32, 16), 255).save(tmp_path / "mask.png")
    task = f"mask:{tmp_path / 'mask.png'}"
    assert recover(monkeypatch, photo, "--out", tmp_path / "out", "--task", task) == 2
    refused_in_one_sentence(capsys, "32x16")


def test_an_unknown_generator_is_refused(monkeypatch, capsys, tmp_path):
    assert run(monkeypatch, "generate", "--generator", "cats", "--out", tmp_path / "out") == 2
    refused_in_one_sentence(capsys, "cats")


@pytest.mark.parametrize("change", ["nan", "shape", "size", "none"])
def test_bad_measurements_are_refused(monkeypatch, capsys, tmp_path, photo, change):
    recover(monkeypatch, photo, "--out", tmp_path / "a", "--task", "circulant:0.1")
    stored = tmp_path / "a" / "photo" / "measurements.pt"
    content = torch.load(stored, weights_only=True)
    if change == "nan":
        content["y"][0, 3] = torch.nan
    elif change == "shape":
        content["y"] = content["y"][:, :7]
    elif change == "size":
        content["img_size"] = [3, 32, 32]
    torch.save(content, stored) if change != "none" else stored.write_bytes(b"")
    capsys.readouterr()
    assert recover(monkeypatch, "--measurements", stored, "--out", tmp_path / "b") == 2
    refused_in_one_sentence(capsys, "")
    assert not any((tmp_path / "b").iterdir())


def refused_in_one_sentence(capsys, about: str) -> None:
    """One line on standard error that names the culprit, no traceback, nothing else printed."""
    printed = capsys.readouterr()
    lines = [line for line in printed.err.splitlines() if line.strip()]
    assert len(lines) == 1 and lines[0].startswith("error: ") and about in lines[0]
    assert printed.out == ""


def test_photos_and_measurements_exclude_each_other(monkeypatch, capsys, tmp_path, photo):
    assert recover(monkeypatch, "--out", tmp_path / "out") == 2
    assert recover(monkeypatch, photo, "--measurements", photo, "--out", tmp_path / "out") == 2
    assert capsys.readouterr().err.count("not two of them") == 2


def test_generate_draws_one_picture_per_seed(monkeypatch, tmp_path, toy):
    assert run(monkeypatch, "generate", "--seeds", "0-1,7", "--out", tmp_path / "g") == 0
    names = {p.name for p in (tmp_path / "g").iterdir()}
    assert names == {"seed0000.png", "seed0001.png", "seed0007.png"}
    drawn = read_image(tmp_path / "g" / "seed0007.png")
    torch.testing.assert_close(drawn, draw_truths(toy, [7]), atol=3e-3, rtol=0)


@pytest.mark.parametrize("seeds", ["", "a", "3-1", "1,,2", "-4"])
def test_bad_seeds_are_refused(monkeypatch, capsys, tmp_path, toy, seeds):
    assert run(monkeypatch, "generate", f"--seeds={seeds}", "--out", tmp_path / "g") == 2
    refused_in_one_sentence(capsys, "seeds")


def test_version_is_printed(monkeypatch, capsys):
    assert run(monkeypatch, "--version") == 0
    assert capsys.readouterr().out.startswith("interlayer 0.")


ENDLESS = """
import sys
from interlayer.generators import ToyGenerator
from interlayer.generators.base import draw_truths
from interlayer.app import cli, imagine
from interlayer.weights import loading
loading.load = lambda *args, **kwargs: ToyGenerator(64)
sys.argv = ["interlayer", "recover", "sample:astronaut", "--steps", "1000000", "--method", "csgm",
            "--task", "inpaint:0.5", "--json", "--out", sys.argv[1]]
cli.main()
"""


def _hears_ctrl_c() -> None:
    """What a shell starts in the background ignores SIGINT, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_writes_the_best_so_far_and_says_so(tmp_path: Path):
    out = tmp_path / "out"
    command = [sys.executable, "-c", ENDLESS, str(out)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_hears_ctrl_c,
    )
    deadline = time.monotonic() + 120
    while not out.is_dir() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(4)
    process.send_signal(signal.SIGINT)
    printed, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "best estimate so far" in said and "Traceback" not in said
    result = json.loads(printed)
    assert result["interrupted"] and 0 < result["steps"] < 1_000_000
    assert {p.name for p in (out / "astronaut").iterdir()} == FILES


def test_known_pixels_are_kept_as_they_were_measured(monkeypatch, tmp_path, photo):
    out = tmp_path / "out"
    assert recover(monkeypatch, photo, "--task", "half:left", "--keep-known", "--out", out) == 0
    kept, truth = read_image(out / "photo" / "recovered.png"), read_image(photo)
    assert torch.equal(kept[..., 32:], truth[..., 32:])
    assert not torch.equal(kept[..., :32], truth[..., :32])


def test_only_pixels_can_be_kept(monkeypatch, capsys, tmp_path, photo):
    arguments = [photo, "--keep-known", "--out", tmp_path / "out", "--task"]
    assert recover(monkeypatch, *arguments, "circulant:0.1") == 2
    assert recover(monkeypatch, *arguments, "inpaint:0.5+denoise:0.1") == 2
    assert capsys.readouterr().err.count("without noise") == 2


def test_a_task_of_the_users_own_file_runs_and_is_not_run_for_a_stored_file(
    monkeypatch, capsys, tmp_path, photo
):
    operator = tmp_path / "dark.py"
    operator.write_text("def make(img_size):\n    return lambda x: x[:, :, ::2, ::2] / 2\n")
    assert recover(monkeypatch, photo, "--task", f"{operator}:make", "--out", tmp_path / "a") == 0
    stored = tmp_path / "a" / "photo" / "measurements.pt"
    assert recover(monkeypatch, "--measurements", stored, "--out", tmp_path / "b") == 2
    assert "is not run for a file's sake" in capsys.readouterr().err


def test_align_needs_a_face_and_paste_back_needs_align(monkeypatch, capsys, tmp_path, photo):
    assert recover(monkeypatch, photo, "--align", "--out", tmp_path / "out") == 2
    assert recover(monkeypatch, photo, "--paste-back", "--out", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert "no face" in said and "add --align" in said


def test_a_face_is_aligned_recovered_and_pasted_back(monkeypatch, toy, tmp_path):
    out = tmp_path / "out"
    arguments = ["sample:astronaut", "--align", "--paste-back", "--task", "inpaint:0.5"]
    assert recover(monkeypatch, *arguments, "--out", out) == 0
    pasted, whole = read_image(out / "astronaut" / "pasted.png"), sample_photo("astronaut")
    changed = (pasted - whole).abs().amax((0, 1)) > 0.02
    assert 0 < changed.float().mean() < 0.5 and not changed[-50:].any()
    corners = json.loads((out / "astronaut" / "result.json").read_text())["square"]
    assert len(corners) == 4


def test_a_face_of_a_measured_photo_is_recovered_and_pasted_back(
    monkeypatch, capsys, toy, tmp_path
):
    whole = sample_photo("astronaut")
    write_image(tmp_path / "photo.png", whole)
    arguments = [tmp_path / "photo.png", "--measured", "--align", "--paste-back"]
    assert recover(monkeypatch, *arguments, "--task", "denoise", "--out", tmp_path / "out") == 0
    folder = tmp_path / "out" / "photo"
    result = json.loads((folder / "result.json").read_text())
    assert len(result["square"]) == 4 and result["misfit"] > 1
    assert "no image explains this photo" in capsys.readouterr().err
    changed = (read_image(folder / "pasted.png") - whole).abs().amax((0, 1)) > 0.02
    assert 0 < changed.float().mean() < 0.5 and not changed[-50:].any()


def test_how_photos_are_read_is_for_those_that_are_measured(monkeypatch, capsys, photo, tmp_path):
    for flags in (["--mask-is", "hole"], ["--white", 4095]):
        assert recover(monkeypatch, photo, *flags, "--out", tmp_path / "out") == 2
    assert capsys.readouterr().err.count("for photos that are --measured already") == 2


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_a_sequence_is_recovered_and_resumed(monkeypatch, capsys, toy, tmp_path):
    frames = tmp_path / "frames"
    frames.mkdir()
    z = toy.sample([3, 4])
    for number in range(3):
        write_image(frames / f"{number}.png", toy(z[:1].lerp(z[1:], 0.1 * number)))
    arguments = ["--sequence", frames, "--frame-steps", 4, "--task", "inpaint:0.3"]
    assert recover(monkeypatch, *arguments, "--out", tmp_path / "out") == 0
    folder = tmp_path / "out" / "frames"
    assert len(list(read_frames(folder / "recovered.mp4"))) == 3
    before = (folder / "recovered" / "000001.png").stat().st_mtime_ns
    last = folder / "recovered" / "000002.png"
    whole = last.read_bytes()
    last.unlink()
    (folder / "recovered.mp4").unlink()
    assert (folder / "last-000002.safetensors").exists()
    assert recover(monkeypatch, *arguments, "--out", tmp_path / "out") == 0
    assert (folder / "recovered" / "000001.png").stat().st_mtime_ns == before
    assert last.exists() and len(whole) and (folder / "recovered.mp4").exists()
    assert recover(monkeypatch, *arguments, "--seed", 1, "--out", tmp_path / "out") == 2
    assert "other settings" in capsys.readouterr().err


def test_what_is_for_photos_is_refused_for_a_sequence(monkeypatch, capsys, toy, tmp_path):
    for option in ("--align", "--keep-known"):
        assert recover(monkeypatch, "--sequence", tmp_path, option, "--out", tmp_path / "o") == 2
    assert capsys.readouterr().err.count("are for photos") == 2


def test_imagine_raises_the_probability_of_a_class(monkeypatch, capsys, toy, tmp_path):
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 16 * 16, 4))
    judge = Classifier(network, size=16, names=["newt", "toad", "bull frog", "eft"])
    monkeypatch.setattr(imagine, "load_classifier", lambda *args, **kwargs: judge)
    out = tmp_path / "out"
    assert run(monkeypatch, "imagine", "--class", "Bull Frog", "--steps", 20, "--out", out) == 0
    chances = json.loads((out / "result.json").read_text())["probability"]
    assert chances["imagined"] > chances["start"]
    assert {p.name for p in out.iterdir()} == {
        "imagined.png",
        "comparison.png",
        "progress.gif",
        "result.json",
    }
    assert run(monkeypatch, "imagine", "--class", "frog", "--out", out) == 2
    assert "bull frog" in capsys.readouterr().err


def test_tasks_are_listed(monkeypatch, capsys):
    assert run(monkeypatch, "tasks") == 0
    assert "circulant:P" in capsys.readouterr().out

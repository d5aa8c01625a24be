import shutil
from dataclasses import replace
from pathlib import Path

import deepinv
import pytest
import torch

from interlayer import InputError, write_image
from interlayer.evaluation.studies.estimate import seconds_of
from interlayer.evaluation.studies.jobs import batches, task_digest
from interlayer.evaluation.studies.sources import find_images
from interlayer.evaluation.studies.spec import checked, read_spec
from interlayer.evaluation.studies.worker import Setup, Worker
from interlayer.generators import ToyGenerator

from .bench_studies import jobs

G = ToyGenerator()
SETTINGS = {"images": "generated:0", "tasks": ["inpaint:0.5"], "methods": ["csgm"]}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with three images, one of them twice, a damaged one and a text."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for seed in range(3):
        write_image(folder / f"{seed}.png", G(G.sample([seed])))
    shutil.copy(folder / "0.png", folder / "again.png")
    write_image(folder / "more" / "1.png", G(G.sample([7])))
    (folder / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n no more")
    (folder / "README.md").write_text("no image")
    return folder


@pytest.fixture
def worker():
    threads = torch.get_num_threads()
    yield Worker(Setup(threads=1))
    torch.set_num_threads(threads)


def test_a_study_is_the_product_of_its_settings():
    planned = jobs("generated:0-4", seeds=[0, 3])
    assert len({job.id for job in planned}) == len(planned) == 5 * 3 * 2 * 2
    assert {(job.image, job.seed) for job in planned} >= {("generated:4", 3)}


def test_identity_is_content_and_not_names():
    job = jobs()[0]
    assert replace(job, image="x", source="/elsewhere/x.png", pictures=0).id == job.id
    changes = {"image_sha256": "0", "task": "jpeg:9", "method": "ilo", "seed": 1, "version": "9"}
    changed = [replace(job, **{name: value}) for name, value in changes.items()]
    assert len({job.id, *(other.id for other in changed)}) == len(changes) + 1


def test_a_mask_is_part_of_the_identity_by_its_content(tmp_path: Path):
    mask = tmp_path / "mask.png"
    for content in (b"one", b"two"):
        mask.write_bytes(content)
        assert task_digest(f"mask:{mask}+denoise:0.1") == task_digest(f"mask:{mask}")
    first = task_digest(f"mask:{mask}")
    mask.write_bytes(b"one")
    assert task_digest(f"mask:{mask}") != first


def test_images_are_found_named_and_used_once(photos: Path):
    sources = [str(photos), str(photos / "more" / "*.png")]
    planned = jobs(sources, tasks="inpaint:0.5", methods="csgm")
    names = [job.image for job in planned]
    assert names == ["0", str(photos / "1.png"), "2", "damaged", str(photos / "more" / "1.png")]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"methods": ["magic"]}, "'magic' is none of"),
        ({"quality": "superb"}, "'superb' is none of"),
        ({"tasks": []}, "tasks: "),
        ({"colour": "red"}, "colour: there is no such setting; use some of images, tasks"),
        ({"seeds": "5-1"}, "'5-1' is not a list of seeds"),
        ({"holdout": 2}, "holdout: .* less than or equal to 0.9"),
        ({"seeds": [1 << 63]}, "seeds.0: .* less than"),
    ],
)
def test_bad_settings_are_refused_in_a_sentence(settings, message):
    with pytest.raises(InputError, match=message) as caught:
        checked(SETTINGS | settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"images": "nowhere"}, "there are no images at nowhere"),
        ({"images": "/tmp/nothing-*.png"}, "there are no images at"),
        ({"images": "x" * 5000}, "cannot look for images at x.*: File name too long"),
        ({"images": "deepinv:Faces"}, "no folder of pictures named 'Faces'; use .*Set14HR"),
        ({"images": "deepinv:Set14HR:nowhere"}, "cannot open Set14HR .*download=True"),
        ({"tasks": "sharpen:3"}, "there is no task 'sharpen:3'"),
        ({"tasks": "superres-avg:5"}, "superres-avg:5"),
        ({"generator": "cats"}, "no generator 'cats'"),
    ],
)
def test_what_cannot_be_planned_is_refused(settings, message):
    with pytest.raises(InputError, match=message):
        jobs(**{"images": "generated:0", **settings})


def test_a_spec_is_read_from_yaml(tmp_path: Path):
    file = tmp_path / "spec.yaml"
    file.write_text("images: generated:0-2\ntasks: {inpaint: [0.1, 0.2]}\nmethods: ilo\nseeds: 0-2")
    spec = checked(read_spec(file))
    assert spec.tasks == ("inpaint:0.1", "inpaint:0.2") and spec.seeds == (0, 1, 2)
    file.write_text("tasks: {colorize: , inpaint: 0.1}")
    tasks = checked(SETTINGS | read_spec(file)).tasks
    assert tasks == ("colorize", "inpaint:0.1")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"- a list", "holds no settings"),
        (b"images: a\nseeds: {", r"is no YAML \(line 2: "),
        (b"!!python/object/apply:os.system [true]", r"is no YAML \(line 1: could not determine"),
        (b"\xff\xfe\x00", "it is no text"),
        (None, "cannot read .*spec.yaml: No such file or directory; check the name"),
    ],
)
def test_what_is_no_spec_is_refused_in_a_sentence(tmp_path: Path, content, message):
    if content is not None:
        (tmp_path / "spec.yaml").write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_spec(tmp_path / "spec.yaml")
    assert "\n" not in str(caught.value)


def test_a_data_set_of_deepinv_is_its_files(photos: Path, monkeypatch):
    monkeypatch.setattr(deepinv.datasets.Set14HR, "check_dataset_exists", lambda _: True)
    photos.rename(photos.with_name("Set14_HR"))
    found = find_images(f"deepinv:Set14HR:{photos.parent}")
    assert (
        found == sorted(map(str, photos.with_name("Set14_HR").rglob("*.png"))) and len(found) == 6
    )


def test_batches_share_a_problem_and_lose_nothing():
    planned = jobs("generated:0-4")
    groups = list(batches(planned, 2))
    assert sorted(job.id for group in groups for job in group) == sorted(j.id for j in planned)
    assert all(len({job.problem for job in group}) == 1 for group in groups)
    assert max(map(len, groups)) == 2


def test_a_job_of_several_samples_is_a_batch_of_its_own():
    assert max(map(len, batches(jobs("generated:0-4", samples=2), 3))) == 1


@pytest.mark.parametrize("method", ["ilo", "tv"])
def test_a_batch_gives_what_single_jobs_give(worker: Worker, method):
    planned = jobs("generated:0-2", tasks="circulant:0.2", methods=method)
    together = {each.job.id: each for each in worker.run(planned)}
    for job in planned:
        [alone] = worker.run([job])
        assert together[job.id].figures == pytest.approx(alone.figures, rel=1e-3)
        assert [s.psnr for s in together[job.id].stages] == pytest.approx(
            [s.psnr for s in alone.stages], rel=1e-3
        )


def test_no_method_starts_at_a_generated_truth(worker: Worker):
    truths = [worker._truth(job, None) for job in jobs("generated:0-2", tasks="jpeg:9")]
    starts = [G(G.sample([seed])) for seed in range(3)]
    assert min((x - start).abs().mean() for x in truths for start in starts) > 0.01


def test_a_bad_image_fails_alone(worker: Worker, photos: Path):
    planned = jobs(str(photos), tasks="inpaint:0.5", methods="csgm")
    failed = [each for each in worker.run(planned) if each.error]
    assert [each.job.image for each in failed] == ["damaged"]
    assert "damaged.png is" in (failed[0].error or "")


def test_an_estimate_survives_a_bad_first_image(photos: Path):
    (photos / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n no more")
    planned = jobs(str(photos), tasks="inpaint:0.5", methods="csgm")
    assert planned[0].image == "0"
    assert seconds_of(planned, Setup(torch.get_num_threads())) > 0


def test_an_image_that_changed_since_it_was_planned_is_refused(worker: Worker, photos: Path):
    [job] = jobs(str(photos / "0.png"), tasks="inpaint:0.5", methods="csgm")
    content = (photos / "0.png").read_bytes()
    write_image(photos / "0.png", G(G.sample([9])))
    assert "has changed" in (worker.run([job])[0].error or "")
    [sent] = worker.run([job], {job.source: content})
    assert sent.error is None and sent.figures["psnr"] > 10


def test_what_the_method_refuses_is_a_failure_of_each_job(worker: Worker):
    planned = jobs("generated:0-1", tasks="inpaint:0.5", methods="pulse-lpips")
    errors = {each.error for each in worker.run(planned)}
    assert len(errors) == 1 and "perceptual" in (errors.pop() or "")


def test_a_classical_method_runs_or_says_in_a_sentence_that_it_does_not_fit(worker: Worker):
    tasks = ["inpaint:0.5", "superres:4", "phase:0.5"]
    planned = jobs("generated:0", tasks=tasks, methods=["interpolation", "bicubic", "tv", "bm3d"])
    outcomes = [each for job in planned for each in worker.run([job])]
    fit = {(each.job.task, each.job.method) for each in outcomes if each.error is None}
    assert fit == {(tasks[0], "interpolation"), (tasks[1], "bicubic")} | {
        (task, "tv") for task in tasks[:2]
    }
    for each in outcomes:
        if each.error is None:
            assert each.figures["psnr"] > 10
        else:
            assert each.job.method in each.error and "use " in each.error


def test_several_samples_give_their_spread_and_how_often_it_covers_the_truth(worker: Worker):
    sampled, classical = jobs(
        "generated:0", tasks="inpaint:0.2", methods=["csgm", "tv"], samples=3, pictures=0
    )
    [found] = worker.run([sampled])
    assert 0 < found.figures["coverage"] < 1 and 0 < found.figures["std"] < 0.5
    [alone] = worker.run([replace(sampled, samples=1)])
    assert "coverage" not in alone.figures and alone.figures["psnr"] != found.figures["psnr"]
    [found] = worker.run([classical])
    assert found.error is None and "coverage" not in found.figures

"""The same study through Ray."""

import os
import signal
from concurrent.futures import Future
from pathlib import Path

import pytest
import torch

from interlayer import InputError, ToyGenerator, write_image
from interlayer.bench import stream, writing
from interlayer.bench.ray_runner import RaySlot, ray_slots
from interlayer.bench.worker import Worker

from .bench_studies import jobs, results

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[Future[int]]:
    """The numbers of the worker processes, as they are started."""
    found: list[Future[int]] = []
    start = RaySlot.start

    def watched(slot: RaySlot) -> Future[int]:
        found.append(start(slot))
        return found[-1]

    monkeypatch.setattr(RaySlot, "start", watched)
    return found


def test_a_study_through_ray_with_a_worker_killed_is_the_study(tmp_path: Path, starts):
    write_image(tmp_path / "photo.png", ToyGenerator()(ToyGenerator().sample([5])))
    planned = jobs(["generated:0-1", str(tmp_path / "photo.png")])
    with writing(tmp_path / "ray.db") as store, writing(tmp_path / "here.db") as here:
        store.plan(planned)
        with ray_slots("local", workers=2, send_images=True) as slots:
            for number, outcomes in enumerate(stream(slots, ((job,) for job in planned))):
                if number == 0:
                    os.kill(starts[0].result(), signal.SIGKILL)
                store.record(outcomes)
        assert len(starts) == 3
        here.plan(planned)
        threads = torch.get_num_threads()
        worker = Worker(slots[0].setup)
        here.record(each for job in planned for each in worker.run([job]))
        torch.set_num_threads(threads)
        assert results(store) == results(here)


def test_no_cluster_is_one_sentence():
    with pytest.raises(InputError, match="there is no Ray cluster at"), ray_slots("auto"):
        pass

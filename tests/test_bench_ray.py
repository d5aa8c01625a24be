"""The same study through Ray."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
import torch

from interlayer import InputError, write_image
from interlayer.evaluation.studies import Job, Store, stream, writing
from interlayer.evaluation.studies.ray_runner import RaySlot, ray_slots
from interlayer.evaluation.studies.worker import Setup, Worker
from interlayer.generators import ToyGenerator

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


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with writing(tmp_path / "ray.db") as study:
        yield study


def here(planned: list[Job], setup: Setup, path: Path) -> dict[str, tuple]:
    """Results of jobs that this process runs one by one."""
    threads = torch.get_num_threads()
    worker = Worker(setup)
    with writing(path) as study:
        study.plan(planned)
        study.record(each for job in planned for each in worker.run([job]))
        torch.set_num_threads(threads)
        return results(study)


def test_a_study_through_ray_with_a_worker_killed_is_the_study(tmp_path: Path, store, starts):
    write_image(tmp_path / "photo.png", ToyGenerator()(ToyGenerator().sample([5])))
    planned = jobs(["generated:0-1", str(tmp_path / "photo.png")])
    store.plan(planned)
    with ray_slots("local", workers=2, send_images=True) as slots:
        for number, outcomes in enumerate(stream(slots, ((job,) for job in planned))):
            if number == 0:
                os.kill(starts[0].result(), signal.SIGKILL)
            store.record(outcomes)
    assert len(starts) == 3
    assert results(store) == here(planned, slots[0].setup, tmp_path / "here.db")


def test_a_study_on_two_nodes_of_which_one_is_lost_is_the_study(tmp_path: Path, store, starts):
    from ray.cluster_utils import Cluster  # pyright: ignore[reportMissingImports]

    planned = jobs()
    store.plan(planned)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    lost = cluster.add_node(num_cpus=1)
    try:
        with ray_slots(str(cluster.address)) as slots:
            assert len(slots) == 2
            for number, outcomes in enumerate(stream(slots, ((job,) for job in planned))):
                if number == 0:
                    assert len({start.result() for start in starts}) == 2
                    cluster.remove_node(lost, allow_graceful=False)
                store.record(outcomes)
    finally:
        cluster.shutdown()
    assert results(store) == here(planned, slots[0].setup, tmp_path / "here.db")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("address", ["auto", "127.0.0.1:1", "ray://127.0.0.1:1", "nonsense"])
def test_no_cluster_is_one_sentence_at_once(address: str, tmp_path: Path, monkeypatch):
    """``auto`` finds the note of a cluster that is gone, which Ray would try for minutes."""
    note = tmp_path / "ray" / "ray_current_cluster"
    note.parent.mkdir()
    note.write_text("127.0.0.1:1")
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    with pytest.raises(InputError, match="there is no Ray cluster to use at"), ray_slots(address):
        pass

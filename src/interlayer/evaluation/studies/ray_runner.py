"""Workers as Ray actors: on this machine, or on every node of a cluster."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from interlayer.errors import InputError
from interlayer.evaluation.studies.jobs import Outcome
from interlayer.evaluation.studies.runners import Batch, crew
from interlayer.evaluation.studies.worker import Setup, Worker


class RaySlot:
    """A worker that Ray places where its cores and GPU share are free.

    Args:
        ray: module Ray.
        setup: settings of the worker; its threads are the cores that it takes.
        gpus: share of a GPU that it takes, e.g. 0.25.
        send_images: whether image files are read here and sent with the jobs.
        kind: class of the worker.
    """

    def __init__(
        self,
        ray: Any,
        setup: Setup,
        gpus: float = 0,
        send_images: bool = False,
        kind: type[Worker] = Worker,
    ) -> None:
        self.ray, self.setup, self.send_images = ray, setup, send_images
        self._class = ray.remote(kind).options(num_cpus=setup.threads, num_gpus=gpus)
        self._actor: Any = None

    def start(self) -> Future[int]:
        self._actor = self._class.remote(self.setup)
        return self._actor.ready.remote().future()

    def submit(self, batch: Batch) -> Future[list[Outcome]]:
        sources = {job.source for job in batch} if self.send_images else set()
        contents = {name: content for name in sources if (content := _content(name))}
        return self._actor.run.remote(batch, contents).future()

    def stop(self) -> None:
        if self._actor is not None:
            self.ray.kill(self._actor)


def _content(source: str) -> bytes | None:
    """Bytes of an image file; where they cannot be had, the worker says why."""
    with suppress(OSError):
        return Path(source).read_bytes()


def _reach(address: str) -> None:
    """Raise at once where nothing listens: Ray itself would try for minutes."""
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS") or _own_cluster()
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


def _own_cluster() -> str:
    """Address at which Ray expects this machine's cluster, which may be gone; else empty."""
    with suppress(ImportError):  # there is no public function
        from ray._private.services import (  # pyright: ignore[reportMissingImports]
            canonicalize_bootstrap_address,
        )

        return canonicalize_bootstrap_address("auto") or ""
    return ""


@contextmanager
def ray_slots(
    address: str,
    workers: int | None = None,
    device: str = "cpu",
    gpus: float = 0,
    send_images: bool = False,
) -> Iterator[list[RaySlot]]:
    """Workers of a Ray cluster, for as long as the block lasts.

    Args:
        address: ``local`` starts a cluster on this machine and ends it again; ``auto`` is the one
            that this machine belongs to; anything else is an address as `ray.init` takes it.
        workers: number of workers, by default as many as fit.
        device: ``cpu`` or ``cuda``.
        gpus: share of a GPU that each takes.
        send_images: whether image files are sent to the workers instead of being read there.

    Raises:
        InputError: if Ray is not installed, there is no cluster at the address, or its machines
            have too few GPUs for one worker.
    """
    try:
        import ray  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise InputError(
            "Ray is not installed; run pip install 'interlayer[distributed]'"
        ) from None
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    quiet: dict[str, Any] = {"include_dashboard": False, "logging_level": "ERROR"}
    try:
        _reach(address)
        ray.init(address, **quiet, log_to_driver=False)
    except Exception as error:  # Ray raises plain ones, too
        reason = " ".join(str(error).split())
        raise InputError(f"there is no Ray cluster to use at {address!r} ({reason})") from None
    try:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if all(node.get("GPU", 0) < gpus for node in nodes):
            raise InputError(
                f"no machine of the cluster has {gpus:g} GPUs for a worker; give a smaller --gpus"
            )
        cores = [int(node["CPU"]) for node in nodes if node.get("CPU")]
        workers, threads = crew(cores or [1], workers)
        setup = Setup(threads, device)
        yield [RaySlot(ray, setup, gpus, send_images) for _ in range(workers)]
    finally:
        ray.shutdown()

"""FID and KID: distances of recovered pictures, as a set, from true ones."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.functional import pil_to_tensor

from interlayer.errors import InputError
from interlayer.evaluation.studies.sources import find_images
from interlayer.evaluation.studies.store import Row, Store, with_variants
from interlayer.media.files import digest
from interlayer.media.images import read_image, to_picture

FEWEST = 100
SUBSET = 1000  # KID is the mean over random subsets of this size
Measure = Callable[..., Mapping[str, float]]


@dataclass(frozen=True)
class Distance:
    """Distance of the recovered pictures of one task and method from the reference.

    Attributes:
        task: task of the cell.
        method: method of the cell.
        pictures: number of recovered pictures.
        fid: Fréchet distance of two Gaussians over Inception features, 0 for equal sets. Few
            pictures make it too large: compare cells of equal numbers only.
        kid: squared maximum mean discrepancy of the same features; not biased by the number.
        kid_std: standard deviation of KID over subsets.
    """

    task: str
    method: str
    pictures: int
    fid: float
    kid: float
    kid_std: float


def distances(
    store: Store,
    reference: Path | None = None,
    *,
    weights: Path | None = None,
    download: bool = False,
    device: str = "cpu",
    note: Callable[[str], None] = print,
) -> Iterator[Distance]:
    r"""FID and KID of every task and method, by torch-fidelity.

    .. math:: \text{FID} = |\mu - \mu'|^2 + \operatorname{tr}(C + C' - 2 (C C')^{1/2})

    over the Inception-v3 features of both sets (arXiv 1706.08500), and KID after arXiv 1801.01401.
    The pictures are those that the store keeps, 256 pixels high unless the study said otherwise;
    the reference is brought to their size.

    Args:
        store: results of the study.
        reference: folder of pictures; by default the truths of the cell.
        weights: file of the Inception network, as torch-fidelity publishes it.
        download: whether torch-fidelity may fetch the weights where none are given.
        device: ``cpu`` or ``cuda``.
        note: receives a sentence for each cell that has too few pictures.

    Raises:
        InputError: if torch-fidelity or the weights are missing, or there are too few pictures.
    """
    calculate_metrics = _torch_fidelity()
    cells = _cells(store, note)
    given = None if reference is None else [Path(name) for name in find_images(str(reference))]
    if given is not None and len(given) < FEWEST:
        raise InputError(f"{reference} holds {len(given)} pictures; give at least {FEWEST}")
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "fid": True,
            "kid": True,
            "feature_extractor_weights_path": _safe_copy(weights, download, Path(folder)),
            "cuda": device == "cuda",
            "verbose": False,
            "save_cpu_ram": True,
            "cache_root": folder,
        }
        for (task, method), (recovered, truths) in cells.items():
            found = _compared(calculate_metrics, recovered, given or truths, settings)
            kid, kid_std = (found[f"kernel_inception_distance_{name}"] for name in ("mean", "std"))
            fid = found["frechet_inception_distance"]
            yield Distance(task, method, len(recovered), fid, kid, kid_std)


def _torch_fidelity() -> Measure:
    try:
        from torch_fidelity import calculate_metrics  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise InputError(
            "torch-fidelity is not installed; run pip install 'interlayer[fidelity]'"
        ) from None
    return calculate_metrics


def _compared(
    measure: Measure, recovered: list[Path], other: list[Path], settings: Mapping[str, Any]
) -> Mapping[str, float]:
    """Figures of torch-fidelity for two sets of pictures, at the size of the recovered ones."""
    size = read_image(recovered[0]).shape[-1]
    try:
        return measure(
            input1=Pictures(recovered, size),
            input2=Pictures(other, size),
            input2_cache_name=digest(f"{size} {other}".encode()),
            kid_subset_size=min(SUBSET, len(recovered), len(other)),
            **settings,
        )
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"torch-fidelity cannot use its weights ({reason})") from None


class Pictures(Dataset[Tensor]):
    """Picture files as torch-fidelity takes them: bytes (3, size, size)."""

    def __init__(self, files: Sequence[Path], size: int) -> None:
        self.files, self.size = files, size

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Tensor:
        return pil_to_tensor(to_picture(read_image(self.files[index], self.size)))


def _cells(
    store: Store, note: Callable[[str], None]
) -> dict[tuple[str, str], tuple[list[Path], list[Path]]]:
    """Recovered pictures and truths, each truth once, of cells with enough of both."""
    rows: dict[tuple[str, str], list[Row]] = {}
    for row in with_variants(store.rows()):
        if row["recovered"] and store.picture(row["recovered"]).exists():
            rows.setdefault((row["task"], row["method"]), []).append(row)
    found: dict[tuple[str, str], tuple[list[Path], list[Path]]] = {}
    for cell, each in rows.items():
        recovered = [store.picture(row["recovered"]) for row in each]
        truths = [store.picture(name) for name in dict.fromkeys(row["truth"] for row in each)]
        if len(truths) >= FEWEST:
            found[cell] = recovered, truths
        else:
            note(f"{' '.join(cell)}: pictures of {len(truths)} images, too few to be compared")
    if not found:
        raise InputError(
            f"{store.path} holds no {FEWEST} pictures of any task and method, and fewer tell "
            "nothing; run it with more images, and not with --pictures 0"
        )
    return found


def _safe_copy(weights: Path | None, download: bool, folder: Path) -> str | None:
    """Write weights, read as data, anew: torch-fidelity would run code that a file holds."""
    if weights is None:
        if download:
            return None
        raise InputError(
            "FID needs the weights of Inception: name their file with --weights, or let "
            "torch-fidelity fetch them with --download"
        )
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"cannot read {weights}: {error.strerror}; check the name") from None
    except (RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError):
        state = None
    if not isinstance(state, dict):
        raise InputError(
            f"{weights} holds no weights; give the file that torch-fidelity publishes for Inception"
        )
    torch.save(state, folder / "inception.pth")
    return str(folder / "inception.pth")

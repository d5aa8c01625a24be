"""Image classifiers: one that works offline, any module of yours, and robust ones from a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet50

from interlayer.errors import InputError
from interlayer.media.files import naming_file
from interlayer.networks.efficientnet import EfficientNetLite0, fold_batch_norms
from interlayer.networks.imagenet import (
    IMAGENET_CLASSES,
    IMAGENET_MEAN,
    IMAGENET_STD,
    class_index,
)
from interlayer.weights import cache
from interlayer.weights.pickles import as_items
from interlayer.weights.torch_files import LazyTensor, TorchFile, open_torch_file

ROBUST_PREFIXES = ("module.model.", "module.attacker.model.")
NORMALISER_PREFIXES = ("module.normalizer.", "module.attacker.normalize.")


class Classifier(nn.Module):
    """Network with all that it needs to judge images of any size in [0, 1].

    Args:
        network: module that maps normalised images (B, 3, size, size) to logits (B, classes); it is
            put into evaluation mode and its weights are frozen, in place.
        size: height and width that the network expects.
        mean: mean of each channel, which is subtracted from images in [0, 1].
        std: standard deviation of each channel, by which they are then divided.
        names: names of the classes, in order; empty if they have none.

    Raises:
        InputError: if the network gives no (B, classes) logits, or there are not as many names.

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 2))
    >>> classifier = Classifier(network, size=8, names=("cat", "guinea pig"))
    >>> classifier(torch.rand(5, 3, 32, 32)).shape
    torch.Size([5, 2])
    >>> classifier.index("Guinea-Pig")
    1
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        size: int = 224,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        names: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        self.size, self.names = size, tuple(names)
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])
        device = next((t.device for t in network.state_dict().values()), None)
        self.to(device)
        self.num_classes = self._count_classes()
        if self.names and len(self.names) != self.num_classes:
            raise InputError(
                f"{len(self.names)} class names were given for a classifier of "
                f"{self.num_classes} classes; give as many"
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, classes) of images (B, 3, H, W) in [0, 1], which are resized."""
        return self.network((resize(x, self.size) - self.mean) / self.std)

    def index(self, text: str) -> int:
        """Return the number of a class given by its name or number; see `class_index`."""
        return class_index(text, self.names or [f"class {i}" for i in range(self.num_classes)])

    @torch.no_grad()
    def _count_classes(self) -> int:
        try:
            logits = self(self.mean.new_zeros(2, 3, self.size, self.size))
        except (RuntimeError, ValueError, TypeError) as error:
            raise InputError(
                f"the classifier does not take {self.size}x{self.size} RGB images: {error}"
            ) from error
        if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != 2:
            raise InputError("a classifier must return one row of logits per image, (B, classes)")
        return logits.shape[1]


def resize(x: Tensor, size: int) -> Tensor:
    """Resize images (B, C, H, W) to size x size, bilinear with antialiasing."""
    if x.shape[-2:] == (size, size):
        return x
    return F.interpolate(x, (size, size), mode="bilinear", antialias=True, align_corners=False)


def load_classifier(
    name_or_file: str | Path = "imagenet", device: str = "cpu", note: cache.Note = cache.to_stderr
) -> Classifier:
    """Load a classifier by name, its weights pulled on first use, or from a robust checkpoint.

    Args:
        name_or_file: ``imagenet``, which is EfficientNet-Lite0 (75 % top-1 on ImageNet as
            published), or the file of a ResNet-50 as the MadryLab `robustness` library saves it,
            which is read as data; nothing in it is executed.
        device: device of the classifier.
        note: function that is called with one line about each thing done.

    Raises:
        InputError: if there is neither such a name nor such a file, or it holds no such network.

    >>> load_classifier("resnet")
    Traceback (most recent call last):
    ...
    interlayer.errors.InputError: no classifier 'resnet'; give imagenet or the file of a robust ...
    """
    if str(name_or_file) == "imagenet":
        tensors = cache.load_tensors("imagenet", device, note)
        network = EfficientNetLite0()
        network.load_state_dict(tensors)
        fold_batch_norms(network)
        mean, std = [127 / 255] * 3, [128 / 255] * 3
        return Classifier(network, 224, mean, std, IMAGENET_CLASSES).to(device)
    path = Path(name_or_file)
    if not path.is_file():
        raise InputError(
            f"no classifier '{name_or_file}'; give imagenet or the file of a robust ResNet-50"
        )
    with naming_file(path):
        return read_robust_checkpoint(path).to(device)


def read_robust_checkpoint(path: Path) -> Classifier:
    """Read the ResNet-50 in a checkpoint of the MadryLab `robustness` library, as data.

    Robust classifiers (Engstrom et al., arXiv 1906.00945) have gradients that people can read,
    so that imagining towards their classes needs less averaging.

    Raises:
        InputError: if the file has no state dictionary under ``model`` or ``state_dict``, or its
            tensors are not those of a ResNet-50 for 224x224 images.
    """
    file = open_torch_file(path)
    state = _state_dictionary(file)
    prefix = next((p for p in ROBUST_PREFIXES if f"{p}conv1.weight" in state), None)
    if prefix is None:
        raise InputError(
            "no network of the robustness library is in the file; give one whose tensors' names "
            f"start with {ROBUST_PREFIXES[0]}"
        )
    lazy = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    last = lazy["fc.bias"].shape if "fc.bias" in lazy else ()
    classes = last[0] if last and last[0] else len(IMAGENET_CLASSES)
    with torch.device("meta"):
        network = resnet50(num_classes=classes)
    _check_resnet(lazy, {k: tuple(v.shape) for k, v in network.state_dict().items()})
    network.load_state_dict({k: v.load().float() for k, v in lazy.items()}, assign=True)
    if not all(parameter.isfinite().all() for parameter in network.parameters()):
        raise InputError("the network holds values that are not finite numbers")
    fold_batch_norms(network)
    normaliser = {
        part: state[f"{p}{part}"].load().flatten().tolist()
        for p in NORMALISER_PREFIXES
        for part in ("new_mean", "new_std")
        if f"{p}{part}" in state
    }
    return Classifier(
        network,
        mean=normaliser.get("new_mean", IMAGENET_MEAN),
        std=normaliser.get("new_std", IMAGENET_STD),
        names=IMAGENET_CLASSES if classes == len(IMAGENET_CLASSES) else (),
    )


def _state_dictionary(file: TorchFile) -> dict[str, LazyTensor]:
    """Tensors by name under ``model`` or ``state_dict``."""
    root = as_items(file.root)
    state = as_items(root.get("model")) or as_items(root.get("state_dict"))
    lazy = {key: file.tensor(value) for key, value in state.items() if isinstance(key, str)}
    return {key: value for key, value in lazy.items() if value is not None}


def _check_resnet(found: Mapping[str, LazyTensor], wanted: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse another architecture before anything large is read."""
    wrong = [k for k in found.keys() | wanted if k not in found or found[k].shape != wanted.get(k)]
    if wrong:
        raise InputError(
            f"the network is no ResNet-50 for 224x224 images: {min(wrong)} is missing or of "
            "another shape"
        )

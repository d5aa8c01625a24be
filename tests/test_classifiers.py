import os
import pickle
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet50

from interlayer.errors import InputError
from interlayer.networks.classifiers import Classifier, load_classifier
from interlayer.networks.efficientnet import EfficientNetLite0, fold_batch_norms
from interlayer.networks.imagenet import IMAGENET_CLASSES, class_index
from interlayer.weights import cache


def linear(size: int = 8, classes: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * size * size, classes))


def with_random_statistics(network: nn.Module) -> nn.Module:
    """Batch norms that change their input, so that folding them is seen."""
    rng = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = 0.1 * torch.randn(module.num_features, generator=rng)
            module.running_var = 0.5 + torch.rand(module.num_features, generator=rng)
            module.weight.data = 0.5 + torch.rand(module.num_features, generator=rng)
            module.bias.data = 0.1 * torch.randn(module.num_features, generator=rng)
    return network.eval().requires_grad_(False)


def test_a_class_is_found_by_name_and_by_number() -> None:
    assert len(set(IMAGENET_CLASSES)) == 1000
    assert class_index(" BULL-frog ") == class_index("30") == IMAGENET_CLASSES.index("bullfrog")
    assert IMAGENET_CLASSES[class_index("cardigan")] == "cardigan"
    assert IMAGENET_CLASSES[class_index("Cardigan")] == "Cardigan"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("bullfrgo", "did you mean bullfrog"),
        ("xqzw", "give its name or number"),
        ("1000", "numbered 0 to 999"),
        ("CARDIGAN", "give the number: 264 .* or 474"),
        ("", "give its name or number"),
    ],
)
def test_an_unknown_class_is_refused_with_advice(text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        class_index(text)


def test_a_classifier_normalises_and_resizes() -> None:
    network = linear()
    classifier = Classifier(network, size=8, mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0))
    x = torch.rand(2, 3, 8, 8)
    by_hand = torch.stack([(x[:, 0] - 0.1) / 0.5, x[:, 1] - 0.2, (x[:, 2] - 0.3) / 2], 1)
    torch.testing.assert_close(classifier(x), network(by_hand))
    enlarged = x.repeat_interleave(4, -1).repeat_interleave(4, -2).mean((-1, -2), keepdim=True)
    flat = enlarged.expand(2, 3, 32, 32)
    torch.testing.assert_close(classifier(flat), classifier(enlarged.expand(2, 3, 8, 8)))


def test_a_classifier_without_names_takes_numbers() -> None:
    classifier = Classifier(linear(), size=8)
    assert classifier.num_classes == 3 and classifier.index("2") == 2
    with pytest.raises(InputError, match="numbered 0 to 2"):
        classifier.index("3")


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        (nn.Conv2d(3, 4, 3), "one row of logits per image"),
        (nn.Flatten(0), "one row of logits per image"),
        (nn.Linear(5, 2), "does not take 8x8"),
    ],
)
def test_what_is_no_classifier_is_refused(network: nn.Module, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Classifier(network, size=8)


def test_as_many_names_as_classes_are_needed() -> None:
    with pytest.raises(InputError, match="2 class names were given for a classifier of 3"):
        Classifier(linear(), size=8, names=("cat", "dog"))


def test_folding_batch_norms_changes_nothing_but_their_number() -> None:
    torch.manual_seed(0)
    network = with_random_statistics(EfficientNetLite0())
    x = torch.rand(1, 3, 64, 64)
    before = network(x)
    fold_batch_norms(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    torch.testing.assert_close(network(x), before, atol=1e-5, rtol=1e-4)


@pytest.fixture(scope="module")
def robust() -> tuple[nn.Module, dict[str, Tensor]]:
    """A ResNet-50 of random weights, and its state dictionary as the library saves it."""
    torch.manual_seed(0)
    network = with_random_statistics(resnet50(num_classes=4))
    state = {f"module.model.{k}": v for k, v in network.state_dict().items()}
    state |= {f"module.attacker.model.{k}": v for k, v in network.state_dict().items()}
    for prefix in ("module.normalizer.", "module.attacker.normalize."):
        state[f"{prefix}new_mean"] = torch.tensor([0.4, 0.5, 0.6])[:, None, None]
        state[f"{prefix}new_std"] = torch.tensor([0.2, 0.3, 0.4])[:, None, None]
    return network, state


class Trap:
    """Makes a folder if it is ever unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("key", ["model", "state_dict"])
def test_a_robust_checkpoint_is_read_as_data(robust, tmp_path: Path, key: str) -> None:
    network, state = robust
    path, made = tmp_path / "robust.pt", tmp_path / "made"
    torch.save({key: OrderedDict(state), "epoch": 90, "schedule": Trap(made)}, path)
    classifier = load_classifier(path)
    assert not made.exists()
    assert classifier.num_classes == 4 and classifier.names == ()
    x = torch.rand(1, 3, 224, 224)
    mean, std = torch.tensor([[0.4, 0.5, 0.6], [0.2, 0.3, 0.4]])[:, :, None, None]
    torch.testing.assert_close(classifier(x), network((x - mean) / std), atol=1e-4, rtol=1e-4)


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    torch.save({"model": {"weight": torch.zeros(3)}}, path)
    with pytest.raises(InputError, match="other.pt: no network of the robustness library"):
        load_classifier(path)
    torch.save({"model": {"module.model.conv1.weight": torch.zeros(64, 3, 3, 3)}}, path)
    with pytest.raises(InputError, match="no ResNet-50 for 224x224"):
        load_classifier(path)
    path.write_bytes(pickle.dumps([1, 2, 3]))
    with pytest.raises(InputError, match="no network of the robustness library"):
        load_classifier(path)


@pytest.fixture(scope="module")
def imagenet() -> Classifier:
    if not cache.is_cached("imagenet"):
        pytest.skip("the classifier has not been pulled")
    return load_classifier()


def test_the_offline_classifier_gives_the_published_logits(imagenet: Classifier) -> None:
    # what the package efficientnet-lite-pytorch 0.1.0 gives for the same input
    published = [0.0161, 0.2265, 0.6401, 0.1649, 0.7988]
    ramp = torch.linspace(0, 1, 224)
    x = torch.stack([ramp.expand(224, 224), ramp[:, None].expand(224, 224), ramp.expand(224, 224)])
    logits = imagenet(x[None])[0]
    assert logits.argmax() == 818
    torch.testing.assert_close(logits[:5], torch.tensor(published), atol=1e-3, rtol=1e-3)

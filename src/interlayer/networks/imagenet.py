"""ImageNet: its classes by name, and the colours that networks trained on it expect."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from torchvision.models import ResNet50_Weights

from interlayer.errors import InputError

IMAGENET_CLASSES: tuple[str, ...] = tuple(ResNet50_Weights.IMAGENET1K_V1.meta["categories"])
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def class_index(text: str, names: Sequence[str] = IMAGENET_CLASSES) -> int:
    """Return the number of the class called ``text``, ImageNet's by default.

    Case, spaces and punctuation do not matter, unless they tell two classes apart (ImageNet has a
    ``Cardigan`` that barks and a ``cardigan`` to wear). A number stands for itself.

    Raises:
        InputError: if no class or more than one is called so; the sentence suggests some.

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
    wanted, plain = _letters_and_digits(text), [_letters_and_digits(name) for name in names]
    found = [i for i, name in enumerate(plain) if name == wanted]
    if len(found) > 1:
        options = " or ".join(f"{i} ({names[i]})" for i in found)
        raise InputError(f"several classes are called {text!r}; give the number: {options}")
    if not found:
        near = difflib.get_close_matches(wanted, plain, cutoff=0.8)
        near += [name for name in plain if wanted and wanted in name and name not in near]
        options = ", ".join(names[plain.index(name)] for name in near[:5])
        advice = f"did you mean {options}?" if near else "give its name or number"
        raise InputError(f"no class is called {text!r}; {advice}")
    return found[0]


def _letters_and_digits(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))

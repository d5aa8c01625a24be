"""Choices of a visitor, in plain words with the technical term beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from interlayer.errors import InputError
from interlayer.methods.presets import METHODS
from interlayer.solver.by_name import QUALITIES, method_names
from interlayer.weights.cache import is_cached

PORT = 7860
MAX_SECONDS = 600.0  # for one recovery
MASK_FILE = "mask.png"
PAINT = "paint"


@dataclass(frozen=True)
class Damage:
    """One way in which a picture is lost.

    Attributes:
        words: description of the damage, with the technical term.
        task: the task of a level at an image size, as `make_physics` knows it.
        level: label of the slider; empty where there is nothing to choose.
        low: the least level.
        high: the greatest level.
        default: the level to begin with.
        step: step between two levels.
    """

    words: str
    task: Callable[[float, int], str]
    level: str = ""
    low: float = 0.0
    high: float = 1.0
    default: float = 0.0
    step: float = 1.0


DAMAGES = {
    "inpaint": Damage(
        "Only scattered pixels are left (inpainting)",
        lambda percent, size: f"inpaint:{percent / 100:g}",
        "Pixels left, in percent",
        0.5,
        50,
        2,
        0.5,
    ),
    PAINT: Damage(
        "Paint over a region yourself (masked inpainting)",
        lambda level, size: f"mask:{MASK_FILE}",
    ),
    "box": Damage(
        "A box in the middle is missing (inpainting)",
        lambda percent, size: f"box:{percent / 100:g}",
        "Size of the box, in percent of the picture",
        1,
        80,
        20,
        1,
    ),
    "half": Damage("The lower half is missing (inpainting)", lambda level, size: "half:bottom"),
    "superres": Damage(
        "The picture is tiny (super-resolution)",
        lambda times, size: f"superres:{2 ** round(times)}",
        "How many times it was halved (5 times: 32 times smaller)",
        1,
        6,
        5,
        1,
    ),
    "circulant": Damage(
        "Random mixtures of all pixels are known (compressed sensing)",
        lambda percent, size: f"circulant:{percent / 100:g}",
        "Number of mixtures, in percent of the numbers in the picture",
        0.2,
        20,
        1,
        0.2,
    ),
    "deblur": Damage(
        "The picture is out of focus (deblurring)",
        lambda percent, size: f"deblur:{percent / 100 * size:.4g}",
        "Blur, in percent of the width (standard deviation)",
        0.2,
        5,
        2,
        0.2,
    ),
    "denoise": Damage(
        "The picture is noisy (denoising)",
        lambda percent, size: f"denoise:{percent / 100:g}",
        "Noise, in percent of white (standard deviation)",
        5,
        200,
        50,
        5,
    ),
    "jpeg": Damage(
        "The picture was stored with too few bytes (JPEG)",
        lambda quality, size: f"jpeg:{round(quality)}",
        "Quality of the JPEG file",
        1,
        95,
        5,
        1,
    ),
    "colorize": Damage("The colours are lost (colorization)", lambda level, size: "colorize"),
}

METHOD_WORDS = {
    "auto": "As the measurements themselves decide (auto)",
    "ilo": "Through the layers of the generator (ILO)",
    "csgm": "Only pictures that the generator draws (CSGM)",
    "pulse": "Only typical pictures that it draws (PULSE)",
    "interpolation": "Without it: fill in between (interpolation)",
    "tv": "Without it: even areas, sharp edges (total variation)",
    "wavelet": "Without it: few brush strokes of any size (wavelets)",
}
QUALITY_WORDS = {
    "draft": "Quick (draft)",
    "normal": "Good (normal)",
    "best": "As good as it gets (best)",
}


def damages() -> list[tuple[str, str]]:
    """Pairs of words and name, as gradio wants them."""
    return [(damage.words, name) for name, damage in DAMAGES.items()]


def methods() -> list[tuple[str, str]]:
    """The methods that run without fetching anything, the default first.

    >>> methods()[0]
    ('As the measurements themselves decide (auto)', 'auto')
    """
    names = [n for n in method_names() if is_cached("perceptual") or not _perceives(n)]
    return [(METHOD_WORDS.get(name, name), name) for name in names]


def _perceives(method: str) -> bool:
    """Whether a method needs the weights of the perceptual loss."""
    return method in METHODS and METHODS[method]().perceives


def qualities() -> list[tuple[str, str]]:
    """Pairs of words and name."""
    return [(QUALITY_WORDS.get(name, name), name) for name in QUALITIES]


def task_of(name: str, level: float, size: int) -> str:
    """The task of a damage at a level, for pictures of ``size`` x ``size`` pixels.

    Raises:
        InputError: if there is no such damage.

    >>> task_of("superres", 5, 1024), task_of("deblur", 2, 1024)
    ('superres:32', 'deblur:20.48')
    """
    if name not in DAMAGES:
        raise InputError("this damage is not on the list; choose one that is")
    return DAMAGES[name].task(level, size)

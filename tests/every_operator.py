# pyright: reportArgumentType=false
"""Every operator of deepinv, small enough for a test, and the table of what becomes of it.

    python -m tests.every_operator

writes the table into docs/operators.md.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import deepinv.physics
import torch
from deepinv.loss.metric import PSNR
from deepinv.physics import GaussianNoise, LinearPhysics, Physics
from deepinv.transform import Shift
from torch import Tensor

from interlayer import InputError, solve
from interlayer.generators import ToyGenerator, draw_truths

P = deepinv.physics
DOCS = Path(__file__).parents[1] / "docs" / "operators.md"
START, END = "<!-- table -->\n", "<!-- end of table -->\n"
METHODS = ("auto", "ilo")
SIZE = (3, 16, 16)
PACKAGES = {
    "NonCartesianMRI": "mri-nufft",
    "PET": "parallelproj",
    "RadioInterferometry": "torchkbnufft",
    "TomographyWithAstra": "astra-toolbox",
}
"""Operators whose packages the tests do without."""


@dataclass(frozen=True)
class Example:
    """An operator as it is tried.

    Attributes:
        make: function that makes it.
        channels: number of channels of the images.
        form: what the operator makes of an image (1, C, 16, 16), if it does not take it as it is.
    """

    make: Callable[[], Physics]
    channels: int = 3
    form: Callable[[Tensor], Tensor] = lambda x: x


def kernel() -> Tensor:
    return torch.ones(1, 1, 3, 3) / 9


def half() -> Physics:
    return P.Inpainting(SIZE, mask=0.5)


def fourier_mask(*size: int) -> Tensor:
    return (torch.rand(*size) > 0.6).float()


def circle() -> Tensor:
    angle = torch.linspace(0, 2 * torch.pi, 9)[:-1]
    return torch.stack([angle.cos(), angle.sin()])


def complex_images(x: Tensor) -> Tensor:
    return x.to(torch.complex64)


def four_frames(x: Tensor) -> Tensor:
    return x[:, :, None].expand(-1, -1, 4, -1, -1)


EXAMPLES = {
    "Blur": Example(lambda: P.Blur(filter=kernel())),
    "BlurFFT": Example(lambda: P.BlurFFT(SIZE, filter=kernel())),
    "BlurFFTMultiScaler": Example(
        lambda: P.BlurFFTMultiScaler(P.BlurFFT(SIZE, filter=kernel()), SIZE, factors=(2,))
    ),
    "BlurMultiScaler": Example(
        lambda: P.BlurMultiScaler(P.Blur(filter=kernel(), padding="circular"), SIZE, factors=(2,))
    ),
    "ComposedLinearPhysics": Example(
        lambda: P.ComposedLinearPhysics(P.BlurFFT(SIZE, filter=kernel()), half())
    ),
    "ComposedPhysics": Example(lambda: P.ComposedPhysics(P.Physics(A=lambda x, **_: x**2), half())),
    "CompressedSensing": Example(lambda: P.CompressedSensing(200, SIZE)),
    "CompressiveSpectralImaging": Example(lambda: P.CompressiveSpectralImaging(SIZE)),
    "Decolorize": Example(lambda: P.Decolorize()),
    "DecomposablePhysics": Example(lambda: P.DecomposablePhysics(mask=torch.rand(SIZE))),
    "Demosaicing": Example(lambda: P.Demosaicing(SIZE)),
    "Denoising": Example(lambda: P.Denoising(GaussianNoise(0.1))),
    "Downsampling": Example(lambda: P.Downsampling(SIZE, filter="bicubic", factor=2)),
    "DownsamplingMatlab": Example(lambda: P.DownsamplingMatlab(factor=2)),
    "DynamicMRI": Example(
        lambda: P.DynamicMRI(fourier_mask(1, 2, 4, 16, 16), (2, 4, 16, 16)), 2, four_frames
    ),
    "Haze": Example(lambda: P.Haze()),
    "HyperSpectralUnmixing": Example(lambda: P.HyperSpectralUnmixing(E=3, C=8)),
    "Inpainting": Example(lambda: P.Inpainting(SIZE, mask=0.4)),
    "InpaintingMultiScaler": Example(lambda: P.InpaintingMultiScaler(half(), SIZE, factors=(2,))),
    "LinearPhysics": Example(lambda: P.LinearPhysics(A=lambda x, **_: x[..., ::2])),
    "LinearPhysicsMultiScaler": Example(
        lambda: P.LinearPhysicsMultiScaler(half(), SIZE, factors=(2,))
    ),
    "MRI": Example(
        lambda: P.MRI(fourier_mask(16, 16), (2, 16, 16)),
        1,
        lambda x: torch.cat([x, torch.zeros_like(x)], 1),
    ),
    "MultiCoilMRI": Example(
        lambda: P.MultiCoilMRI(
            fourier_mask(16, 16), torch.randn(1, 3, 16, 16, dtype=torch.complex64), (2, 16, 16)
        ),
        2,
    ),
    "Pansharpen": Example(lambda: P.Pansharpen(SIZE, factor=4)),
    "PhaseRetrieval": Example(lambda: P.PhaseRetrieval(P.CompressedSensing(1500, SIZE))),
    "Physics": Example(lambda: P.Physics(A=lambda x, **_: x[..., ::2] ** 2)),
    "PhysicsCropper": Example(
        lambda: P.PhysicsCropper(P.Blur(filter=kernel(), padding="circular"), (2, 2))
    ),
    "PhysicsMultiScaler": Example(lambda: P.PhysicsMultiScaler(half(), SIZE, factors=(2,))),
    "Ptychography": Example(lambda: P.Ptychography((1, 16, 16)), 1),
    "PtychographyLinearOperator": Example(lambda: P.PtychographyLinearOperator((1, 16, 16)), 1),
    "RandomPhaseRetrieval": Example(
        lambda: P.RandomPhaseRetrieval(1500, SIZE), form=complex_images
    ),
    "Scattering": Example(lambda: P.Scattering(16, circle(), circle()), 1),
    "SequentialMRI": Example(
        lambda: P.SequentialMRI(fourier_mask(1, 2, 4, 16, 16), (2, 4, 16, 16)), 2
    ),
    "SinglePhotonLidar": Example(lambda: P.SinglePhotonLidar(bins=20)),
    "SinglePixelCamera": Example(lambda: P.SinglePixelCamera(80, SIZE)),
    "SpaceVaryingBlur": Example(
        lambda: P.SpaceVaryingBlur(
            torch.rand(1, 1, 2, 3, 3) / 4, torch.rand(1, 1, 2, 16, 16), padding="circular"
        )
    ),
    "SpatialUnwrapping": Example(lambda: P.SpatialUnwrapping(threshold=0.3)),
    "StackedLinearPhysics": Example(
        lambda: P.StackedLinearPhysics([P.BlurFFT(SIZE, filter=kernel()), half()])
    ),
    "StackedPhysics": Example(
        lambda: P.StackedPhysics([half(), P.Physics(A=lambda x, **_: x[..., ::2] ** 2)])
    ),
    "StructuredRandom": Example(lambda: P.StructuredRandom(SIZE, (3, 8, 16))),
    "StructuredRandomPhaseRetrieval": Example(
        lambda: P.StructuredRandomPhaseRetrieval(SIZE, (3, 32, 32), 2)
    ),
    "TiledSpaceVaryingBlur": Example(
        lambda: P.TiledSpaceVaryingBlur(torch.ones(1, 1, 4, 3, 3) / 9, (8, 8), (8, 8))
    ),
    "Tomography": Example(lambda: P.Tomography(angles=20, img_width=16)),
    "UltrasoundPlaneWave": Example(
        lambda: P.UltrasoundPlaneWave(
            (16, 16),
            [0.0, 0.1],
            torch.stack([torch.linspace(-0.01, 0.01, 8), torch.zeros(8)], -1),
            64,
            2e6,
        ),
        1,
    ),
    "Upsampling": Example(
        lambda: P.Upsampling((3, 32, 32), "bilinear", 2, noise_model=GaussianNoise(0.2))
    ),
    "VirtualLinearPhysics": Example(
        lambda: P.VirtualLinearPhysics(
            physics=half(),
            transform=Shift(),
            g_params={"x_shift": torch.tensor([2]), "y_shift": torch.tensor([1])},
        )
    ),
}


@dataclass(frozen=True)
class Outcome:
    """What became of an operator.

    Attributes:
        psnr: PSNR of each method.
        adjoint: that of the adjoint of the measurements, in the best scale; of a grey image where
            there is no adjoint.
        notes: warnings, or the sentence that refuses it.
    """

    psnr: dict[str, float]
    adjoint: float
    notes: tuple[str, ...]


def operator_names() -> set[str]:
    """Every public operator of the installed deepinv."""
    found = inspect.getmembers(deepinv.physics, inspect.isclass)
    return {name for name, kind in found if issubclass(kind, Physics)}


def outcome(name: str) -> Outcome:
    """Try an operator with a small generator whose image is known."""
    torch.manual_seed(0)
    example = EXAMPLES[name]
    physics, G = example.make(), ToyGenerator(channels=example.channels)
    x = draw_truths(G, [0])
    try:
        y = physics(example.form(x))
    except IndexError:  # takes no single image at all
        y = x
    psnr, notes = dict[str, float](), list[str]()
    for method in METHODS:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                psnr[method] = PSNR()(solve(physics, y, G, method).x_hat, x).item()
            except InputError as error:
                notes.append(str(error))
        notes += [str(each.message) for each in caught if each.category is UserWarning]
    return Outcome(psnr, _of_adjoint(physics, y, x), tuple(dict.fromkeys(notes)))


def _of_adjoint(physics: Physics, y: Tensor, x: Tensor) -> float:
    back = torch.full_like(x, 0.5)
    if isinstance(physics, LinearPhysics):
        try:
            back = physics.A_adjoint(y)
        except ValueError:  # it has none
            pass
        back = back.real if back.is_complex() else back
        back = back.mean(2) if back.ndim == 5 else back[:, : x.shape[1]]
        back = back if back.shape == x.shape else torch.full_like(x, 0.5)
    scale = (back * x).sum() / (back * back).sum()
    return PSNR()((scale * back).clamp(0, 1), x).item()


def table() -> str:
    """The table of the documentation."""
    lines = ["| operator | `auto` | `ilo` | adjoint | notes |", "|---|---|---|---|---|"]
    for name in sorted(operator_names()):
        if name in PACKAGES:
            lines.append(f"| `{name}` | | | | not tried: needs {PACKAGES[name]} |")
            continue
        found = outcome(name)
        figures = [f"{found.psnr[m]:.1f}" if m in found.psnr else "–" for m in METHODS]
        notes = "; ".join(found.notes).replace("|", "\\|")
        lines.append(f"| `{name}` | {' | '.join(figures)} | {found.adjoint:.1f} | {notes} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the table into the documentation."""
    text = DOCS.read_text("utf-8")
    before, rest = text.split(START)
    DOCS.write_text(before + START + "\n" + table() + "\n" + END + rest.split(END)[1], "utf-8")


if __name__ == "__main__":
    main()

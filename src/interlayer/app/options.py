"""Flags of the command line, one name each, and what several commands share."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from interlayer.media.masks import Meaning
from interlayer.problem.fidelity import LOSSES
from interlayer.solver.by_name import QUALITIES, method_names

TASK_HELP = (
    "Task that measures the photo, such as superres:8+denoise:0.1; `interlayer tasks` lists the "
    "parts. FILE.py:FUNCTION is an operator of your own: it runs that file."
)
MEASURED_HELP = (
    "Take the photos as measurements of the task: noisy, small, blurred, grey or scratched. Levels "
    "that are left out are estimated."
)


class NumberType(str, Enum):
    """Number types of large activations."""

    float32 = "float32"
    bfloat16 = "bfloat16"


Generators = Annotated[str, Option(help="Named weights or a weights file.")]
Label = Annotated[int | None, Option(min=0, help="Class to draw, for class-conditional weights.")]
Device = Annotated[str, Option(help="Device that computes: cpu or cuda.")]
Precision = Annotated[
    NumberType | None,
    Option(help="Number type of large activations; a short trial chooses the faster otherwise."),
]
Photos = Annotated[list[str] | None, Argument(help="Photo files, or sample:astronaut.")]
TASK = "circulant:0.01"
TaskName = Annotated[str | None, Option("--task", help=TASK_HELP, show_default=TASK)]
MethodName = Annotated[str, Option("--method", help=f"One of: {', '.join(method_names())}.")]
Quality = Annotated[str, Option(help=f"Time to spend: {', '.join(QUALITIES)}.")]
Steps = Annotated[int | None, Option(min=1, help="Number of steps in all, instead of --quality.")]
Out = Annotated[Path, Option(help="Folder for the results.")]
Seed = Annotated[int, Option(min=0, help="Seed of everything random.")]
Holdout = Annotated[
    float, Option(min=0, max=0.9, help="Fraction of the measurements held out to judge.")
]
Loss = Annotated[
    str, Option(help=f"Measurement error: {', '.join(LOSSES)}; auto goes by the noise.")
]
MeasurementsFile = Annotated[
    Path | None,
    Option("--measurements", help="A measurements.pt to recover from, instead of photos."),
]
SampleCount = Annotated[
    int,
    Option("--samples", min=1, help="Number of solutions; their mean is the estimate."),
]
Measured = Annotated[bool, Option(help=MEASURED_HELP)]
MaskIs = Annotated[Meaning | None, Option(help="Meaning of white in masks; guessed otherwise.")]
White = Annotated[
    float | None, Option(help="White value of a file with more than 8 bits; guessed otherwise.")
]
KeepKnown = Annotated[bool, Option(help="Put noiselessly measured pixels back as they were.")]
Align = Annotated[bool, Option(help="Crop and turn the face as the generator knows faces.")]
Face = Annotated[int, Option(min=0, help="Number of the face to align; 0 is the largest.")]
PasteBack = Annotated[bool, Option(help="Also paste the recovered face back into its photo.")]
Sequence = Annotated[Path | None, Option(help="A video or a folder of frames, instead of photos.")]
FrameSteps = Annotated[
    int, Option(min=1, help="Number of steps for every frame of a sequence but the first.")
]
KeepPoint = Annotated[
    bool,
    Option(help="Also write the solution as a file to --continue from, of up to 100 MB."),
]
GoOn = Annotated[
    Path | None,
    Option("--continue", help="Results folder of a recovery with --keep-point to go on from."),
]
Prior = Annotated[
    Path | None,
    Option(help="A prior of layers that train-prior has written, for --method sgilo."),
]
Unaligned = Annotated[
    bool, Option(help="Search shift and rotation of the picture too, with a StyleGAN3.")
]
AsJson = Annotated[bool, Option("--json", help="Print the results to stdout.")]

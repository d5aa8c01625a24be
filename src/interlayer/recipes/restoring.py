"""Restoration of a photo: its faces by the generator, what is around them by classical methods."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from skimage.restoration import denoise_nl_means
from torch import Tensor

from interlayer.generators import Generator
from interlayer.media.faces import Square, cut, ffhq_square, find_faces, paste_back
from interlayer.media.photos import Photo
from interlayer.media.tones import Tone, luma_of, tone_of
from interlayer.methods.classical.filling import fill
from interlayer.problem.blur_level import Blur, estimate_blur
from interlayer.problem.catalogue import OPEN
from interlayer.problem.noise_level import estimate_noise
from interlayer.problem.problem import Problem
from interlayer.recipes.cutouts import Note, cut_out, silently
from interlayer.recipes.damaged_photos import (
    NAMES,
    explain,
    misfit_sentence,
    stuck_in,
    with_caution,
)
from interlayer.solver.by_name import reconstruct
from interlayer.solver.records import Settings, State

GRAIN = 0.012  # noise from which on a photo is denoised; the finest texture of a clean one has less
TEXTURED = 256  # side below which a photo shows more texture, the more the smaller it is
SMALL, ENLARGED = 512, 1024  # a photo whose longer side is at most the one is brought to the other
AROUND = 2  # steps of a recovery, of some hundred, that take the time of all else
COLOUR_FEATHER = 0.7  # of a square in which colours fade into a photo that has none


@dataclass(frozen=True, eq=False)
class Findings:
    """What a photo has lost, and where its faces are.

    Attributes:
        faces: the faces to restore, the largest first.
        noise: standard deviation, for images in [0, 1]; 0 where none is seen.
        blur: blur in pixels of the photo.
        jpeg: whether the file's JPEG is accounted for.
        toned: whether the photo is grey or sepia.
        known: mask (1, 1, H, W) of intact pixels; ``None`` where all are.
    """

    faces: tuple[Square, ...] = ()
    noise: float = 0.0
    blur: Blur = Blur("none")
    jpeg: bool = False
    toned: bool = False
    known: Tensor | None = None

    @property
    def sound(self) -> bool:
        """Whether nothing is seen to be wrong."""
        damaged = self.noise or self.blur.shape != "none" or self.jpeg or self.toned
        return not damaged and self.known is None

    def sentences(self) -> list[str]:
        """One line for each finding."""
        lines = ["No face is found"]
        if self.faces:
            sides = " and ".join(f"{face.side:.0f}" for face in self.faces)
            count = "A face" if len(self.faces) == 1 else f"{len(self.faces)} faces"
            lines = [f"{count}, {sides} pixels wide"]
        lines.append(f"Noise of {self.noise:.1%} of white" if self.noise else "No noise to be seen")
        blur = str(self.blur)
        if self.faces or self.blur.shape != "none":  # it is looked for in faces
            lines.append(blur[0].upper() + blur[1:])
        lines += ["JPEG compression, with the steps that the file tells"] if self.jpeg else []
        lines += ["No colours, but shades of one tone"] if self.toned else []
        if self.known is not None:
            lines.append(f"{1 - self.known.float().mean().item():.1%} of it missing")
        return lines


@dataclass(frozen=True)
class Plan:
    """What a restoration is to do.

    Attributes:
        findings: what is wrong, and which faces are to be restored.
        colorize: whether faces of a toned photo get colours; else they keep its tone.
        quality: "draft", "normal" or "best".
        seed: seed of everything random.
    """

    findings: Findings
    colorize: bool = False
    quality: str = "normal"
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Place:
    """The place of a face in the photo that is restored.

    Attributes:
        square: the face's square there.
        tone: tone that it is given; ``None`` leaves its colours.
        fades: whether its colours fade into a photo without any.
    """

    square: Square
    tone: Tone | None = None
    fades: bool = False

    def with_face(self, photo: Tensor, x_hat: Tensor) -> Tensor:
        """The photo (1, 3, H, W) with a face (1, 3, h, w) laid into it."""
        toned = x_hat if self.tone is None else self.tone(x_hat)
        laid = paste_back(photo, self.square, _detailed(toned, photo, self.square))
        if not self.fades:
            return laid
        wide = paste_back(photo, self.square, x_hat, COLOUR_FEATHER)
        return (wide - luma_of(wide) + luma_of(laid)).clamp(0, 1)


@dataclass(frozen=True, eq=False)
class Progress:
    """One step of a restoration.

    Attributes:
        face: number of the face under way, from 0.
        faces: number of faces in all.
        state: state of its recovery; ``None`` while what is around the faces is repaired, and at
            the end.
        fraction: part of the whole work that is done, in [0, 1].
        label: description of the step in a few words.
        photo: photo (1, 3, H', W') with the faces before this one.
        place: place of this face in it.
    """

    face: int
    faces: int
    state: State | None
    fraction: float
    label: str
    photo: Tensor
    place: Place | None = None

    def picture(self) -> Tensor:
        """The whole photo (1, 3, H', W') with what is the best so far."""
        if self.state is None or self.place is None:
            return self.photo
        return self.place.with_face(self.photo, self.state.solution().x_hat)


def examine(photo: Photo, known: Tensor | None = None) -> Findings:
    """Find out what a photo has lost, and where its faces are.

    Noise and tone are those of the whole photo; blur is that of its largest face, since only faces
    tell how sharp they would be. Pixels that are
    stuck at black or white count as missing.

    Args:
        photo: photo.
        known: mask (1, 1, H, W) of bool, pixels that are intact; by default what is opaque.

    Raises:
        InputError: if the face detector is not installed, or no pixel is intact.
    """
    known = photo.known if known is None else known
    intact = torch.ones_like(photo.x[:, :1], dtype=torch.bool) if known is None else known
    intact = intact & ~stuck_in(photo.x, intact, silently)
    faces = tuple(map(ffhq_square, find_faces(fill(photo.x, intact))))
    noise = estimate_noise(photo.x, intact).max().item()
    # The finest detail of a small photo is no noise.
    noise = noise if noise >= GRAIN * max(1.0, TEXTURED / min(photo.x.shape[-2:])) else 0.0
    return Findings(
        faces=faces,
        noise=noise,
        blur=_blur(photo, intact, faces[0]) if faces else Blur("none"),
        jpeg=photo.jpeg is not None,
        toned=tone_of(photo.x, intact) is not None,
        known=None if intact.all() else intact,
    )


def restore(
    photo: Photo, plan: Plan, generator: Generator, note: Note | None = None
) -> Iterator[Progress]:
    """Restore a photo: first all of it by classical methods, then one face after the other.

    Holes are filled and noise is removed everywhere; a photo of at most `SMALL` pixels is enlarged.
    Each face is cut out upright, recovered by `auto` from what is intact of it, and laid back in.
    A larger photo that nothing is seen to be wrong with stays as it is.

    Args:
        photo: photo.
        plan: what is to be done to it.
        generator: the prior.
        note: function that is called with one sentence for each thing assumed.

    Yields:
        Progress at every step; the last one holds the restored photo.

    Raises:
        InputError: as for `interlayer.recipes.damaged_photos.explain`.
    """
    told, say = plan.findings, note or silently
    factor = enlargement(photo)
    if told.sound and factor == 1:
        say("nothing is seen to be wrong with it, and it stays as it is; if something is, say what")
        yield Progress(0, 0, None, 1.0, "done", photo.x)
        return
    count = len(told.faces)
    if plan.colorize and count and not told.toned:
        say("the photo has colours, which its faces keep")
    restored = _repaired(photo, told, factor)
    work = AROUND / (AROUND + 100 * count)
    yield Progress(0, count, None, work if count else 1.0, "around", restored)
    for number, square in enumerate(told.faces):
        problem = face_problem(photo, square, plan, generator, note)
        place = _place(photo, square, plan, factor)
        progress = None
        states = reconstruct(
            problem, generator, quality=plan.quality, settings=Settings(seed=plan.seed)
        )
        for state in states:
            done = work + (1 - work) * (number + min(state.progress, 0.999)) / count
            progress = Progress(number, count, state, done, state.label, restored, place)
            yield progress
        assert progress is not None and progress.state is not None
        x_hat = progress.state.solution().x_hat.to(photo.x.device)
        if sentence := misfit_sentence(problem, x_hat):
            say(f"face {number + 1}: {sentence}")
        restored = place.with_face(restored, x_hat)
    if count:
        yield Progress(count - 1, count, None, 1.0, "done", restored)


def face_problem(
    photo: Photo, square: Square, plan: Plan, generator: Generator, note: Note | None = None
) -> Problem:
    """The problem of one face: its square of the photo as measurements, see `explain`."""
    told = plan.findings
    size = (generator.channels, generator.resolution, generator.resolution)
    known = torch.ones_like(photo.x[:, :1], dtype=torch.bool) if told.known is None else told.known
    source = photo if told.jpeg else replace(photo, jpeg=None)
    parts = list[str]()
    blur = with_caution(told.blur)
    if blur.shape != "none":
        angle = f",{blur.angle:.4g}" if blur.shape == "line" else ""
        parts.append(f"{NAMES[blur.shape]}:{blur.size:.4g}{angle}{OPEN}")
    parts += ["colorize"] if told.toned else []
    parts += [f"denoise:{told.noise:.4g}"] if told.noise else []
    return explain(cut_out(source, known, size[-1], square), "+".join(parts), size, plan.seed, note)


def enlargement(photo: Photo) -> int:
    """The factor by which a photo is enlarged, 1 unless it is small.

    >>> enlargement(Photo(torch.zeros(1, 3, 64, 48), None, None, 1, ()))
    16
    """
    longer = max(photo.x.shape[-2:])
    return ENLARGED // longer if longer <= SMALL else 1


def _repaired(photo: Photo, told: Findings, factor: int) -> Tensor:
    """The whole photo, filled, denoised and enlarged."""
    x = photo.x if told.known is None else fill(photo.x, told.known)
    if told.noise >= GRAIN:
        x = _denoised(x, told.noise)
    if factor == 1:
        return x
    # Antialiasing selects Keys' kernel, which enlarges without ringing.
    return F.interpolate(x, scale_factor=factor, mode="bicubic", antialias=True).clamp(0, 1)


def _denoised(x: Tensor, sigma: float) -> Tensor:
    """Non-local means; BM3D takes a minute where these take a second."""
    pixels = x[0].permute(1, 2, 0).numpy()
    quiet = denoise_nl_means(
        pixels, patch_size=5, patch_distance=6, h=0.6 * sigma, sigma=sigma, channel_axis=-1
    )
    return torch.from_numpy(np.asarray(quiet, np.float32)).permute(2, 0, 1)[None].clamp(0, 1)


def _place(photo: Photo, square: Square, plan: Plan, factor: int) -> Place:
    """Where and how a face is laid back."""
    larger = Square(square.centre * factor, square.axis * factor)
    told = plan.findings
    if not told.toned:
        return Place(larger)
    if plan.colorize:
        return Place(larger, fades=True)
    known = torch.ones_like(photo.x[:, :1], dtype=torch.bool) if told.known is None else told.known
    return Place(larger, tone_of(photo.x, known))


def _detailed(x: Tensor, photo: Tensor, square: Square) -> Tensor:
    """A face (1, 3, h, w) with the photo's detail that is finer than its own pixels."""
    side = round(square.side)
    if side <= x.shape[-1]:
        return x
    there = cut(photo, square, side)
    coarse = F.interpolate(there, x.shape[-2:], mode="bicubic", antialias=True)
    change = F.interpolate(x - coarse, there.shape[-2:], mode="bicubic", antialias=True)
    return (there + change).clamp(0, 1)


def _blur(photo: Photo, known: Tensor, face: Square) -> Blur:
    """The blur of the largest upright square around a face that the photo holds."""
    height, width = photo.x.shape[-2:]
    side = min(height, width, max(1, round(face.side)))
    left = min(max(0, round(face.centre.real - side / 2)), width - side)
    top = min(max(0, round(face.centre.imag - side / 2)), height - side)
    inside = (..., slice(top, top + side), slice(left, left + side))
    steps = None if photo.jpeg is None else photo.jpeg.luma
    return estimate_blur(photo.x[inside], known=known[inside], steps=steps)

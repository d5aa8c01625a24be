"""Pre-trained generators that can be cut between any two of their layers."""

from interlayer.generators.base import Generator, LayerState, LayerStatistics, draw_truths
from interlayer.generators.mobilestylegan import MobileStyleGAN
from interlayer.generators.sequential import Adapted, Sequential
from interlayer.generators.stylegan2 import StyleGAN2
from interlayer.generators.toy import ToyGenerator

__all__ = [
    "Adapted",
    "Generator",
    "LayerState",
    "LayerStatistics",
    "MobileStyleGAN",
    "Sequential",
    "StyleGAN2",
    "ToyGenerator",
    "draw_truths",
]

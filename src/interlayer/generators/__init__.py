from interlayer.generators.base import Generator, LayerState, LayerStatistics
from interlayer.generators.mobilestylegan import MobileStyleGAN
from interlayer.generators.sequential import Sequential
from interlayer.generators.stylegan2 import StyleGAN2
from interlayer.generators.toy import ToyGenerator

__all__ = [
    "Generator",
    "LayerState",
    "LayerStatistics",
    "MobileStyleGAN",
    "Sequential",
    "StyleGAN2",
    "ToyGenerator",
]

from interlayer.generators.base import Generator, LayerState, LayerStatistics
from interlayer.generators.mobilestylegan import MobileStyleGAN
from interlayer.generators.toy import ToyGenerator

__all__ = ["Generator", "LayerState", "LayerStatistics", "MobileStyleGAN", "ToyGenerator"]

from interlayer.generators.base import Generator, LayerState, LayerStatistics
from interlayer.generators.mobilestylegan import MobileStyleGAN

__all__ = ["Generator", "LayerState", "LayerStatistics", "MobileStyleGAN"]

"""Recover images from few or corrupted measurements with a pre-trained generator as the prior.

The public names are those of ``__init__.pyi``; each is imported when it is first used, so that the
command line answers at once.
"""

from importlib.metadata import version

import lazy_loader

__version__ = version("interlayer")
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

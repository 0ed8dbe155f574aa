"""Synthetic blood smears: sample layouts, paint them with a GAN, train on mixes, measure whether it helps.

The public names are imported when they are used: `from rbc_lightning import MaskSampler` costs what that class needs. Modules
behind them may move.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

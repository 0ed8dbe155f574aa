"""Colours of what lies over images, and what they mean: the same everywhere.

They are of the Okabe-Ito palette, distinct to most colour-blind readers.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Canvas = NDArray[np.uint8]
"""(H, W) of indices of the palette."""

_PNG_LEVEL = 6  # the highest takes several times as long for a few per cent
_OPAQUE, _FAINT, _STRONG = 255, 64, 128
_SKY, _VERMILION, _YELLOW, _BLACK = (86, 180, 233), (213, 94, 0), (240, 228, 66), (0, 0, 0)
NEIGHBOURS = ((230, 159, 0), (0, 158, 115), (204, 121, 167), _SKY, _YELLOW, (0, 114, 178))
# Indices of the palette; 0 is nothing. The true cells' colours follow, a filling and a line each, then
# those of classes.
CLEAR, RIGHT, RIGHT_FILL, FALSE, FALSE_FILL, MISSED, MISSED_FILL, FIRST = range(8)
CLASSES = FIRST + 2 * len(NEIGHBOURS)
_PALETTE = (
    (_BLACK, 0),
    (_SKY, _OPAQUE),
    (_SKY, _STRONG),
    (_VERMILION, _OPAQUE),
    (_VERMILION, _STRONG),
    (_BLACK, _OPAQUE),
    (_YELLOW, _STRONG),
    *((color, opacity) for color in NEIGHBOURS for opacity in (_FAINT, _OPAQUE)),
    *((color, _STRONG) for color in NEIGHBOURS),
)


class LegendEntry(NamedTuple):
    """What a style means: `line` and `fill` as CSS colours, empty for none."""

    text: str
    line: str
    fill: str
    dashed: bool = False


def _css(color: tuple[int, int, int], opacity: int = _OPAQUE) -> str:
    return f"rgb({color[0]} {color[1]} {color[2]} / {opacity / _OPAQUE:.2f})"


LEGEND = (
    LegendEntry("found, and there (of a mask: its outline)", _css(_SKY), ""),
    LegendEntry("found, but no true cell (of a mask: too much)", _css(_VERMILION), _css(_VERMILION, _STRONG)),
    LegendEntry("true, but missed (of a mask: too little)", _css(_BLACK), _css(_YELLOW, _STRONG), dashed=True),
)
"""The styles of predictions; a cell is found if its IoU with a true one exceeds 0.5. True cells alone have colours of no
meaning: touching ones differ."""

ONE_CLASS_LEGEND = (
    LegendEntry("found, and there", "", _css(_SKY, _STRONG)),
    LegendEntry("found, but not there", "", _css(_VERMILION, _STRONG)),
    LegendEntry("there, but missed", "", _css(_YELLOW, _STRONG)),
)
"""The styles of `agreement_overlay`, voxel by voxel."""


def class_legend(names: Sequence[str]) -> tuple[LegendEntry, ...]:
    """The styles of `class_overlay`, of truth and findings alike."""
    colors = [NEIGHBOURS[value % len(NEIGHBOURS)] for value in range(len(names))]
    return tuple(LegendEntry(name, "", _css(color, _STRONG)) for name, color in zip(names, colors, strict=True))


def png(canvas: Canvas) -> bytes:
    """A PNG with palette and transparency, as large as the canvas."""
    picture = Image.fromarray(canvas).convert("P")
    picture.putpalette([channel for color, _ in _PALETTE for channel in color])
    out = io.BytesIO()
    picture.save(out, format="PNG", compress_level=_PNG_LEVEL, transparency=bytes(opacity for _, opacity in _PALETTE))
    return out.getvalue()

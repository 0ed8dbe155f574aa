"""Figures of this folder: sampled masks painted by the trained translator, without the real backgrounds laid over them.

usage: python experiments/pix2pixhd_bbbc041seg/figures.py TRANSLATOR LABELS
TRANSLATOR is a directory artifacts/translator/KEY, LABELS a directory with sampled label maps (stage=masks).
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from rbc_lightning.core.label_files import read_label_map
from rbc_lightning.report.figures.style_sheets import save_style_sheet
from rbc_lightning.translators.pix2pixhd.translator import Pix2PixHDTranslator

HERE = Path(__file__).parent


def main(directory: Path, labels: Path) -> None:
    """Paint one mask in every style, and several masks in the styles of one image each."""
    translator = Pix2PixHDTranslator.load(directory)
    # A background texture shows pieces of a real smear: nothing of those belongs into the repository.
    translator.backgrounds = None
    bank = translator.style_bank
    masks = [read_label_map(path) for path in sorted(labels.glob("*.png"))[:8]]
    styles = {f"cluster:{k}": translator.paint(masks[0], 0, f"cluster:{k}") for k in range(10)}
    save_style_sheet(HERE / "styles.png", masks[0], styles)
    painted = [translator.paint(mask, k, bank.source_in_turn(k, 0)) for k, mask in enumerate(masks)]
    rows = [np.concatenate(painted[start : start + 4], axis=1) for start in (0, 4)]
    Image.fromarray(np.concatenate(rows)).save(HERE / "generated.png", optimize=True)
    for name in ("styles.png", "generated.png"):
        shrink(HERE / name)


def shrink(path: Path, widest: int = 1600) -> None:
    """Reduce a picture for the repository."""
    with Image.open(path) as image:
        small = image.resize((widest, image.height * widest // image.width), Image.Resampling.LANCZOS)
    small.quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

"""The table and the sheet of experiments/mode_seeking_bbbc041seg: every Pix2Pix translator of an artifact store.

usage: python experiments/mode_seeking_bbbc041seg/table.py ARTIFACTS DATA_ROOT
Writes variants.csv and variants.png beside this script (generated masks, structure maps and images alone), prints Markdown.
"""

import csv
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from rbc_lightning.app import compose
from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.core.label_files import make_contiguous
from rbc_lightning.core.seeds import mask_seed
from rbc_lightning.report.figures.style_sheets import save_picture_rows, structure_picture
from rbc_lightning.translators.given import GivenTranslator

HERE = Path(__file__).parent
VARIANTS = {
    "mode_seeking_pix2pix": "full",
    "mode_seeking_without_term": "without the term",
    "mode_seeking_without_structure": "without structure",
    "mode_seeking_conditional": "conditional",
    "mode_seeking_weak": "full, mu = 1",
}
RESPONSE = ("l1", "diversity", "diversity_real", "collapse", "texture_collapse", "texture_correlation", "dice", "dice_real")
QUALITY = ("kid", "background_spread", "cell_spread")
_SIDE, _N_MASKS = 256, 3


def variant_of(task: Mapping[str, Any]) -> str | None:
    """Which of these a translator's task is; None for another form of Pix2Pix."""
    if task.get("lambda_l1") != 10 or task.get("kernel_size") != 5:
        return None
    if task["conditional"]:
        return "mode_seeking_conditional"
    if not task["structure"]:
        return "mode_seeking_without_structure"
    weights = {0: "mode_seeking_without_term", 1: "mode_seeking_weak", 10: "mode_seeking_pix2pix"}
    return weights.get(task["lambda_mode_seeking"])


def find(artifacts: Path) -> dict[str, Path]:
    """The measured translators by variant."""
    found = {}
    for path in sorted(artifacts.glob("translator/*/condition_response.json")):
        lineage = json.loads((path.parent / "lineage.json").read_text())
        trained = artifacts / "pix2pix" / lineage["inputs"]["pix2pix"] / "lineage.json"
        variant = variant_of(json.loads(trained.read_text())["settings"]["task"])
        if variant in VARIANTS:
            found[variant] = path.parent
    return {variant: found[variant] for variant in VARIANTS if variant in found}


def write_table(found: dict[str, Path]) -> None:
    """One line for each variant."""
    header = ("variant", *RESPONSE, *QUALITY)
    rows = []
    for variant, directory in found.items():
        values = [json.loads((directory / name).read_text()) for name in ("condition_response.json", "quality.json")]
        rows.append(
            (VARIANTS[variant], *(round(values[0][n], 4) for n in RESPONSE), *(round(values[1][n], 4) for n in QUALITY))
        )
    with (HERE / "variants.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
    for line in (header, ["---"] * len(header), *rows):
        print(f"| {' | '.join(map(str, line))} |")


def draw_sheet(found: dict[str, Path], artifacts: Path, root: str) -> None:
    """New masks with new structure maps, and what every variant generates from them."""
    experiment = Experiment(compose(["data=bbbc041seg", f"data.root={root}", f"artifacts_dir={artifacts}"]))
    store, train = experiment.store, experiment.train
    made = {variant: store.make(GivenTranslator(path=directory, train=train)) for variant, directory in found.items()}
    draw = experiment.masks().open(store)
    rows = []
    for index in range(_N_MASKS):
        mask = draw(mask_seed(experiment.seed, index))
        structure = made["mode_seeking_pix2pix"].bank.render(mask, index)
        part = np.s_[:_SIDE, :_SIDE]
        label_map = make_contiguous(mask.label_map[part])
        row = [structure_picture(label_map > 0), structure_picture(structure[part])]
        for translator in made.values():
            given = structure[part] if translator.bank is not None else None
            row.append(translator.paint_with(label_map, given, index))
        rows.append(row)
    save_picture_rows(HERE / "variants.png", rows, [["mask", "structure", *(VARIANTS[variant] for variant in found)]])
    # Grain makes large files: 128 colours are enough to look at.
    with Image.open(HERE / "variants.png") as picture:
        small = picture.convert("RGB").quantize(128)
    small.save(HERE / "variants.png", optimize=True)


if __name__ == "__main__":
    translators = find(Path(sys.argv[1]))
    write_table(translators)
    draw_sheet(translators, Path(sys.argv[1]), sys.argv[2])

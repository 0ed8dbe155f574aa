"""`stage=masks`: the shape bank of the train split, label maps sampled from it, and how well their layouts match."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig

from rbc_lightning.data.coco import write_coco
from rbc_lightning.data.formats import read_label_map, write_atomically, write_label_map
from rbc_lightning.masks import LayoutStatistics, MaskSampler, ShapeBank, adhesion_map
from rbc_lightning.masks.card import LayoutCard, layout_card
from rbc_lightning.report.figures import save_mask_sheet
from rbc_lightning.report.layout_figures import save_placement_panel
from rbc_lightning.stages.inputs import Inputs, console, load_inputs
from rbc_lightning.stages.progress import count_progress
from rbc_lightning.stages.sampling import (
    CROWDED,
    build_sampler,
    is_fitted,
    mask_seed,
    sampler_settings,
    sampler_values,
    shape_bank,
)

_SHOWN = 6
_SAME_COUNTS = "test counts"
# Times the distance of chance beyond which a statistic of the card gets a line of its own.
_FAR = 1.5
# Shares of a mask's cells after which the panel shows it.
_STEPS = (0.05, 0.25, 0.5, 1.0)
# The card's masks are numbered from here: none of them is one that training saw.
_CARD_STREAM = 1_000_000


@dataclass(frozen=True)
class MasksResult:
    """Where the shape bank and the sampled label maps are, and the pictures and card that were made."""

    bank: Path
    labels: Path
    n_shapes: int
    figure: Path
    written: tuple[Path, ...]

    def summary(self) -> str:
        """One line for the end of the run."""
        also = "".join(f", {path}" for path in self.written)
        return f"{self.n_shapes} shapes in {self.bank}; label maps in {self.labels}; look at {self.figure}{also}"


def run(cfg: DictConfig) -> MasksResult:
    """Sample `synthetic.count` label maps and draw a sheet; `fit=true` fits and prints the layout card."""
    inputs = load_inputs(cfg)
    bank = shape_bank(inputs)
    sampler = build_sampler(cfg, inputs)
    count = cfg.synthetic.count
    settings = {**sampler_settings(cfg, inputs), "seed": cfg.seed}
    masks = inputs.store.extend(
        "masks",
        settings,
        [bank.key],
        lambda directory: all(_path(directory, index).is_file() for index in range(count)),
        lambda directory: _sample(directory, sampler, cfg.seed, count),
    )
    figure = masks.path / "masks.png"
    save_mask_sheet(figure, [sampler.sample(mask_seed(cfg.seed, index)) for index in range(min(_SHOWN, count))])
    written = []
    if cfg.fit:
        written.append(_card(cfg, inputs, sampler, masks.path))
    if cfg.figure:
        written.append(_panel(cfg, inputs, sampler, masks.path))
    if cfg.synthetic.coco:
        coco = masks.path / "coco.json"
        write_coco(coco, ((p.name, read_label_map(p)) for p in (_path(masks.path, index) for index in range(count))))
        written.append(coco)
    n_shapes = len(ShapeBank.load(bank.path / "bank.npz"))
    return MasksResult(bank.path / "bank.npz", masks.path / "labels", n_shapes, figure, tuple(written))


def _sample(directory: Path, sampler: MaskSampler, seed: int, count: int) -> None:
    """Write the label maps that are not there yet, on all cores; say how many cells found no place."""
    missing = [index for index in range(count) if not _path(directory, index).is_file()]

    def write(index: int) -> tuple[int, int]:
        mask = sampler.sample(mask_seed(seed, index))
        write_label_map(_path(directory, index), mask.label_map)
        return mask.not_placed, mask.asked

    # Sampler and PNG compression release the interpreter's lock: threads use every core.
    with ThreadPoolExecutor(os.cpu_count()) as pool, count_progress("Sampling masks", len(missing)) as advance:
        lost = wanted = 0
        for done, (not_placed, asked) in enumerate(pool.map(write, missing), start=1):
            lost, wanted = lost + not_placed, wanted + asked
            advance(done, len(missing))
    if lost:
        console.print(f"{lost} of {wanted} cells found no place: {CROWDED}")


def _card(cfg: DictConfig, inputs: Inputs, sampler: MaskSampler, directory: Path) -> Path:
    """Compare sampled layouts with those of the test split; print and keep the card.

    Beside them stand uniform placement, masks with as many cells as the test images have (what is left when the density is
    right), and the real train split. The test split is looked at here only; nothing is fitted to it.
    """
    maps = {split: _label_maps(inputs, split) for split in ("train", "test")}
    real = {split: LayoutStatistics.from_label_maps(label_maps) for split, label_maps in maps.items()}
    uniform = build_sampler(cfg, inputs, placement="uniform")
    counts = [int(label_map.max()) for label_map in maps["test"]]
    card = layout_card(
        real["test"],
        _sampled_layouts(sampler, cfg),
        halves_of=real["train"],
        others={
            "uniform": _sampled_layouts(uniform, cfg),
            _SAME_COUNTS: _sampled_layouts(sampler, cfg, counts),
            "real train": real["train"],
        },
        title=f"Layouts of {cfg.scale.card_masks} sampled masks against the test split of {cfg.data.name}",
    )
    text = "\n".join([card.to_text(), *_misses(card)])
    console.print(text, soft_wrap=True)
    path = directory / "layout_card.txt"
    write_atomically(path, lambda part: part.write_text(text + "\n"))
    return path


def _sampled_layouts(sampler: MaskSampler, cfg: DictConfig, counts: Sequence[int] | None = None) -> LayoutStatistics:
    seeds = [mask_seed(cfg.seed, _CARD_STREAM + index) for index in range(cfg.scale.card_masks)]
    numbers = [counts[index % len(counts)] if counts else None for index in range(len(seeds))]
    masks = [sampler.sample(seed, number).label_map for seed, number in zip(seeds, numbers, strict=True)]
    return LayoutStatistics.from_label_maps(masks)


def _misses(card: LayoutCard) -> list[str]:
    """One line for each statistic that is further from the test layouts than half again the distance of chance."""
    lines = []
    for row in card.rows:
        if _FAR < row.ratio < np.inf:
            same_counts, train = (row.others[name] / row.half_distance for name in (_SAME_COUNTS, "real train"))
            why = "the number of cells differs" if same_counts <= _FAR else "the number of cells does not explain it"
            lines.append(
                f"{row.statistic}: {row.ratio:.2f} times the distance between halves; {same_counts:.2f} with as many cells as "
                f"the test images ({why}); the real train split itself is {train:.2f} away"
            )
    return lines


def _panel(cfg: DictConfig, inputs: Inputs, sampler: MaskSampler, directory: Path) -> Path:
    """S3 Fig. 4: a mask in the making with P(i), uniform against adhesive placement, and real layouts beside them."""
    path = directory / "placement.png"
    values = sampler_values(cfg, shape_bank(inputs))
    plain = build_sampler(cfg, inputs, placement="adhesion", fitted=False)
    mask = plain.sample(mask_seed(cfg.seed, 0))
    steps = []
    for share in _STEPS:
        placed = max(values["n_init"] + 1, round(mask.placed * share))
        # Ids follow the order of placing: the first of them are the mask as it stood then.
        earlier = np.where(mask.label_map <= placed, mask.label_map, 0)
        probability = adhesion_map(
            mask.centers[:placed], values["height"], values["width"], values["cell_size"], values["n_init"]
        )
        steps.append((f"after {placed} cells", earlier, probability))
    uniform = build_sampler(cfg, inputs, placement="uniform", fitted=False).sample(mask_seed(cfg.seed, 0), mask.placed)
    finished = [("uniform placement", uniform.label_map, uniform.colors), ("adhesion (S3)", mask.label_map, mask.colors)]
    if is_fitted(cfg):
        fitted = sampler.sample(mask_seed(cfg.seed, 0))
        finished.append(("fitted to the train split", fitted.label_map, fitted.colors))
    real = _label_maps(inputs, "train")[: len(_STEPS) - len(finished)]
    save_placement_panel(path, steps, [*finished, *((f"real ({cfg.data.name})", label_map, None) for label_map in real)])
    return path


def _label_maps(inputs: Inputs, split: str) -> list[NDArray[np.int32]]:
    return [read_label_map(record.label_path) for record in inputs.manifest.records if record.split == split]


def _path(directory: Path, index: int) -> Path:
    return directory / "labels" / f"mask_{index:05d}.png"

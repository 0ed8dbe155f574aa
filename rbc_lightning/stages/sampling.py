"""From the train split to a mask sampler: shape bank, measured or fitted values, seeds."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig

from rbc_lightning.artifacts import Artifact
from rbc_lightning.data.formats import read_label_map
from rbc_lightning.errors import InputError, blaming
from rbc_lightning.masks import MaskSampler, ShapeBank
from rbc_lightning.masks.fit import FittedSampler, fit_sampler
from rbc_lightning.stages.inputs import Inputs, console, derive_seed

# The remedy that goes with a report of cells that could not be placed.
CROWDED = "sampler=adhesion with a smaller sampler.count_mean, or a larger sampler.max_overlap, makes room"
# Cells that touch a neighbour are left out of the bank as long as so many others are there.
_ENOUGH_SHAPES = 50
_BESIDE_THE_FIT = ("height", "width", "placement", "n_colors")
# S3 5.1 starts 20 of 669 cells uniformly; smaller fields keep the share.
_PAPER_INIT_SHARE = 20 / 669


@dataclass(frozen=True)
class TrainLayout:
    """What the sampler needs to know of the train split: field size, counts and cell size in pixels."""

    height: int
    width: int
    count_mean: float
    count_std: float
    cell_size: float


def shape_bank(inputs: Inputs) -> Artifact:
    """The shape bank and layout numbers of the train split, from the store."""

    def build(directory: Path) -> None:
        label_maps = _train_label_maps(inputs)
        layout = measure_layout(label_maps)
        bank, every = (ShapeBank.from_label_maps(label_maps, free_standing=alone) for alone in (True, False))
        if len(bank) < _ENOUGH_SHAPES:
            bank = every
        bank.save(directory / "bank.npz")
        (directory / "layout.json").write_text(json.dumps(asdict(layout), indent=2))
        console.print(
            f"Shape bank: {len(bank)} shapes of {len(every)} whole cells; {layout.count_mean:.0f} +- {layout.count_std:.0f} "
            f"cells of {layout.cell_size:.1f} px in {layout.height} x {layout.width}"
        )

    return inputs.store.get("shape_bank", {"format": 2}, [inputs.train_fingerprint], build)


def measure_layout(label_maps: Sequence[NDArray[np.int32]]) -> TrainLayout:
    """Counts, commonest size and mean equivalent diameter (2 sqrt(area / pi), cells off the border), in pixels."""
    counts = np.array([int(label_map.max()) for label_map in label_maps], dtype=np.float64)
    height, width = Counter(label_map.shape for label_map in label_maps).most_common(1)[0][0]
    diameters: list[float] = []
    for label_map in label_maps:
        areas = np.bincount(label_map.ravel())
        border = np.unique(np.concatenate([label_map[0], label_map[-1], label_map[:, 0], label_map[:, -1]]))
        inside = np.setdiff1d(np.arange(1, len(areas)), border)
        diameters += list(2.0 * np.sqrt(areas[inside] / np.pi))
    if not diameters:
        raise InputError(
            "the train split's label maps hold no cell off the border, from which the cell size is measured; expected some: "
            "check labels/"
        )
    return TrainLayout(height, width, float(counts.mean()), float(counts.std()), float(np.mean(diameters)))


def sampler_settings(cfg: DictConfig, inputs: Inputs) -> dict[str, Any]:
    """What decides the sampled masks beside the shape bank, for the store's keys: the values in use, however found."""
    bank = shape_bank(inputs)
    values = sampler_values(cfg, bank)
    if is_fitted(cfg):
        values = {key: values[key] for key in _BESIDE_THE_FIT} | fit_layout(cfg, inputs, bank).to_dict()
    return {"sampler": values, "format": 3}


def build_sampler(cfg: DictConfig, inputs: Inputs, *, placement: str | None = None, fitted: bool | None = None) -> MaskSampler:
    """The mask sampler: values from the config, what is null there from the train split, or all of them fitted to it.

    Args:
        cfg: the whole configuration.
        inputs: the data set.
        placement: instead of the config's.
        fitted: instead of the config's.
    """
    artifact = shape_bank(inputs)
    bank = ShapeBank.load(artifact.path / "bank.npz")
    values = sampler_values(cfg, artifact) | ({"placement": placement} if placement else {})
    with blaming("sampler"):
        if is_fitted(cfg) if fitted is None else fitted:
            return fit_layout(cfg, inputs, artifact).build(bank, **{key: values[key] for key in _BESIDE_THE_FIT})
        return MaskSampler(bank, **values)


def sampler_values(cfg: DictConfig, bank: Artifact) -> dict[str, Any]:
    """The values of S3's sampler: the config's, and the train split's where the config has null."""
    measured = json.loads((bank.path / "layout.json").read_text())
    values = {key: cfg.sampler[key] for key in ("placement", "n_init", "n_colors")}
    values["max_overlap"] = cfg.sampler.max_overlap or 0.0
    values |= {key: measured[key] if cfg.sampler[key] is None else cfg.sampler[key] for key in measured}
    if values["n_init"] is None:
        values["n_init"] = max(1, round(_PAPER_INIT_SHARE * values["count_mean"]))
    return values


def fit_layout(cfg: DictConfig, inputs: Inputs, bank: Artifact) -> FittedSampler:
    """The sampler's values fitted to the train split, from the store."""
    search = {"generations": cfg.sampler.generations, "population": cfg.sampler.population}

    def build(directory: Path) -> None:
        console.print(f"Fitting the sampler to the train split: {search['generations']} rounds of {search['population']}")
        seed = derive_seed(cfg.seed, "layout")
        with blaming("sampler"):
            shapes = ShapeBank.load(bank.path / "bank.npz")
            fitted = fit_sampler(_train_label_maps(inputs), seed=seed, workers=os.cpu_count() or 1, bank=shapes, **search)
        (directory / "fitted.json").write_text(json.dumps(fitted.to_dict(), indent=2))

    artifact = inputs.store.get("layout_fit", {**search, "seed": cfg.seed, "format": 1}, [bank.key], build)
    return FittedSampler.from_dict(json.loads((artifact.path / "fitted.json").read_text()))


def pair_seeds(seed: int, index: int) -> tuple[np.random.SeedSequence, np.random.SeedSequence]:
    """Seeds of label map and painting of the synthetic pair number `index`."""
    mask, style = np.random.SeedSequence([derive_seed(seed, "synthetic"), index]).spawn(2)
    return mask, style


def mask_seed(seed: int, index: int) -> np.random.SeedSequence:
    """Seed of the label map number `index`, of stage=masks and of the synthetic pair of that number alike."""
    return pair_seeds(seed, index)[0]


def is_fitted(cfg: DictConfig) -> bool:
    """Whether the sampler's values come from a fit; `fit=true` asks for it whatever the group says."""
    return bool(cfg.fit or cfg.sampler.fitted)


def _train_label_maps(inputs: Inputs) -> list[NDArray[np.int32]]:
    return [read_label_map(record.label_path) for record in inputs.manifest.split("train")]

"""`stage=masks`: the shape bank and layout of the train split, and label maps sampled from them."""

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from rbc_lightning.artifacts import Artifact
from rbc_lightning.data.formats import read_label_map, write_label_map
from rbc_lightning.errors import InputError
from rbc_lightning.masks import MaskSampler, ShapeBank
from rbc_lightning.report.figures import save_mask_sheet
from rbc_lightning.stages.inputs import Inputs, console, derive_seed, load_inputs

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


@dataclass(frozen=True)
class MasksResult:
    """Where the shape bank and the sampled label maps are."""

    bank: Path
    masks: Path
    n_shapes: int
    figure: Path

    def summary(self) -> str:
        """One line for the end of the run."""
        return f"{self.n_shapes} shapes in {self.bank}; label maps in {self.masks}; look at {self.figure}"


def run(cfg: DictConfig) -> MasksResult:
    """Build the shape bank, sample `synthetic.count` label maps, draw a sheet of them."""
    inputs = load_inputs(cfg)
    artifact = shape_bank(inputs)
    sampler = build_sampler(cfg, artifact)
    settings = {"sampler": cfg.sampler, "seed": cfg.seed, "count": cfg.synthetic.count}

    def build(directory: Path) -> None:
        sampled = [sampler.sample(mask_seed(cfg.seed, index)) for index in range(cfg.synthetic.count)]
        for index, mask in enumerate(sampled):
            write_label_map(directory / "labels" / f"mask_{index:05d}.png", mask.label_map)
        save_mask_sheet(directory / "masks.png", sampled[:6])

    masks = inputs.store.get("masks", settings, [artifact.key], build)
    bank = ShapeBank.load(artifact.path / "bank.npz")
    return MasksResult(artifact.path / "bank.npz", masks.path / "labels", len(bank), masks.path / "masks.png")


def shape_bank(inputs: Inputs) -> Artifact:
    """The shape bank and layout numbers of the train split, from the store."""
    records = inputs.manifest.split("train")

    def build(directory: Path) -> None:
        label_maps = [read_label_map(record.label_path) for record in records]
        bank = ShapeBank.from_label_maps(label_maps)
        bank.save(directory / "bank.npz")
        layout = measure_layout(label_maps)
        (directory / "layout.json").write_text(json.dumps(asdict(layout), indent=2))
        console.print(
            f"Shape bank: {len(bank)} shapes; {layout.count_mean:.0f} +- {layout.count_std:.0f} cells of "
            f"{layout.cell_size:.1f} px in {layout.height} x {layout.width}"
        )

    return inputs.store.get("shape_bank", {"format": 1}, [inputs.train_fingerprint], build)


def measure_layout(label_maps: list[np.ndarray]) -> TrainLayout:
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
        raise InputError("the train split's label maps hold no cell off the border; expected some: check labels/")
    return TrainLayout(height, width, float(counts.mean()), float(counts.std()), float(np.mean(diameters)))


def build_sampler(cfg: DictConfig, bank: Artifact) -> MaskSampler:
    """The mask sampler: settings from the config, what is null there from the train split."""
    measured = json.loads((bank.path / "layout.json").read_text())
    chosen = {key: cfg.sampler[key] if cfg.sampler[key] is not None else measured[key] for key in measured}
    n_init = cfg.sampler.n_init
    if n_init is None:
        n_init = max(1, round(_PAPER_INIT_SHARE * chosen["count_mean"]))
    return MaskSampler(
        ShapeBank.load(bank.path / "bank.npz"),
        **chosen,
        n_init=n_init,
        n_colors=cfg.sampler.n_colors,
        placement=cfg.sampler.placement,
        max_overlap=cfg.sampler.max_overlap,
    )


def mask_seed(seed: int, index: int) -> np.random.SeedSequence:
    """Seed of the label map number `index`; the style drawn for it hangs on the same seed."""
    return np.random.SeedSequence([derive_seed(seed, "synthetic"), index])

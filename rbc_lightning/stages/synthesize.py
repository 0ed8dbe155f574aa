"""`stage=synthesize`: synthetic pairs, sampled and painted, with lineage."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig
from torch import Tensor

from rbc_lightning.artifacts import content_hash, to_plain
from rbc_lightning.data.coco import write_coco
from rbc_lightning.data.datamodule import Paint
from rbc_lightning.data.dataset import DrawLabelMap
from rbc_lightning.data.formats import file_sha256, read_image, read_label_map, write_image, write_label_map
from rbc_lightning.data.manifest import Lineage, Manifest, Record, refuse_held_out_sources
from rbc_lightning.errors import InputError
from rbc_lightning.masks import MaskSampler
from rbc_lightning.report.figures import save_pair_sheet
from rbc_lightning.stages.inputs import Inputs, console, load_inputs
from rbc_lightning.stages.painting.painters import device_of
from rbc_lightning.stages.progress import count_progress
from rbc_lightning.stages.sampling import CROWDED, build_sampler, pair_seeds, sampler_settings, shape_bank
from rbc_lightning.stages.tracking.loggers import show_once
from rbc_lightning.stages.tracking.wandb_tables import log_pairs
from rbc_lightning.stages.translator import get_translator


@dataclass(frozen=True)
class SynthesizeResult:
    """Where the synthetic pairs are."""

    manifest: Path
    count: int
    figure: Path

    def summary(self) -> str:
        """One line for the end of the run."""
        return f"{self.count} synthetic pairs listed in {self.manifest}; look at {self.figure}"


def run(cfg: DictConfig) -> SynthesizeResult:
    """Make `synthetic.count` pairs and a sheet of the first."""
    records = get_synthetic(cfg, load_inputs(cfg), cfg.synthetic.count)
    directory = records[0].image_path.parent.parent
    shown = records[:6]
    figure = directory / "sheet.png"
    images = [read_image(record.image_path) for record in shown]
    if cfg.synthetic.coco:
        write_coco(directory / "coco.json", ((r.image_path.name, read_label_map(r.label_path)) for r in records))
    save_pair_sheet(figure, [r.sample_id for r in shown], [read_label_map(r.label_path) for r in shown], images)
    tags = [cfg.translator.name, cfg.data.name]
    show_once(cfg, directory, job="synthesize", tags=tags, action=lambda run: log_pairs(run, records))
    return SynthesizeResult(directory / "manifest.csv", len(records), figure)


def get_synthetic(cfg: DictConfig, inputs: Inputs, count: int) -> tuple[Record, ...]:
    """The first `count` pairs of the synthetic set that the config describes; those that are missing are made.

    Pair number i depends on the settings, the seed and i alone: a larger set begins with the smaller one.
    """
    if count == 0:
        return ()
    if cfg.synthetic.path is not None:
        return _given(Path(cfg.synthetic.path), count)
    bank = shape_bank(inputs)
    trained = get_translator(cfg, inputs)
    refuse_held_out_sources(inputs.manifest, f"the translator in {trained.directory}", trained.trained_on)
    settings = {**sampler_settings(cfg, inputs), "style": cfg.synthetic.style, "seed": cfg.seed, "format": 2}
    sources = [bank.key, trained.key]

    def build(directory: Path) -> None:
        sampler, painter = build_sampler(cfg, inputs), trained.load(cfg, inputs)

        lost: list[int] = []

        def draw(index: int) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
            mask_draw, style_draw = pair_seeds(cfg.seed, index)
            mask = sampler.sample(mask_draw)
            lost.append(mask.not_placed)
            return mask.label_map, painter.paint_sampled(mask, style_draw, cfg.synthetic.style, index)

        # The shape bank's sources are the train split; the translator's may differ when translator.path was given.
        trained_on = tuple(sorted({*inputs.manifest.ids("train"), *trained.trained_on}))
        config_hash = content_hash({"settings": to_plain(settings), "inputs": sources})
        records: list[Record] = []
        with count_progress("Synthesising", count) as advance:
            for index in range(count):
                lineage = Lineage(f"{cfg.seed}/{index}", config_hash, trained.key, trained_on)
                records.append(_make_pair(directory, f"synthetic_{index:05d}", partial(draw, index), lineage))
                advance(index + 1, count)
        if sum(lost):
            console.print(f"{sum(lost)} cells in {len(lost)} pairs found no place: {CROWDED}")
        Manifest(tuple(records)).save(directory / "manifest.csv")

    artifact = inputs.store.extend("synthetic", settings, sources, lambda d: _count(d) >= count, build)
    return Manifest.load(artifact.path / "manifest.csv").records[:count]


def online_synthetic(cfg: DictConfig, inputs: Inputs) -> tuple[DrawLabelMap, Paint]:
    """The two halves of pairs made on the fly: draw a label map (in loader processes), paint it (on the training device)."""
    trained = get_translator(cfg, inputs)
    refuse_held_out_sources(inputs.manifest, f"the translator in {trained.directory}", trained.trained_on)
    painter = trained.load(cfg, inputs)

    def paint(label_maps: Tensor, seeds: Sequence[int]) -> Tensor:
        with torch.autocast(device_of(cfg), dtype=torch.bfloat16, enabled=device_of(cfg) == "cuda"):
            return painter.paint_batch(label_maps, seeds, cfg.synthetic.style)

    return partial(_draw_label_map, build_sampler(cfg, inputs)), paint


def _draw_label_map(sampler: MaskSampler, seed: np.random.SeedSequence) -> NDArray[np.int32]:
    return sampler.sample(seed).label_map


def _make_pair(
    directory: Path,
    name: str,
    draw: Callable[[], tuple[NDArray[np.int32], NDArray[np.uint8]]],
    lineage: Lineage,
) -> Record:
    """Draw and write one pair (label map, image), unless an interrupted run already did."""
    image_path, label_path = directory / "images" / f"{name}.png", directory / "labels" / f"{name}.png"
    if not (image_path.is_file() and label_path.is_file()):
        label_map, image = draw()
        label_path = write_label_map(label_path, label_map)
        write_image(image_path, image)
    return Record(
        sample_id=name,
        image_path=image_path,
        label_path=label_path,
        origin="synthetic",
        split="train",
        group=name,
        image_sha256=file_sha256(image_path),
        label_sha256=file_sha256(label_path),
        lineage=lineage,
    )


def _count(directory: Path) -> int:
    path = directory / "manifest.csv"
    return len(Manifest.load(path, verify=False).records) if path.is_file() else 0


def _given(path: Path, count: int) -> tuple[Record, ...]:
    records = Manifest.load(path / "manifest.csv").records
    for record in records:
        if record.origin != "synthetic" or record.lineage is None or not record.lineage.trained_on:
            raise InputError(
                f"{path / 'manifest.csv'}: sample {record.sample_id!r} is not a synthetic one that names what it was made "
                "from; expected a set written by stage=synthesize"
            )
    if len(records) < count:
        raise InputError(
            f"{path / 'manifest.csv'}: {len(records)} synthetic samples where the mix asks for {count}; lower mix.total, or "
            "make more with stage=synthesize"
        )
    return records[:count]

"""`stage=masks`: label maps of the chosen source, and how well the sampler's layouts match real ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from rbc_lightning.commands.consistency import check_coco
from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.core.files import write_text
from rbc_lightning.core.label_files import read_label_map
from rbc_lightning.core.progress import tell
from rbc_lightning.core.seeds import mask_seed
from rbc_lightning.data.manifest import Samples
from rbc_lightning.data.writers.coco import write_coco
from rbc_lightning.errors import InputError
from rbc_lightning.masks import LayoutCard, LayoutStatistics, adhesion_map, layout_card
from rbc_lightning.masks.sources import Draw, SampledMasks
from rbc_lightning.pairs.synthetic_set import MaskSet
from rbc_lightning.report.figures.runs import save_mask_sheet, save_placement_panel

_SHOWN = 6
_SAME_COUNTS = "test counts"
# A statistic of the card whose p-value is not above this gets a line of its own.
_FAR = 0.05
# Shares of a mask's cells after which the panel shows it.
_STEPS = (0.05, 0.25, 0.5, 1.0)
# The card's masks are numbered from here: none of them is one that training saw.
_CARD_STREAM = 1_000_000


@dataclass(frozen=True)
class MasksResult:
    """Where the label maps are, what they were made from, and the pictures and card that were made."""

    source: str
    labels: Path
    figure: Path
    written: tuple[Path, ...]

    def summary(self) -> str:
        """One line for the end of the run."""
        also = "".join(f", {path}" for path in self.written)
        return f"{self.source}; label maps in {self.labels}; look at {self.figure}{also}"


def run(cfg: DictConfig) -> MasksResult:
    """Make `synthetic.count` label maps and draw a sheet; `fit=true` fits the sampler and prints the layout card."""
    experiment = Experiment(cfg)
    check_coco(experiment)
    source, count, seed = experiment.masks(), experiment.synthetic.count, experiment.seeds.masks
    if (cfg.fit or cfg.figure) and not isinstance(source, SampledMasks):
        spec = experiment.manifest.spec
        if spec.labels == "classes":
            raise InputError(
                f"fit=true and figure=true show the sampler of single cells, and label maps of {experiment.reader.name} hold "
                f"classes ({', '.join(spec.classes)}); leave both out: masks.png shows the label maps without them"
            )
        raise InputError("fit=true and figure=true show the sampler; take masks=sampled")
    recipe = MaskSet(masks=source, seed=seed, count=count)
    directory = experiment.store.ensure(recipe)
    paths = recipe.load(directory, experiment.store)
    draw, figure = source.open(experiment.store), directory / "masks.png"
    save_mask_sheet(figure, [draw(mask_seed(seed, index)) for index in range(min(_SHOWN, count))])
    written = []
    if cfg.fit:
        written.append(_card(experiment, draw, int(cfg.scale.card_masks), directory))
    if cfg.figure:
        written.append(_panel(experiment, source, directory))
    if experiment.synthetic.coco:
        written.append(directory / "coco.json")
        write_coco(written[-1], ((path.name, read_label_map(path)) for path in paths))
    return MasksResult(source.about(experiment.store), directory / "labels", figure, tuple(written))


def _card(experiment: Experiment, draw: Draw, count: int, directory: Path) -> Path:
    """Compare sampled layouts, at least as many as there are, with those of the test split; print and keep the card.

    Beside them stand uniform placement, masks with as many cells as the test images have (what is left when the density is
    right), and the real train split. The test split is looked at here only; nothing is fitted to it.
    """
    # Images of a group in a row, as the card swaps them.
    samples = {name: sorted(experiment.manifest.split(name), key=lambda sample: sample.group) for name in ("train", "test")}
    maps = {name: Samples(tuple(chosen)).label_maps() for name, chosen in samples.items()}
    real = {name: LayoutStatistics.from_label_maps(label_maps) for name, label_maps in maps.items()}
    uniform = experiment.masks(placement="uniform").open(experiment.store)
    counts = [int(label_map.max(initial=0)) for label_map in maps["test"]]
    count, seed, reader = max(count, len(counts)), experiment.seeds.masks, experiment.reader
    card = layout_card(
        real["test"],
        _layouts(draw, seed, count),
        others={
            "uniform": _layouts(uniform, seed, count),
            _SAME_COUNTS: _layouts(draw, seed, count, counts),
            "real train": real["train"],
        },
        title=f"Layouts of {count} sampled masks against the test split of {reader.name}",
        groups=[sample.group for sample in samples["test"]],
    )
    text = "\n".join([card.to_text(), *_misses(card)])
    tell(text)
    write_text(directory / "layout_card.txt", text + "\n")
    return directory / "layout_card.txt"


def _layouts(draw: Draw, seed: int, count: int, counts: Sequence[int] = ()) -> LayoutStatistics:
    seeds = [mask_seed(seed, _CARD_STREAM + index) for index in range(count)]
    numbers = [counts[index % len(counts)] if counts else None for index in range(count)]
    masks = [draw(one, number).label_map for one, number in zip(seeds, numbers, strict=True)]
    return LayoutStatistics.from_label_maps(masks)


def _misses(card: LayoutCard) -> list[str]:
    """One line for each statistic that is further from the test layouts than chance has it."""
    lines = []
    for row in card.rows:
        if row.apart.p <= _FAR:
            same_counts, train = row.others[_SAME_COUNTS], row.others["real train"]
            why = "the number of cells does not explain it" if same_counts.p <= _FAR else "the number of cells differs"
            lines.append(
                f"{row.statistic}: {row.apart.ratio:.2f} times the distance of chance (p = {row.apart.p:.3f}); "
                f"{same_counts.ratio:.2f} (p = {same_counts.p:.3f}) with as many cells as the test images ({why}); the real "
                f"train split itself: {train.ratio:.2f} (p = {train.p:.3f})"
            )
    return lines


def _panel(experiment: Experiment, source: SampledMasks, directory: Path) -> Path:
    """Bailo et al. 2019, Fig. 4: a mask in the making with P(i), uniform and adhesive placement, and real layouts."""
    path, first = directory / "placement.png", mask_seed(experiment.seeds.masks, 0)
    values = source.values(experiment.store)
    plain = experiment.masks(placement="adhesion", fitted=False).open(experiment.store)
    mask = plain(first)
    steps = []
    for share in _STEPS:
        placed = max(values["n_init"] + 1, round(mask.placed * share))
        # Ids follow the order of placing: the first of them are the mask as it stood then.
        earlier = np.where(mask.label_map <= placed, mask.label_map, 0)
        probability = adhesion_map(mask.centers[:placed], *(values[k] for k in ("height", "width", "cell_size", "n_init")))
        steps.append((f"after {placed} cells", earlier, probability))
    uniform = experiment.masks(placement="uniform", fitted=False).open(experiment.store)(first, mask.placed)
    finished = [
        ("uniform placement", uniform.label_map, uniform.colors),
        ("adhesion (Bailo et al.)", mask.label_map, mask.colors),
    ]
    if source.fitted:
        fitted = source.open(experiment.store)(first)
        finished.append(("fitted to the train split", fitted.label_map, fitted.colors))
    real = experiment.train.label_maps()[: len(_STEPS) - len(finished)]
    save_placement_panel(path, steps, [*finished, *((f"real ({experiment.reader.name})", m, None) for m in real)])
    return path

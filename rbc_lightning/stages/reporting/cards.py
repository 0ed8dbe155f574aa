"""Cards and sheets for the report: what was made for the runs of the table, as far as it is still in the store."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig

from rbc_lightning.data.formats import read_image, read_label_map
from rbc_lightning.data.manifest import Manifest, Record
from rbc_lightning.errors import InputError
from rbc_lightning.report.collect import Run
from rbc_lightning.report.content import Picture
from rbc_lightning.report.pictures import Pair, cell_sheet, encode_jpeg, encode_png, shrink, smear_sheet, text_picture
from rbc_lightning.stages.painting.quality import CARD_FILE
from rbc_lightning.stages.reporting.gallery import Runs

_LAYOUT_CARD, _PANEL = "layout_card.txt", "placement.png"
_SMEARS, _CELL_SOURCES = 3, 8  # pairs on the sheet of smears, images that cells are taken from
_WIDEST = 1600  # pixels
# What stage=translator leaves beside a translator: title, caption, by file.
_SHEETS = {
    "translations.png": (
        "Test masks, real and painted images",
        "Each is painted from its mask, and from a structure map where the sheet shows one",
    ),
    "styles.png": ("One mask in every style", "The clusters of styles that the translator found in the training cells"),
    "structures.png": (
        "One mask painted again and again",
        "Each time with the structure map above it, if the translator takes any",
    ),
}


@dataclass
class Cards:
    """Pictures for the page, what they were made from, and what is missing, line by line."""

    cards: list[Picture] = field(default_factory=list)
    sheets: list[Picture] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def gather_cards(cfg: DictConfig, runs: Runs, real: Sequence[Record]) -> Cards:
    """Find the layout card, the quality card and sheets of the artifacts that the runs used; draw the sheets of pairs.

    Args:
        cfg: the whole configuration; artifacts are looked for in `artifacts_dir`, then where the runs kept them.
        runs: model -> column -> seed -> run, those of the table.
        real: test samples, whose cells stand below the synthetic ones.
    """
    made = Cards()
    users = _users(runs)
    if not users:
        made.missing.append(
            "cards and sheets: no run of this table used synthetic samples; +experiment=rd_sd_aug trains one that does"
        )
        return made
    for kind, add in (
        ("layout card", _add_layout),
        ("quality card", _add_quality),
        ("synthetic smears", partial(_add_pairs, real)),
    ):
        try:
            add(cfg, users, made)
        except (InputError, ValueError, OSError) as error:
            made.missing.append(f"{kind}: cannot be shown: {error}")
    return made


def data_overrides(run: Run) -> str:
    """The part of a command line that names the data set of a run, and its scale."""
    scale = run.settings.get("scale.name", "demo")
    scale = "" if scale == "demo" else f" scale={scale}"
    if run.settings.get("data.kind") != "folder":
        return f"data=phantom{scale}"
    return f"data=folder data.name={run.settings['data.name']} data.root={run.settings['data.root']}{scale}"


def _command(stage: str, run: Run, cfg: DictConfig) -> str:
    """The command line that makes an artifact of the run."""
    line = f"python -m rbc_lightning stage={stage} {data_overrides(run)} seed={run.seed} artifacts_dir={cfg.artifacts_dir}"
    painter = run.settings.get("translator.name", "pix2pixhd")
    chosen = "" if painter == "pix2pixhd" else f" translator={painter}"
    return f"{line}{chosen}   # and what else {run.directory.name}/config.yaml sets"


def _users(runs: Runs) -> list[Run]:
    """Runs that used synthetic samples: those of the full mix first, then by seed."""
    every = [run for columns in runs.values() for by_seed in columns.values() for run in by_seed.values()]
    used = [run for run in every if run.metrics["mix"]["synthetic"]]
    return sorted(used, key=lambda run: (run.column != "rd_sd_aug", run.seed, run.model))


def _add_layout(cfg: DictConfig, users: Sequence[Run], made: Cards) -> None:
    for run in users:
        for directory in _masks_of(cfg, run):
            if (directory / _LAYOUT_CARD).is_file():
                caption = f"Distances between the layouts of sampled and of real label maps; sampler of seed {run.seed}"
                picture = encode_png(text_picture((directory / _LAYOUT_CARD).read_text()))
                made.cards.append(Picture("Layout card", picture, "image/png", caption))
                made.sources.append(f"layout card: masks {directory.name}")
                if (directory / _PANEL).is_file():
                    caption = "A mask in the making with P(i), the place of the next cell; uniform, adhesive and real layouts"
                    made.sheets.append(_drawing("Where cells are placed", directory / _PANEL, caption))
                return
    made.missing.append(
        "layout card, how near sampled layouts come to real ones: " + _command("masks fit=true figure=true", users[0], cfg)
    )


def _masks_of(cfg: DictConfig, run: Run) -> Iterator[Path]:
    """Directories of masks drawn by the very sampler that drew the label maps of the run's synthetic pairs."""
    pairs = _place(cfg, run, "synthetic")
    wanted = _lineage(pairs) if pairs is not None else None
    if pairs is None or wanted is None:
        return
    for directory in sorted(pairs.parents[1].glob("masks/*")):
        found = _lineage(directory)
        if found is None or found["inputs"][:1] != wanted["inputs"][:1]:
            continue
        if all(found["settings"].get(key) == wanted["settings"].get(key) for key in ("sampler", "seed")):
            yield directory


def _add_quality(cfg: DictConfig, users: Sequence[Run], made: Cards) -> None:
    for run in users:
        # Given pairs were painted by whatever made them.
        directory = _place(cfg, run, "translator") if run.settings.get("synthetic.path") is None else None
        if directory is not None and (directory / CARD_FILE).is_file():
            caption = f"What the translator of seed {run.seed} paints, measured on held-out masks beside what real images give"
            made.cards.append(_drawing("Quality card", directory / CARD_FILE, caption))
            made.sources.append(f"quality card: translator {directory.name}")
            for name, (title, shows) in _SHEETS.items():
                if (directory / name).is_file():
                    told = f"{shows}; translator of seed {run.seed}"
                    made.sheets.append(_photograph(title, read_image(directory / name), told))
            return
    made.missing.append("quality card, how near painted images come to real ones: " + _command("translator", users[0], cfg))


def _add_pairs(real: Sequence[Record], cfg: DictConfig, users: Sequence[Run], made: Cards) -> None:
    for run in users:
        directory = _place(cfg, run, "synthetic")
        if directory is None or not (directory / "manifest.csv").is_file():
            continue
        # The hashes of hundreds of files need not be known to show a few.
        records = Manifest.load(directory / "manifest.csv", verify=False).records
        pairs = [_pair(record) for record in records[:_CELL_SOURCES]]
        cells = [pairs] + ([[_pair(record) for record in real[:_CELL_SOURCES]]] if real else [])
        told = f"pairs of seed {run.seed}"
        above = f"Sampled masks above, painted smears below; {told}"
        below = f"{'Above: synthetic. Below: of the real test images' if real else 'Single synthetic cells'}; {told}"
        made.sheets[:0] = [
            _photograph("Synthetic smears", smear_sheet(pairs[:_SMEARS]), above),
            _photograph("Synthetic cells", cell_sheet(cells), below),
        ]
        made.sources.append(f"synthetic smears and cells: pairs {directory.name}")
        return
    made.missing.append(
        "synthetic smears and cells (pairs painted while training are not kept): " + _command("synthesize", users[0], cfg)
    )


def _place(cfg: DictConfig, run: Run, kind: str) -> Path | None:
    """Directory of the translator or the synthetic pairs that a run used; None where it is gone."""
    given, key = run.settings.get(f"{kind}.path"), run.metrics.get("artifacts", {}).get(kind)
    if given is not None:
        places = [Path(given)]
    else:
        roots = (cfg.artifacts_dir, run.settings.get("artifacts_dir"))
        places = [Path(root) / kind / key for root in roots if root is not None and key is not None]
    return next((place.resolve() for place in places if place.is_dir()), None)


def _lineage(directory: Path) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads((directory / "lineage.json").read_text())
    except (OSError, json.JSONDecodeError):
        return None
    return content if {"inputs", "settings"} <= content.keys() else None


def _pair(record: Record) -> Pair:
    return read_image(record.image_path), read_label_map(record.label_path)


def _drawing(title: str, path: Path, caption: str) -> Picture:
    return Picture(title, encode_png(shrink(read_image(path), _WIDEST)), "image/png", caption)


def _photograph(title: str, image: NDArray[np.uint8], caption: str) -> Picture:
    return Picture(title, encode_jpeg(shrink(image, _WIDEST)), "image/jpeg", caption)

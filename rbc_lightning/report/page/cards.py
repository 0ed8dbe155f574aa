"""Cards and sheets for the report: what was made for the runs of the table, as far as it is still in the store."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from rbc_lightning.core.store import read_lineage
from rbc_lightning.errors import InputError
from rbc_lightning.evaluation.result import CARD_FILE
from rbc_lightning.report.figures.runs import color_labels
from rbc_lightning.report.page import pictures
from rbc_lightning.report.page.content import Page, Picture
from rbc_lightning.report.page.gallery import RunAccess, ShownSample
from rbc_lightning.study.classes import has_classes
from rbc_lightning.study.run_record import Run

_LAYOUT_CARD, _PANEL, _PAIRS = "layout_card.txt", "placement.png", "manifest.csv"
_SMEARS, _CELL_SOURCES = 3, 8  # pairs on the sheet of smears, images that cells are taken from
_SLICES = 24  # pairs among which those on a sheet of slices are
_WIDEST = 1600  # pixels
_FOLD = "data.fold="
# What stage=translator leaves beside a translator: title, caption, by file.
_SHEETS = {
    "translations.png": (
        "Test masks, real and generated images",
        "Each is generated from its mask, and from a structure map where the sheet shows one",
    ),
    "styles.png": ("One mask in every style", "The clusters of styles that the translator found in the training cells"),
    "structures.png": ("Several images of one mask", "Each with the structure map above it, if the translator takes any"),
}


def add_cards(page: Page, access: RunAccess, artifacts_dir: Path, runs: Sequence[Run], real: Sequence[ShownSample]) -> None:
    """Add the layout card, the quality card and sheets of the artifacts that the runs used; draw the sheets of pairs.

    Args:
        page: gets the pictures, or what is missing.
        access: reads synthetic pairs.
        artifacts_dir: where artifacts are looked for first, then where the runs kept them.
        runs: those of the table.
        real: test samples, whose cells stand below the synthetic ones.
    """
    users = [run for run in runs if run.metrics["mix"]["synthetic"]]
    # Those of the full mix first, then by seed.
    users.sort(key=lambda run: (run.column != "rd_sd_aug", run.seed, run.model))
    if not users:
        page.missing.append(
            "cards and sheets: no run of this table used synthetic samples; +experiment=rd_sd_aug trains one that does"
        )
        return
    # Of several generators each has its own.
    for generator in dict.fromkeys(run.generator for run in users):
        _add_made(page, access, artifacts_dir, [run for run in users if run.generator == generator], real)


def _add_made(page: Page, access: RunAccess, artifacts_dir: Path, users: Sequence[Run], real: Sequence[ShownSample]) -> None:
    """What one generator made for some runs."""
    first, slices = users[0], has_classes(users)
    pairs = "translator" not in first.metrics.get("artifacts", {})
    for kind, about, stage, add in (
        ("layout card", ", how near sampled layouts come to real ones", "masks fit=true figure=true", _add_layout),
        (
            f"quality card{f' of {first.generator}' if pairs else ''}",
            f", how near {'synthetic pairs' if pairs else 'generated images'} come to real ones",
            "pairs" if pairs else "translator",
            _add_pairs_quality if pairs else _add_quality,
        ),
        (
            "synthetic slices" if slices else "synthetic smears",
            f"{'' if slices else ' and cells'} (pairs generated while training are not kept)",
            "synthesize",
            partial(_add_slices, access) if slices else partial(_add_pairs, access, real),
        ),
    ):
        # Masks of classes, and pairs of any source, have no layout of sampled cells.
        if (slices or pairs) and add is _add_layout:
            continue
        try:
            if not any(add(artifacts_dir, run, page) for run in users):
                line = command_line(f"stage={stage}", data_overrides(first), f"seed={first.seed} artifacts_dir={artifacts_dir}")
                page.missing.append(f"{kind}{about}: {line}   # and what else {first.directory.name}/config.yaml sets")
        except (InputError, ValueError, OSError) as error:
            page.missing.append(f"{kind}: cannot be shown: {error}")


def data_overrides(run: Run, folds: Sequence[int] = ()) -> str:
    """The part of a command line that chooses what a run was trained on, as the run recorded it; with `folds` all of them."""
    words = map(str, run.metrics.get("command", ()))
    every = f"{_FOLD}{','.join(map(str, folds))}"
    return " ".join(every if folds and word.startswith(_FOLD) else word for word in words)


def command_line(*overrides: str) -> str:
    """A command line of this package; empty overrides are left out."""
    return " ".join(("python -m rbc_lightning", *filter(None, overrides)))


def _add_layout(artifacts_dir: Path, run: Run, page: Page) -> bool:
    directory = next(_made_of(artifacts_dir, run, "masks", _LAYOUT_CARD), None)
    if directory is None:
        return False
    caption = f"Distances between the layouts of sampled and of real label maps; sampler of seed {run.seeds['masks']}"
    picture = pictures.encode_png(pictures.text_picture((directory / _LAYOUT_CARD).read_text()))
    page.cards.append(Picture("Layout card", picture, "image/png", caption))
    page.sources.append(f"layout card: masks {directory.name}")
    if (directory / _PANEL).is_file():
        caption = "Stages of one mask with P(i), the place of the next cell; uniform, adhesive and real layouts"
        page.sheets.append(_drawing("Where cells are placed", directory / _PANEL, caption))
    return True


def _made_of(artifacts_dir: Path, run: Run, kind: str, file: str) -> Iterator[Path]:
    """Directories with such a card of the very label maps (`masks`), or pairs, that the run's synthetic samples came from."""
    wanted = run.metrics.get("keys", {}).get(kind)
    for root in _roots(artifacts_dir, run):
        for card in sorted(root.glob(f"*/*/{file}")):
            try:
                inputs = read_lineage(card.parent).get("inputs")
            except (OSError, ValueError):
                continue
            if wanted is not None and isinstance(inputs, dict) and wanted in inputs.values():
                yield card.parent


def _add_quality(artifacts_dir: Path, run: Run, page: Page) -> bool:
    directory = _place(artifacts_dir, run, "translator", CARD_FILE)
    # Given pairs were generated by whatever made them.
    if directory is None or run.settings.get("synthetic.path") is not None:
        return False
    trained = f"translator of seed {run.seeds['translator']}"
    caption = f"Images that the {trained} generates from held-out masks, beside what real images give"
    page.cards.append(_drawing("Quality card", directory / CARD_FILE, caption))
    page.sources.append(f"quality card: translator {directory.name}")
    for name, (title, shows) in _SHEETS.items():
        if (directory / name).is_file():
            picture = pictures.read_picture(directory / name)
            page.sheets.append(_photograph(title, picture, f"{shows}; {trained}"))
    return True


def _add_pairs_quality(artifacts_dir: Path, run: Run, page: Page) -> bool:
    directory = next(_made_of(artifacts_dir, run, "pairs", CARD_FILE), None)
    if directory is None:
        return False
    caption = f"Pairs of {run.generator}, seed {run.seeds['synthetic']}, beside what real pairs give"
    page.cards.append(_drawing(f"Quality card of {run.generator}", directory / CARD_FILE, caption))
    page.sources.append(f"quality card of {run.generator}: {directory.parent.name} {directory.name}")
    return True


def _add_pairs(access: RunAccess, real: Sequence[ShownSample], artifacts_dir: Path, run: Run, page: Page) -> bool:
    directory = _place(artifacts_dir, run, "synthetic", _PAIRS)
    if directory is None:
        return False
    groups = [access.pairs(directory), real] if real else [access.pairs(directory)]
    pairs = [[(sample.rgb(), sample.load_label_map()) for sample in group[:_CELL_SOURCES]] for group in groups]
    smears, cells = pictures.pair_sheet(pairs[0][:_SMEARS]), pictures.cell_sheet(pairs)
    below = "Above: synthetic. Below: of the real test images" if real else "Single synthetic cells"
    made = f"pairs of seed {run.seeds['synthetic']}"
    page.sheets[:0] = [
        _photograph("Synthetic smears", smears, f"Sampled masks above, generated smears below; {made}"),
        _photograph("Synthetic cells", cells, f"{below}; {made}"),
    ]
    page.sources.append(f"synthetic smears and cells: pairs {directory.name}")
    return True


def _add_slices(access: RunAccess, artifacts_dir: Path, run: Run, page: Page) -> bool:
    directory = _place(artifacts_dir, run, "synthetic", _PAIRS)
    if directory is None:
        return False
    # Of masks drawn at random those that show something, where there are enough.
    pairs = sorted(access.pairs(directory)[:_SLICES], key=lambda sample: not sample.load_label_map().any())[:_SMEARS]
    sheet = pictures.pair_sheet([(sample.rgb(), sample.load_label_map()) for sample in pairs], color_labels)
    caption = f"Masks above, slices below; pairs of {run.generator}, seed {run.seeds['synthetic']}"
    page.sheets.insert(0, _photograph("Synthetic slices", sheet, caption))
    page.sources.append(f"synthetic slices: pairs {directory.name}")
    return True


def _place(artifacts_dir: Path, run: Run, kind: str, file: str) -> Path | None:
    """Directory of the translator or the synthetic pairs that a run used; None where it, or this file in it, is gone."""
    given, key = run.settings.get(f"{kind}.path"), run.metrics.get("artifacts", {}).get(kind)
    places = [root / kind / key for root in _roots(artifacts_dir, run) if key is not None] if given is None else [Path(given)]
    found = next((place.resolve() for place in places if place.is_dir()), None)
    return found if found is not None and (found / file).is_file() else None


def _roots(artifacts_dir: Path, run: Run) -> list[Path]:
    """Where artifacts of a run may lie."""
    kept = run.settings.get("artifacts_dir")
    return [artifacts_dir] if kept is None else [artifacts_dir, Path(kept)]


def _drawing(title: str, path: Path, caption: str) -> Picture:
    picture = pictures.shrink(pictures.read_picture(path), _WIDEST)
    return Picture(title, pictures.encode_png(picture), "image/png", caption)


def _photograph(title: str, image: pictures.Pixels, caption: str) -> Picture:
    return Picture(title, pictures.encode_jpeg(pictures.shrink(image, _WIDEST)), "image/jpeg", caption)

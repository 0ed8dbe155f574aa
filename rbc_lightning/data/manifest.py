"""The manifest: a checked table of samples, one row each, with split, origin, hashes and lineage."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

import numpy as np

from rbc_lightning.data.formats import file_sha256, write_atomically
from rbc_lightning.errors import InputError

Origin = Literal["real", "synthetic"]
Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")

_COLUMNS = ("sample_id", "image_path", "label_path", "origin", "split", "group", "image_sha256", "label_sha256")
_LINEAGE = ("sampler_seed", "config_hash", "translator_hash", "trained_on")
_ID_SEPARATOR = ";"


@dataclass(frozen=True)
class Lineage:
    """What a synthetic sample was made from.

    Args:
        sampler_seed: entropy of the sample's mask and style draws.
        config_hash: hash of the resolved configuration of the synthetic set.
        translator_hash: hash of the translator's checkpoint.
        trained_on: sample_ids that the shape bank and the translator saw.
    """

    sampler_seed: str
    config_hash: str
    translator_hash: str
    trained_on: tuple[str, ...]


@dataclass(frozen=True)
class Record:
    """One row: an image, its label map, where it comes from and what it may be used for."""

    sample_id: str
    image_path: Path
    label_path: Path
    origin: Origin
    split: Split
    group: str
    image_sha256: str
    label_sha256: str
    lineage: Lineage | None = None


@dataclass(frozen=True)
class Manifest:
    """A table of samples, checked when made.

    Raises:
        InputError: no rows, a repeated sample_id, a group or an image in two splits, a synthetic row outside train or
            without lineage.
    """

    records: tuple[Record, ...]

    def __post_init__(self) -> None:
        if not self.records:
            raise InputError("manifest without a row; expected at least one image with its label map")
        seen: set[str] = set()
        split_of_group: dict[str, str] = {}
        first_with: dict[str, Record] = {}
        for record in self.records:
            if record.sample_id in seen:
                raise InputError(f"sample_id {record.sample_id!r} stands twice in the manifest; give each a name of its own")
            seen.add(record.sample_id)
            if record.split not in SPLITS or record.origin not in ("real", "synthetic"):
                raise InputError(
                    f"sample {record.sample_id!r}: split {record.split!r}, origin {record.origin!r}; expected a split of "
                    f"{', '.join(SPLITS)} and origin real or synthetic"
                )
            _check_synthetic(record)
            twin = first_with.setdefault(record.image_sha256, record)
            if twin.split != record.split:
                raise InputError(
                    f"samples {twin.sample_id!r} ({twin.split}) and {record.sample_id!r} ({record.split}) are the same image; "
                    "an image belongs to one split: drop one of them from splits.csv"
                )
            if split_of_group.setdefault(record.group, record.split) != record.split:
                raise InputError(
                    f"group {record.group!r} is in splits {split_of_group[record.group]!r} and {record.split!r} (sample "
                    f"{record.sample_id!r}); a patient or slide belongs to one split: mend splits.csv"
                )

    def split(self, name: Split) -> tuple[Record, ...]:
        """The records of one split, in order; a clear error when there are none."""
        records = tuple(record for record in self.records if record.split == name)
        if not records:
            raise InputError(f"split {name!r} is empty; expected at least one sample: add rows to splits.csv")
        return records

    def ids(self, name: Split) -> tuple[str, ...]:
        """The sample_ids of one split."""
        return tuple(record.sample_id for record in self.split(name))

    def save(self, path: Path) -> None:
        """Write the table as CSV, atomically; file paths relative to the CSV's directory where they lie below it."""
        write_atomically(path, lambda part: _write_rows(part, [_to_row(record, path.parent) for record in self.records]))

    @classmethod
    def load(cls, path: Path, *, verify: bool = True) -> "Manifest":
        """Read a table written by `save`, and check it.

        Args:
            path: the CSV file.
            verify: recompute the SHA-256 of every file and compare.

        Raises:
            InputError: a missing column or file, or a file whose bytes changed.
        """
        if not path.is_file():
            raise InputError(f"{path}: no such manifest; delete its directory to have it made again")
        with path.open(newline="") as handle:
            reader = csv.DictReader(handle)
            missing = set(_COLUMNS + _LINEAGE) - set(reader.fieldnames or ())
            if missing:
                raise InputError(f"{path}: manifest lacks the columns {', '.join(sorted(missing))}; write it again")
            records = tuple(_from_row(row, path.parent) for row in reader)
        for record in records:
            _check_files(record, verify)
        return cls(records)


def cut_validation(manifest: Manifest, fraction: float, seed: int) -> Manifest:
    """Move a part of train to val, whole groups at a time, unless the data set brings a val split of its own.

    Args:
        manifest: real samples.
        fraction: share of the training groups that becomes validation, in (0, 1); at least one group.
        seed: decides which groups; the same data set and seed give the same cut.

    Raises:
        InputError: the fraction leaves nothing to validate or to train on, or train is a single group.
    """
    if any(record.split == "val" for record in manifest.records):
        return manifest
    if not 0.0 < fraction < 1.0:
        raise InputError(
            f"data.validation_fraction={fraction}; expected a number between 0 and 1, such as 0.2, since weights are chosen on "
            "a validation part: set it, or name a val split in splits.csv"
        )
    groups = sorted({record.group for record in manifest.split("train")})
    if len(groups) < 2:
        raise InputError(
            f"the train split has 1 group ({groups[0]!r}, {len(manifest.split('train'))} images), which is never divided; "
            "expected at least 2, one of them for validation: add images, name the groups, or name a val split in splits.csv"
        )
    count = min(max(1, round(fraction * len(groups))), len(groups) - 1)
    order = np.random.default_rng(np.random.SeedSequence([seed, len(groups)])).permutation(len(groups))
    chosen = {groups[index] for index in order[:count]}
    moved = {record.sample_id for record in manifest.split("train") if record.group in chosen}
    return Manifest(tuple(replace(r, split="val") if r.sample_id in moved else r for r in manifest.records))


def merge_validation(manifest: Manifest) -> Manifest:
    """Move val back to train, for a protocol that, as S3's, has none and chooses on test; test stays as it is."""
    return Manifest(tuple(replace(r, split="train") if r.split == "val" else r for r in manifest.records))


def keep_real_images(manifest: Manifest, count: int, seed: int) -> Manifest:
    """Drop training samples until `count` are left, whole groups at a time; validation and test stay as they are.

    Args:
        manifest: real samples, validation cut.
        count: training samples to keep.
        seed: decides which; under one seed, and with groups of one image, a smaller choice is part of a larger one.

    Raises:
        InputError: the train split has fewer samples, or its groups do not add up to the count.
    """
    train = manifest.split("train")
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= len(train):
        raise InputError(
            f"data.n_real_images={count}; expected a whole number from 1 to {len(train)}, the training images beside those of "
            "validation, or null for all of them"
        )
    sizes: dict[str, int] = {}
    for record in train:
        sizes[record.group] = sizes.get(record.group, 0) + 1
    groups = sorted(sizes)
    order = np.random.default_rng(np.random.SeedSequence([seed, len(groups)])).permutation(len(groups))
    kept: set[str] = set()
    left = count
    for group in (groups[index] for index in order):
        # A group that is too large is passed over: a patient or slide is never divided.
        if sizes[group] <= left:
            kept.add(group)
            left -= sizes[group]
    if left:
        raise InputError(
            f"data.n_real_images={count}; whole groups drawn by this seed come to {count - left} images (the smallest group "
            f"has {min(sizes.values())}); take another number or another seed"
        )
    return Manifest(tuple(r for r in manifest.records if r.split != "train" or r.group in kept))


def refuse_leakage(real: Manifest, synthetic: Iterable[Record]) -> None:
    """Refuse synthetic samples whose shape bank or translator saw a validation or test sample.

    Raises:
        InputError: names the synthetic sample and the held-out one in its lineage.
    """
    held_out = _held_out(real)
    for record in synthetic:
        if record.lineage:
            _refuse(f"synthetic sample {record.sample_id!r} ({record.image_path})", record.lineage.trained_on, held_out)


def refuse_held_out_sources(real: Manifest, what: str, trained_on: Iterable[str]) -> None:
    """Refuse a thing trained on validation or test samples, before anything is made with it.

    Args:
        real: the real samples with their splits.
        what: how the error names the thing.
        trained_on: the sample_ids it was trained on.
    """
    _refuse(what, trained_on, _held_out(real))


def _held_out(real: Manifest) -> dict[str, str]:
    return {record.sample_id: record.split for record in real.records if record.split != "train"}


def _refuse(what: str, trained_on: Iterable[str], held_out: dict[str, str]) -> None:
    for source in trained_on:
        if source in held_out:
            raise InputError(
                f"{what} descends from sample {source!r}, which is in the {held_out[source]} split; a mix may only use what "
                "was made from the train split: make it again with this split (stage=translator, stage=synthesize)"
            )


def _check_synthetic(record: Record) -> None:
    if record.origin == "synthetic" and record.split != "train":
        raise InputError(
            f"synthetic sample {record.sample_id!r} in split {record.split!r}; expected train: val and test are real"
        )
    if record.origin == "synthetic" and record.lineage is None:
        raise InputError(f"synthetic sample {record.sample_id!r} without lineage; expected one: synthesise it again")


def _check_files(record: Record, verify: bool) -> None:
    for path, expected in ((record.image_path, record.image_sha256), (record.label_path, record.label_sha256)):
        if not path.is_file():
            raise InputError(f"{path}: no such file (sample {record.sample_id!r}); restore it, or delete its set to remake it")
        if verify and file_sha256(path) != expected:
            raise InputError(
                f"{path}: its bytes changed since the manifest was written (sample {record.sample_id!r}); restore the file, "
                "or delete its set to remake it"
            )


def _write_rows(path: Path, rows: Sequence[dict[str, str]]) -> None:
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, _COLUMNS + _LINEAGE)
        writer.writeheader()
        writer.writerows(rows)


def _to_row(record: Record, base: Path) -> dict[str, str]:
    row = {name: str(getattr(record, name)) for name in _COLUMNS}
    for name in ("image_path", "label_path"):
        path = getattr(record, name).resolve()
        row[name] = str(path.relative_to(base.resolve()) if path.is_relative_to(base.resolve()) else path)
    if record.lineage:
        row |= {name: getattr(record.lineage, name) for name in _LINEAGE[:-1]}
        row["trained_on"] = _ID_SEPARATOR.join(record.lineage.trained_on)
    return row


def _from_row(row: dict[str, str], base: Path) -> Record:
    lineage = None
    if row["origin"] == "synthetic" and row["config_hash"]:
        trained_on = tuple(filter(None, row["trained_on"].split(_ID_SEPARATOR)))
        lineage = Lineage(row["sampler_seed"], row["config_hash"], row["translator_hash"], trained_on)
    return Record(
        sample_id=row["sample_id"],
        image_path=base / row["image_path"],
        label_path=base / row["label_path"],
        origin=cast(Origin, row["origin"]),
        split=cast(Split, row["split"]),
        group=row["group"],
        image_sha256=row["image_sha256"],
        label_sha256=row["label_sha256"],
        lineage=lineage,
    )

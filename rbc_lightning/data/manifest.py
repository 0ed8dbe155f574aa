"""The manifest: a checked table of samples, one row each, with split, origin, hashes and lineage."""

import csv
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from rbc_lightning.core.files import content_hash, file_sha256, to_plain, write_json, write_rows
from rbc_lightning.core.recipe import Node
from rbc_lightning.data.sample import RGB, SPLITS, FilePair, ImageSpec, LabelMap, Lineage, Sample, Split, common_spec
from rbc_lightning.errors import InputError

_COLUMNS = ("sample_id", "image_path", "label_path", "origin", "split", "group", "image_sha256", "label_sha256")
_LINEAGE = ("sampler_seed", "config_hash", "translator_hash", "trained_on")
_ID_SEPARATOR = ";"
# A sample_id names files and stands in lists.
_FORBIDDEN = frozenset(";/\\")


@dataclass(frozen=True)
class Samples(Node):
    """Samples of one kind, as an input of what is made from them; the key depends on names and bytes, not on their place."""

    kind: ClassVar[str] = "samples"
    leaf: ClassVar[bool] = True
    samples: tuple[Sample, ...]

    def __post_init__(self) -> None:
        common_spec(self.samples)

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    @property
    def ids(self) -> tuple[str, ...]:
        """Their sample_ids."""
        return tuple(sample.sample_id for sample in self.samples)

    @property
    def spec(self) -> ImageSpec:
        """What the numbers of their images and label maps mean."""
        return common_spec(self.samples)

    def label_maps(self) -> list[LabelMap]:
        """All label maps, int32 (H, W), read anew."""
        return [sample.load_label_map() for sample in self.samples]

    def settings(self) -> dict[str, Any]:
        """Names and bytes, and their meaning where they are no 8-bit colour images."""
        return {"samples": _decisive([[s.sample_id, s.image_sha256, s.label_sha256] for s in self.samples], self.spec)}

    @cached_property
    def key(self) -> str:
        """Hash of the settings alone."""
        return content_hash(self.settings()["samples"])


@dataclass(frozen=True)
class Manifest:
    """A table of samples, checked when made.

    Raises:
        InputError: no rows, a repeated or unfit sample_id, a group or an image in two splits, samples of two kinds, a
            synthetic row outside train or without lineage.
    """

    samples: tuple[Sample, ...]

    def __post_init__(self) -> None:
        if not self.samples:
            raise InputError("manifest without a row; expected at least one image with its label map")
        seen: set[str] = set()
        first_of_group: dict[str, Sample] = {}
        first_with: dict[str, Sample] = {}
        for sample in self.samples:
            _check_row(sample)
            if sample.sample_id in seen:
                raise InputError(f"sample_id {sample.sample_id!r} stands twice in the manifest; give each a name of its own")
            seen.add(sample.sample_id)
            twin = first_with.setdefault(sample.image_sha256, sample)
            if twin.split != sample.split:
                raise InputError(
                    f"samples {twin.sample_id!r} ({twin.split}) and {sample.sample_id!r} ({sample.split}) are the same image; "
                    "an image belongs to one split: drop one of them from splits.csv"
                )
            sibling = first_of_group.setdefault(sample.group, sample)
            if sibling.split != sample.split:
                raise InputError(
                    f"group {sample.group!r} is in splits {sibling.split!r} and {sample.split!r} (sample "
                    f"{sample.sample_id!r}); a patient or slide belongs to one split: mend splits.csv"
                )
        common_spec(self.samples)

    @property
    def spec(self) -> ImageSpec:
        """What the numbers of images and label maps mean."""
        return common_spec(self.samples)

    def split(self, name: Split) -> tuple[Sample, ...]:
        """The samples of one split, in order; a clear error when there are none."""
        samples = tuple(sample for sample in self.samples if sample.split == name)
        if not samples:
            raise InputError(f"split {name!r} is empty; expected at least one sample: add rows to splits.csv")
        return samples

    def ids(self, name: Split) -> tuple[str, ...]:
        """The sample_ids of one split."""
        return tuple(sample.sample_id for sample in self.split(name))

    def fingerprint(self) -> str:
        """Hash of all samples together with what each is used for: another split is another experiment."""
        rows = sorted((s.sample_id, s.split, s.group, s.image_sha256, s.label_sha256) for s in self.samples)
        return content_hash(_decisive(rows, self.spec))

    def save(self, path: Path) -> None:
        """Write the table as CSV, atomically; file paths relative to the CSV's directory where they lie below it.

        Beside it stands `<name>.spec.json` where the images are no 8-bit colour images. Volumes are not kept.
        An `InputError` refuses samples that do not lie in files.
        """
        if self.spec != RGB:
            write_json(path.with_suffix(".spec.json"), asdict(self.spec))
        write_rows(path, [_to_row(sample, path.parent.resolve()) for sample in self.samples])

    @classmethod
    def load(cls, path: Path, *, verify: bool = True) -> "Manifest":
        """Read what `save` wrote; an `InputError` refuses lost columns and files, and, asked to `verify`, changed bytes."""
        if not path.is_file():
            raise InputError(f"{path}: no such manifest; delete its directory to have it made again")
        beside = path.with_suffix(".spec.json")
        spec = ImageSpec(**json.loads(beside.read_text())) if beside.is_file() else RGB
        with path.open(newline="") as handle:
            reader = csv.DictReader(handle)
            missing = set(_COLUMNS + _LINEAGE) - set(reader.fieldnames or ())
            if missing:
                raise InputError(f"{path}: manifest lacks the columns {', '.join(sorted(missing))}; write it again")
            samples = tuple(_from_row(row, path.parent, spec) for row in reader)
        for sample in samples:
            _check_files(sample, verify)
        return cls(samples)


def _decisive(rows: list[Any], spec: ImageSpec) -> list[Any]:
    return rows if spec == RGB else [rows, to_plain(spec)]


def _check_row(sample: Sample) -> None:
    name = sample.sample_id
    if not name or _FORBIDDEN & set(name):
        raise InputError(f"sample_id {name!r} is empty or has one of ; / \\; rename it")
    if sample.split not in SPLITS or sample.origin not in ("real", "synthetic"):
        raise InputError(
            f"sample {name!r}: split {sample.split!r}, origin {sample.origin!r}; expected a split of "
            f"{', '.join(SPLITS)} and origin real or synthetic"
        )
    if sample.origin == "synthetic" and sample.split != "train":
        raise InputError(f"synthetic sample {name!r} in split {sample.split!r}; expected train: val and test are real")
    if sample.origin == "synthetic" and sample.lineage is None:
        raise InputError(f"synthetic sample {name!r} without lineage; expected one: synthesise it again")


def _check_files(sample: Sample, verify: bool) -> None:
    files = _files(sample)
    for path, expected in ((files.image_path, sample.image_sha256), (files.label_path, sample.label_sha256)):
        if not path.is_file():
            raise InputError(f"{path}: no such file (sample {sample.sample_id!r}); restore it, or delete its set to remake it")
        if verify and file_sha256(path) != expected:
            raise InputError(
                f"{path}: its bytes changed since the manifest was written (sample {sample.sample_id!r}); restore the file, "
                "or delete its set to remake it"
            )


def _files(sample: Sample) -> FilePair:
    if not isinstance(sample.loader, FilePair):
        raise InputError(f"{sample.where}: sample {sample.sample_id!r} does not lie in files; write image and label map first")
    return sample.loader


def _to_row(sample: Sample, base: Path) -> dict[str, str]:
    files = _files(sample)
    row = {name: str(getattr(files if name.endswith("_path") else sample, name)) for name in _COLUMNS}
    for name in ("image_path", "label_path"):
        path = Path(row[name]).resolve()
        row[name] = str(path.relative_to(base) if path.is_relative_to(base) else path)
    row |= dict.fromkeys(_LINEAGE, "")
    if sample.lineage:
        row |= {name: getattr(sample.lineage, name) for name in _LINEAGE[:-1]}
        row["trained_on"] = _ID_SEPARATOR.join(sample.lineage.trained_on)
    return row


def _from_row(row: dict[str, Any], base: Path, spec: ImageSpec) -> Sample:
    lineage = None
    if row["origin"] == "synthetic" and row["config_hash"]:
        trained_on = tuple(filter(None, row["trained_on"].split(_ID_SEPARATOR)))
        lineage = Lineage(row["sampler_seed"], row["config_hash"], row["translator_hash"], trained_on)
    files = FilePair(base / row["image_path"], base / row["label_path"], spec)
    plain = {name: row[name] for name in _COLUMNS if not name.endswith("_path")}
    return Sample(loader=files, lineage=lineage, spec=spec, **plain)

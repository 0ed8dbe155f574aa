"""The manifest: a checked table of samples, one row each, with split, origin, hashes and lineage."""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from rbc_lightning.core.files import content_hash, file_sha256, to_plain, write_json, write_rows
from rbc_lightning.core.recipe import Node
from rbc_lightning.data.lineage import Ancestor, Lineage, from_rows, reference, to_rows
from rbc_lightning.data.sample import SPLITS, FilePair, Sample, Split, common_spec
from rbc_lightning.data.spec import RGB, ImageSpec, LabelMap
from rbc_lightning.errors import InputError

_COLUMNS = ("sample_id", "image_path", "label_path", "origin", "split", "group", "image_sha256", "label_sha256")
_LINEAGE = ("sampler_seed", "config_hash", "translator_hash", "trained_on")
_DESCENT = ".descent.json"
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
    def ancestors(self) -> tuple[Ancestor, ...]:
        """Names and hashes, for the lineage of what is made from them."""
        return tuple(map(Ancestor.of, self.samples))

    @property
    def spec(self) -> ImageSpec:
        """What the numbers of their images and label maps mean."""
        return common_spec(self.samples)

    def with_context(self) -> "Samples":
        """The samples whose label maps show what lies around as well: what translators and sources of label maps see."""
        return Samples(tuple(sample.with_context() for sample in self.samples)) if self.spec.context else self

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
                    f"{sample.sample_id!r}); a patient or slide belongs to one split: mend the table of splits"
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
            raise InputError(f"split {name!r} is empty; expected at least one sample: add some to the table of splits")
        return samples

    def ids(self, name: Split) -> tuple[str, ...]:
        """The sample_ids of one split."""
        return tuple(sample.sample_id for sample in self.split(name))

    def fingerprint(self) -> str:
        """Hash of all samples together with what each is used for: another split is another experiment.

        Second label maps take no part: no model learns from them or is scored by them, so that one that comes later, or is
        mended, leaves what is trained as it is.
        """
        rows = sorted((s.sample_id, s.split, s.group, s.image_sha256, s.label_sha256) for s in self.samples)
        return content_hash(_decisive(rows, self.spec))

    def save(self, path: Path) -> None:
        """Write the table as CSV, atomically; file paths relative to the CSV's directory where they lie below it.

        Beside it stand `<name>.spec.json` where the images are no 8-bit colour images, and `<name>.descent.json` with what
        synthetic rows descend from: lists of [sample_id, image_sha256, label_sha256] by the hash in the column `trained_on`.
        Volumes and second label maps are not kept. An `InputError` refuses samples that do not lie in files.
        """
        # All rows of a set share one list as a rule; it is long.
        lists = {id(sample.lineage.trained_on): sample.lineage.trained_on for sample in self.samples if sample.lineage}
        names = {number: reference(ancestors) if ancestors else "" for number, ancestors in lists.items()}
        rows = [_to_row(sample, path.parent.resolve(), names) for sample in self.samples]
        if self.spec != RGB:
            write_json(path.with_suffix(".spec.json"), asdict(self.spec))
        if lists:
            content = {names[number]: to_rows(ancestors) for number, ancestors in lists.items() if ancestors}
            write_json(path.with_suffix(_DESCENT), content)
        write_rows(path, rows)

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
            descent = _Descent(path)
            samples = tuple(_from_row(row, path.parent, spec, descent) for row in reader)
        for sample in samples:
            _check_files(sample, verify)
        return cls(samples)


def _decisive(rows: list[Any], spec: ImageSpec) -> list[Any]:
    return rows if spec == RGB else [rows, to_plain(spec.decisive())]


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


class _Descent:
    """The lists of ancestors beside a manifest, each read once."""

    def __init__(self, table: Path) -> None:
        self.table, self.path = table, table.with_suffix(_DESCENT)
        self._read: dict[str, tuple[Ancestor, ...]] = {"": ()}

    @cached_property
    def _content(self) -> Any:  # noqa: ANN401 (as JSON has it)
        return json.loads(self.path.read_text())

    def __getitem__(self, name: str) -> tuple[Ancestor, ...]:
        if name not in self._read:
            try:
                found = from_rows(self._content[name])
                if reference(found) != name:
                    raise ValueError(f"the list {name} has another hash")
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise InputError(
                    f"{self.table}: samples were made from what it calls {name[:40]!r}; expected a list of that name in "
                    f"{self.path.name} ({error!r}): restore that file, or make a set of an older version again "
                    "(stage=synthesize)"
                ) from error
            self._read[name] = found
        return self._read[name]


def _to_row(sample: Sample, base: Path, names: Mapping[int, str]) -> dict[str, str]:
    files = _files(sample)
    row = {name: str(getattr(files if name.endswith("_path") else sample, name)) for name in _COLUMNS}
    for name in ("image_path", "label_path"):
        path = Path(row[name]).resolve()
        row[name] = str(path.relative_to(base) if path.is_relative_to(base) else path)
    row |= dict.fromkeys(_LINEAGE, "")
    if sample.lineage:
        row |= {name: getattr(sample.lineage, name) for name in _LINEAGE[:-1]}
        row["trained_on"] = names[id(sample.lineage.trained_on)]
    return row


def _from_row(row: dict[str, Any], base: Path, spec: ImageSpec, descent: _Descent) -> Sample:
    lineage = None
    if row["origin"] == "synthetic" and row["config_hash"]:
        lineage = Lineage(row["sampler_seed"], row["config_hash"], row["translator_hash"], descent[row["trained_on"]])
    files = FilePair(base / row["image_path"], base / row["label_path"], spec)
    plain = {name: row[name] for name in _COLUMNS if not name.endswith("_path")}
    return Sample(loader=files, lineage=lineage, spec=spec, **plain)

"""Lineage: what a thing was made from, known by content, so that it is found again under another name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from functools import cache
from typing import TYPE_CHECKING

from rbc_lightning.core.files import content_hash
from rbc_lightning.core.progress import tell
from rbc_lightning.errors import InputError

if TYPE_CHECKING:
    from rbc_lightning.data.sample import Sample

_TELLING = 20


@dataclass(frozen=True, order=True)
class Ancestor:
    """A real sample, or a label map alone, that something was made from.

    Args:
        sample_id: its name where that was made; for messages.
        image_sha256: of the image's bytes; empty for a label map alone.
        label_sha256: of the label map's bytes.
    """

    sample_id: str
    image_sha256: str
    label_sha256: str

    @classmethod
    def of(cls, sample: Sample) -> Ancestor:
        """A sample as ancestor."""
        return cls(sample.sample_id, sample.image_sha256, sample.label_sha256)


@dataclass(frozen=True)
class Lineage:
    """What a synthetic sample was made from."""

    sampler_seed: str  # entropy of the sample's mask and style draws
    config_hash: str  # of the resolved configuration of the synthetic set
    translator_hash: str  # of the translator's checkpoint
    trained_on: tuple[Ancestor, ...]  # whatever shape bank, translator and label maps were made from


def to_rows(ancestors: Iterable[Ancestor]) -> list[list[str]]:
    """Ancestors as JSON can hold them: [sample_id, image_sha256, label_sha256] each."""
    return [list(astuple(ancestor)) for ancestor in ancestors]


def from_rows(rows: object) -> tuple[Ancestor, ...]:
    """What `to_rows` gave; a `ValueError` for anything else, such as the plain names of an older version."""
    if not isinstance(rows, list):
        raise ValueError(f"a {type(rows).__name__} where a list of ancestors was expected")
    for row in rows:
        if not (isinstance(row, list) and len(row) == len(fields(Ancestor)) and all(isinstance(part, str) for part in row)):
            raise ValueError(f"names an ancestor as {row!r}, not as [sample_id, image_sha256, label_sha256]")
    return tuple(Ancestor(*row) for row in rows)


def reference(ancestors: Sequence[Ancestor]) -> str:
    """Short hash that stands for the list."""
    return content_hash(to_rows(ancestors))


def find_twin(samples: Iterable[Sample], ancestors: Iterable[Ancestor]) -> tuple[Sample, str] | None:
    """The first sample that is one of the ancestors, whatever its name, and a phrase that names both.

    Equal are the bytes of the image, or of a label map that tells it: that of an empty field may belong to several images, and
    one of classes with fewer than `_TELLING` labelled pixels, as of a slice with one small lesion, too.
    """
    samples = tuple(samples)
    by_image = {sample.image_sha256: sample for sample in samples}
    by_label: dict[str, Sample | None] = {sample.label_sha256: sample for sample in samples}
    for ancestor in ancestors:
        twin = by_image.get(ancestor.image_sha256)
        shared = "image"
        if twin is None:
            twin, shared = by_label.get(ancestor.label_sha256), "label map"
            if twin is not None and not _tells(twin):
                by_label[ancestor.label_sha256] = twin = None
        if twin is not None:
            if ancestor.sample_id == twin.sample_id:
                return twin, f"sample {twin.sample_id!r}"
            return twin, f"{ancestor.sample_id!r}, which has the same {shared} as sample {twin.sample_id!r}"
    return None


def _tells(sample: Sample) -> bool:
    """Whether the label map of a sample tells it from other samples."""
    return int((sample.load_label_map() > 0).sum()) >= (_TELLING if sample.spec.labels == "classes" else 1)


def refuse_held_out(samples: Iterable[Sample], what: str, ancestors: Sequence[Ancestor]) -> None:
    """Refuse a thing, named `what`, that descends from a validation or test sample; say where names agree and bytes do not.

    Raises:
        InputError: names the thing, the sample, and its name among the ancestors.
    """
    held_out = [sample for sample in samples if sample.split != "train"]
    found = find_twin(held_out, ancestors)
    if found is not None:
        twin, phrase = found
        raise InputError(
            f"{what} descends from {phrase}, which is in the {twin.split} split; a mix may only use what was made from the "
            "train split: make it again with this split (stage=translator, stage=synthesize)"
        )
    names = {sample.sample_id: sample.split for sample in held_out}
    namesakes = [ancestor.sample_id for ancestor in ancestors if ancestor.sample_id in names]
    if namesakes:
        more = f" (and {len(namesakes) - 1} more)" if len(namesakes) > 1 else ""
        _note(
            f"note: {what} was made from another {namesakes[0]!r} than the one in the {names[namesakes[0]]} split here{more}: "
            "used, since their bytes differ; should it be the same image saved anew, make it again with this split"
        )


@cache
def _note(line: str) -> None:
    """Tell a line once, however often a thing is read."""
    tell(line)

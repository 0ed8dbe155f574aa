"""Splits: folds, validation cut from train or given back to it, fewer real images, and no descent from held-out ones."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from rbc_lightning.data.lineage import Ancestor, refuse_held_out
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.sample import Sample, Split
from rbc_lightning.errors import InputError

# One to train on, one to choose weights on, and one to test on.
_LEAST_GROUPS = 3
_Row = TypeVar("_Row")


def deal_folds(manifest: Manifest, folds: int, fold: int, seed: int) -> Manifest:
    """Deal all groups but external ones into `folds` parts, equal but for one group: part `fold` is test, the rest train.

    The parts are the same whatever fold is asked for. An `InputError` refuses more folds than groups.
    """
    groups = sorted({sample.group for sample in manifest.samples if sample.split != "external"})
    _check_folds(len(groups), folds)
    tested = set(_shuffled(groups, seed)[fold::folds])

    def dealt(sample: Sample) -> Sample:
        if sample.split == "external":
            return sample
        return replace(sample, split="test" if sample.group in tested else "train")

    return Manifest(tuple(map(dealt, manifest.samples)))


def check_groups(
    splits: Mapping[str, Split], name: str, folds: int | None, fold: int | None = None, *, validates: bool
) -> None:
    """Refuse by groups alone, before any sample is prepared, what the other functions here would refuse of their samples.

    Args:
        splits: of each group.
        name: of the data set.
        folds: that groups are dealt into; None for the splits.
        fold: which of them is tested.
        validates: whether validation is cut from train.
    """
    groups = [group for group, split in splits.items() if split != "external"]
    if folds is None:
        _check_test(splits.values(), len(groups), name)
        train = [group for group, split in splits.items() if split == "train"]
    else:
        _check_folds(len(groups), folds)
        train = groups[len(range(fold or 0, len(groups), folds)) :]
    if validates and len(train) == 1 and (folds is not None or "val" not in splits.values()):
        raise InputError(_one_group(f"1 group of {len(groups)}"))


def check_test(manifest: Manifest, name: str) -> None:
    """Refuse a data set that nothing would be tested on."""
    n_groups = len({sample.group for sample in manifest.samples if sample.split != "external"})
    _check_test({sample.split for sample in manifest.samples}, n_groups, name)


def _check_test(splits: Collection[Split], n_groups: int, name: str) -> None:
    if "test" in splits:
        return
    if n_groups < _LEAST_GROUPS:
        raise InputError(
            f"{name} has no test split, and {n_groups} groups (patients, slides) beside external ones; expected at least "
            f"{_LEAST_GROUPS}, one each to train, to choose weights, and to test on: add some"
        )
    folds = min(5, n_groups)
    raise InputError(
        f"{name} has no test split; expected one, or folds: set data.folds={folds} data.fold=0 for the first of {folds} "
        f"folds of its {n_groups} groups (-m data.fold={','.join(map(str, range(folds)))} runs all), or name test samples"
    )


def _check_folds(n_groups: int, folds: int) -> None:
    if n_groups < folds:
        raise InputError(
            f"data.folds={folds} of {n_groups} groups (patients or slides), which are never divided; expected at most "
            f"{n_groups}: lower data.folds"
        )


def _one_group(of: str) -> str:
    return (
        f"the train split has {of}, which is never divided; expected at least 2, one of them for validation: add images, name "
        "the groups, or name a val split in the table"
    )


def cut_validation(manifest: Manifest, fraction: float, seed: int) -> Manifest:
    """Move a share of train to val, whole groups, unless there is a val split; an `InputError` if either would be empty."""
    if any(sample.split == "val" for sample in manifest.samples):
        return manifest
    check_fraction(fraction)
    train = manifest.split("train")
    groups = sorted({sample.group for sample in train})
    if len(groups) < 2:
        raise InputError(_one_group(f"1 group ({groups[0]!r}, {len(train)} images)"))
    count = min(max(1, round(fraction * len(groups))), len(groups) - 1)
    chosen = set(_shuffled(groups, seed)[:count])
    return Manifest(tuple(replace(s, split="val") if s.split == "train" and s.group in chosen else s for s in manifest.samples))


def check_fraction(fraction: float) -> None:
    """Refuse a share of the training groups that leaves nothing to validate or to train on."""
    if isinstance(fraction, bool) or not isinstance(fraction, int | float) or not 0 < fraction < 1:
        raise InputError(
            f"data.validation_fraction={fraction}; expected a number between 0 and 1, such as 0.2, since weights are chosen on "
            "a validation part: set it, or name a val split in splits.csv"
        )


def merge_validation(manifest: Manifest) -> Manifest:
    """Move val back to train, for a protocol that has none and chooses on test, as that of Bailo et al. 2019 does."""
    return Manifest(tuple(replace(s, split="train") if s.split == "val" else s for s in manifest.samples))


def keep_real_images(manifest: Manifest, count: int, seed: int) -> Manifest:
    """Drop training samples until `count` are left, whole groups at a time; validation and test stay as they are.

    Under one seed, and with groups of one image, a smaller choice is part of a larger one. An `InputError` refuses a
    count above the training samples, or one that no drawn groups add up to.
    """
    train = manifest.split("train")
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= len(train):
        raise InputError(
            f"data.n_real_images={count}; expected a whole number from 1 to {len(train)}, the training images beside those of "
            "validation, or null for all of them"
        )
    sizes = Counter(sample.group for sample in train)
    kept, left = set(), count
    for group in _shuffled(sorted(sizes), seed):
        # A group that is too large is passed over: a patient or slide is never divided.
        if sizes[group] <= left:
            kept.add(group)
            left -= sizes[group]
    if left:
        raise InputError(
            f"data.n_real_images={count}; whole groups drawn by this seed come to {count - left} images (the smallest group "
            f"has {min(sizes.values())}); take another number or another seed"
        )
    return Manifest(tuple(s for s in manifest.samples if s.split != "train" or s.group in kept))


def keep_real_groups(manifest: Manifest, count: int, seed: int) -> Manifest:
    """Drop training samples of all but `count` groups; validation and test stay as they are.

    Under one seed a smaller choice is part of a larger one. An `InputError` refuses more groups than train has.
    """
    groups = sorted({sample.group for sample in manifest.split("train")})
    if count > len(groups):
        raise InputError(
            f"data.n_real_patients={count}; expected at most {len(groups)}, the training patients (groups) beside those of "
            "validation, or null for all of them"
        )
    kept = set(_shuffled(groups, seed)[:count])
    return Manifest(tuple(s for s in manifest.samples if s.split != "train" or s.group in kept))


def one_of_each_scan(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """For pictures: of each scan the slice with most labelled pixels, and every sample that is no slice, in order."""
    shown: dict[str, tuple[int, Sample]] = {}
    for sample in samples:
        size = int(np.count_nonzero(sample.load_label_map())) if sample.volume else 0
        if sample.unit not in shown or size > shown[sample.unit][0]:
            shown[sample.unit] = size, sample
    return tuple(sample for _, sample in shown.values())


def to_look_at(samples: Sequence[Sample], count: int) -> tuple[Sample, ...]:
    """At most so many samples: the first ones; of slices, whose first are all of one scan's end, some all along."""
    return evenly(samples, count) if samples and samples[0].volume is not None else tuple(samples[:count])


def evenly(rows: Sequence[_Row], count: int) -> tuple[_Row, ...]:
    """At most so many of the rows, in order: the middle ones of as many equal stretches."""
    if len(rows) <= count:
        return tuple(rows)
    return tuple(rows[(2 * index + 1) * len(rows) // (2 * count)] for index in range(count))


def _shuffled(groups: list[str], seed: int) -> list[str]:
    order = np.random.default_rng(np.random.SeedSequence([seed, len(groups)])).permutation(len(groups))
    return [groups[index] for index in order]


def refuse_leakage(real: Manifest, synthetic: Iterable[Sample]) -> None:
    """Refuse synthetic samples that are, or descend from, a validation or test sample; the `InputError` names both."""
    synthetic = tuple(synthetic)
    refuse_held_out(real.samples, "the set of synthetic samples", tuple(map(Ancestor.of, synthetic)))
    # All samples of a set share one lineage as a rule.
    first_with: dict[int, tuple[Sample, Sequence[Ancestor]]] = {}
    for sample in synthetic:
        if sample.lineage:
            first_with.setdefault(id(sample.lineage.trained_on), (sample, sample.lineage.trained_on))
    for sample, trained_on in first_with.values():
        refuse_held_out(real.samples, f"synthetic sample {sample.sample_id!r} ({sample.where})", trained_on)

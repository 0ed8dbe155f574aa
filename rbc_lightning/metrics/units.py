"""What counts once among test images: a patient or slide where it is known, else the image itself."""

from collections.abc import Mapping, Sequence


def unit_names(sample_ids: Sequence[str], groups: Mapping[str, str]) -> tuple[str, ...]:
    """Name the unit of each image: its group, or `image <sample_id>` where it has none, or where no two images share a unit.

    Args:
        sample_ids: of the images.
        groups: patient or slide by sample_id, where it is known.
    """
    alone = tuple(f"image {name}" for name in sample_ids)
    units = tuple(groups.get(name) or unit for name, unit in zip(sample_ids, alone, strict=True))
    return units if len(set(units)) < len(units) else alone

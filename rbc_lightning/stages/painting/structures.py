"""Structure maps of real images: thresholds, and the bank from which new masks get new ones (S4)."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.data.formats import read_image, read_label_map
from rbc_lightning.data.manifest import Record
from rbc_lightning.errors import InputError
from rbc_lightning.masks import ShapeBank
from rbc_lightning.masks.structures import FORMAT_VERSION, StructureBank
from rbc_lightning.ops.structure_maps import structure_map, structure_threshold
from rbc_lightning.stages.inputs import Inputs
from rbc_lightning.stages.sampling import shape_bank

Method = str | float


def thresholds(records: Sequence[Record], method: Method) -> dict[str, float]:
    """The structure threshold of every image, grey levels, by sample_id.

    Raises:
        InputError: names the image that has none.
    """
    return {record.sample_id: threshold_of(record, read_image(record.image_path), method) for record in records}


def threshold_of(record: Record, image: NDArray[np.uint8], method: Method) -> float:
    """The structure threshold of a record's image, grey levels.

    Raises:
        InputError: names the image if it has none.
    """
    try:
        return structure_threshold(image, method)
    except ValueError as error:
        raise InputError(f"{record.image_path}: {error} (translator.task.structure_method={method})") from error


def structure_of(record: Record, image: NDArray[np.uint8], method: Method) -> NDArray[np.uint8]:
    """The structure map of a record's image, uint8 (H, W), dark = 1.

    Raises:
        InputError: names the image if it has no threshold.
    """
    return structure_map(image, threshold_of(record, image, method)).astype(np.uint8)


def get_structure_bank(inputs: Inputs, method: Method) -> StructureBank:
    """Structure crops of all shapes of the train split's shape bank, and its backgrounds, from the store."""
    shapes = shape_bank(inputs)

    def build(directory: Path) -> None:
        records = inputs.manifest.split("train")
        # Before the slow part: an image without a threshold should be told of at once.
        levels = thresholds(records, method)

        def samples() -> Iterator[tuple[NDArray[np.int32], NDArray[np.uint8]]]:
            for record in records:
                structure = structure_map(read_image(record.image_path), levels[record.sample_id])
                yield read_label_map(record.label_path), structure.astype(np.uint8)

        n_shapes = len(ShapeBank.load(shapes.path / "bank.npz"))
        # The shape bank leaves out cells that touch others unless too few are left.
        bank = StructureBank.from_samples(samples(), free_standing=True)
        if len(bank) != n_shapes:
            bank = StructureBank.from_samples(samples(), free_standing=False)
        if len(bank) != n_shapes:
            raise InputError(
                f"{shapes.path} holds {n_shapes} shapes where the training label maps have {len(bank)}; expected as many: "
                "delete that directory to have it made again"
            )
        bank.save(directory / "structures.npz")

    settings = {"method": method, "bank": FORMAT_VERSION, "format": 1}
    artifact = inputs.store.get("structure_bank", settings, [inputs.train_fingerprint, shapes.key], build)
    return StructureBank.load(artifact.path / "structures.npz")

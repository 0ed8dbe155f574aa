"""One subject of the phantom, from its seed to its volumes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from rbc_lightning.data.readers.brain_phantom.anatomy import Tissue, draw_anatomy, draw_tissues
from rbc_lightning.data.readers.brain_phantom.fields import Field, Grid
from rbc_lightning.data.readers.brain_phantom.lesions import Lesions, draw_lesions
from rbc_lightning.data.readers.brain_phantom.placement import Placement, draw_placement
from rbc_lightning.data.readers.brain_phantom.scanner import acquire, average, bias_field, contrasts_of
from rbc_lightning.data.readers.brain_phantom.spec import VALUES, BrainSpec
from rbc_lightning.data.readers.brain_phantom.tumour import draw_tumour

WIDTH, LENGTH, BOTTOM, HEIGHT = 184.0, 222.0, -62.0, 142.0  # mm that are scanned
TEXTURE = ((0.06, 0.025), (0.025, 0.01))  # deviations of the slow and the fast variation inside tissues: FLAIR, T1w
DRAWN = 0.4  # share of a voxel from which whoever draws lesions and rims counts it in
LEAST_AREA = 4.0  # mm2 of a slice's lesion: smaller ones nobody draws
_IN_PLANE = np.zeros((3, 3, 3), dtype=np.int8)
_IN_PLANE[:, :, 1] = 1
_BRAIN = [t for t in Tissue if Tissue.CORTEX <= t <= Tissue.STEM or t in (Tissue.RIM, Tissue.OEDEMA)]


@dataclass(frozen=True)
class Subject:
    """Volumes (X, Y, Z) in the order in which files hold them."""

    labels: NDArray[np.uint8]
    flair: NDArray[np.int16]
    t1w: NDArray[np.int16]
    placement: Placement


def draw_subject(spec: BrainSpec, seed: int, subject: int) -> Subject:
    """Draw one subject; everything follows from the three arguments, whoever else is drawn."""
    streams = np.random.SeedSequence([seed, subject]).spawn(5)
    shapes, lesion_stream, contrasts, scan, place = (np.random.default_rng(stream) for stream in streams)
    scanner = spec.scanner
    thickness = float(scan.uniform(*scanner.thickness))
    grid = _grid(spec.in_plane, thickness, scanner.parts)
    anatomy = draw_anatomy(shapes)
    if spec.tumour:
        tumour = draw_tumour(lesion_stream)
        anatomy = tumour.push(anatomy)
        tissues, _ = draw_tissues(anatomy, grid)
        tumour.paint(tissues, grid)
        lesions = Lesions.none(grid)
    else:
        tissues, distance = draw_tissues(anatomy, grid)
        lesions = draw_lesions(lesion_stream, tissues, distance, grid, scanner.log_ml)
    slices = Grid(grid.x, grid.y, grid.z.reshape(-1, scanner.parts).mean(axis=1))
    placement = draw_placement(place, (spec.in_plane, spec.in_plane, thickness), slices.shape)
    means, lesion = contrasts_of(scanner, contrasts)
    inside = np.isin(tissues, _BRAIN)
    brain = average(inside, scanner.parts) > 0.5
    slow, fast = grid.spread(anatomy.patches), grid.spread(anatomy.detail)
    volumes = []
    for channel in range(2):
        signal = means[channel][tissues]
        signal[inside] *= (1 + TEXTURE[channel][0] * slow + TEXTURE[channel][1] * fast)[inside]
        signal += lesions.share * (1 + (lesion[channel] - 1) * lesions.strength - signal)
        gain = bias_field(scan, slices, brain, scanner.log_bias[channel])
        scale = float(np.exp(scan.uniform(*np.log(scanner.scale)))) / placement.slope
        blur = scanner.blur[channel] / spec.in_plane
        volumes.append(acquire(scan, average(signal, scanner.parts), gain, scanner.noise[channel], blur, scale))
    labels = _labels(tissues, lesions, scanner.parts, spec.in_plane)
    flair, t1w = map(placement.stored, volumes)
    return Subject(placement.stored(labels), flair, t1w, placement)


def _labels(tissues: NDArray[np.uint8], lesions: Lesions, parts: int, in_plane: float) -> NDArray[np.uint8]:
    """What is drawn by hand: of each slice's voxels, see `VALUES`."""
    values = np.zeros(len(Tissue), dtype=np.uint8)
    for tissue, value in VALUES.items():
        values[tissue] = value
    drawn = values[tissues]
    labels = np.zeros((*tissues.shape[:2], tissues.shape[2] // parts), dtype=np.uint8)
    for value in np.unique(values)[1:]:
        labels[average(drawn == value, parts) > (DRAWN if value == VALUES[Tissue.RIM] else 0.5)] = value
    labels[drawn_lesions(average(lesions.share, parts), in_plane)] = 1
    return labels


def drawn_lesions(share: Field, in_plane: float) -> NDArray[np.bool_]:
    """What is drawn of lesions, given their shares of slices' voxels (X, Y, Z): parts of a slice that are not mere specks."""
    parts, _ = label(share > DRAWN, _IN_PLANE)
    large = np.bincount(parts.ravel()) * in_plane**2 >= LEAST_AREA
    large[0] = False
    return large[parts]


def _grid(in_plane: float, thickness: float, parts: int) -> Grid:
    """Voxels of tissue: the scanner's in plane, `parts` to a slice."""

    def across(width: float) -> Field:
        count = round(width / in_plane)
        return (np.arange(count, dtype=np.float32) - np.float32((count - 1) / 2)) * np.float32(in_plane)

    count = round(HEIGHT / thickness) * parts
    up = (np.arange(count, dtype=np.float32) + np.float32(0.5)) * np.float32(thickness / parts) + np.float32(BOTTOM)
    return Grid(across(WIDTH), across(LENGTH), up)

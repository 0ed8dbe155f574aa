"""Slow plain twin of the structure kernels: one pixel after the other, dictionaries for crops."""

import math
from typing import Any

import numpy as np

SECTORS = 32


def pixels_of(bank, index):
    """Dark or not by (row, column) from the centre of a shape: of its cell, and of what lies beside it."""
    cell, beside = {}, {}
    height, width = bank.crops.sizes[index].tolist()
    center_row, center_column = bank.crops.centers[index].tolist()
    codes = bank.crops.codes[bank.crops.starts[index] :]
    for row in range(height):
        for column in range(width):
            code = int(codes[row * width + column])
            (cell if code % 2 else beside)[row - center_row, column - center_column] = code % 4 >= 2
    return cell, beside


def vote(y, x, cell):
    """Dark or not by the weighted majority of the four pixels around a point; None if too little of them is the cell."""
    dark, known = 0.0, 0.0
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            weight = (1.0 - abs(y - row)) * (1.0 - abs(x - column))
            if (row, column) in cell:
                known += weight
                dark += weight * cell[row, column]
    return None if known < 0.25 else 2 * dark >= known


def inside(y, x, cell):
    """The vote at the first point on the way to the centre that lies in the cell."""
    steps = math.ceil(max(abs(y), abs(x)))
    for step in range(steps + 1):
        rest = 1.0 - step / max(steps, 1)
        found = vote(rest * y, rest * x, cell)
        if found is not None:
            return found
    return False


def beside_at(y, x, beside):
    """What lies beside the shape at a point, half a pixel further out, or a pixel further out."""
    length = max(math.hypot(y, x), 1.0)
    for out in (0.0, 0.5, 1.0):
        pixel = math.floor(y + out * y / length + 0.5), math.floor(x + out * x / length + 0.5)
        if pixel in beside:
            return beside[pixel]
    return None


def sector(y, x):
    """Place on the diamond, 0 to 32, counted from the direction of rising columns towards rising rows."""
    if y == x == 0:
        return 0.0
    size = abs(y) + abs(x)
    quarter = y / size if x >= 0 else 2 - y / size
    return 8 * (quarter if quarter >= 0 else quarter + 4) % 32


def neighbours(label_map, row, column, reach):
    """Labelled pixels up to so far away."""
    height, width = label_map.shape
    square = [
        (y, x)
        for y in range(row - reach, row + reach + 1)
        for x in range(column - reach, column + reach + 1)
        if 0 <= y < height and 0 <= x < width
    ]
    return [pixel for pixel in square if label_map[pixel] > 0]


def is_dark_around(label_map, structure, row, column):
    """Whether at least half of the cells' pixels up to three pixels away are dark."""
    around = neighbours(label_map, row, column, 3)
    return 2 * sum(int(structure[pixel]) for pixel in around) >= len(around)


def seam_share(label_map, structure):
    """Dark share of the background between cells that are dark around it."""
    seams = []
    for row, column in zip(*np.nonzero(label_map == 0), strict=True):
        several = len({label_map[pixel] for pixel in neighbours(label_map, row, column, 1)}) > 1
        if several and is_dark_around(label_map, structure, row, column):
            seams.append(structure[row, column])
    return float(np.mean(seams)) if seams else 0.0


def stretches(label_map, places, shapes):
    """Radius of the crop's outline over that of the cell, by label and sector; 1 where either is unknown."""

    def is_outline(pixel, same):
        return not all(same(pixel[0] + down, pixel[1] + across) for down, across in ((1, 0), (-1, 0), (0, 1), (0, -1)))

    framed = np.pad(label_map, 1)
    cells: dict[Any, float] = {}
    for (row, column), (y, x) in places.items():
        label = label_map[row, column]
        if not is_outline((row, column), lambda r, c, label=label: framed[r + 1, c + 1] == label):
            continue
        key = label, int(sector(y, x))
        cells[key] = max(cells.get(key, 0.0), math.sqrt(y * y + x * x))
    factors = {}
    for label, (cell, _) in shapes.items():
        radii = np.zeros(SECTORS)
        for y, x in (pixel for pixel in cell if is_outline(pixel, lambda r, c, cell=cell: (r, c) in cell)):
            radii[int(sector(y, x))] = max(radii[int(sector(y, x))], math.sqrt(y * y + x * x))
        for k in range(SECTORS):
            known = radii[k] > 0 and cells.get((label, k), 0.0) > 0
            factors[label, k] = radii[k] / cells[label, k] if known else 1.0
    return factors


def stretched(y, x, label, factors):
    """A point moved along its ray, the factor interpolated between the middles of sectors."""
    place = sector(y, x) - 0.5
    first, share = math.floor(place), place - math.floor(place)
    factor = (1.0 - share) * factors[label, first % SECTORS] + share * factors[label, (first + 1) % SECTORS]
    return factor * y, factor * x


def paint(bank, label_map, crop_of, maps, rng, stretch):
    """The structure map of a label map whose label i + 1 has crop ``crop_of[i]`` under the map ``maps[i]`` (2, 3)."""
    shapes = {label: pixels_of(bank, int(crop_of[label - 1])) for label in np.unique(label_map).tolist() if label > 0}

    def place(row, column, label):
        (a, b, c), (d, e, f) = maps[label - 1].tolist()
        return a * row + b * column + c, d * row + e * column + f

    indices = list(np.ndindex(label_map.shape))
    places = {pixel: place(*pixel, int(label_map[pixel])) for pixel in indices if label_map[pixel] > 0}
    factors = stretches(label_map, places, shapes) if stretch else None

    def point(row, column, label):
        y, x = place(row, column, label)
        return (y, x) if factors is None else stretched(y, x, label, factors)

    structure = np.zeros(label_map.shape, np.uint8)
    for row, column in places:
        label = int(label_map[row, column])
        structure[row, column] = inside(*point(row, column, label), shapes[label][0])
    painted, joined = structure.copy(), rng.random(len(crop_of))
    holes = []
    for row, column in (pixel for pixel in indices if label_map[pixel] == 0):
        labels = sorted({int(label_map[pixel]) for pixel in neighbours(label_map, row, column, 1)})
        value = None
        if len(labels) == 1:
            value = beside_at(*point(row, column, labels[0]), shapes[labels[0]][1])
        elif labels:
            is_joined = (joined[labels[0] - 1] + joined[labels[-1] - 1]) % 1.0 < bank.seam_share
            value = bool(is_joined) and is_dark_around(label_map, painted, row, column)
            for pixel in neighbours(label_map, row, column, 2) if value else ():
                structure[pixel] = 1
        if value is None:
            holes.append((row, column))
        else:
            structure[row, column] = value
    return fill(bank, structure, holes, rng)


def fill(bank, structure, holes, rng):
    """Fill the holes from real backgrounds, laid to and fro from a random start."""
    for _ in range(64):
        if not holes or len(bank.images.sizes) == 0:
            break
        image = int(rng.integers(len(bank.images.sizes)))
        height, width = bank.images.sizes[image].tolist()
        down, across = int(rng.integers(2 * height)), int(rng.integers(2 * width))
        start = int(bank.images.starts[image])
        free, dark = (
            np.unpackbits(plane[start:], count=height * width, bitorder="little").reshape(height, width)
            for plane in (bank.images.free, bank.images.dark)
        )
        # Two mirror images side by side repeat without a break.
        free, dark = (np.block([[p, p[:, ::-1]], [p[::-1], p[::-1, ::-1]]]) for p in (free, dark))
        left = []
        for row, column in holes:
            source = (row + down) % (2 * height), (column + across) % (2 * width)
            if free[source]:
                structure[row, column] = dark[source]
            else:
                left.append((row, column))
        holes = left
    return structure

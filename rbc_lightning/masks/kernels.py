"""The placing loop of S3 section 4.1.2: draw a shape, draw a place, test it, choose a colour, write the cell."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.masks.adhesion import OffsetTable
from rbc_lightning.masks.jit import kernel
from rbc_lightning.masks.raster import (
    AREA,
    LEFT,
    LAST_BIT,
    ONE,
    ROWS,
    RUNS,
    TOP,
    WORDS,
    ZERO,
    Brush,
    count_parts,
    pack,
    popcount,
    rasterise,
    shifted,
)


class Recipe(NamedTuple):
    """Every number the placing loop needs; see `MaskSampler` for their meaning."""

    n_init: int
    adhesion: bool
    exact_mean: bool
    n_colors: int
    rotate: bool
    flip: bool
    scale_std: float
    scale_min: float
    scale_max: float
    tries_per_shape: int
    shapes_per_cell: int
    uniform_tries: int


class Canvas(NamedTuple):
    """The mask under construction.

    Attributes:
        label_map: int32 (H, W), written.
        colors: uint8 (H, W), written.
        centers: int64 (count, 2), written.
        shape_index: int32 (count,), written.
        occupied: uint64 bit plane of the foreground with a guard margin around the image.
        frame: uint64 (words,), the columns of a plane row that lie inside the image.
        margin: int64 (2,), guard rows above and guard bits left of the image.
        taken: bool (n_colors + 1,), scratch: colours in use around a place.
        report: int64 (4,), cells placed, cells placed by the uniform fallback, places tried, shapes tried.
    """

    label_map: NDArray[np.int32]
    colors: NDArray[np.uint8]
    centers: NDArray[np.int64]
    shape_index: NDArray[np.int32]
    occupied: NDArray[np.uint64]
    frame: NDArray[np.uint64]
    margin: NDArray[np.int64]
    taken: NDArray[np.bool_]
    report: NDArray[np.int64]


PROBES = (0, 4, 2, 6, 1, 3, 5, 7)

PLACED, FALLBACK, PLACES_TRIED, SHAPES_TRIED = range(4)


def new_canvas(height: int, width: int, count: int, n_colors: int, reach: int) -> Canvas:
    """Allocate an empty mask for cells that extend at most ``reach`` pixels from their centre."""
    guard_words = (reach + 2 + 63) // 64
    words = (width + 63) // 64 + 2 * guard_words + 1
    inside = np.zeros(words * 64, np.uint8)
    inside[64 * guard_words : 64 * guard_words + width] = 1
    # Bit k of a word is column k: pack little end first and read the bytes as little-endian words on any machine.
    frame = np.packbits(inside, bitorder="little").view("<u8").astype(np.uint64)
    return Canvas(
        np.zeros((height, width), np.int32),
        np.zeros((height, width), np.uint8),
        np.zeros((count, 2), np.int64),
        np.zeros(count, np.int32),
        np.zeros((height + 2 * (reach + 2), words), np.uint64),
        frame,
        np.array([reach + 2, 64 * guard_words], np.int64),
        np.zeros(n_colors + 1, np.bool_),
        np.zeros(4, np.int64),
    )


@kernel
def place_cells(
    rng: np.random.Generator,
    count: int,
    vertices: NDArray[np.int16],
    starts: NDArray[np.int64],
    table: OffsetTable,
    recipe: Recipe,
    brush: Brush,
    canvas: Canvas,
) -> None:
    """Place up to ``count`` cells; those that find no place are left out and show in the report."""
    pose = np.empty((2, 2))
    n_shapes = len(starts) - 1
    for _ in range(count):
        done = False
        for _ in range(recipe.shapes_per_cell):
            shape = int(rng.random() * n_shapes)
            canvas.report[SHAPES_TRIED] += 1
            draw_pose(rng, recipe, pose)
            if not rasterise(vertices, starts[shape], starts[shape + 1], pose, brush):
                continue
            pack(brush)
            uniform = not recipe.adhesion or canvas.report[PLACED] < recipe.n_init
            done = try_places(rng, recipe.tries_per_shape, uniform, shape, table, recipe, brush, canvas)
            if done:
                break
        if not done and brush.box[AREA] > 0:
            # The last shape that could be drawn gets a last chance anywhere.
            done = try_places(rng, recipe.uniform_tries, True, shape, table, recipe, brush, canvas)
            canvas.report[FALLBACK] += done


@kernel
def draw_pose(rng: np.random.Generator, recipe: Recipe, pose: NDArray[np.float64]) -> None:
    """Draw rotation, scale and flips as one 2 x 2 matrix."""
    scale = 1.0
    if recipe.scale_std > 0:
        scale = min(max(rng.normal(1.0, recipe.scale_std), recipe.scale_min), recipe.scale_max)
    angle = 2.0 * np.pi * rng.random() if recipe.rotate else 0.0
    sine, cosine = scale * np.sin(angle), scale * np.cos(angle)
    signs = int(4.0 * rng.random()) if recipe.flip else 0
    flip_row = -1.0 if signs & 1 else 1.0
    flip_column = -1.0 if signs & 2 else 1.0
    pose[0, 0], pose[0, 1] = cosine * flip_row, -sine * flip_column
    pose[1, 0], pose[1, 1] = sine * flip_row, cosine * flip_column


@kernel
def try_places(
    rng: np.random.Generator,
    tries: int,
    uniform: bool,
    shape: int,
    table: OffsetTable,
    recipe: Recipe,
    brush: Brush,
    canvas: Canvas,
) -> bool:
    """Draw places for the shape on the brush until one takes it; every draw is a fresh one from P(i)."""
    height, width = canvas.label_map.shape
    for _ in range(tries):
        canvas.report[PLACES_TRIED] += 1
        if uniform:
            row, column = int(rng.random() * height), int(rng.random() * width)
        else:
            row, column = draw_place(rng, table, recipe, canvas)
        if is_free(row, column, brush, canvas) and is_whole(row, column, brush, height, width):
            color = choose_color(rng, row, column, brush, canvas)
            if color > 0:
                write_cell(row, column, shape, color, brush, canvas)
                return True
    return False


@kernel
def draw_place(
    rng: np.random.Generator, table: OffsetTable, recipe: Recipe, canvas: Canvas
) -> tuple[int, int]:
    """Draw from P(i) without the map: a placed cell by its weight, then an offset that stays inside the image.

    A mixture is sampled by choosing the component first. Keeping the parent while the offset is drawn again is what
    makes each component the z cut at the border and scaled to sum 1 (`adhesion_map`).
    """
    height, width = canvas.label_map.shape
    placed = canvas.report[PLACED]
    if recipe.exact_mean:
        parent = int(rng.random() * placed)
    else:
        # The initial cells share a weight of n_init + 1, the others have 1 each.
        share = rng.random() * (placed + 1)
        initial = share < recipe.n_init + 1
        parent = min(int(share * recipe.n_init / (recipe.n_init + 1)), recipe.n_init - 1) if initial else int(share) - 1
    while True:
        row, column = draw_offset(rng, table)
        row += canvas.centers[parent, 0]
        column += canvas.centers[parent, 1]
        if 0 <= row < height and 0 <= column < width:
            return row, column


@kernel
def draw_offset(rng: np.random.Generator, table: OffsetTable) -> tuple[int, int]:
    """Draw a lattice offset: an entry of the quadrant by the alias method, then two signs."""
    n = len(table.keep)
    # One number serves for signs, entry and the choice between entry and alias: of its 53 bits 2, then 16 or so.
    where = rng.random() * (4 * n)
    whole = int(where)
    signs, entry = whole // n, whole % n
    if where - whole >= table.keep[entry]:
        entry = table.alias[entry]
    row, column = entry // table.side, entry % table.side
    return (-row if signs & 1 else row), (-column if signs & 2 else column)


@kernel
def is_free(row: int, column: int, brush: Brush, canvas: Canvas) -> bool:
    """Tell whether the shape at (row, column) meets no foreground; rows are probed coarse to fine to fail early."""
    rows, words = brush.box[ROWS], brush.box[WORDS]
    top = row + brush.box[TOP] + canvas.margin[0]
    bit = column + brush.box[LEFT] + canvas.margin[1]
    word, shift = bit >> 6, np.uint64(bit & 63)
    back = LAST_BIT - shift
    bits, occupied = brush.bits, canvas.occupied
    middle = rows // 2 
    for phase in PROBES:
        for line in range((middle + phase) % 8, rows, 8):
            carry = ZERO
            for k in range(words):
                value = bits[line, k]
                if ((value << shift) | carry) & occupied[top + line, word + k]:
                    return False
                carry = (value >> ONE) >> back
            if carry & occupied[top + line, word + words]:
                return False
    return True


@kernel
def is_whole(row: int, column: int, brush: Brush, height: int, width: int) -> bool:
    """Tell whether the image border leaves the shape in one piece."""
    top, left = row + brush.box[TOP], column + brush.box[LEFT] + 1
    bottom, right = top + brush.box[ROWS], left + 64 * brush.box[WORDS]
    if top >= 0 and left >= 0 and bottom <= height and right <= width:
        return True
    return count_parts(brush, -row, height - row, -column, width - column) == 1


@kernel
def choose_color(rng: np.random.Generator, row: int, column: int, brush: Brush, canvas: Canvas) -> int:
    """Draw a colour that no cell in the 8-neighbourhood has; 0 if every one is taken."""
    canvas.taken[:] = False
    rows, words = brush.box[ROWS] + 2, brush.box[WORDS]
    top = row + brush.box[TOP] - 1
    bit = column + brush.box[LEFT] + canvas.margin[1]
    word, shift = bit >> 6, np.uint64(bit & 63)
    for line in range(rows):
        for k in range(words + 1):
            hits = shifted(brush.halo[line], k, words, shift) & canvas.occupied[top + line + canvas.margin[0], word + k]
            while hits:
                lowest = hits & (~hits + ONE)
                x = ((word + k) << 6) + popcount(lowest - ONE) - canvas.margin[1]
                canvas.taken[canvas.colors[top + line, x]] = True
                hits ^= lowest
    n_colors = len(canvas.taken) - 1
    free = 0
    for color in range(1, n_colors + 1):
        free += not canvas.taken[color]
    skip = int(rng.random() * free)
    for color in range(1, n_colors + 1):
        if not canvas.taken[color]:
            if skip == 0:
                return color
            skip -= 1
    return 0


@kernel
def write_cell(row: int, column: int, shape: int, color: int, brush: Brush, canvas: Canvas) -> None:
    """Write the visible part of the shape into the label map, the colours and the bit plane."""
    height, width = canvas.label_map.shape
    label = canvas.report[PLACED] + 1
    for run in range(brush.box[RUNS]):
        y = row + brush.runs[run, 0]
        if 0 <= y < height:
            start, stop = max(column + brush.runs[run, 1], 0), min(column + brush.runs[run, 2], width)
            canvas.label_map[y, start:stop] = label
            canvas.colors[y, start:stop] = color
    words = brush.box[WORDS]
    bit = column + brush.box[LEFT] + canvas.margin[1]
    word, shift = bit >> 6, np.uint64(bit & 63)
    for line in range(brush.box[ROWS]):
        y = row + brush.box[TOP] + line
        if 0 <= y < height:
            for k in range(words + 1):
                value = shifted(brush.bits[line], k, words, shift) & canvas.frame[word + k]
                canvas.occupied[y + canvas.margin[0], word + k] |= value
    canvas.centers[label - 1, 0], canvas.centers[label - 1, 1] = row, column
    canvas.shape_index[label - 1] = shape
    canvas.report[PLACED] = label

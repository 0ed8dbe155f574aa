"""Kernels that pose a stored outline and turn it into pixel runs and bit rows."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.masks.jit import kernel
from rbc_lightning.masks.sampler.canvas import Placing

# A line through a cell crosses its outline this often at most; wilder poses are drawn again.
MAX_CROSSINGS = 32

ZERO = np.uint64(0)
ONE = np.uint64(1)
LAST_BIT = np.uint64(63)
ALL_BITS = np.uint64(0xFFFFFFFFFFFFFFFF)


class Brush(NamedTuple):
    """Working memory for one posed shape; offsets are relative to its centre.

    Attributes:
        crossings: int32 (2 reach + 1, MAX_CROSSINGS), columns where a row's scan line crosses the outline.
        n_crossings: int32 (2 reach + 1,).
        runs: int32 (n, 3), row, first column, column after the last.
        parent: int32 (n,), union-find forest over the runs.
        bits: uint64 (rows, words), the shape.
        halo: uint64 (rows + 2, words), the shape grown by one pixel in its 8-neighbourhood.
        box: int64 (6,), top row, rows, column of bit 0, words, runs, area.
    """

    crossings: NDArray[np.int32]
    n_crossings: NDArray[np.int32]
    runs: NDArray[np.int32]
    parent: NDArray[np.int32]
    bits: NDArray[np.uint64]
    halo: NDArray[np.uint64]
    box: NDArray[np.int64]


TOP, ROWS, LEFT, WORDS, RUNS, AREA = range(6)


def new_brush(reach: int) -> Brush:
    """Allocate working memory for shapes that extend at most ``reach`` pixels from their centre."""
    rows = 2 * reach + 1
    words = (rows + 2 + 63) // 64 + 1
    # No set of pixels in the square has more runs than this.
    n_runs = rows * max(MAX_CROSSINGS // 2, reach + 1)
    return Brush(
        np.zeros((rows, MAX_CROSSINGS), np.int32),
        np.zeros(rows, np.int32),
        np.zeros((n_runs, 3), np.int32),
        np.zeros(n_runs, np.int32),
        np.zeros((rows, words), np.uint64),
        np.zeros((rows + 2, words), np.uint64),
        np.zeros(6, np.int64),
    )


@kernel
def draw_pose(rng: np.random.Generator, placing: Placing, size: float, pose: NDArray[np.float64]) -> None:
    """Draw rotation, scale and flips as one 2 x 2 matrix; ``size`` multiplies the drawn scale."""
    scale = placing.scale_mean
    if placing.scale_std > 0:
        scale = rng.normal(placing.scale_mean, placing.scale_std)
    scale = size * min(max(scale, placing.scale_min), placing.scale_max)
    angle = 2.0 * np.pi * rng.random() if placing.rotate else 0.0
    sine, cosine = scale * np.sin(angle), scale * np.cos(angle)
    signs = int(4.0 * rng.random()) if placing.flip else 0
    flip_row = -1.0 if signs & 1 else 1.0
    flip_column = -1.0 if signs & 2 else 1.0
    pose[0, 0], pose[0, 1] = cosine * flip_row, -sine * flip_column
    pose[1, 0], pose[1, 1] = sine * flip_row, cosine * flip_column


@kernel
def rasterise(vertices: NDArray[np.int16], start: int, stop: int, pose: NDArray[np.float64], brush: Brush) -> bool:
    """Fill the polygon ``vertices[start:stop]``, mapped by the 2 x 2 matrix ``pose``, at pixel centres.

    Returns:
        False where the pose leaves nothing, several pieces, or a row crossed too often.
    """
    crossings, n_crossings = brush.crossings, brush.n_crossings
    reach = (len(n_crossings) - 1) // 2
    first, last = reach, -reach
    n_crossings[:] = 0
    # Half, because corners are stored doubled.
    a, b, c, d = pose[0, 0] / 2, pose[0, 1] / 2, pose[1, 0] / 2, pose[1, 1] / 2
    row, column = float(vertices[stop - 1, 0]), float(vertices[stop - 1, 1])
    y_end, x_end = a * row + b * column, c * row + d * column
    high = int(np.ceil(y_end))
    for corner in range(start, stop):
        y, x, low = y_end, x_end, high
        row, column = float(vertices[corner, 0]), float(vertices[corner, 1])
        y_end, x_end = a * row + b * column, c * row + d * column
        high = int(np.ceil(y_end))
        if low == high:
            continue
        slope = (x_end - x) / (y_end - y)
        for line in range(min(low, high), max(low, high)):
            n = n_crossings[line + reach]
            if n == MAX_CROSSINGS:
                return False
            n_crossings[line + reach] = n + 1
            value = int(np.ceil(x + (line - y) * slope))
            # Insertion keeps the row sorted; it mostly holds two entries.
            while n > 0 and crossings[line + reach, n - 1] > value:
                crossings[line + reach, n] = crossings[line + reach, n - 1]
                n -= 1
            crossings[line + reach, n] = value
        first, last = min(first, low, high), max(last, low - 1, high - 1)
    collect_runs(first, last, brush)
    return brush.box[AREA] > 0 and count_parts(brush, -reach, reach + 1, -reach, reach + 1) == 1


@kernel
def collect_runs(first: int, last: int, brush: Brush) -> None:
    """Pair the crossings of every row into runs (even-odd rule), joining those that meet."""
    crossings, n_crossings, runs, box = brush.crossings, brush.n_crossings, brush.runs, brush.box
    n_runs, area, reach = 0, 0, (len(n_crossings) - 1) // 2
    left, right = reach + 1, -reach - 1
    for line in range(first, last + 1):
        row_start = n_runs
        for pair in range(0, n_crossings[line + reach], 2):
            start, stop = crossings[line + reach, pair], crossings[line + reach, pair + 1]
            if start == stop:
                continue
            area += stop - start
            left, right = min(left, start), max(right, stop)
            if n_runs > row_start and runs[n_runs - 1, 2] == start:
                runs[n_runs - 1, 2] = stop
                continue
            runs[n_runs, 0], runs[n_runs, 1], runs[n_runs, 2] = line, start, stop
            n_runs += 1
    box[RUNS], box[AREA] = n_runs, area
    if n_runs > 0:
        box[TOP], box[ROWS] = runs[0, 0], runs[n_runs - 1, 0] - runs[0, 0] + 1
        # One spare column on each side takes the halo.
        box[LEFT], box[WORDS] = left - 1, (right - left + 2 + 63) // 64


@kernel
def count_parts(brush: Brush, top: int, bottom: int, left: int, right: int) -> int:
    """Count the 4-connected parts of the shape inside the window [top, bottom) x [left, right)."""
    runs, parent, n_runs = brush.runs, brush.parent, brush.box[RUNS]
    # Runs that were collected from an image have no row count: they take the general way.
    if n_runs == brush.box[ROWS] and top <= runs[0, 0] and runs[n_runs - 1, 0] < bottom:
        # Nearly always: one run per row, each overlapping the last.
        simple = True
        for run in range(n_runs):
            start, stop = max(runs[run, 1], left), min(runs[run, 2], right)
            if run > 0:
                simple &= max(start, runs[run - 1, 1]) < min(stop, runs[run - 1, 2])
            simple &= start < stop
        if simple:
            return 1
    parts, previous, row_start = 0, 0, 0
    for run in range(n_runs):
        parent[run] = run
        if run > 0 and runs[run, 0] != runs[run - 1, 0]:
            previous = row_start if runs[run, 0] == runs[run - 1, 0] + 1 else run
            row_start = run
        start, stop = max(runs[run, 1], left), min(runs[run, 2], right)
        if runs[run, 0] < top or runs[run, 0] >= bottom or start >= stop:
            continue
        parts += 1
        for other in range(previous, row_start):
            inside = runs[other, 0] >= top and max(runs[other, 1], left) < min(runs[other, 2], right)
            if inside and max(runs[other, 1], start) < min(runs[other, 2], stop):
                root, other_root = _root(parent, run), _root(parent, other)
                if root != other_root:
                    parent[root] = other_root
                    parts -= 1
    return parts


@kernel
def _root(parent: NDArray[np.int32], run: int) -> int:
    while parent[run] != run:
        run = parent[run]
    return run


@kernel
def pack(brush: Brush) -> None:
    """Write the runs as bit rows, and the bit rows grown by one pixel as the halo."""
    rows, words, left = brush.box[ROWS], brush.box[WORDS], brush.box[LEFT]
    bits, halo = brush.bits, brush.halo
    bits[:rows, :words] = 0
    halo[: rows + 2, :words] = 0
    for run in range(brush.box[RUNS]):
        line = brush.runs[run, 0] - brush.box[TOP]
        start, stop = brush.runs[run, 1] - left, brush.runs[run, 2] - left
        for word in range(start >> 6, ((stop - 1) >> 6) + 1):
            low, high = max(start - (word << 6), 0), min(stop - (word << 6), 64)
            bits[line, word] |= (ALL_BITS >> np.uint64(64 - (high - low))) << np.uint64(low)
    for line in range(rows):
        for word in range(words):
            here = bits[line, word]
            grown = here | (here << ONE) | (here >> ONE)
            if word > 0:
                grown |= bits[line, word - 1] >> LAST_BIT
            if word + 1 < words:
                grown |= bits[line, word + 1] << LAST_BIT
            halo[line, word] |= grown
            halo[line + 1, word] |= grown
            halo[line + 2, word] |= grown


@kernel
def shifted(rows: NDArray[np.uint64], line: int, word: int, words: int, shift: np.uint64) -> np.uint64:
    """Word ``word`` of bit row ``line`` moved up by 0..63 bits; the row grows by one word."""
    value = rows[line, word] << shift if word < words else ZERO
    if word > 0:
        # Two steps, because a shift by 64 bits is not defined.
        value |= (rows[line, word - 1] >> ONE) >> (LAST_BIT - shift)
    return value

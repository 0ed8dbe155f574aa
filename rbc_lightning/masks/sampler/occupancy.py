"""Kernels that test a place: what lies there, what would be hidden, which colours are taken."""

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.masks.jit import kernel
from rbc_lightning.masks.sampler.canvas import Canvas
from rbc_lightning.masks.sampler.raster import AREA, LAST_BIT, LEFT, ONE, ROWS, RUNS, TOP, WORDS, Brush, count_parts, shifted

# Rows are probed in this order, modulo 8: coarse to fine, so that a collision shows after a few rows.
PROBES = (0, 4, 2, 6, 1, 3, 5, 7)


@kernel
def is_free(bits: NDArray[np.uint64], rows: int, words: int, occupied: NDArray[np.uint64], top: int, left: int) -> bool:
    """Tell whether bit rows meet no foreground in the plane at (top, left)."""
    word, shift = left >> 6, np.uint64(left & 63)
    back = LAST_BIT - shift
    for phase in PROBES:
        for line in range((rows // 2 + phase) & 7, rows, 8):
            carry = np.uint64(0)
            for k in range(words):
                value = bits[line, k]
                if ((value << shift) | carry) & occupied[top + line, word + k]:
                    return False
                # Two steps, because a shift by 64 bits is not defined.
                carry = (value >> ONE) >> back
            if carry & occupied[top + line, word + words]:
                return False
    return True


@kernel
def count_hits(
    bits: NDArray[np.uint64], rows: int, words: int, occupied: NDArray[np.uint64], top: int, left: int, limit: int
) -> int:
    """Count the foreground pixels that bit rows meet in the plane at (top, left), giving up above ``limit``."""
    word, shift = left >> 6, np.uint64(left & 63)
    back = LAST_BIT - shift
    hits = 0
    for phase in PROBES:
        for line in range((rows // 2 + phase) & 7, rows, 8):
            carry = np.uint64(0)
            for k in range(words):
                value = bits[line, k]
                hits += popcount(((value << shift) | carry) & occupied[top + line, word + k])
                carry = (value >> ONE) >> back
            hits += popcount(carry & occupied[top + line, word + words])
        if hits > limit:
            return hits
    return hits


@kernel
def visible_area(row: int, column: int, brush: Brush, height: int, width: int) -> int:
    """Pixels of the shape inside the image; -1 if the image border leaves it in several pieces."""
    box = brush.box
    top, left = row + box[TOP], column + box[LEFT]
    if top >= 0 and left >= -1 and top + box[ROWS] <= height and left + 64 * box[WORDS] <= width:
        return int(box[AREA])
    if count_parts(brush, -row, height - row, -column, width - column) > 1:
        return -1
    area = 0
    for run in range(box[RUNS]):
        if 0 <= row + brush.runs[run, 0] < height:
            area += max(0, min(brush.runs[run, 2] + column, width) - max(brush.runs[run, 1] + column, 0))
    return area


@kernel
def can_cover(row: int, column: int, lined: bool, brush: Brush, rest: Brush, canvas: Canvas, max_overlap: float) -> bool:
    """Tell whether every cell under the shape keeps enough, in one piece; notes in ``canvas.hidden`` what each loses.

    A lined shape also takes the pixels next to it.
    """
    hidden, label_map, areas = canvas.hidden, canvas.label_map, canvas.areas
    height, width = label_map.shape
    hidden[:] = 0
    cover = brush.halo if lined else brush.bits
    rows, words = brush.box[ROWS] + 2 * lined, brush.box[WORDS]
    top, left = row + brush.box[TOP] - lined, column + brush.box[LEFT]
    word, shift = (left + canvas.origin[1]) >> 6, np.uint64((left + canvas.origin[1]) & 63)
    for line in range(rows):
        for k in range(words + 1):
            hits = shifted(cover, line, k, words, shift) & canvas.occupied[top + line + canvas.origin[0], word + k]
            while hits:
                lowest = hits & (~hits + ONE)
                hits ^= lowest
                x = ((word + k) << 6) + popcount(lowest - ONE) - canvas.origin[1]
                if top + line < 0 or top + line >= height or x < 0 or x >= width:
                    continue
                label = label_map[top + line, x]
                slot = 0
                while slot < len(hidden) and hidden[slot, 0] != label and hidden[slot, 0] != 0:
                    slot += 1
                if slot == len(hidden):
                    return False
                hidden[slot, 0] = label
                hidden[slot, 1] += 1
    for slot in range(len(hidden)):
        label = hidden[slot, 0]
        if label == 0:
            break
        if areas[label - 1, 1] - hidden[slot, 1] < (1 - max_overlap) * areas[label - 1, 0]:
            return False
        uncovered_runs(label, top, left, rows, words, cover, rest, canvas)
        if rest.box[RUNS] == 0 or count_parts(rest, 0, height, 0, width) != 1:
            return False
    return True


@kernel
def uncovered_runs(
    label: int, top: int, left: int, rows: int, words: int, cover: NDArray[np.uint64], rest: Brush, canvas: Canvas
) -> None:
    """Collect what a cover at (top, left) leaves of a cell, as runs in image coordinates."""
    label_map, runs, n = canvas.label_map, rest.runs, 0
    first_row, last_row, first_column, last_column = canvas.boxes[label - 1]
    for y in range(first_row, last_row + 1):
        line = y - top
        for x in range(first_column, last_column + 1):
            bit = x - left
            covered = 0 <= line < rows and 0 <= bit < 64 * words and (cover[line, bit >> 6] >> np.uint64(bit & 63)) & ONE
            if label_map[y, x] == label and not covered:
                n = append_pixel(runs, n, y, x)
    rest.box[RUNS], rest.box[ROWS] = n, 0


@kernel
def append_pixel(runs: NDArray[np.int32], n: int, row: int, column: int) -> int:
    """Add the next pixel in raster order to ``n`` runs; return how many there are then."""
    if n > 0 and runs[n - 1, 0] == row and runs[n - 1, 2] == column:
        runs[n - 1, 2] = column + 1
        return n
    runs[n, 0], runs[n, 1], runs[n, 2] = row, column, column + 1
    return n + 1


@kernel
def uncovered_area(row: int, column: int, brush: Brush, rest: Brush, canvas: Canvas) -> int:
    """Collect the runs of the shape that lie on background; return their pixels, 0 if in several pieces."""
    label_map, runs, n, area = canvas.label_map, rest.runs, 0, 0
    height, width = label_map.shape
    for run in range(brush.box[RUNS]):
        y = row + brush.runs[run, 0]
        if y < 0 or y >= height:
            continue
        for x in range(max(column + brush.runs[run, 1], 0), min(column + brush.runs[run, 2], width)):
            if label_map[y, x] == 0:
                n = append_pixel(runs, n, y - row, x - column)
                area += 1
    rest.box[RUNS], rest.box[ROWS] = n, 0
    return area if n > 0 and count_parts(rest, -row, height - row, -column, width - column) == 1 else 0


@kernel
def note_colors(row: int, column: int, brush: Brush, canvas: Canvas) -> None:
    """Note the colours in the 8-neighbourhood of the shape in ``canvas.taken``, in entry 0 whether there are any."""
    taken, occupied, colors, halo = canvas.taken, canvas.occupied, canvas.colors, brush.halo
    origin_row, origin_bit = canvas.origin
    taken[:] = False
    height, width = colors.shape
    rows, words = brush.box[ROWS] + 2, brush.box[WORDS]
    top = row + brush.box[TOP] - 1
    bit = column + brush.box[LEFT] + origin_bit
    word, shift = bit >> 6, np.uint64(bit & 63)
    for line in range(rows):
        for k in range(words + 1):
            hits = shifted(halo, line, k, words, shift) & occupied[top + line + origin_row, word + k]
            while hits:
                lowest = hits & (~hits + ONE)
                x = ((word + k) << 6) + popcount(lowest - ONE) - origin_bit
                if 0 <= top + line < height and 0 <= x < width:
                    taken[colors[top + line, x]] = True
                taken[0] = True
                hits ^= lowest


@kernel
def popcount(value: np.uint64) -> int:
    """Count the set bits of a word; LLVM makes one instruction of it."""
    value = value - ((value >> ONE) & np.uint64(0x5555555555555555))
    value = (value & np.uint64(0x3333333333333333)) + ((value >> np.uint64(2)) & np.uint64(0x3333333333333333))
    value = (value + (value >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return int((value * np.uint64(0x0101010101010101)) >> np.uint64(56))

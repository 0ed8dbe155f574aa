"""The placing loop of Bailo et al. 2019, Sec. 4.1.2: draw shape and place, test them, choose a colour, write the cell."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from rbc_lightning.masks.jit import kernel
from rbc_lightning.masks.sampler.adhesion import OffsetTable, draw_place
from rbc_lightning.masks.sampler.canvas import CELLS, FALLBACK, LABELS, PLACES_TRIED, Canvas, Placing
from rbc_lightning.masks.sampler.occupancy import can_cover, count_hits, is_free, note_colors, uncovered_area, visible_area
from rbc_lightning.masks.sampler.raster import AREA, LEFT, ROWS, RUNS, TOP, WORDS, Brush, draw_pose, pack, rasterise, shifted


@kernel
def place_cells(
    rng: Generator,
    count: int,
    vertices: NDArray[np.int16],
    starts: NDArray[np.int64],
    sizes: NDArray[np.float64],
    cumulative: NDArray[np.float64],
    table: OffsetTable,
    placing: Placing,
    brush: Brush,
    rest: Brush,
    canvas: Canvas,
) -> None:
    """Place cells until ``count`` show in the image; those that find no place are left out and show in the report.

    ``sizes`` (n_shapes,) multiplies the scale of each shape, ``cumulative`` (n_shapes,) is the running sum of their weights;
    ``brush`` and ``rest`` are working memory.
    """
    pose = np.empty((2, 2))
    failures, report = 0, canvas.report
    while report[LABELS] + failures < count and report[CELLS] < len(canvas.centers):
        done, ready, shape = False, False, 0
        for _ in range(placing.shapes_per_cell):
            shape = draw_shape(rng, cumulative)
            draw_pose(rng, placing, sizes[shape], pose)
            ready = rasterise(vertices, starts[shape], starts[shape + 1], pose, brush)
            if not ready:
                continue
            pack(brush)
            uniform = not placing.adhesion or report[CELLS] < placing.n_init
            done = try_places(rng, placing.tries_per_shape, uniform, table, placing, brush, rest, canvas)
            if done:
                break
        if ready and not done:
            # The shape on the brush gets a last chance anywhere.
            done = try_places(rng, placing.uniform_tries, True, table, placing, brush, rest, canvas)
            report[FALLBACK] += done
        if done:
            canvas.shape_index[report[CELLS] - 1] = shape
            canvas.poses[report[CELLS] - 1] = pose
        failures += not done


@kernel
def draw_shape(rng: Generator, cumulative: NDArray[np.float64]) -> int:
    """Draw a shape by its weight, given their running sum (n_shapes,): the first whose sum exceeds a uniform number."""
    n = len(cumulative)
    share = rng.random() * cumulative[n - 1]
    # Rounding may take the product up to the last sum itself.
    return min(int(np.searchsorted(cumulative, share, side="right")), n - 1)


@kernel
def try_places(
    rng: Generator, tries: int, uniform: bool, table: OffsetTable, placing: Placing, brush: Brush, rest: Brush, canvas: Canvas
) -> bool:
    """Draw places for the shape on the brush until one takes it; every draw is a fresh one from P(i)."""
    margin = placing.margin
    height, width = canvas.label_map.shape
    bottom, right = height + margin, width + margin
    # Fields are taken out of the tuples here: inside the loop each access would count references.
    centers, occupied, box, placed = canvas.centers, canvas.occupied, brush.box, canvas.report[CELLS]
    keep, alias, side, n_init, exact_mean = table.keep, table.alias, table.side, placing.n_init, placing.exact_mean
    lined = placing.line_share > 0 and rng.random() < placing.line_share
    bits, rows, words = brush.halo if lined else brush.bits, box[ROWS] + 2 * lined, box[WORDS]
    up, left = box[TOP] + canvas.origin[0] - lined, box[LEFT] + canvas.origin[1]
    allowance = placing.max_overlap
    if allowance > 0 and placing.overlap_power > 0:
        allowance *= rng.random() ** placing.overlap_power
    limit = int(allowance * box[AREA])
    for attempt in range(tries):
        if uniform or (placing.uniform_share > 0 and rng.random() < placing.uniform_share):
            row = int(rng.random() * (bottom + margin)) - margin
            column = int(rng.random() * (right + margin)) - margin
        else:
            row, column = draw_place(rng, centers, placed, keep, alias, side, n_init, exact_mean, -margin, bottom, right)
        if limit == 0:
            hits = 0
            if not is_free(bits, rows, words, occupied, row + up, column + left):
                continue
        else:
            hits = count_hits(bits, rows, words, occupied, row + up, column + left, limit)
        if hits <= limit and settle(rng, row, column, hits, lined, placing, brush, rest, canvas):
            canvas.report[PLACES_TRIED] += attempt + 1
            return True
    canvas.report[PLACES_TRIED] += tries
    return False


@kernel
def settle(
    rng: Generator, row: int, column: int, hits: int, lined: bool, placing: Placing, brush: Brush, rest: Brush, canvas: Canvas
) -> bool:
    """Make the remaining tests at a place that is free enough and, if all pass, write the cell."""
    height, width = canvas.label_map.shape
    area = visible_area(row, column, brush, height, width)
    # Without a margin every cell must show.
    if area < 0 or (area == 0 and placing.margin == 0):
        return False
    note_colors(row, column, brush, canvas)
    if not canvas.taken[0] and placing.lone_acceptance < 1 and rng.random() >= placing.lone_acceptance:
        return False
    label = 0
    if area > 0:
        color = choose_color(rng, canvas.taken)
        label = canvas.report[LABELS] + 1
        if color == 0 or not draw_cell(rng, row, column, hits, area, lined, label, color, placing, brush, rest, canvas):
            return False
        canvas.report[LABELS] = label
    write_bits(row, column, placing.margin, brush, canvas)
    cell = canvas.report[CELLS]
    canvas.centers[cell, 0], canvas.centers[cell, 1] = row, column
    canvas.labels[cell] = label
    canvas.report[CELLS] = cell + 1
    return True


@kernel
def draw_cell(
    rng: Generator,
    row: int,
    column: int,
    hits: int,
    area: int,
    lined: bool,
    label: int,
    color: int,
    placing: Placing,
    brush: Brush,
    rest: Brush,
    canvas: Canvas,
) -> bool:
    """Write what shows of a cell above or below the cells it meets, unless that hides too much or tears one apart."""
    visible, above = area, True
    if hits > 0:
        if hits > placing.max_overlap * area:
            return False
        above = lined or rng.random() < 0.5
        if above:
            if not can_cover(row, column, lined, brush, rest, canvas, placing.max_overlap):
                return False
            for slot in range(len(canvas.hidden)):
                if canvas.hidden[slot, 0] > 0:
                    canvas.areas[canvas.hidden[slot, 0] - 1, 1] -= canvas.hidden[slot, 1]
            if lined:
                clear_halo(row, column, brush, canvas)
        else:
            visible = uncovered_area(row, column, brush, rest, canvas)
            if visible == 0:
                return False
    # A cell that goes below is written by the runs that stay visible.
    source = brush if above else rest
    write_runs(row, column, label, color, source.runs, source.box[RUNS], canvas)
    canvas.height[label - 1] = label if above else -label
    canvas.areas[label - 1, 0], canvas.areas[label - 1, 1] = area, visible
    return True


@kernel
def choose_color(rng: Generator, taken: NDArray[np.bool_]) -> int:
    """Draw one of the colours 1..n that are not taken; 0 if all are."""
    free = 0
    for color in range(1, len(taken)):
        free += not taken[color]
    skip = int(rng.random() * free)
    for color in range(1, len(taken)):
        if not taken[color]:
            if skip == 0:
                return color
            skip -= 1
    return 0


@kernel
def write_runs(row: int, column: int, label: int, color: int, runs: NDArray[np.int32], n_runs: int, canvas: Canvas) -> None:
    """Write runs into the label map and the colours, cut at the image border, and note the cell's box."""
    label_map, colors = canvas.label_map, canvas.colors
    height, width = label_map.shape
    top, bottom, left, right = height, -1, width, -1
    for run in range(n_runs):
        y = row + runs[run, 0]
        start, stop = max(column + runs[run, 1], 0), min(column + runs[run, 2], width)
        if 0 <= y < height and start < stop:
            label_map[y, start:stop] = label
            colors[y, start:stop] = color
            top, bottom, left, right = min(top, y), max(bottom, y), min(left, start), max(right, stop - 1)
    box = canvas.boxes[label - 1]
    box[0], box[1], box[2], box[3] = top, bottom, left, right


@kernel
def write_bits(row: int, column: int, margin: int, brush: Brush, canvas: Canvas) -> None:
    """Add the shape to the plane of the foreground, cut at the border of image and margin."""
    occupied, frame, bits = canvas.occupied, canvas.frame, brush.bits
    words, top, origin_row = brush.box[WORDS], row + brush.box[TOP], canvas.origin[0]
    bit = column + brush.box[LEFT] + canvas.origin[1]
    word, shift = bit >> 6, np.uint64(bit & 63)
    for line in range(max(0, -margin - top), min(brush.box[ROWS], canvas.label_map.shape[0] + margin - top)):
        for k in range(words + 1):
            occupied[top + line + origin_row, word + k] |= shifted(bits, line, k, words, shift) & frame[word + k]


@kernel
def clear_halo(row: int, column: int, brush: Brush, canvas: Canvas) -> None:
    """Make the shape and the pixels next to it background, which leaves a line around the cell drawn there next."""
    label_map, colors, occupied, halo = canvas.label_map, canvas.colors, canvas.occupied, brush.halo
    height, width = label_map.shape
    top, left = row + brush.box[TOP] - 1, column + brush.box[LEFT]
    words = brush.box[WORDS]
    bit = left + canvas.origin[1]
    word, shift = bit >> 6, np.uint64(bit & 63)
    for line in range(brush.box[ROWS] + 2):
        for k in range(words + 1):
            occupied[top + line + canvas.origin[0], word + k] &= ~shifted(halo, line, k, words, shift)
        if top + line < 0 or top + line >= height:
            continue
        for x in range(max(left, 0), min(left + 64 * words, width)):
            if (halo[line, (x - left) >> 6] >> np.uint64((x - left) & 63)) & np.uint64(1):
                label_map[top + line, x] = 0
                colors[top + line, x] = 0

"""AJI and panoptic quality read off the papers: cells as sets of pixels, every one compared with every other."""


def cells(label_map):
    """The pixels of every cell, the cells in raster order of their first pixel."""
    found = {}
    for row, line in enumerate(label_map.tolist()):
        for column, identity in enumerate(line):
            if identity:
                found.setdefault(identity, set()).add((row, column))
    return list(found.values())


def aji_by_pixel_loop(pred, true):
    """Kumar et al. 2017, algorithm 1; at least one cell in either map."""
    found, shared, united, used = cells(pred), 0, 0, set()
    for true_cell in cells(true):
        best, best_key = None, (0, 0)
        for index, cell in enumerate(found):
            both = len(true_cell & cell)
            key = (both / len(true_cell | cell), both)
            if key > best_key:
                best, best_key = index, key
        if best is None:
            united += len(true_cell)
        else:
            shared += len(true_cell & found[best])
            united += len(true_cell | found[best])
            used.add(best)
    united += sum(len(cell) for index, cell in enumerate(found) if index not in used)
    return shared / united


def pq_by_pixel_loop(pred, true):
    """Kirillov et al. 2019, equation 1, as (PQ, SQ, RQ); at least one cell in either map."""
    free, overlaps, missed = cells(pred), [], 0
    for true_cell in cells(true):
        match = [cell for cell in free if len(true_cell & cell) / len(true_cell | cell) > 0.5]
        if match:
            overlaps.append(len(true_cell & match[0]) / len(true_cell | match[0]))
            free.remove(match[0])
        else:
            missed += 1
    weight = len(overlaps) + len(free) / 2 + missed / 2
    return sum(overlaps) / weight, sum(overlaps) / len(overlaps) if overlaps else 0.0, len(overlaps) / weight

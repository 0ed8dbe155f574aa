"""How fast masks are sampled: against a plain NumPy twin, the floor, the number of cells, and threads.

    python experiments/benchmarks/bench_masks.py [--labels DIR] [--out DIR] [--twin-cells N]

One mask is 1920 x 1200 with 669 cells of 46 pixels, as in Bailo et al. (2019), Table 1; rotation, scale, flips and
colours included.
"""

import argparse
import csv
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rbc_lightning.masks import MaskSampler, ShapeBank

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
from oracles.full_map_sampler import FullMapSampler

HEIGHT, WIDTH, COUNT, CELL_SIZE = 1200, 1920, 669, 46.0
COUNTS = (100, 200, 300, 400, 500, 600, COUNT, 700, 800, 900)


def procedural_cells(n: int = 200) -> list[NDArray[np.int32]]:
    """Label maps of one round to oval cell each, of mean diameter 46; the sampler's own scale gives the spread."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[-40:41, -40:41]
    angle = np.arctan2(rows, columns)
    cells = []
    for _ in range(n):
        oval, bump = rng.uniform(0, 0.12), rng.uniform(0, 0.05)
        outline = 1 + oval * np.cos(2 * angle + rng.uniform(0, 6.3)) + bump * np.cos(3 * angle + rng.uniform(0, 6.3))
        cell = np.hypot(rows, columns) <= 23 * outline / np.sqrt(1 + (oval**2 + bump**2) / 2)
        cells.append(cell.astype(np.int32))
    return cells


def median_ms(call: Callable[[int], object], repeats: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Median time of a call in milliseconds; the first, which may compile or load a cache, does not count."""
    call(0)
    times = []
    for index in range(repeats):
        start = clock()
        call(index)
        times.append(clock() - start)
    return 1e3 * float(np.median(times))


def write_arrays(_: int) -> None:
    """What no sampler can avoid: allocate and fill the two output arrays."""
    np.zeros((HEIGHT, WIDTH), np.int32).fill(1)
    np.zeros((HEIGHT, WIDTH), np.uint8).fill(1)


def time_twin(bank: ShapeBank, cells: int) -> tuple[float, int]:
    """Seconds of one mask of the plain twin with so many cells, and the places it drew."""
    twin = FullMapSampler([bank.mask(index) for index in range(len(bank))], HEIGHT, WIDTH, CELL_SIZE)
    start = time.perf_counter()
    twin.sample(0, cells)
    return time.perf_counter() - start, twin.tried


def masks_per_second(sampler: MaskSampler, threads: int, n: int) -> float:
    """Throughput of a pool of threads."""
    with ThreadPoolExecutor(threads) as pool:
        start = time.perf_counter()
        for _ in pool.map(lambda seed: sampler.sample(seed, COUNT).placed, range(n)):
            pass
        return n / (time.perf_counter() - start)


def draw_plot(path: Path, rows: list[dict[str, float]], threads: list[dict[str, float]]) -> None:
    """Cost against the number of cells, and throughput against threads."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    left.plot([row["cells"] for row in rows], [row["ms"] for row in rows], "o-", color="#1f6f8b")
    left.set(xlabel="cells asked for", ylabel="ms per mask", title=f"{WIDTH} x {HEIGHT}, one core", ylim=(0, None))
    right.plot([row["threads"] for row in threads], [row["masks_per_s"] for row in threads], "o-", color="#b3541e")
    right.set(xlabel="threads", ylabel="masks per second", title=f"{COUNT} cells", ylim=(0, None))
    right.set_xticks([row["threads"] for row in threads])
    figure.savefig(path, dpi=150)
    plt.close(figure)


def write_csv(path: Path, rows: list[dict[str, float]]) -> None:
    """Write rows of numbers with their names."""
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def read_bank(labels: Path | None) -> ShapeBank:
    """Shape bank of a folder of 16-bit label PNGs, or of procedural cells."""
    if labels is None:
        return ShapeBank.from_label_maps(procedural_cells())
    paths = sorted(labels.glob("*.png"))
    return ShapeBank.from_label_maps(cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in paths)


def main() -> None:
    """Measure and print; with --out also write CSV files and a plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=Path, help="folder of 16-bit label PNGs to take the shapes from")
    parser.add_argument("--out", type=Path, help="folder for CSV files and the plot")
    parser.add_argument("--twin-cells", type=int, default=COUNT, help="cells of the twin's mask; 0 leaves it out")
    parser.add_argument("--repeats", type=int, default=40, help="masks per number")
    options = parser.parse_args()
    bank = read_bank(options.labels)
    sampler = MaskSampler(bank, HEIGHT, WIDTH, COUNT, 149, CELL_SIZE)

    masks = [sampler.sample(seed, COUNT) for seed in range(options.repeats)]
    pixels = float(np.mean([(mask.label_map > 0).sum() for mask in masks]))
    tried = float(np.mean([mask.places_tried for mask in masks]))
    missed = sum(mask.not_placed for mask in masks)
    fast, floor = median_ms(lambda seed: sampler.sample(seed, COUNT), options.repeats), median_ms(write_arrays, 40)
    # On a busy machine the wall clock also counts other people's work; the thread's own time shows by how much.
    own = median_ms(lambda seed: sampler.sample(seed, COUNT), options.repeats, time.thread_time)
    print(f"{WIDTH} x {HEIGHT}, {COUNT} cells, {len(bank)} shapes, rotation, scale, flips and colours included, one core")
    print(f"sampler    {fast:8.2f} ms per mask (median of {options.repeats}), {own:.2f} ms of it processor time;")
    lost = f"{missed} of {options.repeats * COUNT} cells not placed"
    print(f"           {tried:.0f} places tried, {pixels / 1e6:.2f} million pixels drawn; {lost}")
    print(f"floor      {floor:8.2f} ms to allocate and fill the two output arrays ({HEIGHT * WIDTH * 5 / 1e6:.1f} MB);")
    print(f"           the sampler takes {fast / floor:.1f} times that")
    summary = {"cells": COUNT, "ms": fast, "cpu_ms": own, "floor_ms": floor, "pixels": pixels, "places_tried": tried}
    if options.twin_cells > 0:
        seconds, drawn = time_twin(bank, options.twin_cells)
        whole = seconds * COUNT / options.twin_cells
        how = "one whole mask" if options.twin_cells == COUNT else f"extrapolated from {options.twin_cells} cells"
        print(f"twin       {1e3 * whole:8.0f} ms per mask ({how}; {drawn} places tried)")
        print(f"ratio      {1e3 * whole / fast:8.0f}")
        summary |= {"twin_ms": 1e3 * whole, "twin_cells": options.twin_cells, "ratio": 1e3 * whole / fast}

    rows: list[dict[str, float]] = []
    print("\n cells  placed       ms  us per cell")
    for count in COUNTS:
        placed = float(np.mean([sampler.sample(seed, count).placed for seed in range(5)]))
        cost = median_ms(lambda seed, n=count: sampler.sample(seed, n), max(5, options.repeats // 2))
        rows.append({"cells": count, "placed": placed, "ms": cost, "us_per_cell": 1e3 * cost / count})
        print(f"{count:6d} {placed:7.1f} {cost:8.2f} {1e3 * cost / count:12.1f}")

    threads: list[dict[str, float]] = []
    print("\nthreads  masks per second")
    for n in sorted({1, 2, os.cpu_count() or 1}):
        rate = masks_per_second(sampler, n, max(20, options.repeats))
        threads.append({"threads": n, "masks_per_s": rate})
        print(f"{n:7d} {rate:17.0f}")

    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        write_csv(options.out / "masks_summary.csv", [summary])
        write_csv(options.out / "masks_by_cells.csv", rows)
        write_csv(options.out / "masks_by_threads.csv", threads)
        draw_plot(options.out / "masks.png", rows, threads)
        print(f"\nwritten to {options.out}")


if __name__ == "__main__":
    main()

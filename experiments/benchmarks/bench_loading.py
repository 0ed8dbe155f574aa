"""Does loading starve training? Time per batch of loading against time per step of FCN-8s, at 1920 x 1200 and 669 cells.

    python experiments/benchmarks/bench_loading.py [--out DIR] [--images N] [--threads N] [--gpu]

All ten augmentations of the paper (conf/augment/paper.yaml) on every sample, each at its configured probability and, as the
worst case, each at 1. "first": every image is decoded; "kept": it is kept decoded from an earlier draw. Training waits for its
loader where the ratio is above 1. Loading and steps are timed apart: on a CPU they share the cores, and the ratio with 0
workers is what loading adds to a step.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import torch
import yaml
from bench_masks import write_csv

from rbc_lightning.data.augment.transforms import build_augmentation
from rbc_lightning.data.datamodule import PairDataModule
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.mix import Mix
from rbc_lightning.data.readers.folder import read_folder
from rbc_lightning.data.readers.phantom import PhantomSpec, write_phantom
from rbc_lightning.data.stream import CACHE_BYTES
from rbc_lightning.segmenters.fcn8s.nets import FCN8s
from rbc_lightning.segmenters.losses import SoftDice

PAPER = Path(__file__).resolve().parents[2] / "conf" / "augment" / "paper.yaml"
# Crop side in pixels (None: whole fields), and samples in a batch.
REGIONS: dict[str, tuple[int | None, int]] = {"4 crops of 512 x 512": (512, 4), "1 whole 1920 x 1200": (None, 1)}
WIDTHS = {"demo": 0.25, "paper": 1.0}
Row = dict[str, Any]


def paper_transforms(certain: bool) -> dict[str, dict[str, Any]]:
    """The ten of the paper as configured, or each with probability 1."""
    transforms: dict[str, dict[str, Any]] = yaml.safe_load(PAPER.read_text())["transforms"]
    return {name: {**parameters, "p": 1.0} for name, parameters in transforms.items()} if certain else transforms


def datamodule(manifest: Manifest, region: str, certain: bool, workers: int, cache_bytes: int) -> PairDataModule:
    """A training set of augmented samples alone: the dearest mix."""
    crop, batch_size = REGIONS[region]
    return PairDataModule(
        manifest,
        (),
        Mix(real=0, synthetic=0, augmented=len(manifest.split("train"))),
        augment=build_augmentation(paper_transforms(certain)),
        crop=crop,
        batch_size=batch_size,
        steps_per_epoch=10_000,
        seed=0,
        num_workers=workers,
        cache_bytes=cache_bytes,
    )


def batch_ms(data: PairDataModule, batches: int) -> float:
    """Milliseconds per batch in steady state, nobody else waiting: the first batches, which start the workers, do not count."""
    loader: Iterator[dict[str, Any]] = iter(data.train_dataloader())
    warm = 2 * max(1, data.num_workers) + len(data.manifest.split("train"))
    for _ in range(warm):
        next(loader)
    start = time.perf_counter()
    for _ in range(batches):
        next(loader)
    return 1e3 * (time.perf_counter() - start) / batches


def step_ms(region: str, width: float, device: str, repeats: int) -> float:
    """Milliseconds of one step of FCN-8s: forward, 1 - Dice, backward, AdamW; bf16 where the training takes it."""
    crop, batch_size = REGIONS[region]
    height, columns = (crop, crop) if crop else (1200, 1920)
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(batch_size, 3, height, columns, generator=generator).to(device, memory_format=torch.channels_last)
    target = (image[:, :1] > 0.5).float()
    net = FCN8s(n_classes=1, width=width, batch_norm=True, dropout=0.1).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), fused=True)
    half = device == "cuda" or "avx512_bf16" in cpu_flags()

    def step() -> None:
        with torch.autocast(device, torch.bfloat16, enabled=half):
            loss = SoftDice()(net(image), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return min(timed(step) for _ in range(repeats))


def timed(call: Callable[[], None]) -> float:
    """Milliseconds of one call."""
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)


def cpu_flags() -> str:
    """What the processor says of itself; nothing where it cannot be asked."""
    path = Path("/proc/cpuinfo")
    return path.read_text() if path.is_file() else ""


def main() -> None:
    """Measure and print; with --out also write a CSV file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder for the CSV file")
    parser.add_argument("--images", type=int, default=8, help="phantom fields to draw samples from")
    parser.add_argument("--batches", type=int, default=12, help="batches per figure of loading")
    parser.add_argument("--steps", type=int, default=2, help="steps per figure of training, the fastest counts")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2], help="numbers of loader processes")
    parser.add_argument("--threads", type=int, help="threads of a training step")
    parser.add_argument("--gpu", action="store_true", help="take the steps on the GPU, if there is one")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    device = "cuda" if options.gpu and torch.cuda.is_available() else "cpu"

    name = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"Seconds per training step of FCN-8s ({name})")
    steps = {}
    for region in REGIONS:
        for label, width in WIDTHS.items():
            steps[region, label] = step_ms(region, width, device, options.steps)
            print(f"  {region:22s} {label:6s} width {steps[region, label] / 1e3:8.3f}")

    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory) / "phantom"
        write_phantom(root, PhantomSpec(count_std=0.0), options.images, 1, 0)
        manifest = read_folder(root)
        print(f"\nSeconds per batch of loading, {options.images} fields, and its ratio to a step at demo and paper width")
        print("batch                  images  augmented  workers  s per batch    demo   paper")
        for region in REGIONS:
            for images, cache_bytes in (("first", 0), ("kept", CACHE_BYTES)):
                for certain in (False, True):
                    for workers in options.workers:
                        cost = batch_ms(datamodule(manifest, region, certain, workers, cache_bytes), options.batches)
                        ratios = {f"over_{label}_step": cost / steps[region, label] for label in WIDTHS}
                        row: Row = {"batch": region, "images": images, "augmented": "at 1" if certain else "at p"}
                        row |= {"workers": workers, "ms_per_batch": cost, **ratios}
                        row |= {f"{label}_step_ms": steps[region, label] for label in WIDTHS}
                        rows.append(row | {"device": name})
                        shown = "".join(f"{ratio:8.3f}" for ratio in ratios.values())
                        print(f"{region:22s} {images:7s} {row['augmented']:10s} {workers:7d} {cost / 1e3:12.3f}{shown}")
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        write_csv(options.out / "loading.csv", rows)
        print(f"\nwritten to {options.out}")


if __name__ == "__main__":
    main()

"""How fast the translator is: instance means, one training step, one painted smear, each against its plain twin or a floor.

    python experiments/benchmarks/bench_translator.py [--out DIR] [--threads N] [--gpu]

Sizes are those of Bailo et al. (2019) and the public pix2pixHD: 669 cells, 16 filters, 4 halvings, 9 residual blocks. Both
sides of a ratio take turns in one process. Where other programs share the machine set OMP_WAIT_POLICY=passive: threads that
spin while they wait for a core that someone else has would measure that someone.
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_masks import median_ms, procedural_cells, write_csv
from torch import Tensor

from rbc_lightning.core.labels import instance_mean, paint_table, semantic_condition
from rbc_lightning.masks import MaskSampler, ShapeBank
from rbc_lightning.translators.conditioning import generator_input, reflect_pad, seeded_noise
from rbc_lightning.translators.pix2pixhd.layers import pool_instances
from rbc_lightning.translators.pix2pixhd.task import Pix2PixHDTask

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
from oracles.instance_mean_loop import instance_mean_loop
from oracles.plain_gan_step import PlainGanStep

HEIGHT, WIDTH, COUNT = 1200, 1920, 669
SIZES: dict[str, Any] = {"base_channels": 16, "n_downsample": 4, "n_blocks": 9, "encoder_channels": 16, "encoder_downsample": 4}
PAPER_SECONDS = 0.5
Row = dict[str, Any]


class BareTask(Pix2PixHDTask):
    """The task without a trainer around it: its `training_step` alone is timed."""

    def prepare(self, device: str = "cpu") -> "BareTask":
        """Move to the device and make the optimisers there."""
        self.to(device)
        self._made = self.configure_optimizers()[0]
        return self

    def optimizers(self, use_pl_optimizer: bool = True) -> Any:  # noqa: ANN401, ARG002  # Lightning's signature
        """Return the optimisers, generator's first."""
        return self._made

    def manual_backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Run the backward pass."""
        loss.backward(*args, **kwargs)

    def log_dict(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Log nothing."""


def sample_mask(height: int, width: int) -> Tensor:
    """Label map (1, height, width) of 669 cells: a full-size one made smaller by nearest pixels, as in the paper."""
    bank = ShapeBank.from_label_maps(procedural_cells())
    mask = MaskSampler(bank, HEIGHT, WIDTH, COUNT, 149, 46.0).sample(0, COUNT).label_map.astype(np.int64)
    rows, columns = (np.arange(n) * full // n for n, full in ((height, HEIGHT), (width, WIDTH)))
    return torch.from_numpy(mask[rows[:, None], columns])[None]


def make_batch(height: int, width: int, device: str = "cpu") -> dict[str, Any]:
    """One random image with its label map."""
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    batch = {"image": image, "label_map": sample_mask(height, width), "noise_seed": torch.tensor([0])}
    return {name: value.to(device) for name, value in batch.items()} | {"sample_id": ["bench"]}


def in_turns(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each call, one after the other in every round; the first round does not count."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for index in range(rounds + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if index:
                times[name].append(1e3 * (time.perf_counter() - start))
    return times


def bench_pooling(repeats: int) -> list[Row]:
    """Instance means at 640 x 1024 with 669 cells and three channels, everything on one thread.

    The loop's small pieces only get slower when threads share them.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    label_map = sample_mask(640, 1024)
    features = torch.randn(1, 3, 640, 1024, generator=torch.Generator().manual_seed(0))
    exact = instance_mean_loop(features.double(), label_map)
    out = torch.empty_like(features)
    calls: dict[str, Callable[[], Any]] = {
        "loop over instances": partial(instance_mean_loop, features, label_map),
        "scatter and gather (nets)": partial(pool_instances, features, label_map),
        "compiled loop (ops)": partial(instance_mean, features, label_map),
        "floor: copy three channels": partial(out.copy_, features),
    }
    slow = median_ms(lambda _: calls["loop over instances"](), max(2, repeats // 10))
    print(f"\nInstance means, 640 x 1024, {len(label_map.unique()) - 1} cells, 3 channels, one thread")
    print("way                              ms    ratio   largest error")
    rows: list[Row] = []
    for name, call in calls.items():
        cost = slow if name.startswith("loop") else median_ms(lambda _, call=call: call(), repeats)
        error = float("nan") if name.startswith("floor") else float((call() - exact).abs().max())
        rows.append({"way": name, "ms": cost, "ratio": slow / cost, "error": error})
        print(f"{name:26s} {cost:8.2f} {slow / cost:8.0f} {error:15.1e}")
    torch.set_num_threads(threads)
    return rows


def bench_step(rounds: int) -> list[Row]:
    """One step of generator, encoder and discriminator at 512 x 320 against the plain way."""
    batch = make_batch(320, 512)
    task = BareTask(style="concat", **SIZES)
    plain = PlainGanStep(task, pool_instances)
    looped = PlainGanStep(task, instance_mean_loop)
    task.prepare()
    modulated = BareTask(style="modulated", **SIZES).prepare()
    compiled = BareTask(style="concat", compile=True, **SIZES).prepare()

    def half(task: BareTask) -> None:
        with torch.autocast("cpu", torch.bfloat16):
            task.training_step(batch, 0)

    pair = batch["image"], batch["label_map"]
    steps = {"plain": lambda: plain.step(*pair)}
    steps |= {name: partial(t.training_step, batch, 0) for name, t in (("task", task), ("compiled", compiled))}
    times = in_turns(steps, rounds)
    ratio = float(np.median(np.divide(times["plain"], times["task"])))
    times |= in_turns({"bf16": lambda: half(task), "modulated": lambda: modulated.training_step(batch, 0)}, max(2, rounds // 2))
    times |= in_turns({"looped": lambda: looped.step(*pair)}, 2)
    names = {
        "looped": "plain, loop pooling, fp32",
        "plain": "plain, vectorised pooling, fp32",
        "task": "Pix2PixHDTask concat, fp32",
        "compiled": "Pix2PixHDTask concat, fp32, compiled",
        "bf16": "Pix2PixHDTask concat, bf16",
        "modulated": "Pix2PixHDTask modulated, fp32",
    }
    ours = float(np.median(times["task"]))
    print(f"\nOne step of G, E and D at 512 x 320, 16 filters, batch 1, {COUNT} cells, {torch.get_num_threads()} threads")
    print("way                                       ms  over the task's")
    rows: list[Row] = []
    for key, name in names.items():
        cost = float(np.median(times[key]))
        against = ratio if key == "plain" else cost / ours
        rows.append({"way": name, "ms": cost, "over_task": against, "threads": torch.get_num_threads()})
        print(f"{name:36s} {cost:8.0f} {against:13.2f}")
    return rows


def painter(style: str, precision: str, device: str, label_map: Tensor, compiled: bool = False) -> Callable[[], Tensor]:
    """Return what paints one image from its label map: condition, styles and noise included, nothing written."""
    task = BareTask(style=style, **SIZES, channels_last="channels_last" in precision).to(device).eval()  # type: ignore[arg-type]
    settings, generator = task.settings, torch.compile(task.generator) if compiled else task.generator
    table = torch.rand(1, int(label_map.max()) + 1, settings.style_channels, device=device)
    memory = torch.channels_last if "channels_last" in precision else torch.contiguous_format

    @torch.inference_mode()
    def paint() -> Tensor:
        ids = reflect_pad(label_map.to(device), settings.multiple)
        noise = seeded_noise([0], settings.noise_channels, ids)
        x = generator_input(semantic_condition(ids), paint_table(table, ids), noise).contiguous(memory_format=memory)
        with torch.autocast(device, torch.bfloat16, enabled="bf16" in precision):
            return generator(x)[..., :HEIGHT, :WIDTH].float().cpu()

    return paint


def bench_painting(repeats: int) -> list[Row]:
    """One smear of 1920 x 1200 on the CPU."""
    label_map = sample_mask(HEIGHT, WIDTH)
    threads = torch.get_num_threads()
    print(f"\nOne image, {WIDTH} x {HEIGHT}, 16 filters, {threads} threads (the paper: {PAPER_SECONDS} s on its GPU)")
    print("way                       s per image")
    rows: list[Row] = []
    for style in ("concat", "modulated"):
        for precision in ("fp32", "bf16"):
            paint = painter(style, precision, "cpu", label_map)
            seconds = median_ms(lambda _, paint=paint: paint(), repeats) / 1e3
            rows.append({"way": f"{style}, {precision}", "s_per_image": seconds, "threads": torch.get_num_threads()})
            print(f"{style + ', ' + precision:25s} {seconds:11.2f}")
    return rows


def bench_device(device: str, style: str, step_size: tuple[int, int], repeats: int) -> list[Row]:
    """Training step and painting in every precision, with peak memory; for a CUDA device."""
    print(
        f"\n{torch.cuda.get_device_name()}, style={style}: step at {step_size[1]} x {step_size[0]}, painting {WIDTH} x {HEIGHT}"
    )
    print("precision                      ms per step   GiB   images per s   GiB")
    label_map, batch = sample_mask(HEIGHT, WIDTH), make_batch(*step_size, device)
    rows: list[Row] = []
    for precision in ("fp32", "bf16", "bf16, channels_last", "bf16, channels_last, compiled"):
        compiled = "compiled" in precision
        options = {"channels_last": "channels_last" in precision, "compile": compiled}
        task = BareTask(style=style, **SIZES, **options).prepare(device)  # type: ignore[arg-type]

        def step(task: BareTask = task, half: bool = "bf16" in precision) -> None:
            with torch.autocast(device, torch.bfloat16, enabled=half):
                task.training_step(batch, 0)
            torch.cuda.synchronize()

        row: Row = {"style": style, "precision": precision}
        for name, call in (("step", step), ("paint", painter(style, precision, device, label_map, compiled))):
            call()
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            row[f"{name}_ms"] = median_ms(lambda _, call=call: call(), repeats)
            row[f"{name}_gib"] = torch.cuda.max_memory_allocated() / 2**30
        rows.append(row)
        costs = f"{row['step_ms']:12.1f} {row['step_gib']:5.2f} {1e3 / row['paint_ms']:14.1f} {row['paint_gib']:5.2f}"
        print(f"{precision:29s} {costs}")
    return rows


def main() -> None:
    """Measure and print; with --out also write CSV files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder for CSV files")
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch on the CPU")
    parser.add_argument("--rounds", type=int, default=9, help="training steps per side")
    parser.add_argument("--gpu", action="store_true", help="also measure on the CUDA device")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)

    tables = {
        "translator_pooling": bench_pooling(10 * options.rounds),
        "translator_step": bench_step(options.rounds),
        "translator_painting": bench_painting(max(1, options.rounds // 3)),
    }
    if options.gpu and torch.cuda.is_available():
        both = [bench_device("cuda", style, (640, 1024), 20) for style in ("concat", "modulated")]
        tables["translator_gpu"] = [row for rows in both for row in rows]
    elif options.gpu:
        print("\nNo CUDA device is at hand: the GPU rows are left out.")
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        for name, rows in tables.items():
            write_csv(options.out / f"{name}.csv", rows)
        print(f"\nwritten to {options.out}")


if __name__ == "__main__":
    main()

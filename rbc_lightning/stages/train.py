"""`stage=train`: make whatever is missing upstream, train on the mix, test on real images, tell the outcome."""

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import Logger

from rbc_lightning.data.copy_paste import build_training_augmentation
from rbc_lightning.data.datamodule import Paint, SmearDataModule
from rbc_lightning.data.dataset import DrawLabelMap, empty_label_maps
from rbc_lightning.data.formats import read_image, read_label_map, write_atomically
from rbc_lightning.data.manifest import Record
from rbc_lightning.data.mix import Mix
from rbc_lightning.errors import InputError, blaming
from rbc_lightning.report.figures import save_run_figure
from rbc_lightning.report.tables import COLUMNS, OPTIMISTIC, outcome_table
from rbc_lightning.stages.inputs import Inputs, console, derive_seed, load_inputs, splits_fingerprint
from rbc_lightning.stages.run_directory import METRICS, identity, machine, run_directory, write_csv, write_json, write_rows
from rbc_lightning.stages.segmenter import build_task, find_cells, fit, is_begun, load_best, with_measured_sizes
from rbc_lightning.stages.synthesize import get_synthetic, online_synthetic
from rbc_lightning.stages.tracking.loggers import build_loggers, close_loggers, show
from rbc_lightning.stages.tracking.wandb_tables import log_pairs, log_predictions, log_summary
from rbc_lightning.stages.training import precision
from rbc_lightning.tasks.base import BaseTask


@dataclass(frozen=True)
class TrainResult:
    """A finished run: its directory and its metrics, and whether it was there already."""

    directory: Path
    metrics: dict[str, Any]
    reused: bool

    def summary(self) -> str:
        """One line for the end of the run."""
        again = " (finished earlier; rerun=true trains it again)" if self.reused else ""
        return f"Run directory: {self.directory}{again}; look at figures/run.png in it"


def run(cfg: DictConfig) -> TrainResult:
    """Train and test one cell of the grid, or report it when this very run is finished."""
    inputs = load_inputs(cfg)
    mix = resolve_mix(cfg, inputs)
    data_hash = splits_fingerprint(inputs.manifest)
    directory = run_directory(cfg, mix, data_hash)
    directory.parent.mkdir(parents=True, exist_ok=True)
    # A second process with the same run waits, and then finds it finished.
    with FileLock(directory.with_name(f".{directory.name}.lock")):
        if cfg.rerun and directory.is_dir():
            shutil.rmtree(directory)
        reused = (directory / METRICS).is_file()
        if not reused:
            _train(cfg, inputs, mix, directory, data_hash)
    metrics = _read_metrics(directory)
    if reused:
        _announce(metrics, inputs)
    console.print(outcome_table(metrics, Path(cfg.runs_dir)))
    return TrainResult(directory, metrics, reused)


def _read_metrics(directory: Path) -> dict[str, Any]:
    try:
        metrics: dict[str, Any] = json.loads((directory / METRICS).read_text())
    except ValueError as error:
        raise InputError(
            f"{directory / METRICS}: damaged ({error}); expected the record of a finished run: delete that file, and the same "
            "command writes it again, or take rerun=true"
        ) from error
    return metrics


def resolve_mix(cfg: DictConfig, inputs: Inputs) -> Mix:
    """The mix's counts for this data set."""
    settings: Any = OmegaConf.to_container(cfg.mix, resolve=True)
    return Mix.resolve(len(inputs.manifest.split("train")), **settings)


def _train(cfg: DictConfig, inputs: Inputs, mix: Mix, directory: Path, data_hash: str) -> None:
    started = time.monotonic()
    seed = derive_seed(cfg.seed, "training")
    torch.manual_seed(seed)
    cfg = with_measured_sizes(cfg, inputs.manifest)
    with blaming("model"):
        task = build_task(cfg)
        # A network that does not fit its task is told of before anything is written.
        find_cells(cfg, task, np.zeros((64, 64, 3), dtype=np.uint8))
    task.train()
    data = _data(cfg, inputs, mix, seed)
    loggers = build_loggers(cfg, directory, job="train", tags=[mix.column, cfg.model.name], facts=cell_facts(cfg, mix))
    try:
        write_atomically(directory / "config.yaml", lambda part: part.write_text(OmegaConf.to_yaml(cfg, resolve=True)))
        console.print(
            f"{'Resuming' if is_begun(directory) else 'Training'} {cfg.model.name} on {COLUMNS.get(mix.column, 'a mix')}: "
            f"{mix.real} real, {mix.synthetic} synthetic, {mix.augmented} augmented samples; {cfg.training.steps} steps "
            f"with batches of {cfg.training.batch_size}"
        )
        trainer, best = fit(cfg, directory, task, data, seed=seed, steps=cfg.training.steps, loggers=loggers)
        task = load_best(directory, cfg)
        scores = trainer.test(task, datamodule=data, verbose=False)[0]
        _write_counts(directory, data, cfg.training.steps)
        write_rows(directory / "per_image.csv", task.per_image)
        _draw(cfg, directory, data, task)
        about = {
            "data_hash": data_hash,
            "seconds": round(time.monotonic() - started, 1),
            "machine": machine(),
            "artifacts": inputs.store.used,
        }
        record = {**scores, **_selection(cfg, task, best), **_record(cfg, mix, task), **about}
        # Written last: its presence says that the run is whole.
        write_json(directory / METRICS, record)
        # Behind it: a run is whole without Weights & Biases.
        _show(cfg, loggers, data, task, record)
    finally:
        close_loggers(loggers)


def cell_facts(cfg: DictConfig, mix: Mix) -> dict[str, str]:
    """What a dashboard groups and filters runs by: data set, column, and cell of the table, which is model and column."""
    cell = f"{cfg.model.name} {COLUMNS.get(mix.column, mix.column)}"
    return {"dataset": cfg.data.name, "column": mix.column, "cell": cell}


def _selection(cfg: DictConfig, task: BaseTask, best: float | None) -> dict[str, Any]:
    """How the weights were chosen."""
    on_test = cfg.protocol == "paper"
    return {
        # The best value that chose the weights; with protocol=paper one of the test split.
        task.monitor.replace("val/", "selection/") if on_test else task.monitor: best,
        "selected_on": "test" if on_test else "val",
        "optimistic": on_test,
        "headline": task.monitor.replace("val/", "test/"),
    }


def _record(cfg: DictConfig, mix: Mix, task: BaseTask) -> dict[str, Any]:
    """What was trained."""
    return {
        "column": mix.column,
        "mix": {"real": mix.real, "synthetic": mix.synthetic, "augmented": mix.augmented, "total": mix.total},
        "ratio": None if cfg.mix.ratio is None else list(cfg.mix.ratio),
        "model": cfg.model.name,
        "data": cfg.data.name,
        "protocol": cfg.protocol,
        "identity": identity(cfg, mix),
        "seed": cfg.seed,
        "steps": cfg.training.steps,
        "n_test": len(task.per_image),
        "precision": precision(cfg.trainer.precision),
    }


def _show(cfg: DictConfig, loggers: list[Logger], data: SmearDataModule, task: BaseTask, record: dict[str, Any]) -> None:
    """Give Weights & Biases, if it is asked for, the scores and pictures of a finished run."""
    painted = data.train_set.pools.get("synthetic", ())
    show(loggers, "the summary", lambda run: log_summary(run, record))
    show(loggers, "predictions", lambda run: log_predictions(run, cfg, task, data.manifest.split("test")))
    show(loggers, "synthetic pairs", lambda run: log_pairs(run, painted))


def _data(cfg: DictConfig, inputs: Inputs, mix: Mix, seed: int) -> SmearDataModule:
    """The datamodule of the mix, its synthetic pairs made or found."""
    settings: Any = OmegaConf.to_container(cfg.augment, resolve=True)
    train = inputs.manifest.split("train")
    # Donor cells are not read for a mix that pastes none.
    augment = build_training_augmentation(settings, train, seed) if mix.augmented else None
    empty = empty_label_maps(train)
    if empty:
        console.print(f"note: {len(empty)} training label maps without a cell count as background: {', '.join(empty)}")
    synthetic, paint = _synthetic(cfg, inputs, mix)
    return SmearDataModule(
        inputs.manifest,
        synthetic,
        mix,
        augment=augment,
        crop=cfg.training.crop,
        batch_size=cfg.training.batch_size,
        steps_per_epoch=cfg.training.steps_per_epoch,
        seed=seed,
        num_workers=cfg.trainer.num_workers,
        paint=paint,
        select_on="test" if cfg.protocol == "paper" else "val",
    )


def _announce(metrics: dict[str, Any], inputs: Inputs) -> None:
    """Name what a finished run was made from, as far as it is still there."""
    for kind, key in metrics.get("artifacts", {}).items():
        if kind not in inputs.store.used and (inputs.store.root / kind / key).is_dir():
            console.print(f"Reused {kind} {key}")


def _synthetic(cfg: DictConfig, inputs: Inputs, mix: Mix) -> tuple[tuple[Record, ...] | DrawLabelMap, Paint | None]:
    """Pairs on disk, or the means to make them on the fly."""
    if cfg.synthetic.mode == "online" and mix.synthetic:
        return online_synthetic(cfg, inputs)
    return get_synthetic(cfg, inputs, mix.synthetic), None


def _write_counts(directory: Path, data: SmearDataModule, steps: int) -> None:
    rows = [(*key, count) for key, count in sorted(data.drawn_counts(steps).items())]
    write_csv(directory / "drawn.csv", ("origin", "sample_id", "augmented", "draws"), rows)


def _draw(cfg: DictConfig, directory: Path, data: SmearDataModule, task: BaseTask) -> None:
    test = data.manifest.split("test")[0]
    pairs = [(kind, pool[0]) for kind, pool in data.train_set.pools.items() if pool]
    panels = [(kind, read_image(record.image_path), read_label_map(record.label_path)) for kind, record in pairs]
    image, label_map = read_image(test.image_path), read_label_map(test.label_path)
    found = find_cells(cfg, task, image)
    note = OPTIMISTIC if cfg.protocol == "paper" else ""
    save_run_figure(directory / "figures" / "run.png", panels, test.sample_id, image, label_map, found, note)

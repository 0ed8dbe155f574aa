"""Lightning trainers: processes, precision, seeds, resuming."""

import logging
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.callbacks import ModelCheckpoint, ProgressBar
from pytorch_lightning.loggers import CSVLogger, Logger
from pytorch_lightning.strategies import DDPStrategy

from rbc_lightning.core.callbacks import SeedEachEpoch, progress_bar
from rbc_lightning.core.trainer import TrainerSettings, resolve_precision

LAST = Path("checkpoints") / "last.ckpt"
"""The checkpoint that an interrupted training goes on from, below its directory."""
_HALF = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


class SharedBatch(DDPStrategy):
    """DDP whose processes start for one `fit` and end with it: sampling, painting and reports stay in the main process.

    Gradients are averaged over the processes, each of which takes an equal share of every batch.

    Args:
        start_method: "spawn" for new interpreters, right everywhere; "fork" for copies of this process, at once, but on the
            CPU only and with one thread each.
    """

    def __init__(self, start_method: Literal["spawn", "fork"] = "spawn") -> None:
        # Lightning's own environment: inside a cluster's job, too, it is this process that starts the others.
        super().__init__(start_method=start_method, cluster_environment=LightningEnvironment())

    def setup_environment(self) -> None:
        """Join the other processes."""
        # A new interpreter has to be told again.
        _quiet()
        if self._start_method == "fork":
            # The threads of the copied process are gone, yet its OpenMP would wait for them forever.
            torch.set_num_threads(1)
        super().setup_environment()

    def configure_ddp(self) -> None:
        """Wrap the task for the averaging of its gradients."""
        task = self.lightning_module
        # Of two networks stepped in turn, one has no gradient in each backward pass; DDP would wait for it.
        self._ddp_kwargs["find_unused_parameters"] = task is not None and not task.automatic_optimization
        super().configure_ddp()

    def validation_step(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (Lightning's)
        """Validate without the wrapper, which waits for the others at every image: processes may have more or fewer."""
        task = self.lightning_module
        assert task is not None
        with self.precision_plugin.val_step_context():
            return task.validation_step(*args, **kwargs)


def build_trainer(
    settings: TrainerSettings,
    directory: Path,
    *,
    seed: int,
    callbacks: Sequence[pl.Callback],
    loggers: Sequence[Logger],
    max_epochs: int = -1,
    max_steps: int = -1,
    limit_val_batches: int | None = None,
) -> pl.Trainer:
    """A trainer as the settings say, writing into `directory` only.

    With several processes what they change in callbacks stays with them: read results from their checkpoints.

    Args:
        settings: device, processes, precision.
        directory: for checkpoints.
        seed: PyTorch's generators start each epoch from (seed, epoch), so that a resumed run ends as an undisturbed one.
        callbacks: besides the progress bar.
        loggers: may be empty.
        max_epochs: -1 for no limit.
        max_steps: -1 for no limit.
        limit_val_batches: 0 for a training without validation.
    """
    _quiet()
    bars = [progress_bar()] if settings.progress_bar else []
    return pl.Trainer(
        accelerator=settings.accelerator,
        devices=settings.processes,
        strategy="auto" if settings.processes == 1 else SharedBatch("fork" if settings.strategy == "ddp_fork" else "spawn"),
        precision=resolve_precision(settings.precision),
        default_root_dir=directory,
        callbacks=[SeedEachEpoch(seed), *callbacks, *settings.callbacks, *bars],
        logger=list(loggers) or False,
        enable_progress_bar=any(isinstance(bar, ProgressBar) for bar in bars),
        enable_model_summary=False,
        num_sanity_val_steps=0,
        # Our stream sampler already shares samples out among processes.
        use_distributed_sampler=False,
        log_every_n_steps=1,
        max_epochs=max_epochs,
        max_steps=max_steps,
        limit_val_batches=limit_val_batches,
    )


def test_trainer(settings: TrainerSettings, directory: Path, trainer: pl.Trainer) -> pl.Trainer:
    """A trainer of one process, so that a test sees every image once; `trainer` itself where it has one only."""
    if trainer.num_devices == 1:
        return trainer
    # A second CSV logger would begin by deleting the curves that the first process wrote.
    loggers = [logger for logger in trainer.loggers if not isinstance(logger, CSVLogger)]
    return build_trainer(replace(settings, devices=1), directory, seed=0, callbacks=[], loggers=loggers)


def last_checkpoint(directory: Path) -> ModelCheckpoint:
    """Keep `last.ckpt`, written when an epoch has ended: a resumed training starts the next one afresh."""
    # Not `save_last`: beside `save_top_k=0` Lightning would write it at the end of the training only.
    return ModelCheckpoint(
        dirpath=directory, filename="last", save_top_k=1, save_on_train_epoch_end=True, enable_version_counter=False
    )


def fit_or_resume(trainer: pl.Trainer, task: pl.LightningModule, data: pl.LightningDataModule, last: Path) -> None:
    """Train, going on from the checkpoint `last` where there is one.

    Raises:
        KeyboardInterrupt: the user stopped it.
    """
    if last.is_file():
        begun = torch.load(last, map_location="cpu", weights_only=True)["epoch"] + 1
        print(f"Going on after epoch {begun}", flush=True)
    try:
        trainer.fit(task, datamodule=data, ckpt_path=str(last) if last.is_file() else None, weights_only=True)
    except SystemExit as ended:
        # Lightning makes an exit of Ctrl-C.
        if trainer.interrupted:
            raise KeyboardInterrupt from ended
        raise


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The arithmetic of a trainer outside of it; `precision` is its setting, by its name or "auto"."""
    half = _HALF.get(resolve_precision(precision))
    return torch.autocast(device.type, dtype=half, enabled=half is not None)


def begun_epochs(directory: Path) -> int:
    """Epochs after which an interrupted training in `directory` would go on; 0 where there is none."""
    try:
        # Mapped, not read: of gigabytes only the page with the number.
        return int(torch.load(directory / LAST, map_location="cpu", weights_only=True, mmap=True)["epoch"]) + 1
    except Exception:
        # Of any type, as a file that was cut off in the middle has it: then the training begins anew, too.
        return 0


def _quiet() -> None:
    """Silence notices about hardware, tips, and what this package does on purpose."""
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for notice in (
        "does not have many workers",
        "Checkpoint directory .* exists",
        "LeafSpec",
        "Experiment logs directory",
        "You passed in a",
        # On resuming, a callback is told of no value yet for what it monitors.
        "could not find the monitored key",
    ):
        warnings.filterwarnings("ignore", message=f".*{notice}.*")

"""Lightning trainers from the configuration: processes, precision, seeds, resuming."""

import logging
import warnings
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from omegaconf import DictConfig
from pytorch_lightning.callbacks import ModelCheckpoint, ProgressBar
from pytorch_lightning.loggers import CSVLogger, Logger
from pytorch_lightning.strategies import DDPStrategy

from rbc_lightning.callbacks import SeedEachEpoch, progress_bar
from rbc_lightning.errors import InputError
from rbc_lightning.stages.settings import process_count


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


def build_trainer(
    cfg: DictConfig,
    directory: Path,
    *,
    seed: int,
    callbacks: list[pl.Callback],
    loggers: list[Logger],
    max_epochs: int = -1,
    max_steps: int = -1,
    limit_val_batches: int | None = None,
) -> pl.Trainer:
    """A trainer as the config's `trainer` group says, writing into `directory` only.

    With several processes what they change in callbacks stays with them: read results from their checkpoints.

    Args:
        cfg: the whole configuration.
        directory: for checkpoints.
        seed: PyTorch's generators start each epoch from (seed, epoch), so that a resumed run ends as an undisturbed one.
        callbacks: besides the progress bar.
        loggers: may be empty.
        max_epochs: -1 for no limit.
        max_steps: -1 for no limit.
        limit_val_batches: 0 for a training without validation.

    Raises:
        InputError: the config asks for a GPU, and there is none.
    """
    _quiet()
    settings = cfg.trainer
    if settings.accelerator == "gpu" and not torch.cuda.is_available():
        raise InputError("trainer.accelerator=gpu, yet no CUDA device is at hand; take trainer=cpu")
    bars = [progress_bar()] if settings.progress_bar else []
    return pl.Trainer(
        accelerator=settings.accelerator,
        devices=process_count(cfg),
        strategy=_strategy(cfg),
        precision=precision(settings.precision),
        default_root_dir=directory,
        callbacks=[SeedEachEpoch(seed), *callbacks, *bars],
        logger=loggers or False,
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


def test_trainer(cfg: DictConfig, directory: Path, trainer: pl.Trainer) -> pl.Trainer:
    """A trainer of one process, so that a test sees every image once; `trainer` itself where it has one only."""
    if trainer.num_devices == 1:
        return trainer
    one = cfg.copy()
    one.trainer.devices = 1
    # A second CSV logger would begin by deleting the curves that the first process wrote.
    loggers = [logger for logger in trainer.loggers if not isinstance(logger, CSVLogger)]
    return build_trainer(one, directory, seed=0, callbacks=[], loggers=loggers)


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


def training_numerics(cfg: DictConfig) -> dict[str, Any]:
    """What decides a training's numbers beside its own settings: arithmetic and the number of processes."""
    return {
        "precision": precision(cfg.trainer.precision),
        "accelerator": cfg.trainer.accelerator,
        "processes": process_count(cfg),
    }


def precision(name: str) -> Any:  # noqa: ANN401 (Lightning's own literal type)
    """Resolve "auto": bf16-mixed where the processor multiplies bf16 natively, else 32-true."""
    if name != "auto":
        return name
    native = torch.backends.cpu.get_cpu_capability() == "AVX512" and _has_bf16()
    return "bf16-mixed" if native else "32-true"


def _strategy(cfg: DictConfig) -> Any:  # noqa: ANN401 (Lightning takes names and objects)
    """How the processes of one training are started and joined."""
    if process_count(cfg) == 1:
        return "auto"
    return SharedBatch(start_method="fork" if cfg.trainer.strategy == "ddp_fork" else "spawn")


def _has_bf16() -> bool:
    try:
        return "avx512_bf16" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


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

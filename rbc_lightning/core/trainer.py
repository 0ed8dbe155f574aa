"""How trainings are run: device, processes, precision. No heavy import before one begins."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from rbc_lightning.core.recipe import aside
from rbc_lightning.errors import InputError

if TYPE_CHECKING:
    import pytorch_lightning as pl

Accelerator = Literal["cpu", "gpu"]
Strategy = Literal["auto", "ddp_spawn", "ddp_fork"]


@dataclass(frozen=True)
class TrainerSettings:
    """The configuration group `trainer`.

    Args:
        accelerator: "cpu" or "gpu".
        devices: processes that share each training; -1 for every GPU.
        strategy: how several are started: "auto", "ddp_spawn", or "ddp_fork" (CPU only).
        precision: Lightning's name of it, or "auto": bf16-mixed where the processor has bf16 instructions, else 32-true.
        num_workers: loader processes.
        progress_bar: whether trainings show how far they are.
        callbacks: of every training besides its own, such as a stopwatch.

    Raises:
        InputError: a value is refused.
    """

    accelerator: Accelerator = "cpu"
    devices: int = 1
    strategy: Strategy = "auto"
    precision: str = "auto"
    num_workers: int = aside(0)
    progress_bar: bool = aside(True)
    callbacks: tuple[pl.Callback, ...] = aside(())

    def __post_init__(self) -> None:
        check_word("trainer.accelerator", self.accelerator, get_args(Accelerator))
        check_word("trainer.strategy", self.strategy, get_args(Strategy))
        check_count("trainer.num_workers", self.num_workers, 0)
        devices, on_gpu = self.devices, self.accelerator == "gpu"
        if on_gpu and not count_gpus():
            raise InputError(
                "trainer.accelerator=gpu, yet no CUDA device is at hand; take trainer=cpu (trainer=ddp_cpu instead of "
                "trainer=ddp)"
            )
        if isinstance(devices, bool) or not isinstance(devices, int) or not (devices >= 1 or (devices == -1 and on_gpu)):
            raise InputError(
                f"trainer.devices={devices}; expected a whole number of at least 1, or -1 for every GPU (trainer=ddp)"
            )
        if self.processes > 1 and on_gpu and self.strategy == "ddp_fork":
            raise InputError(
                "trainer.strategy=ddp_fork cannot share GPUs with the process it copies; take trainer.strategy=ddp_spawn"
            )
        if on_gpu and self.processes > count_gpus():
            raise InputError(
                f"trainer.devices={devices}; this machine has {count_gpus()} GPUs: take trainer.devices=-1 for all"
            )

    @property
    def processes(self) -> int:
        """Processes that share a training."""
        return max(1, count_gpus()) if self.devices == -1 else self.devices

    @property
    def device(self) -> str:
        """Where networks run outside a training: "cuda" or "cpu"."""
        return "cuda" if self.accelerator == "gpu" and count_gpus() else "cpu"

    def numerics(self) -> dict[str, Any]:
        """What decides a training's numbers beside its own settings, and enters keys: arithmetic, number of processes."""
        return {
            "precision": resolve_precision(self.precision),
            "accelerator": self.accelerator,
            "processes": self.processes,
        }

    decisive = numerics

    def check_batch(self, name: str, size: int) -> None:
        """Refuse a batch that cannot be shared out equally among the processes.

        Args:
            name: how the error names the setting, such as "training.batch_size".
            size: samples of an optimiser step, over all processes together.
        """
        if size % self.processes:
            raise InputError(
                f"{name}={size} cannot be shared out equally among {self.processes} processes "
                f"(trainer.devices={self.devices}); "
                f"expected a multiple of {self.processes}: take {name}={size + self.processes - size % self.processes}"
            )


def count_gpus() -> int:
    """CUDA devices of this process."""
    # Imported here: stages that train nothing do without PyTorch.
    import torch

    return torch.cuda.device_count()


def check_count(name: str, value: object, least: int) -> None:
    """Refuse what is no whole number of at least `least`.

    Raises:
        InputError: names the setting, what came and what was expected.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"{name}={value}; expected a whole number of at least {least}")


def check_word(name: str, value: object, words: Collection[object]) -> None:
    """Refuse what is none of the words.

    Raises:
        InputError: names the setting, what came and what was expected.
    """
    if value not in words:
        raise InputError(f"{name}={value}; expected one of {', '.join(map(str, words))}")


def resolve_precision(name: str) -> Any:  # noqa: ANN401 (Lightning's own literal type)
    """Resolve "auto": bf16-mixed where the processor multiplies bf16 natively, else 32-true."""
    if name != "auto":
        return name
    import torch

    native = torch.backends.cpu.get_cpu_capability() == "AVX512" and has_bf16()
    return "bf16-mixed" if native else "32-true"


@cache
def has_bf16() -> bool:
    """Whether the system says that the processor has bf16 instructions."""
    try:
        return "avx512_bf16" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False

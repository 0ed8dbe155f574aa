from pathlib import Path

import pytest

from rbc_lightning.core import trainer as module
from rbc_lightning.core.trainer import TrainerSettings, check_count, check_word, has_bf16, resolve_precision
from rbc_lightning.errors import InputError


def test_numerics_know_nothing_of_workers_and_bars():
    first, second = (
        TrainerSettings(precision="32-true"),
        TrainerSettings(precision="32-true", num_workers=3, progress_bar=False),
    )
    assert first.decisive() == second.decisive() == {"precision": "32-true", "accelerator": "cpu", "processes": 1}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"accelerator": "tpu"}, r"trainer\.accelerator=tpu; expected one of cpu, gpu"),
        ({"strategy": "ddp"}, r"trainer\.strategy=ddp; expected one of auto, ddp_spawn, ddp_fork"),
        ({"devices": 0}, r"trainer\.devices=0; expected a whole number of at least 1, or -1"),
        ({"devices": -1}, r"trainer\.devices=-1; expected"),
        ({"devices": True}, r"trainer\.devices=True; expected"),
        ({"num_workers": -1}, r"trainer\.num_workers=-1; expected a whole number of at least 0"),
    ],
)
def test_a_refused_setting_is_named(settings, message):
    with pytest.raises(InputError, match=message):
        TrainerSettings(**settings)


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(module, "count_gpus", lambda: 0)
    with pytest.raises(InputError, match="no CUDA device is at hand; take trainer=cpu"):
        TrainerSettings(accelerator="gpu")


def test_gpus_are_counted_for_minus_one(monkeypatch):
    monkeypatch.setattr(module, "count_gpus", lambda: 2)
    assert TrainerSettings(accelerator="gpu", devices=-1).processes == 2
    with pytest.raises(InputError, match=r"trainer\.devices=3; this machine has 2 GPUs"):
        TrainerSettings(accelerator="gpu", devices=3)
    with pytest.raises(InputError, match="ddp_fork cannot share GPUs"):
        TrainerSettings(accelerator="gpu", devices=2, strategy="ddp_fork")


def test_a_batch_is_shared_out_equally():
    TrainerSettings(devices=2).check_batch("training.batch_size", 4)
    with pytest.raises(InputError, match=r"training\.batch_size=3 cannot be shared out.*take training\.batch_size=4"):
        TrainerSettings(devices=2).check_batch("training.batch_size", 3)


@pytest.mark.parametrize("value", [True, 1.5, "3", None, 0])
def test_counts_are_whole_numbers(value):
    with pytest.raises(InputError, match=rf"x={value}; expected a whole number of at least 1"):
        check_count("x", value, 1)


def test_words():
    check_word("x", 1, (1, 2))
    with pytest.raises(InputError, match="x=3; expected one of 1, 2"):
        check_word("x", 3, (1, 2))


@pytest.mark.parametrize(
    ("capability", "flags", "expected"),
    [("AVX512", "avx512f avx512_bf16", "bf16-mixed"), ("AVX512", "avx512f", "32-true"), ("AVX2", "avx512_bf16", "32-true")],
)
def test_precision_asks_the_processor(monkeypatch, capability, flags, expected):
    """What the system tells of bf16 counts only where PyTorch was not told to leave those instructions alone."""
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: capability)
    monkeypatch.setattr(Path, "read_text", lambda path: f"flags: {flags}")
    has_bf16.cache_clear()
    assert resolve_precision("auto") == expected
    assert resolve_precision("16-mixed") == "16-mixed"
    has_bf16.cache_clear()

"""Probes: what they find, and that whatever befalls them is one line."""

import os
import signal
from functools import partial

import pytest
import torch
from plan_recipes import Flips, Graph, TrainedGan

from rbc_lightning.data.mix import Mix
from rbc_lightning.errors import InputError
from rbc_lightning.planning.probes import measure, time_loading, time_recipe
from rbc_lightning.planning.work import PlanSettings

LIMITS = PlanSettings("train", 2, 5.0)


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def run_out():
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")


def refuse():
    raise InputError("model.net: width must be positive")


def refuse_memory():
    raise InputError("model: [Errno 12] Cannot allocate memory; check the settings model.*")


def test_what_does_not_fit_is_a_line_and_no_crash(tmp_path):
    for probe, problem in (
        (kill, "does not fit into the memory of this machine (its process ended without a word: killed by signal SIGKILL"),
        (run_out, "does not fit into the memory of this machine (OutOfMemoryError: CUDA out of memory"),
        (refuse_memory, "does not fit into the memory of this machine (model: [Errno 12] Cannot allocate memory"),
        (refuse, "model.net: width must be positive"),
    ):
        timing = measure(probe, log=tmp_path / "log.txt", threads=None)
        assert timing.problem.startswith(problem)
        assert timing.refused == (probe is refuse)


def test_a_recipe_is_made_apart_and_upstream_of_it_is_not_counted(tmp_path):
    graph = Graph(tmp_path, n_train=9)
    translator = graph.translator()
    probe = partial(time_recipe, translator, 4, tmp_path / "scratch", LIMITS)
    timing = measure(probe, log=tmp_path / "log.txt", threads=None)
    assert timing.problem == ""
    # 100 bytes and its lineage, of 4 images.
    assert timing.values["measured"] == 4
    assert timing.values["disk"] > 100 / 4
    assert 1e7 < timing.values["memory"] < 1e11
    made = sorted(path.parent.name for path in tmp_path.glob("scratch/*/*") if path.is_dir())
    assert made == ["gan_stage1", "translator"]
    assert not (tmp_path / "artifacts").exists()


def test_pairs_are_timed_by_when_they_were_written(tmp_path):
    graph = Graph(tmp_path)
    run = graph.run(Mix(4, 9, 0))
    values = time_recipe(run.synthetic, 4, tmp_path / "scratch", LIMITS)
    # Three pairs of 50 bytes twice.
    assert (values["measured"], values["disk"]) == (2, 100)
    assert 0 <= values["unit"] < 1


def test_one_short_copy_of_two_recipes_is_made_for_each(tmp_path):
    graph = Graph(tmp_path)
    long, short = (graph.translator(candidates=candidates) for candidates in (3, 0))
    for translator in (long, short):
        assert time_recipe(translator, 4, tmp_path / "scratch", LIMITS)["unit"] > 0


def test_the_fit_is_timed_by_one_round_more(tmp_path):
    graph = Graph(tmp_path)
    values = time_recipe(graph.source().fit, 4, tmp_path / "scratch", LIMITS)
    assert values["measured"] == 4 * 4
    assert values["unit"] > 0


def test_loading_is_decoding_cropping_and_augmenting(tmp_path):
    samples = Graph(tmp_path).train.samples
    values = time_loading(samples, Flips(), 64, 5.0)
    assert values.keys() == {"decode", "crop", "augment"}
    assert values["crop"] > 0
    assert time_loading(samples, None, None, 5.0)["augment"] == 0.0


@pytest.mark.parametrize("steps", [2, 4])
def test_a_training_is_timed_by_its_stopwatch(tmp_path, steps):
    graph = Graph(tmp_path, n_train=12)
    recipe = TrainedGan(train=graph.train, trainer=graph.trainer)
    values = time_recipe(recipe, 1 + steps, tmp_path / "scratch", PlanSettings("train", steps, 60.0))
    assert (values["measured"], values["warm"], values["images"]) == (steps, 1.0, 1 + steps)
    assert values["step"] > values["gap"] >= 0
    assert values["checkpoint"] > 0

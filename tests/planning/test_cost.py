"""The arithmetic of plans, from given times: steps, loading, epochs, pairs made while training, the choice of checkpoints."""

import sys
from types import SimpleNamespace

import pytest
from plan_recipes import LOADING, MEMORY, TRAINING, Chooser, Graph, Training

from rbc_lightning.data.mix import Mix
from rbc_lightning.planning.cost import cost_of, load_seconds, step_seconds
from rbc_lightning.planning.work import Timing, works_of

GAN = {"step": 5.0, "gap": 0.0, "epoch_end": 7.0, "prepare": 2.0, "checkpoint": 1000, **MEMORY}


def cost(job, kind, **timed):
    """Of the job's work of this kind, from values by kind."""
    work = next(work for work in works_of(job) if work.kind == kind)
    return cost_of(work, {kind: Timing(values) for kind, values in timed.items()})


def test_loader_processes_work_while_a_step_computes():
    timing = {"step": 1.0, "gap": 0.4}
    # 0.3 s of the gap were loading, 0.1 s bookkeeping.
    assert step_seconds(timing, load=2.0, trial_load=0.3, workers=0) == pytest.approx(0.7 + 2.0)
    assert step_seconds(timing, load=2.0, trial_load=0.3, workers=2) == pytest.approx(1.0)
    assert step_seconds(timing, load=2.0, trial_load=0.3, workers=4) == pytest.approx(0.7)
    # Never more than the gap itself.
    assert step_seconds(timing, load=0.0, trial_load=0.9, workers=0) == pytest.approx(0.6)


def test_only_what_is_not_kept_is_decoded_again():
    kept = {"real": 1.0, "synthetic": 0.2}
    assert load_seconds(LOADING, Mix(2, 1, 1), kept) == pytest.approx(0.25 * 0.8 * 0.1 + 0.05 + 0.25 * 0.2)
    both = (0.25 * 0.8 + 0.25 * 0.4) * 0.1 + 0.05 + 0.25 * 0.2
    assert load_seconds(LOADING, Mix(2, 1, 1, ("real", "synthetic")), kept) == pytest.approx(both)


def test_a_begun_epoch_ends_with_a_validation(tmp_path):
    graph = Graph(tmp_path, training=Training(steps=5))
    whole = cost(graph.job(graph.run(Mix(4, 0, 0))), "train", train=TRAINING)
    # Three epochs of at most two steps, one validation image, two test images.
    assert whole.seconds == pytest.approx(5 * whole.unit_seconds + 3 * (3.0 + 1.0) + 2 * 4.0 + 10.0)


def test_a_run_is_the_sum_of_its_steps_validations_and_test(tmp_path):
    graph = Graph(tmp_path)
    found = cost(graph.job(graph.run(Mix(4, 2, 2))), "train", train=TRAINING)
    # 4 real, 2 synthetic, 2 augmented of 8, all kept in memory; a batch of 2 took 2 x (0.1 + 0.05) s of the gap to load.
    step = 2.0 - 0.3 + 2 * (0.05 + 2 / 8 * 0.2)
    # 4 steps, two epochs, one validation image, two test images.
    assert found.seconds == pytest.approx(4 * step + 2 * (1 * 3.0 + 1.0) + 2 * 4.0 + 10.0)
    # Best and last weights; beside the process the kept pairs: 4 real, 2 synthetic and 1 of validation, of 3 + 2 bytes
    # a pixel.
    assert (found.disk, found.memory) == (200, pytest.approx(1e9 + 7 * 5 * 96 * 128))


def test_images_that_the_trial_read_twice_were_not_decoded_twice(tmp_path):
    graph = Graph(tmp_path)
    # Of 4 images: 4 of 6 timed draws come from memory.
    found = cost(graph.job(graph.run(Mix(4, 0, 0))), "train", train={**TRAINING, "images": 4})
    assert found.unit_seconds == pytest.approx(2.0 - 2 * (0.1 / 3 + 0.05) + 2 * 0.05)


def test_pairs_made_while_training_are_paid_for_in_every_step(tmp_path):
    graph = Graph(tmp_path)
    job = graph.job(graph.run(Mix(4, 4, 0), synthetic=graph.source()))
    found = cost(job, "train", train=TRAINING, synthetic={"unit": 6.0})
    # Half of a batch of 2 is generated, crops of 64 x 64 of images of 96 x 128.
    assert found.unit_seconds == pytest.approx(2.0 - 0.3 + 2 * 0.05 + 2 * 0.5 * 6.0 / 3)


def test_a_gan_pays_for_its_epochs_its_preparation_and_what_it_keeps(tmp_path):
    graph = Graph(tmp_path, translator_changes={"candidates": 1})
    found = cost(graph.job(graph.translator()), "gan_stage1", gan_stage1=GAN)
    # 2 epochs of 4 images.
    assert found.seconds == pytest.approx(8 * 5.0 + 2 * 7.0 + 4 * 2.0)
    assert found.disk == 2 * 1000


def test_a_choice_among_checkpoints_takes_its_time(tmp_path, monkeypatch):
    constants = SimpleNamespace(STYLES=4, COLOR_STYLES=12, COLOR_SIDE=256)
    monkeypatch.setitem(sys.modules, "rbc_lightning.evaluation.measure", constants)
    graph = Graph(tmp_path)
    chooser = Chooser(network=graph.network(), images=12)
    job = graph.job(graph.translator(choose="quality", chooser=chooser, candidates=2))
    timed = {"synthetic": {"unit": 6.0}, "fcn_score": TRAINING}
    unit = {"unit": 2.0, "disk": 20, **MEMORY}
    # 4 images; for each of 3 checkpoints one held-out mask is painted 4 + 12 times, 4 of them and 2 real ones are looked at.
    expected = 4 * 2.0 + 2 * 3.0 + 3 * (16 * 6.0 + 4 * 3.0)
    assert cost(job, "translator", translator=unit, **timed).seconds == pytest.approx(expected)
    # No test, two epochs with one validation image.
    network = cost(job, "fcn_score", **timed)
    assert network.seconds == pytest.approx(4 * (2.0 - 0.3 + 2 * 0.05) + 2 * (3.0 + 1.0) + 10.0)
    # Where no pairs are made, generating an image is not timed.
    assert cost(job, "translator", translator=unit).seconds == 8.0


def test_what_is_finished_or_could_not_be_timed_costs_nothing(tmp_path):
    graph = Graph(tmp_path)
    job = graph.job(graph.run(Mix(4, 0, 0)))
    broken = {"train": Timing(problem="does not fit")}
    (work,) = works_of(job)
    assert (cost_of(work, broken).seconds, cost_of(work, broken).timing.problem) == (0.0, "does not fit")
    graph.finish(job)
    (work,) = works_of(job)
    assert cost_of(work, broken).timing == Timing()

"""Plans of `stage=translator`, and plans of what cannot be run."""

import pytest

from rbc_lightning.app import run
from rbc_lightning.errors import InputError
from rbc_lightning.stages import plan as plan_stage
from rbc_lightning.stages.plan import plan_cells
from rbc_lightning.stages.planning.probes import Timing, time_artifact, time_training
from rbc_lightning.stages.planning.schedule import Place

STEPS = {"step": 5.0, "gap": 0.0, "epoch_end": 7.0, "val": 3.0, "test": 4.0, "build": 10.0, "prepare": 0.0, "checkpoint": 100}
LOADING = {"decode": 0.1, "crop": 0.05, "augment": 0.2}
TIMES = {**STEPS, **LOADING, "unit": 2.0, "disk": 20, "memory": 1e9, "gpu_memory": 0.0}


@pytest.fixture
def timed(monkeypatch):
    """Given times instead of measured ones; the list of what was asked for."""
    asked = []

    def give(probe, cfg, *arguments, log, limits):
        asked.append(arguments[-1] if probe is time_artifact else probe.__name__)
        return Timing(TIMES)

    monkeypatch.setattr(plan_stage, "measure", give)
    return asked


def kinds(plan):
    return sorted(cost.work.kind for cost in plan.costs.values())


def translators(compose_tiny, directory, *overrides):
    names = ("mode_seeking_pix2pix", "mode_seeking_without_term")
    common = ("stage=plan", "plan.stage=translator", *overrides)
    return {name: compose_tiny(directory, *common, f"translator={name}") for name in names}


def test_a_sweep_of_translators_trains_no_segmenter_and_paints_no_pairs(tmp_path, compose_tiny, timed, capsys):
    plan = plan_cells(translators(compose_tiny, tmp_path), Place()).plan
    # The judge is the same for both.
    assert kinds(plan) == sorted([*["pix2pix", "translator"] * 2, "judge"])
    assert sorted(timed) == sorted(["time_training", "time_loading", *["pix2pix", "translator"] * 2])
    out = " ".join(capsys.readouterr().out.split())
    assert "Plan of multirun: 2 runs of stage=translator" in out
    assert "Pix2Pix, mode_seeking_without_term 1 of 1 8 steps 5 54 s 54 s" in out
    assert "Not counted: sheets and quality cards" in out
    without = plan_cells(translators(compose_tiny, tmp_path, "translator.quality.enabled=false"), Place()).plan
    assert kinds(without) == ["pix2pix", "pix2pix", "translator", "translator"]


def test_a_finished_translator_leaves_nothing_to_do(tmp_path, compose_tiny, timed, capsys):
    cfg = translators(compose_tiny, tmp_path)["mode_seeking_pix2pix"]
    made = cfg.copy()
    made.stage = "translator"
    run(made)
    capsys.readouterr()
    plan = run(cfg).plan
    assert (kinds(plan), plan.device_seconds, timed) == (["judge", "pix2pix", "translator"], 0.0, [])
    out = capsys.readouterr().out
    assert "Nothing is left to do" in out
    assert "memory;" not in out


def test_settings_that_a_trial_refuses_end_the_plan(tmp_path, compose_tiny, monkeypatch):
    asked = []

    def give(probe, cfg, *arguments, log, limits):
        asked.append((probe.__name__, cfg.model.name))
        if probe is time_training and cfg.model.name == "fcn8s":
            return Timing(problem="model.net: width must be positive", refused=True)
        return Timing(TIMES)

    monkeypatch.setattr(plan_stage, "measure", give)
    bad, good = (compose_tiny(tmp_path, "stage=plan", "mix=rd", f"model={model}") for model in ("fcn8s", "unet"))
    with pytest.raises(InputError, match=r"^model\.net: width must be positive$"):
        run(bad)
    # The others of a sweep are planned, as they would be run.
    asked.clear()
    result = plan_cells({"bad": bad, "twin": bad, "good": good}, Place())
    assert result.failed == ("bad: model.net: width must be positive", "twin: model.net: width must be positive")
    assert [cell.label for cell in result.plan.cells] == ["good"]
    assert asked.count(("time_training", "fcn8s")) == 1


def test_a_network_that_cannot_be_is_told_by_the_trial(tmp_path, compose_tiny):
    cfg = compose_tiny(tmp_path, "stage=plan", "mix=sd", "sampler=adhesion", "translator=pix2pix", "translator.task.size=100")
    with pytest.raises(InputError, match="size"):
        run(cfg)
    assert not list(tmp_path.rglob("plan.csv"))


def test_other_stages_are_not_planned(tmp_path, compose_tiny, timed):
    with pytest.raises(InputError, match=r"plan\.stage=check; expected one of train, translator"):
        run(compose_tiny(tmp_path, "stage=plan", "plan.stage=check"))
    assert timed == []

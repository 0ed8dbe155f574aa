"""Runs on pairs of the mode-seeking Pix2Pix, at `scale=tiny`, in process."""

import pytest
from training_helpers import read_rows

from rbc_lightning.app import run

STRUCTURED = "translator=mode_seeking_pix2pix"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("structured")


@pytest.fixture(scope="module")
def trained(place, compose_tiny):
    return run(compose_tiny(place, "stage=translator", STRUCTURED, "translator.quality.enabled=false"))


def test_pairs_are_made_and_trained_on(trained, place, compose_tiny, capsys):
    result = run(compose_tiny(place, "+experiment=rd_sd_aug", STRUCTURED))
    assert result.metrics["mix"] == {"real": 4, "synthetic": 2, "augmented": 2, "total": 8}
    assert result.metrics["artifacts"]["translator"] == trained.directory.name
    # How quality is looked at makes no other translator.
    assert "Reused translator" in capsys.readouterr().out
    (table,) = place.glob("artifacts/synthetic/*/manifest.csv")
    assert len(read_rows(table)) == 2


def test_pairs_are_made_while_training(trained, place, compose_tiny):
    online = ("+experiment=rd_sd", STRUCTURED, "synthetic.mode=online")
    result = run(compose_tiny(place, *online))
    drawn = {row["sample_id"]: int(row["draws"]) for row in read_rows(result.directory / "drawn.csv")}
    assert drawn["online"] == 4
    again = run(compose_tiny(place, *online, "rerun=true"))
    assert again.metrics["test/dice"] == result.metrics["test/dice"]


def test_another_translator_is_another_run_except_for_runs_on_real_images(tmp_path, compose_tiny):
    from rbc_lightning.commands.experiment import Experiment

    def runs(experiment):
        choices = (
            ["translator=pix2pixhd"],
            [STRUCTURED],
            [STRUCTURED, "+translator/ablation=without_term"],
            ["translator=pix2pix"],
        )
        return [Experiment(compose_tiny(tmp_path, f"+experiment={experiment}", *choice)).run() for choice in choices]

    assert len({one.key for one in runs("rd")}) == 1
    synthetic = runs("rd_sd_aug")
    assert len({one.key for one in synthetic}) == len({one.synthetic.key for one in synthetic}) == 4

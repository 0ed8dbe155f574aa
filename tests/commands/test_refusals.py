"""What cannot become synthetic pairs is refused before anything is trained or written."""

import json
import shutil

import pytest

from rbc_lightning.app import run
from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.errors import InputError
from rbc_lightning.translators.files import TRAINED_ON, read_description

STAGES = pytest.mark.parametrize("stage", ["stage=synthesize", "+experiment=sd"])


@pytest.fixture
def given(made, tmp_path):
    """A translator of the tiny data set, to be damaged."""
    (found,) = (path for path in (made / "artifacts" / "translator").iterdir() if path.is_dir())
    return shutil.copytree(found, tmp_path / "given")


@STAGES
def test_a_translator_that_cannot_be_loaded_leaves_nothing(given, tmp_path, compose_tiny, stage):
    (given / read_description(given)["files"][0]).write_bytes(b"no weights")
    with pytest.raises(InputError, match="given"):
        run(compose_tiny(tmp_path / "place", stage, f"translator.path={given}"))
    assert not (tmp_path / "place").exists()


@STAGES
def test_a_translator_of_a_test_sample_leaves_nothing(given, tmp_path, compose_tiny, stage):
    cfg = compose_tiny(tmp_path / "place", stage, f"translator.path={given}")
    tested = Experiment(cfg).manifest.split("test")[0]
    (given / TRAINED_ON).write_text(json.dumps([[tested.sample_id, tested.image_sha256, tested.label_sha256]]))
    with pytest.raises(InputError, match=f"descends from sample '{tested.sample_id}', which is in the test split"):
        run(cfg)
    assert not (tmp_path / "place").exists()


@STAGES
def test_a_label_map_in_two_splits_is_refused_before_a_translator_is_trained(own_folder, tmp_path, compose_tiny, stage):
    shutil.copy(own_folder / "labels" / "smear_05.png", own_folder / "labels" / "smear_00.png")
    with pytest.raises(InputError, match="has the same label map as sample"):
        run(compose_tiny(tmp_path / "place", stage, "data.validation_fraction=0.25", root=own_folder))
    assert not (tmp_path / "place").exists()

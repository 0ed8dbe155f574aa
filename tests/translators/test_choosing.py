import json
from dataclasses import replace

import pytest
from pix2pixhd_helpers import make_samples
from translator_helpers import VAL

from rbc_lightning.data.lineage import Ancestor, to_rows
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.errors import InputError
from rbc_lightning.translators.choosing import best_checkpoint, refuse_chosen_on_test


class Scores:
    chosen_on = VAL[1:]

    def open(self, store):
        return self

    def score(self, translator):
        return {"a": 0.25, "b": 0.5, "last": 0.5}[translator]


def test_the_first_of_the_highest_scores_is_taken_and_all_are_written(tmp_path):
    paths = [tmp_path / f"{name}.ckpt" for name in ("a", "b", "last")]
    assert best_checkpoint(paths, lambda path: path.stem, Scores(), tmp_path, None) == paths[1]
    assert json.loads((tmp_path / "checkpoints.json").read_text()) == {"a": 0.25, "b": 0.5, "last": 0.5}
    assert json.loads((tmp_path / "chosen_on.json").read_text()) == {"val": to_rows(VAL[1:])}


def test_only_test_samples_are_refused():
    test = make_samples(2, split="test")
    manifest = Manifest((*make_samples(2), *test))
    refuse_chosen_on_test("it", [*VAL, Ancestor("test_0", "another", "one")], manifest)
    with pytest.raises(InputError, match="it was chosen on sample 'test_1'"):
        refuse_chosen_on_test("it", [*VAL, test.ancestors[1]], manifest)
    renamed = replace(test.ancestors[1], sample_id="mine")
    with pytest.raises(InputError, match="it was chosen on 'mine', which has the same image as sample 'test_1'"):
        refuse_chosen_on_test("it", [renamed], manifest)

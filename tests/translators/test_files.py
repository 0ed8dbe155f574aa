import json

import pytest
from pix2pixhd_helpers import make_samples
from translator_helpers import GREY, Flat

from rbc_lightning.errors import InputError
from rbc_lightning.translators.base import LoadContext
from rbc_lightning.translators.files import load_translator, read_description, save_translator


def test_the_description_names_class_files_and_settings(tmp_path):
    (tmp_path / ".level.txt.1.part").write_text("left by a killed attempt")
    (tmp_path / "checkpoints.json").write_text("{}")
    save_translator(Flat(6, GREY), tmp_path, {"level": 6})
    description = read_description(tmp_path)
    assert description == {"_target_": f"{Flat.__module__}.Flat", "files": ["level.txt"], "settings": {"level": 6}}
    again = load_translator(tmp_path, LoadContext(make_samples(1, GREY), 0, "cpu", None))
    assert (type(again), again.level) == (Flat, 6)


def test_an_older_layout_is_named(tmp_path):
    (tmp_path / "translator.yaml").write_text("name: pix2pixhd")
    with pytest.raises(InputError, match=r"a translator of an older layout, without translator\.json; train it again") as error:
        read_description(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["{", "[]", json.dumps({"files": []})])
def test_a_torn_description_is_refused(tmp_path, content):
    (tmp_path / "translator.json").write_text(content)
    with pytest.raises(InputError, match=r"not a translator \(.*expected a directory written by stage=translator"):
        read_description(tmp_path)


def test_files_that_do_not_fit_are_the_translators_own_error(tmp_path):
    save_translator(Flat(6, GREY), tmp_path, {})
    (tmp_path / "level.txt").write_text("six")
    with pytest.raises(InputError, match="translator: invalid literal"):
        load_translator(tmp_path, LoadContext(make_samples(1, GREY), 0, "cpu", None))

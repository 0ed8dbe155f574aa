import pytest
import torch

from rbc_lightning.core.build import build, parameters_of, target_of
from rbc_lightning.errors import InputError

TRAINER = "rbc_lightning.core.trainer.TrainerSettings"


def test_what_target_names_is_called_with_the_values_beside_it():
    layer = build({"_target_": "torch.nn.Linear", "in_features": 2}, "model.net", out_features=3)
    assert (layer.in_features, layer.out_features) == (2, 3)


def test_nested_specs_are_built_first_unless_told_otherwise():
    spec = {"_target_": "builtins.dict", "layer": {"_target_": "torch.nn.Identity"}}
    assert isinstance(build(spec, "x")["layer"], torch.nn.Identity)
    assert build({**spec, "_recursive_": False}, "x")["layer"] == {"_target_": "torch.nn.Identity"}


def test_live_objects_are_taken_as_they_are():
    layer = torch.nn.Identity()
    assert build({"_target_": "builtins.dict"}, "x", layer=layer) == {}
    assert build({"_target_": "torch.nn.Linear", "in_features": 1, "out_features": 1}, "x", ignored=layer).bias is not None


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"_target_": TRAINER, "gradient_clip_val": 1},
            r"^trainer\.gradient_clip_val=1 is no setting of TrainerSettings; it has acc",
        ),
        ({"_target_": TRAINER, "devices": 0}, r"^trainer\.devices=0; expected a whole number"),
        ({"_target_": "no.such.Thing"}, r"^trainer: Error loading 'no\.such\.Thing'"),
        ({"accelerator": "cpu"}, r"^trainer=.*; expected a mapping with _target_"),
        ({"_target_": "torch.nn.Linear"}, r"^trainer: .*missing 2 required.*check the settings trainer\.\*$"),
    ],
)
def test_a_refusal_is_one_line_that_names_the_group(spec, message):
    with pytest.raises(InputError, match=message) as caught:
        build(spec, "trainer")
    assert "\n" not in str(caught.value)


def test_parameters_are_those_of_what_is_built():
    assert list(parameters_of({"_target_": "torch.nn.Linear"}))[:2] == ["in_features", "out_features"]


def test_a_target_is_found_without_being_called():
    assert target_of({"_target_": "torch.nn.Linear", "in_features": "nonsense"}) is torch.nn.Linear

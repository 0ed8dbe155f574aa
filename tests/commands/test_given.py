"""Settings of the data set that the command line gave, and those that a given scale decides."""

from types import SimpleNamespace

import pytest

from rbc_lightning.app import compose
from rbc_lightning.commands import given


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ((), {}),
        (("data.folds=5", "data.channels=[FLAIR]", "seed=1"), {"data.folds": 5, "data.channels": ["FLAIR"]}),
        (("data.folds=null", "data.root=here"), {"data.folds": None, "data.root": "here"}),
        (("scale=tiny",), {"data.side": 64, "data.spacing": 3.6}),
        (("scale=tiny", "data.side=32"), {"data.side": 32, "data.spacing": 3.6}),
    ],
)
def test_what_the_command_line_gave_is_known_by_name(monkeypatch, overrides, expected):
    cfg = compose(["data=mri", *(() if any("root" in text for text in overrides) else ("data.root=there",)), *overrides])
    assert given.given_data(cfg) == {}
    hydra = SimpleNamespace(overrides=SimpleNamespace(task=["data=mri", *overrides]))
    monkeypatch.setattr(given, "HydraConfig", SimpleNamespace(initialized=lambda: True, get=lambda: hydra))
    assert given.given_data(cfg) == expected

"""What several tests of trainings share: kill one, count its steps, read and compare what it left."""

import csv
import functools

import torch


class Killed(Exception):
    pass


def count_steps(cls, monkeypatch):
    """Return a list that grows by one with every training step of a task."""
    return die_at(cls, monkeypatch, -1)


def die_at(cls, monkeypatch, step):
    """Make the training step of a task fail once, at its `step`-th call; return the list of its calls."""
    original, calls = cls.training_step, []

    # `wraps`: Lightning looks at the signature to know what to pass.
    @functools.wraps(original)
    def training_step(self, batch, *rest):
        calls.append(None)
        if len(calls) == step:
            raise Killed
        return original(self, batch, *rest)

    monkeypatch.setattr(cls, "training_step", training_step)
    return calls


def weights(path):
    content = torch.load(path, weights_only=True)
    return content.get("state_dict") or {**content["generator"], **content["encoder"]}


def assert_same(first, second):
    """Assert that nested dicts and sequences are equal, tensors bit by bit."""
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        for key, value in first.items():
            assert_same(value, second[key])
    elif isinstance(first, list | tuple):
        assert len(first) == len(second)
        for ours, theirs in zip(first, second, strict=True):
            assert_same(ours, theirs)
    elif isinstance(first, torch.Tensor):
        assert torch.equal(first, second)
    else:
        assert first == second


def read_rows(path):
    """The rows of a CSV file as dicts of strings."""
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


def no_runs(directory):
    """Whether nothing but locks lies in the directory of runs."""
    return not [path for path in directory.glob("runs/*") if path.is_dir()]

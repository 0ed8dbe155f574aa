import numpy as np
import pytest
import torch
from torch import nn

from rbc_lightning.errors import InputError
from rbc_lightning.translators.weights import load_exactly, read_content, read_stored_arrays


def test_a_file_is_read_by_the_names_of_its_entries(tmp_path):
    path = tmp_path / "net.pt"
    torch.save({"settings": {"a": 1}, "net": {"weight": torch.ones(2)}}, path)
    assert read_content(path, ("settings", "net"))["settings"] == {"a": 1}
    with pytest.raises(InputError, match=r"net\.pt holds no encoder, spec: make the translator again"):
        read_content(path, ("settings", "spec", "encoder"))
    with pytest.raises(InputError, match=r"gone\.pt cannot be read"):
        read_content(tmp_path / "gone.pt", ())


def test_every_tensor_that_does_not_fit_is_named_and_none_is_loaded(tmp_path):
    net = nn.Linear(2, 3)
    before = net.weight.clone()
    with pytest.raises(
        InputError, match=r"in 2 tensors: net\.bias: missing, expected shape \(3,\); net\.extra: unexpected, shape \(1,\)"
    ):
        load_exactly(net, {"weight": torch.zeros(3, 2), "extra": torch.zeros(1)}, "net", tmp_path / "net.pt")
    assert torch.equal(net.weight, before)
    load_exactly(net, {"weight": torch.zeros(3, 2), "bias": torch.zeros(3)}, "net", tmp_path / "net.pt")
    assert not net.weight.any()


def test_arrays_are_read_by_name_from_a_whole_file(tmp_path):
    path = tmp_path / "arrays.npz"
    np.savez(path, a=np.arange(3), b=np.ones(2))
    assert {name: array.tolist() for name, array in read_stored_arrays(path, ("b",), "styles").items()} == {"b": [1.0, 1.0]}
    (tmp_path / "torn.npz").write_bytes(path.read_bytes()[:100])
    np.save(tmp_path / "one.npy", np.ones(2))
    for name, wanted in (("arrays.npz", "c"), ("torn.npz", "a"), ("one.npy", "a"), ("gone.npz", "a")):
        with pytest.raises(
            InputError, match=rf"{name} holds no styles \(.*\); make the translator again with stage=translator"
        ):
            read_stored_arrays(tmp_path / name, (wanted,), "styles")

"""A sweep over the number of real images is refused before its first job where the data set has fewer."""

import pytest
from omegaconf import OmegaConf
from plain_samples import plain_manifest
from tiny_data import write_tiny_folder

from rbc_lightning.app import main
from rbc_lightning.commands.feasible import check_real_images, swept_values
from rbc_lightning.errors import InputError

KEY = "data.n_real_images"


def multirun_of(cfg, params, *task):
    hydra = {"sweeper": {"params": params}, "overrides": {"task": list(task)}}
    return OmegaConf.merge({"hydra": hydra}, OmegaConf.to_container(cfg, resolve=True))


def test_of_a_sweep_and_a_command_line_the_last_values_hold(tmp_path, compose_tiny):
    config = multirun_of(compose_tiny(tmp_path), {KEY: "5,10,null", "seed": "0,1"}, "seed=3", f"{KEY}=2,null", "scale=tiny")
    assert swept_values(config) == {KEY: ("2", "null")}


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ("1,4,null", None),
        ("null,2", None),
        ("2,5,null", r"=2,5,null with 4 training images .* at most 4, or null for all: take data.n_real_images=2,null"),
        ("5,10,null", "take data.n_real_images=2,4"),
    ],
)
def test_the_least_images_of_any_seed_decide(tmp_path, compose_tiny, values, problem):
    config = multirun_of(compose_tiny(tmp_path), {KEY: values, "seed": "0,1"})
    if problem is None:
        check_real_images(config)
    else:
        with pytest.raises(InputError, match=problem):
            check_real_images(config)
    assert not list(tmp_path.iterdir())


def test_patients_are_counted_as_well(tmp_path, compose_tiny):
    root = write_tiny_folder(tmp_path / "data", n_train=8, group_of=lambda index: f"patient_{index // 2}")
    config = compose_tiny(tmp_path, "data=folder", f"data.root={root}")
    check_real_images(multirun_of(config, {"data.n_real_patients": "1,3,null"}))
    message = (
        r"=1,4,null with 3 training patients \(groups\) beside .* most 3, or null for all: take data.n_real_patients=1,null"
    )
    with pytest.raises(InputError, match=message):
        check_real_images(multirun_of(config, {"data.n_real_patients": "1,4,null"}))


def test_the_cut_that_is_asked_about_is_that_of_its_own_seed(tmp_path, compose_tiny, monkeypatch):
    cut = []

    def read_split(reader, store, protocol, seed):
        cut.append(seed if reader.fold is None else (reader.fold, seed))
        return plain_manifest()

    monkeypatch.setattr("rbc_lightning.commands.feasible.read_split", read_split)
    for overrides, params, seeds in (
        (("seed=3",), {}, [3]),
        ((), {"seed": "0,1"}, [0, 1]),
        (("data.split_seed=5",), {"seed": "0,1"}, [5]),
        ((), {"data.split_seed": "2,4", "seed": "0,1"}, [2, 4]),
        (("data.folds=3",), {"data.fold": "0,2", "seed": "5"}, [(0, 0), (2, 0)]),
    ):
        cut.clear()
        check_real_images(multirun_of(compose_tiny(tmp_path, *overrides), {KEY: "5,10", **params}))
        assert cut == seeds


def test_without_validation_there_are_more(tmp_path, compose_tiny):
    check_real_images(multirun_of(compose_tiny(tmp_path, "protocol=paper"), {KEY: "5,null"}))


def test_data_sets_that_are_varied_are_for_the_jobs_to_read(tmp_path, compose_tiny):
    check_real_images(multirun_of(compose_tiny(tmp_path), {KEY: "50,null", "data.root": "here,there"}))
    check_real_images(multirun_of(compose_tiny(tmp_path), {"seed": "0,1"}))


def test_the_sweep_ends_in_one_line_and_begins_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["rbc_lightning"])
    root = write_tiny_folder(tmp_path / "data", n_train=13)
    places = (f"artifacts_dir={tmp_path}/artifacts", f"runs_dir={tmp_path}/runs", "data=folder", f"data.root={root}")
    with pytest.raises(SystemExit) as ended:
        main(["+sweep=real_images", "scale=tiny", *places])
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "error: data.n_real_images=5,10,20,40,null with 10 training images beside those of validation; expected numbers of at "
        "most 10, or null for all: take data.n_real_images=5,10,null\n"
    )
    assert {path.name for path in tmp_path.iterdir()} == {"data"}

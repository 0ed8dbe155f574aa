import pytest
from tiny_data import write_tiny_folder

from rbc_lightning.app import compose, run
from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.errors import InputError


def test_a_model_that_cannot_be_built_leaves_no_run_directory(tmp_path, compose_tiny):
    with pytest.raises(Exception, match="width"):
        run(compose_tiny(tmp_path, "+experiment=rd", "model.net.width=-1"))
    assert not list(tmp_path.glob("runs/*/*"))


def test_moving_a_sample_to_another_split_is_another_experiment(own_folder, tmp_path, compose_tiny):
    before = Experiment(compose_tiny(tmp_path, root=own_folder)).manifest.fingerprint()
    table = own_folder / "splits.csv"
    table.write_text(table.read_text().replace("smear_05,test", "smear_05,train").replace("smear_00,train", "smear_00,test"))
    assert Experiment(compose_tiny(tmp_path, root=own_folder)).manifest.fingerprint() != before


def test_the_same_image_in_train_and_test_is_refused(own_folder, tmp_path, compose_tiny):
    (own_folder / "images" / "smear_05.png").write_bytes((own_folder / "images" / "smear_00.png").read_bytes())
    with pytest.raises(InputError, match=r"'smear_00' \(train\) and 'smear_05' \(test\) are the same image"):
        _ = Experiment(compose_tiny(tmp_path, root=own_folder)).manifest


def test_what_an_older_layout_made_is_named_not_used_and_kept(tmp_path, compose_tiny, capsys):
    old = tmp_path / "artifacts" / "shape_bank" / "0123456789abcdef"
    old.mkdir(parents=True)
    (old / "lineage.json").write_text('{"kind": "shape_bank", "settings": {"format": 2}, "inputs": []}')
    for count in (1, 2):
        run(compose_tiny(tmp_path, "stage=masks", f"synthetic.count={count}"))
    said = [line for line in capsys.readouterr().out.splitlines() if "older layout" in line]
    assert len(said) == 1
    assert said[0].startswith("note: 1 directories in ")
    assert "(such as shape_bank/0123456789abcdef): they are not used and stay where they are" in said[0]
    assert old.is_dir()
    assert len([path for path in old.parent.iterdir() if path.is_dir()]) == 2


LARGE = ("rd_aug", "rd_sd", "rd_sd_aug", "rd_large", "sd_large")


def test_more_images_than_the_scale_foresees_make_the_large_mixes_of_all_columns_larger(tmp_path, compose_tiny):
    root = write_tiny_folder(tmp_path / "data", n_train=15)
    more = ("data.validation_fraction=0.1",)
    mixes = {name: Experiment(compose_tiny(tmp_path, f"mix={name}", *more, root=root)).mix() for name in (*LARGE, "rd", "sd")}
    # 13 are trained on, 2 validate: 1.5 x 13 and more.
    assert [mixes[name].total for name in LARGE] == [20] * len(LARGE)
    assert [mixes[name].total for name in ("rd", "sd")] == [13, 13]
    assert {name: mix.column for name, mix in mixes.items()} == {name: name for name in mixes}


def test_a_total_given_by_hand_is_taken_as_given(tmp_path, compose_tiny):
    assert Experiment(compose_tiny(tmp_path, "mix=rd_sd", "mix.total=5")).mix().total == 5
    assert Experiment(compose_tiny(tmp_path, "mix=rd_sd", "scale.large_per_real=5")).mix().total == 20
    assert Experiment(compose_tiny(tmp_path, "mix=rd_sd", "scale.large=30")).mix().total == 30


@pytest.mark.parametrize(("override", "message"), [("scale.large=0", "scale.large=0"), ("scale.large_per_real=1", "above 1")])
def test_sizes_of_large_mixes_are_checked(tmp_path, compose_tiny, override, message):
    with pytest.raises(InputError, match=message):
        Experiment(compose_tiny(tmp_path, "mix=rd_sd", override)).mix()


@pytest.mark.parametrize("protocol", ["held_out", "paper"])
@pytest.mark.parametrize(("scale", "total"), [("tiny", 8), ("demo", 160), ("paper", 960)])
def test_the_phantom_keeps_its_sizes(scale, total, protocol):
    experiment = Experiment(compose([f"scale={scale}", f"protocol={protocol}", "mix=rd_sd"]))
    n_train = experiment.cfg.data.n_train
    experiment.train = range(n_train if protocol == "paper" else n_train - round(0.2 * n_train))
    assert experiment.mix().total == total

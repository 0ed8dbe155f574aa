"""The group that the runs of a sweep share."""

from rbc_lightning.sweeps.log import read_group, write_group

PARAMS = {"model": "fcn8s,dcan", "seed": "0,1,2"}


def group_of(directory, *overrides):
    write_group("table2", overrides, PARAMS, directory)
    return read_group(directory)


def test_jobs_of_a_sweep_share_a_group_that_outlives_a_crash(tmp_path):
    first = group_of(tmp_path / "a", "+sweep=table2", "scale=paper", "runs_dir=here")
    assert first.startswith("table2-")
    # Called again elsewhere, with more seeds, with another logger: the same sweep.
    again = group_of(tmp_path / "b", "+sweep=table2", "scale=paper", "seed=3,4", "logger=wandb", "runs_dir=there")
    assert again == first
    assert group_of(tmp_path / "c", "+sweep=table2", "scale=demo") != first
    assert group_of(tmp_path / "d", "+sweep=table2", "scale=paper", "training.ema_decay=0,0.9") != first


def test_a_single_run_has_no_group(tmp_path):
    assert read_group(tmp_path) is None

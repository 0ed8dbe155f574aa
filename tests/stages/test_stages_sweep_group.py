"""The group that the runs of a sweep share."""

from omegaconf import OmegaConf

from rbc_lightning.stages.tracking.sweep_group import in_group, write_group


def master(compose_tiny, directory, *overrides):
    """What Hydra's hook gets at the beginning of a multirun, as far as it matters."""
    cfg = OmegaConf.create({"sweep_name": "table2", "hydra": {"overrides": {"task": list(overrides)}, "sweeper": {}}})
    cfg.hydra.sweeper.params = {"model": "fcn8s,dcan", "seed": "0,1,2"}
    write_group(cfg, directory)
    return in_group(compose_tiny(directory, "logger=wandb"), directory).logger.group


def test_cells_of_a_sweep_share_a_group_that_outlives_a_crash(tmp_path, compose_tiny):
    first = master(compose_tiny, tmp_path / "a", "+sweep=table2", "scale=paper", "runs_dir=here")
    assert first.startswith("table2-")
    # Called again elsewhere, with more seeds, with another logger: the same sweep.
    again = master(compose_tiny, tmp_path / "b", "+sweep=table2", "scale=paper", "seed=3,4", "logger=wandb", "runs_dir=there")
    assert again == first
    assert master(compose_tiny, tmp_path / "c", "+sweep=table2", "scale=demo") != first
    assert master(compose_tiny, tmp_path / "d", "+sweep=table2", "scale=paper", "training.ema_decay=0,0.9") != first


def test_a_group_of_the_users_own_stays_and_a_csv_logger_needs_none(tmp_path, compose_tiny):
    write_group(OmegaConf.create({"sweep_name": "x", "hydra": {"overrides": {"task": []}, "sweeper": {}}}), tmp_path)
    mine = compose_tiny(tmp_path, "logger=wandb", "logger.group=mine")
    assert in_group(mine, tmp_path).logger.group == "mine"
    plain = compose_tiny(tmp_path)
    assert in_group(plain, tmp_path) == plain

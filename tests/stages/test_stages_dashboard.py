"""The dashboard on Weights & Biases as code, and that no server is waited for."""

import json
import sys
import threading
from pathlib import Path

import pytest
from run_records import SETTINGS, write_run

from rbc_lightning.app import run
from rbc_lightning.errors import InputError
from rbc_lightning.report.collect import collect_runs
from rbc_lightning.stages.tracking import dashboard
from rbc_lightning.stages.tracking.dashboard import build_workspace, not_uploaded

ws = pytest.importorskip("wandb_workspaces.workspaces", reason="an optional package")

BOTH = {"test/ap50": 0.7, "val/dice": 0.8}


@pytest.fixture(autouse=True)
def no_login(monkeypatch):
    """Neither a login nor a server, and no process of wandb's."""
    monkeypatch.setattr(dashboard, "server_url", lambda: "https://wandb.invalid")
    monkeypatch.setattr(dashboard, "has_login", lambda url: False)


@pytest.fixture
def runs_dir(tmp_path):
    root = tmp_path / "runs"
    root.mkdir()
    for seed in (0, 1):
        for column in ("rd", "rd_sd"):
            write_run(root, f"{column}_{seed}", column, seed, data="folder", **BOTH)
    return root


def runs_of(root):
    return collect_runs(root).runs


def panels_of(workspace):
    """What would be sent, by section."""
    sent = json.loads(workspace._to_model().model_dump_json(by_alias=True))
    sections = sent["spec"]["section"]["panelBankConfig"]["sections"]
    return {section["name"]: [(panel["viewType"], panel["config"]) for panel in section["panels"]] for section in sections}


def test_each_score_has_bars_by_column_with_the_deviation_over_seeds(runs_dir):
    bars = panels_of(build_workspace("me", "project", "folder", runs_of(runs_dir)))["Scores by column"]
    assert [kind for kind, _ in bars] == ["Bar Chart", "Bar Chart"]
    # AP over all thresholds is in no run, and gets no bars.
    assert [config["metrics"] for _, config in bars] == [["test/dice"], ["test/ap50"]]
    for _, config in bars:
        assert (config["groupBy"], config["groupAgg"], config["groupArea"]) == ("cell.value", "mean", "stddev")
        assert config["aggregate"] is True


def test_learning_curves_go_by_step_and_seeds_are_a_band(runs_dir):
    curves = panels_of(build_workspace("me", "project", "folder", runs_of(runs_dir)))["Learning curves"]
    assert [config["metrics"] for _, config in curves] == [["val/dice"], ["train/loss"]]
    for kind, config in curves:
        assert (kind, config["xAxis"]) == ("Run History Line Plot", "trainer/global_step")
        assert (config["groupBy"], config["groupAgg"], config["groupArea"]) == ("cell.value", "mean", "stddev")


def test_image_tables_and_the_runs_are_there(runs_dir):
    panels = panels_of(build_workspace("me", "project", "folder", runs_of(runs_dir)))
    shown = json.dumps(panels["Predictions and synthetic samples"])
    assert '"predictions"' in shown
    assert '"synthetic"' in shown
    assert [kind for kind, _ in panels["All runs"]] == ["Run Comparer"]


def test_it_shows_the_runs_of_this_data_set_with_their_scores(runs_dir):
    workspace = build_workspace("me", "project", "folder", runs_of(runs_dir))
    assert (workspace.entity, workspace.project, workspace.name) == ("me", "project", "Synthetic data on folder")
    chosen = workspace.runset_settings
    assert chosen.filters == """Metric("JobType") == 'train' and Config("dataset") == 'folder'"""
    assert [key.name for key in chosen.groupby] == ["cell"]
    assert {"config:column.value", "config:seed.value", "summary:test/dice", "summary:test/ap50"} <= {*chosen.pinned_columns}


def test_runs_of_sweeps_alone_are_filtered_by_their_groups(tmp_path):
    for seed, group in enumerate(["table2-b", "table2-a"]):
        write_run(tmp_path, str(seed), "rd", seed, settings={**SETTINGS, "logger": {"kind": "wandb", "group": group}})
    in_sweeps = build_workspace("me", "project", "smears", runs_of(tmp_path)).runset_settings.filters
    assert in_sweeps.endswith("""and Metric("Group") in ['table2-a', 'table2-b']""")
    write_run(tmp_path, "alone", "rd", 2)
    assert "Group" not in build_workspace("me", "project", "smears", runs_of(tmp_path)).runset_settings.filters


def test_runs_that_it_cannot_show_are_named_with_a_remedy(runs_dir):
    (unknown,) = not_uploaded(runs_of(runs_dir))
    assert unknown == "4 of 4 runs were trained without logger=wandb and are not on the dashboard, such as rd_0"
    for name, synced in (("rd_0", False), ("rd_1", True)):
        part = runs_dir / name / "wandb" / "offline-run-1"
        part.mkdir(parents=True)
        (part / "run-1.wandb.synced").touch() if synced else (part / "run-1.wandb").touch()
    first, second = not_uploaded(runs_of(runs_dir))
    assert first.startswith("2 of 4 runs")
    assert second == f"1 recordings were made offline; upload them with: wandb sync {runs_dir}/*/wandb/offline-run-*"


@pytest.fixture
def report(compose_tiny):
    """Run `stage=report wandb=true`."""

    def call(directory, *overrides):
        return run(compose_tiny(directory, "stage=report", "report.gallery=0", "wandb=true", *overrides))

    return call


def test_without_a_login_the_report_is_written_and_the_remedy_told(tmp_path, runs_dir, report):
    with pytest.raises(InputError, match=r"needs a login at https://wandb\.invalid: run `wandb login`, .*is written: "):
        report(tmp_path)
    assert (runs_dir / "report" / "folder" / "table2.md").is_file()


def test_a_missing_package_is_told_with_its_remedy(tmp_path, runs_dir, report, monkeypatch):
    # None in sys.modules makes an import fail.
    monkeypatch.setitem(sys.modules, "wandb_workspaces.workspaces", None)
    with pytest.raises(InputError, match=r"needs the package wandb-workspaces: install it \(pip install wandb-workspaces"):
        report(tmp_path)


def test_a_server_that_does_not_answer_is_told(tmp_path, runs_dir, report, monkeypatch):
    monkeypatch.setattr(dashboard, "has_login", lambda url: True)
    with pytest.raises(InputError, match=r"https://wandb\.invalid does not answer; .*the report itself is written"):
        report(tmp_path)


@pytest.fixture
def answering(monkeypatch):
    monkeypatch.setattr(dashboard, "has_login", lambda url: True)
    monkeypatch.setattr(dashboard, "is_reachable", lambda url: True)


def test_a_server_that_hangs_is_given_up(tmp_path, runs_dir, report, monkeypatch, answering):
    released = threading.Event()
    monkeypatch.setattr(dashboard, "_SECONDS_TO_SAVE", 0.2)
    monkeypatch.setattr(ws.Workspace, "save", lambda workspace: released.wait())
    try:
        with pytest.raises(InputError, match=r"could not be saved \(no answer within 0 s\); the report itself is written"):
            report(tmp_path, "logger=wandb", "logger.entity=me")
    finally:
        released.set()


def test_a_saved_dashboard_is_told_with_its_address(tmp_path, runs_dir, report, monkeypatch, answering, capsys):
    saved = []

    class Saved:
        url = "https://wandb.invalid/me/mine?nw=x"

    def save(workspace):
        saved.append(workspace)
        return Saved

    monkeypatch.setattr(ws.Workspace, "save", save)
    result = report(tmp_path, "logger=wandb", "logger.entity=me", "logger.project=mine")
    (workspace,) = saved
    assert (workspace.entity, workspace.project) == ("me", "mine")
    assert result.n_runs == 4
    said = capsys.readouterr().out
    assert "Dashboard: https://wandb.invalid/me/mine?nw=x" in said
    assert "4 of 4 runs were trained without logger=wandb" in said


def test_nothing_of_it_is_asked_for_by_default(tmp_path, runs_dir, compose_tiny, monkeypatch):
    monkeypatch.setattr(dashboard, "_check", lambda done: pytest.fail("asked"))
    assert Path(run(compose_tiny(tmp_path, "stage=report", "report.gallery=0")).directory).is_dir()

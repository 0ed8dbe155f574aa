"""The dashboard on Weights & Biases as code, and that no server is waited for."""

import json
import sys
import threading
from types import SimpleNamespace

import pytest

from rbc_lightning.errors import InputError
from rbc_lightning.tracking import dashboard
from rbc_lightning.tracking.dashboard import build_workspace, not_uploaded, save_dashboard

ws = pytest.importorskip("wandb_workspaces.workspaces", reason="an optional package")

TITLES = {"dice": {"title": "Dice"}, "ap50": {"title": "AP at IoU 0.5"}, "aji": {"title": "AJI"}}


@pytest.fixture(autouse=True)
def no_login(monkeypatch):
    """Neither a login nor a server, and no process of wandb's."""
    monkeypatch.setattr(dashboard, "server_url", lambda: "https://wandb.invalid")
    monkeypatch.setattr(dashboard, "has_login", lambda url: False)


def make_run(directory, **settings):
    metrics = {"test/dice": 0.9, "test/ap50": 0.7, "val/dice": 0.8, "metrics": TITLES}
    return SimpleNamespace(directory=directory, metrics=metrics, settings=settings)


@pytest.fixture
def runs(tmp_path):
    return [make_run(tmp_path / f"{column}_{seed}") for seed in (0, 1) for column in ("rd", "rd_sd")]


def panels_of(workspace):
    """What would be sent, by section."""
    sent = json.loads(workspace._to_model().model_dump_json(by_alias=True))
    sections = sent["spec"]["section"]["panelBankConfig"]["sections"]
    return {section["name"]: [(panel["viewType"], panel["config"]) for panel in section["panels"]] for section in sections}


def test_each_score_has_bars_by_column_with_the_deviation_over_seeds(runs):
    bars = panels_of(build_workspace("me", "project", "folder", runs))["Scores by column"]
    assert [kind for kind, _ in bars] == ["Bar Chart", "Bar Chart"]
    titles = ["Dice on the test split", "AP at IoU 0.5 on the test split"]
    assert [config["chartTitle"] for _, config in bars] == [f"{title}: mean and deviation over seeds" for title in titles]
    # AJI is in no run, and gets no bars.
    assert [config["metrics"] for _, config in bars] == [["test/dice"], ["test/ap50"]]
    for _, config in bars:
        assert (config["groupBy"], config["groupAgg"], config["groupArea"]) == ("entry.value", "mean", "stddev")
        assert config["aggregate"] is True


def test_learning_curves_go_by_step_and_seeds_are_a_band(runs):
    curves = panels_of(build_workspace("me", "project", "folder", runs))["Learning curves"]
    assert [config["metrics"] for _, config in curves] == [["val/dice"], ["train/loss"]]
    for kind, config in curves:
        assert (kind, config["xAxis"]) == ("Run History Line Plot", "trainer/global_step")
        assert (config["groupBy"], config["groupAgg"], config["groupArea"]) == ("entry.value", "mean", "stddev")


def test_image_tables_and_the_runs_are_there(runs):
    panels = panels_of(build_workspace("me", "project", "folder", runs))
    shown = json.dumps(panels["Predictions and synthetic samples"])
    assert '"predictions"' in shown
    assert '"synthetic"' in shown
    assert [kind for kind, _ in panels["All runs"]] == ["Run Comparer"]


def test_it_shows_the_runs_of_this_data_set_with_their_scores(runs):
    workspace = build_workspace("me", "project", "folder", runs)
    assert (workspace.entity, workspace.project, workspace.name) == ("me", "project", "Synthetic data on folder")
    chosen = workspace.runset_settings
    assert chosen.filters == """Metric("JobType") == 'train' and Config("dataset") == 'folder'"""
    assert [key.name for key in chosen.groupby] == ["entry"]
    assert {"config:column.value", "config:seed.value", "summary:test/dice", "summary:test/ap50"} <= {*chosen.pinned_columns}


def test_runs_of_sweeps_alone_are_filtered_by_their_groups(tmp_path):
    runs = [make_run(tmp_path / group, **{"logger.group": group}) for group in ("table2-b", "table2-a")]
    in_sweeps = build_workspace("me", "project", "smears", runs).runset_settings.filters
    assert in_sweeps.endswith("""and Metric("Group") in ['table2-a', 'table2-b']""")
    alone = [*runs, make_run(tmp_path / "alone")]
    assert "Group" not in build_workspace("me", "project", "smears", alone).runset_settings.filters


def test_runs_that_it_cannot_show_are_named_with_a_remedy(tmp_path, runs):
    (unknown,) = not_uploaded(runs)
    assert unknown == "4 of 4 runs were trained without logger=wandb and are not on the dashboard, such as rd_0"
    for name, synced in (("rd_0", False), ("rd_1", True)):
        part = tmp_path / name / "wandb" / "offline-run-1"
        part.mkdir(parents=True)
        (part / "run-1.wandb.synced").touch() if synced else (part / "run-1.wandb").touch()
    first, second = not_uploaded(runs)
    assert first.startswith("2 of 4 runs")
    assert second == f"1 recordings were made offline; upload them with: wandb sync {tmp_path}/*/wandb/offline-run-*"


def save(runs, written, project="rbc_lightning", entity=None):
    save_dashboard(project, entity, "folder", runs, written)


def test_without_a_login_the_remedy_is_named(tmp_path, runs):
    with pytest.raises(InputError, match=r"needs a login at https://wandb\.invalid: run `wandb login`, .*is written: "):
        save(runs, tmp_path)


def test_a_missing_package_is_named_with_its_remedy(tmp_path, runs, monkeypatch):
    # None in sys.modules makes an import fail.
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    with pytest.raises(InputError, match=r"needs the package wandb-workspaces: install it \(pip install wandb-workspaces"):
        save(runs, tmp_path)


def test_a_server_that_does_not_answer_is_reported(tmp_path, runs, monkeypatch):
    monkeypatch.setattr(dashboard, "has_login", lambda url: True)
    with pytest.raises(InputError, match=r"https://wandb\.invalid does not answer; .*the report itself is written"):
        save(runs, tmp_path)


@pytest.fixture
def answering(monkeypatch):
    monkeypatch.setattr(dashboard, "has_login", lambda url: True)
    monkeypatch.setattr(dashboard, "is_reachable", lambda url: True)


def test_a_server_that_hangs_is_given_up(tmp_path, runs, monkeypatch, answering):
    released = threading.Event()
    monkeypatch.setattr(dashboard, "_SECONDS_TO_SAVE", 0.2)
    monkeypatch.setattr(ws.Workspace, "save", lambda workspace: released.wait())
    try:
        with pytest.raises(InputError, match=r"could not be saved \(no answer within 0 s\); the report itself is written"):
            save(runs, tmp_path, entity="me")
    finally:
        released.set()


def test_a_saved_dashboard_is_printed_with_its_address(tmp_path, runs, monkeypatch, answering, capsys):
    saved = []

    def keep(workspace):
        saved.append(workspace)
        return SimpleNamespace(url="https://wandb.invalid/me/mine?nw=x")

    monkeypatch.setattr(ws.Workspace, "save", keep)
    save(runs, tmp_path, project="mine", entity="me")
    (workspace,) = saved
    assert (workspace.entity, workspace.project) == ("me", "mine")
    said = capsys.readouterr().out
    assert "Dashboard: https://wandb.invalid/me/mine?nw=x" in said
    assert "4 of 4 runs were trained without logger=wandb" in said

import pytest
from run_records import write_run

from rbc_lightning.study.collect import collect_runs
from rbc_lightning.study.learning import Epoch, learning_curve, learning_curves

HEADER = "drawn/real,epoch,step,train/loss,val/dice,val/loss\n"


def write_curves(directory, part, *rows, end=""):
    """Rows (epoch, step, loss, score), as Lightning logs them: one of both is empty."""
    folder = directory / part
    folder.mkdir()
    lines = [f",{epoch},{step},{loss},{score},\n" for epoch, step, loss, score in rows]
    (folder / "metrics.csv").write_text(HEADER + "".join(lines) + end)


def run_with_curves(root, *parts, **metrics):
    write_run(root, "run", "rd_aug", 2, **metrics)
    for part, rows, end in parts:
        write_curves(root / "run", part, *rows, end=end)
    return collect_runs(root).runs[0]


def test_an_epoch_has_the_mean_loss_of_its_steps_and_the_score_at_its_end(tmp_path):
    rows = [(0, 0, 1.0, ""), (0, 1, 0.5, ""), (0, 1, "", 0.7), (1, 2, 0.4, ""), (1, 3, 0.2, ""), (1, 3, "", 0.9)]
    curve = learning_curve(run_with_curves(tmp_path, ("curves", rows, ""), **{"val/dice": 0.7}))
    assert (curve.run.column, curve.run.seed, curve.run.optimistic) == ("rd_aug", 2, False)
    assert curve.epochs == (Epoch(2, 0.75, 0.7), Epoch(4, pytest.approx(0.3), 0.9))
    assert curve.chosen == curve.epochs[0]


def test_parts_of_a_resumed_run_are_joined_and_what_was_repeated_counts_once(tmp_path):
    first = [(0, 0, 1.0, ""), (0, 1, 0.8, ""), (0, 1, "", 0.5), (1, 2, 99.0, "")]
    second = [(1, 2, 0.6, ""), (1, 3, 0.4, ""), (1, 3, "", 0.6), (2, 4, 77.0, "")]
    third = [(2, 4, 0.2, ""), (2, 5, 0.1, ""), (2, 5, "", 0.6)]
    # Attempt 10 comes after attempt 2, and a process killed while writing leaves half a row.
    torn = ",2,"
    parts = (("curves_10", third, ""), ("curves_2", second, torn), ("curves", first, ",1,3,4.1e-"))
    curve = learning_curve(run_with_curves(tmp_path, *parts, **{"val/dice": 0.6}))
    assert curve.epochs == (Epoch(2, pytest.approx(0.9), 0.5), Epoch(4, 0.5, 0.6), Epoch(6, pytest.approx(0.15), 0.6))
    # Of equal scores the first is kept.
    assert curve.chosen == curve.epochs[1]


def test_a_loss_that_is_no_number_is_left_out(tmp_path):
    rows = [(0, 0, "nan", ""), (0, 1, 0.5, ""), (1, 2, "inf", ""), (1, 2, "", 0.4)]
    curve = learning_curve(run_with_curves(tmp_path, ("curves", rows, "")))
    assert curve.epochs == (Epoch(2, 0.5, None), Epoch(3, None, 0.4))
    assert curve.chosen is None


def test_weights_chosen_on_the_test_split_are_marked(tmp_path):
    rows = [(0, 0, 0.5, ""), (0, 0, "", 0.4), (1, 1, "", 0.6)]
    curve = learning_curve(run_with_curves(tmp_path, ("curves", rows, ""), optimistic=True, **{"selection/dice": 0.6}))
    assert (curve.run.optimistic, curve.chosen) == (True, Epoch(2, None, 0.6))


def test_without_recorded_curves_there_are_no_epochs(tmp_path):
    assert learning_curve(run_with_curves(tmp_path)).epochs == ()


def test_of_an_ensemble_each_member_has_a_curve(tmp_path):
    run = run_with_curves(tmp_path, members=[{"seed": 5, "val/dice": 0.4}, {"seed": 6, "val/dice": 0.5}], **{"val/dice": 0.6})
    for number, scores in enumerate([(0.4, 0.3), (0.2, 0.5)]):
        (run.directory / "members" / str(number)).mkdir(parents=True)
        write_curves(run.directory / "members" / str(number), "curves", *[(k, k, "", score) for k, score in enumerate(scores)])
    first, second = learning_curves(run)
    assert [epoch.score for epoch in first.epochs + second.epochs] == [0.4, 0.3, 0.2, 0.5]
    assert (first.chosen, second.chosen) == (Epoch(1, None, 0.4), Epoch(2, None, 0.5))
    assert first.run is second.run is run

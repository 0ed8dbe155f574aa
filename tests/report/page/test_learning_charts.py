import pytest
from page_charts import marks, parse, texts
from run_records import write_run

from rbc_lightning.report.page.learning_charts import _within, learning_chart
from rbc_lightning.study.choose import group_runs
from rbc_lightning.study.collect import collect_runs


def write_trained(root, column, seed, losses, scores):
    name = f"{column}{seed}"
    write_run(root, name, column, seed, **{"val/dice": max(scores)})
    (root / name / "curves").mkdir()
    lines = ["epoch,step,train/loss,val/dice"]
    for epoch, (loss, score) in enumerate(zip(losses, scores, strict=True)):
        lines += [f"{epoch},{10 * epoch + 9},{loss},", f"{epoch},{10 * epoch + 9},,{score}"]
    (root / name / "curves" / "metrics.csv").write_text("\n".join(lines))


def test_learning_curves_show_means_of_seeds_and_where_weights_were_chosen(tmp_path):
    write_trained(tmp_path, "rd", 0, [0.8, 0.4, 0.2, 0.2], [0.1, 0.90, 0.94, 0.93])
    write_trained(tmp_path, "rd", 1, [0.8, 0.4, 0.2, 0.2], [0.1, 0.94, 0.92, 0.90])
    write_trained(tmp_path, "rd_sd", 0, [0.8, 0.4, 0.1, 0.1], [0.1, 0.98, 0.96, 0.95])
    write_run(tmp_path, "without_curves", "sd")
    chart = learning_chart("fcn8s", group_runs(collect_runs(tmp_path).runs, "smears").runs["fcn8s"])
    root = parse(chart)
    first, second, third = marks(root, "RD: loss")
    assert (second[0] - first[0], third[0] - second[0]) == pytest.approx((324 / 4, 324 / 4), abs=0.1)
    # Halving after halving, on a scale of logarithms.
    assert third[1] - second[1] == pytest.approx(second[1] - first[1], abs=0.2)
    (chosen,), (other,) = marks(root, "RD, seed 0, chosen: 0.9400, step 30"), marks(root, "RD, seed 1, chosen: 0.9400, step 20")
    assert chosen[1] == other[1]
    assert (chosen[0], other[0]) == pytest.approx((289, 208), abs=0.1)
    means = {x: y for x, y, _ in marks(root, "RD: Dice")}
    (top,) = marks(root, "RD+SD, seed 0, chosen: 0.9800, step 20")
    # The mean of 0.90 and 0.94 at step 20: as far below 0.94 as half of 0.98 lies above it.
    assert means[208.0] - other[1] == pytest.approx((other[1] - top[1]) / 2, abs=0.2)
    # Before a third of the training: below the panel, and told.
    assert 127.0 not in means
    assert "early in training" in chart.caption
    assert "SD" not in texts(root)


def test_a_line_is_cut_where_it_leaves_the_panel():
    points = [(0, 0.0), (1, 0.5), (2, 0.5), (3, 2.0), (4, 2.0), (5, 0.5)]
    assert _within(points, 0.25, 1.0) == [
        [(0.5, 0.25), (1, 0.5), (2, 0.5), (pytest.approx(2 + 1 / 3), 1.0)],
        [(pytest.approx(4 + 2 / 3), 1.0), (5, 0.5)],
    ]
    assert _within([(0, 0.0), (1, 2.0)], 0.5, 1.0) == [[(0.25, 0.5), (0.5, 1.0)]]
    assert _within([(0, 2.0), (1, 2.0)], 0.5, 1.0) == []


def test_many_epochs_of_many_seeds_stay_small(tmp_path):
    falling = [1 / (1 + 0.1 * k) for k in range(200)]
    for column in ("rd", "sd", "rd_aug", "rd_sd", "rd_sd_aug"):
        for seed in range(3):
            write_trained(tmp_path, column, seed, falling, [1 - 0.5 * loss - 0.001 * seed for loss in falling])
    parse(learning_chart("fcn8s", group_runs(collect_runs(tmp_path).runs, "smears").runs["fcn8s"]))


def test_nothing_to_draw_is_said():
    chart = learning_chart("fcn8s", {})
    parse(chart)
    assert chart.caption == "No learning curves of fcn8s were recorded."

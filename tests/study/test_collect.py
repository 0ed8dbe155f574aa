import csv
import json

import pytest
from run_records import write_run

from rbc_lightning.core.files import write_rows
from rbc_lightning.errors import InputError
from rbc_lightning.study.collect import collect_runs, paired_scores, version_notes


def by_column(root):
    filed = {}
    for run in collect_runs(root).runs:
        filed.setdefault(run.column, {})[run.seed] = run
    return filed


def test_what_cannot_be_read_is_named_and_what_is_not_finished_is_no_run(tmp_path):
    write_run(tmp_path, "good", "rd")
    for name in ("torn", "no_scores", "no_config", "poor", "twice", "text"):
        write_run(tmp_path, name, "rd")
    (tmp_path / "torn" / "metrics.json").write_text("{")
    (tmp_path / "no_scores" / "per_image.csv").write_text("sample_id,iou\nx,0.5\n")
    (tmp_path / "no_config" / "config.yaml").unlink()
    (tmp_path / "poor" / "metrics.json").write_text(json.dumps({"layout": 2, "column": "rd", "model": "fcn8s"}))
    (tmp_path / "twice" / "per_image.csv").write_text("sample_id,dice\nx,0.5\nx,0.6\n")
    (tmp_path / "text" / "config.yaml").write_text("only words")
    (tmp_path / "unfinished").mkdir()
    found = collect_runs(tmp_path)
    assert [run.directory.name for run in found.runs] == ["good"]
    assert [line.split(":")[0] for line in found.notes] == ["no_config", "no_scores", "poor", "text", "torn", "twice"]
    assert "metrics.json lacks seed, data" in found.notes[2]
    assert "per_image.csv has no dice for each test image" in found.notes[1]
    assert all("\n" not in line for line in found.notes)


@pytest.mark.parametrize("content", [b"{", b"[]", b"3", b"\xff\xfe"])
def test_a_damaged_record_is_no_finished_run(tmp_path, content):
    write_run(tmp_path, "a", "rd")
    write_run(tmp_path, "damaged", "rd_aug")
    (tmp_path / "damaged" / "metrics.json").write_bytes(content)
    found = collect_runs(tmp_path)
    assert [run.directory.name for run in found.runs] == ["a"]
    assert found.notes[0].startswith("damaged: left out, cannot be read (")


def test_runs_of_an_older_layout_are_named_in_one_line_and_left_where_they_are(tmp_path):
    for column in ("rd", "rd_aug"):
        write_run(tmp_path, f"new_{column}", column)
    for number in range(5):
        write_run(tmp_path, f"old_{number}", "rd", number)
        path = tmp_path / f"old_{number}" / "metrics.json"
        record = json.loads(path.read_text())
        del record["layout"], record["recipe"]
        path.write_text(json.dumps(record))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    found = collect_runs(tmp_path)
    assert [run.directory.name for run in found.runs] == ["new_rd", "new_rd_aug"]
    assert found.notes == (
        f"5 runs in {tmp_path} were made by an older layout of this package (old_0, old_1, old_2, ...): they are not used and "
        "stay where they are; train again to compare",
    )
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_only_wanted_runs_are_read_to_the_end(tmp_path):
    write_run(tmp_path, "a", "rd")
    write_run(tmp_path, "b", "rd", data="elsewhere")
    (tmp_path / "b" / "config.yaml").unlink()
    found = collect_runs(tmp_path, lambda metrics: metrics["data"] == "smears")
    assert ([run.directory.name for run in found.runs], found.notes) == (["a"], ())


def test_versions_and_formats_that_differ_are_named(tmp_path):
    for seed, version in enumerate(("1.0", "1.0", "2.0")):
        write_run(tmp_path, f"sd{seed}", "sd", seed, version=version, formats={"synthetic": 1 + (seed == 0), "train": 1})
    write_run(tmp_path, "rd", "rd", formats={"train": 1})
    runs = collect_runs(tmp_path).runs
    assert list(version_notes(runs)) == [
        "made by different versions: 1.0 (sd0, sd1, rd); 2.0 (sd2)",
        "made with different formats of synthetic: 1 (sd1, sd2); 2 (sd0)",
    ]
    # A run without synthetic samples has no format of them.
    assert list(version_notes([run for run in runs if run.directory.name in ("sd0", "rd")])) == []


def test_a_missing_directory_is_told(tmp_path):
    with pytest.raises(InputError, match=r"runs_dir=.*nowhere: no such directory; expected the one"):
        collect_runs(tmp_path / "nowhere")


def test_scores_are_paired_by_name_and_images_without_a_score_dropped(tmp_path):
    write_run(tmp_path, "a", "rd", 0, images={"y": 0.2, "x": 0.1, "z": 0.3})
    write_run(tmp_path, "b", "rd", 1, images={"z": 0.6, "x": 0.4, "y": 0.5})
    write_run(tmp_path, "c", "rd_sd", 0, images={"x": 0.7, "y": float("nan"), "z": 0.9})
    paired = paired_scores(by_column(tmp_path), "dice")
    assert paired.scores["rd"].tolist() == [[0.1, 0.3], [0.4, 0.6]]
    assert paired.scores["rd_sd"].tolist() == [[0.7, 0.9]]
    assert paired.seeds == {"rd": (0, 1), "rd_sd": (0,)}
    assert (paired.n_images, paired.n_dropped, paired.units) == (2, 1, "2 test images")
    # Of the seed that both have: 0.7 - 0.1 and 0.9 - 0.3.
    assert paired.difference("rd_sd", "rd").value == pytest.approx(0.6)
    with pytest.raises(ValueError, match="no test image with a finite iou in all of 3 runs"):
        paired_scores(by_column(tmp_path), "iou")


def test_groups_of_test_images_are_read_and_paired(tmp_path):
    write_run(tmp_path, "a", "rd", 0, images={"x": 0.1, "y": 0.2, "z": 0.6})
    (path,) = tmp_path.rglob("per_image.csv")
    with path.open(newline="") as handle:
        rows = [{**row, "group": {"x": "p", "y": "q", "z": "p"}[row["sample_id"]]} for row in csv.DictReader(handle)]
    write_rows(path, rows)
    paired = paired_scores(by_column(tmp_path), "dice")
    assert paired.groups == ("p", "q", "p")
    assert paired.units == "3 test images of 2 groups, which count once each"
    assert paired.means("rd").tolist() == [[pytest.approx(0.35), 0.2]]

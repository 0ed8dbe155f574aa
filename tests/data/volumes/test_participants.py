import pytest
from volume_samples import write_table

from rbc_lightning.data.volumes.participants import Row, read_table
from rbc_lightning.errors import InputError


def test_rows_are_read_with_what_they_leave_out(tmp_path):
    columns = ("Participant_ID", "site", "group", "Split", "session_id", "lesions")
    rows = [
        ("sub-1", "x", "p1", "test", "1", "18"),
        ("sub-1", "x", "p1", "Test", "ses-2", "3.5"),
        ("sub-2", "", "n/a", "", "", ""),
    ]
    assert read_table(write_table(tmp_path, [*rows, ("",) * 6], columns)) == [
        Row("sub-1", "1", "p1", "test", {}),
        Row("sub-1", "ses-2", "p1", "test", {}),
        Row("sub-2", None, "sub-2", "train", {}),
    ]


def test_columns_may_name_files(tmp_path):
    for name in ("a.nii.gz", "b.nii", "c.mgz"):
        (tmp_path / name).write_bytes(b"0")
    table = write_table(tmp_path, [("1", "a.nii.gz", "b.nii", "c.mgz")], ("participant_id", "Flair", "T1W", "DSEG"))
    files = read_table(table)[0].files
    assert files == {"flair": tmp_path / "a.nii.gz", "t1": tmp_path / "b.nii", "mask": tmp_path / "c.mgz"}
    write_table(tmp_path, [("1", "d.nii.gz")], ("participant_id", "FLAIR"))
    with pytest.raises(
        InputError, match=r"participants\.tsv, line 2, column flair: no file .*d\.nii\.gz; expected a path from"
    ):
        read_table(table)


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        ([("1", "p")], ("id", "group"), "columns id, group; expected participant_id and, where known, group"),
        (
            [("1", "trian")],
            ("participant_id", "split"),
            "line 2: split 'trian' of 1; expected one of train, val, test, external",
        ),
        ([("1", "p")], ("participant_id", "Patient"), "column Patient, but no group, .*; expected group: call Patient so"),
        ([("", "test")], ("participant_id", "split"), "line 2: no participant_id"),
        ([], ("participant_id", "split"), "no rows; expected one for each participant"),
        (
            [("1", "test"), ("1", "train")],
            ("participant_id", "split"),
            r"line 3: '1' \(train\) is listed before \(test\); expected one row",
        ),
    ],
)
def test_bad_tables_are_refused_by_line(tmp_path, rows, columns, message):
    with pytest.raises(InputError, match=message):
        read_table(write_table(tmp_path, rows, columns))


def test_a_table_in_another_encoding_is_refused(tmp_path):
    table = write_table(tmp_path, [("1", "Malaga")], ("participant_id", "site"))
    for encoding in ("utf-16", "latin-1"):
        table.write_bytes("participant_id\tsite\n1\tM\xe1laga\n".encode(encoding))
        with pytest.raises(InputError, match=r"participants\.tsv: not UTF-8 .*; expected a table as UTF-8: save it so"):
            read_table(table)

from rbc_lightning.commands.words import counted


def test_one_thing_is_no_plural():
    assert [counted(count, "scan") for count in (0, 1, 2)] == ["0 scans", "1 scan", "2 scans"]

from rbc_lightning.core.progress import count_progress, tell


def test_a_line_is_printed_as_it_is(capsys):
    tell("[bold]x[/bold] " + "y" * 200)
    assert capsys.readouterr().out == "[bold]x[/bold] " + "y" * 200 + "\n"


def test_a_bar_counts_to_its_total(capsys):
    with count_progress("Counting", 3) as advance:
        for done in range(1, 4):
            advance(done, 3)
    assert "3/3" in capsys.readouterr().out

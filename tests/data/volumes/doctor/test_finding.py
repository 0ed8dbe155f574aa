from rbc_lightning.data.volumes.doctor.finding import Finding, in_mm, merged, name_some


def test_a_finding_is_one_line_with_its_remedy():
    assert Finding(("a", "b"), "something", "mend it").line() == "warning: a, b: something: mend it"
    assert Finding(("a",), "something", grave=False).line() == "note: a: something"


def test_of_many_scans_the_first_five_are_named():
    assert name_some(list("abcde")) == "a, b, c, d, e"
    assert name_some(list("abcdefg")) == "a, b, c, d, e and 2 more"


def test_lengths_have_two_decimals():
    assert in_mm((0.8984, 1, 7.2)) == "0.90 x 1.00 x 7.20 mm"


def test_what_is_the_same_of_several_scans_is_one_line_and_warnings_come_first():
    note, warning = Finding(("a",), "note", grave=False), Finding(("a",), "bad", "mend")
    found = merged([note, warning, Finding(("b",), "bad", "mend"), Finding(("b",), "bad", "other")])
    assert [one.line() for one in found] == ["warning: a, b: bad: mend", "warning: b: bad: other", "note: a: note"]

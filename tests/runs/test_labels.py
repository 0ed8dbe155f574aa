"""Names of a run."""

from rbc_lightning.runs.labels import RunLabels


def test_without_names_a_run_has_none_and_labels_compare_by_what_they_say():
    assert RunLabels() == RunLabels(data="", command=(), ratio=None, seeds=None, epochs=None)
    assert RunLabels("mri") != RunLabels("phantom")

from training_helpers import read_rows

from rbc_lightning.data.datamodule import PairDataModule
from rbc_lightning.data.mix import Mix
from rbc_lightning.data.readers.folder import read_folder
from rbc_lightning.data.splits import cut_validation
from rbc_lightning.runs.outcome import write_counts


def test_draws_are_counted_over_whole_passes(tiny_folder, tmp_path):
    manifest = cut_validation(read_folder(tiny_folder), 0.2, 0)
    data = PairDataModule(manifest, (), Mix(4, 0, 4), augment=None, crop=32, batch_size=4, steps_per_epoch=2, seed=0)
    write_counts(tmp_path, data, 4)
    rows = read_rows(tmp_path / "drawn.csv")
    assert {(row["origin"], row["augmented"]) for row in rows} == {("real", "True"), ("real", "False")}
    assert [int(row["draws"]) for row in rows] == [2] * 8

"""What jobs would make, read off their recipes."""

import pytest
from plan_recipes import Chooser, Graph, Pairs

from rbc_lightning.data.mix import Mix
from rbc_lightning.errors import InputError
from rbc_lightning.planning.work import PlanSettings, train_samples, works_of

RD, RD_SD = Mix(4, 0, 0), Mix(4, 4, 0)


def kinds(works):
    return [work.kind for work in works]


def by_kind(works):
    return {each.kind: each for each in works}


def test_all_upstream_is_listed_in_the_order_in_which_it_is_made(tmp_path):
    graph = Graph(tmp_path)
    works = works_of(graph.job(graph.run(RD_SD)))
    assert kinds(works) == ["shape_bank", "layout_fit", "gan_stage1", "translator", "synthetic", "train"]
    units = {kind: (each.units, each.unit) for kind, each in by_kind(works).items()}
    assert units == {
        # What says nothing of its work looks at every training image.
        "shape_bank": (4, "images"),
        "layout_fit": (20, "masks"),
        "gan_stage1": (8, "steps"),
        "translator": (4, "images"),
        "synthetic": (4, "pairs"),
        "train": (4, "steps"),
    }
    assert {each.translator for each in works if each.kind in ("gan_stage1", "translator", "synthetic")} == {"fake"}
    assert {each.translator for each in works if each.kind in ("shape_bank", "layout_fit", "train")} == {""}
    assert not list(tmp_path.iterdir())


def test_real_images_need_no_translator(tmp_path):
    graph = Graph(tmp_path)
    assert kinds(works_of(graph.job(graph.run(RD)))) == ["train"]


def test_keys_are_those_under_which_things_are_made(tmp_path):
    graph = Graph(tmp_path)
    job = graph.job(graph.run(RD_SD))
    planned = works_of(job)
    graph.store.ensure(job.recipe.synthetic)
    made = {path.parent.name: path.name for path in tmp_path.glob("artifacts/*/*") if path.is_dir()}
    assert {each.kind: each.key for each in planned if each.kind != "train"} == made
    assert [each.left for each in works_of(job)] == [0, 0, 0, 0, 0, 4]


def test_what_a_finished_thing_was_made_from_may_be_gone(tmp_path):
    graph = Graph(tmp_path)
    translator = graph.translator()
    graph.store.path(translator).mkdir(parents=True)
    found = by_kind(works_of(graph.job(translator)))
    assert {kind: each.left for kind, each in found.items()} == {"translator": 0}


def test_a_finished_run_asks_for_nothing_and_again_for_all_of_itself(tmp_path):
    graph = Graph(tmp_path)
    job = graph.job(graph.run(RD_SD))
    graph.finish(job)
    works = works_of(job)
    assert (kinds(works), works[-1].left) == (["train"], 0)
    again = works_of(graph.job(job.recipe, anew=True))
    assert len(again) == 6
    assert again[-1].left == 4


def test_an_interrupted_training_and_a_growing_set_go_on(tmp_path):
    graph = Graph(tmp_path)
    job = graph.job(graph.run(RD_SD))
    gan = next(node for node in job.recipe.walk() if node.kind == "gan_stage1")
    for directory in (job.directory, graph.store.path(gan).with_suffix(".partial")):
        (directory / "epoch_0").mkdir(parents=True)
    graph.store.ensure(Pairs(pairs=graph.source(), count=3))
    (graph.store.path(gan)).rename(tmp_path / "elsewhere")
    found = by_kind(works_of(job))
    assert (found["train"].done, found["synthetic"].done) == (2, 3)


def test_seeds_share_a_probe_and_no_key(tmp_path):
    first, second = (by_kind(works_of(graph.job(graph.run(RD_SD)))) for graph in (Graph(tmp_path), Graph(tmp_path, seed=1)))
    assert all(first[kind].probe == second[kind].probe for kind in first)
    assert {kind for kind in first if first[kind].key == second[kind].key} == {"shape_bank"}


def test_what_chooses_among_checkpoints_belongs_to_no_translator(tmp_path):
    graph = Graph(tmp_path)
    translator = graph.translator(choose="quality", chooser=Chooser(network=graph.network(), images=2), candidates=2)
    found = by_kind(works_of(graph.job(translator)))
    assert {kind: each.translator for kind, each in found.items()} == {
        "gan_stage1": "fake",
        "fcn_score": "",
        "translator": "fake",
    }


def test_samples_of_a_run_are_those_of_its_manifest(tmp_path):
    graph = Graph(tmp_path, n_train=3)
    assert len(train_samples(graph.run(RD))) == 3
    assert train_samples(graph.translator()) == graph.train.samples


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("train", 0, 60), "plan.steps=0; expected a whole number of at least 1"),
        (("train", 3, -1), "plan.seconds=-1; expected a number above 0"),
        (("check", 3, 60), "plan.stage=check; expected one of train, translator"),
    ],
)
def test_a_wrong_setting_is_refused(values, message):
    with pytest.raises(InputError, match=message):
        PlanSettings(*values)

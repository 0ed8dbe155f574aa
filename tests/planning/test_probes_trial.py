"""Short copies of recipes: of what is shortened nothing else changes."""

from plan_recipes import Chooser, Graph, Training

from rbc_lightning.core.trainer import TrainerSettings
from rbc_lightning.data.mix import Mix
from rbc_lightning.planning.probes import trial_of
from rbc_lightning.planning.stopwatch import Stopwatch
from rbc_lightning.planning.work import PlanSettings

WATCH = Stopwatch(PlanSettings("train", 3, 60))


def trial(recipe):
    return trial_of(recipe, images=2, units=4, watch=WATCH)


def test_the_whole_graph_gets_fewer_samples_and_one_epoch(tmp_path):
    graph = Graph(tmp_path, translator_changes={"candidates": 3})
    run, pairs = trial(graph.run(Mix(4, 9, 0))), trial(graph.pairs(9))
    found = {node.kind: node for node in pairs.walk()}
    gan = found["gan_stage1"]
    assert (len(gan.train), gan.task, gan.candidates) == (2, {"_target_": "Task", "n_epochs": 1, "width": 8}, 0)
    assert (gan.trainer.callbacks, gan.trainer.progress_bar) == ((WATCH,), False)
    assert (found["layout_fit"].generations, found["synthetic"].count) == (0, 4)
    assert (run.training.steps, run.training.steps_per_epoch, run.training.crop) == (4, 4, 64)
    assert [len(run.manifest.split(split)) for split in ("train", "val", "test")] == [2, 1, 2]
    assert (run.seed, run.model, gan.seed) == (0, graph.run(Mix(4, 0, 0)).model, 0)


def test_each_process_has_its_share_of_a_batch(tmp_path):
    trainer = TrainerSettings(devices=2, strategy="ddp_fork", num_workers=3)
    graph = Graph(tmp_path, trainer=trainer, training=Training(batch_size=8))
    run = trial(graph.run(Mix(4, 0, 0)))
    assert (run.training.batch_size, run.trainer.processes, run.trainer.num_workers) == (4, 1, 0)


def test_a_run_is_tried_on_real_images(tmp_path):
    graph = Graph(tmp_path)
    run = graph.run(Mix(4, 4, 2))
    tried = trial(run)
    assert (tried.mix, tried.synthetic, tried.training.steps) == (Mix(2, 0, 0), None, 4)


def test_what_lies_upstream_is_the_same_whichever_is_tried(tmp_path):
    graph = Graph(tmp_path)
    run = graph.run(Mix(4, 4, 0))
    trials = {node.kind: trial(node) for node in run.synthetic.walk() if node.kind not in ("samples", "pairs")}
    keys = {node.kind: node.key for node in trials["synthetic"].walk()}
    assert {kind: tried.key for kind, tried in trials.items()} == {kind: keys[kind] for kind in trials}


def test_nothing_is_chosen_and_the_network_that_would_is_tried_by_itself(tmp_path):
    graph = Graph(tmp_path)
    network = graph.network(steps=400)
    translator = graph.translator(choose="quality", chooser=Chooser(network=network, images=2))
    assert "fcn_score" not in {node.kind for node in trial(translator).walk()}
    tried = trial(network)
    assert (tried.training.steps, len(tried.train), len(tried.val)) == (4, 2, 1)

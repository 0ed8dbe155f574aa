"""What cannot become synthetic pairs, refused before anything that they are made from is trained or written."""

from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.core.recipe import Node
from rbc_lightning.pairs.base import PairSource
from rbc_lightning.pairs.synthetic_set import SyntheticSet
from rbc_lightning.translators.given import GivenTranslator


def refuse_pairs(experiment: Experiment, made: Node | None) -> None:
    """Refuse pairs that descend from held-out samples, and a translator of `translator.path` that does not fit the data.

    Args:
        experiment: has the samples and their splits.
        made: pairs on disk, a source of pairs, or None; those of `synthetic.path` are checked when they are read.

    Raises:
        InputError: whatever making them would refuse.
    """
    pairs = made.pairs if isinstance(made, SyntheticSet) else made
    if isinstance(pairs, PairSource):
        pairs.refuse_held_out(experiment.store, experiment.manifest)
        pairs.check_samples(one_patient=experiment.reader.n_real_patients == 1)
        if experiment.synthetic.mode == "online" and type(pairs).online is PairSource.online:
            # Says that they are not made while training.
            pairs.online(experiment.store, experiment.manifest)
        translator = getattr(pairs, "translator", None)
        if isinstance(translator, GivenTranslator):
            translator.load(translator.path, experiment.store)

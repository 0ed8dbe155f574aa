"""`stage=report`: finished runs as Table 2, with a verdict for each model, and one page that shows it all."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from rbc_lightning.commands.given import given_data
from rbc_lightning.commands.plain import plain, read_config, settings
from rbc_lightning.commands.splits import read_split
from rbc_lightning.core.build import build
from rbc_lightning.core.progress import count_progress
from rbc_lightning.core.store import Store
from rbc_lightning.core.trainer import TrainerSettings, resolve_precision
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.sample import Sample
from rbc_lightning.errors import InputError
from rbc_lightning.metrics.instances import Instances
from rbc_lightning.report.assemble import ReportResult, ReportSettings, make_report
from rbc_lightning.report.page.gallery import RunAccess
from rbc_lightning.segmenters.model import Model
from rbc_lightning.segmenters.training import find_objects, load_best
from rbc_lightning.study.run_record import CONFIG, Run, check_tested
from rbc_lightning.tracking.dashboard import save_dashboard


def run(cfg: DictConfig) -> ReportResult:
    """Write Table 2 of the finished runs on the config's data set, curves as CSV, and the page.

    Raises:
        InputError: there is no finished run on this data set, or a setting of `report` is refused; `wandb=true`, and the
            dashboard cannot be saved, with the report on disk.
    """
    chosen = settings(plain(cfg.report), ReportSettings, "report")
    runs_dir, name = Path(cfg.runs_dir), str(cfg.data.name)
    places = {"runs_dir": runs_dir, "artifacts_dir": Path(cfg.artifacts_dir)}
    result = make_report(chosen, _access(cfg), data=name, given=given_data(cfg), **places)
    if cfg.wandb:
        project, entity = (OmegaConf.select(cfg, f"logger.{key}") for key in ("project", "entity"))
        save_dashboard(project or "rbc_lightning", entity, name, result.runs, result.directory)
    return result


def _access(cfg: DictConfig) -> RunAccess:
    """How the report gets at what runs were tested on, and at what they predict."""
    trainer: TrainerSettings = build(plain(cfg.trainer), "trainer")
    store = Store(Path(cfg.artifacts_dir))
    given = None if OmegaConf.is_missing(cfg.data, "root") else cfg.data.get("root")

    def tested(run: Run) -> Sequence[Sample]:
        trained = read_config(run.directory)
        if trained.get("data") is None:
            raise InputError(f"{run.directory.name}/{CONFIG} names no data; rerun=true trains the run again")
        data = dict(trained["data"])
        if "root" in data:
            data["root"] = str(_root([given, data["root"]]))
        # Of a run made when there was one seed for everything, that one.
        split_seed = int(data.pop("split_seed", trained["seed"]))
        reader = build(data, "data")
        manifest = read_split(reader, store, str(trained["protocol"]), split_seed)
        test = manifest.split("test")
        units = [sample.unit for sample in test]
        check_tested(run, str(data.get("root", reader.name)), units, manifest.fingerprint())
        return test

    def predict(run: Run, samples: Sequence[Sample]) -> dict[str, Instances]:
        trained = read_config(run.directory)
        model = settings(trained["model"], Model, "model")
        task, found = load_best(run.directory, model).to(trainer.device), {}
        what = "Finding cells" if samples[0].volume is None else "Segmenting slices"
        with count_progress(f"{what} with {run.model}", len(samples)) as advance:
            for number, sample in enumerate(samples, start=1):
                image, precision = sample.load_image(), str(trained["trainer"]["precision"])
                found[sample.sample_id] = find_objects(task, image, sample.spec, precision)
                advance(number, len(samples))
        return found

    def numerics(run: Run) -> list[Any]:
        trained = read_config(run.directory)
        return [trained["model"], resolve_precision(str(trained["trainer"]["precision"])), trainer.accelerator]

    # The hashes of hundreds of files need not be known to show a few.
    return RunAccess(
        tested=tested,
        predict=predict,
        numerics=numerics,
        pairs=lambda directory: Manifest.load(directory / "manifest.csv", verify=False).samples,
    )


def _root(places: Sequence[str | None]) -> Path:
    """Where a folder lies: the first place of those known that exists."""
    known = [Path(place) for place in places if place is not None]
    found = next((place for place in known if place.is_dir()), None)
    if found is None:
        raise InputError(f"{' and '.join(dict.fromkeys(map(str, known)))}: no such directory; set data.root to the data set")
    return found

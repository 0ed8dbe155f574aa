"""Multiruns: how each job went is written down, and reported at the end; no job can stop the others; what group they are."""

import json
import math
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from rbc_lightning.core.files import content_hash, write_json
from rbc_lightning.errors import InputError
from rbc_lightning.sweeps.job import JobOutcome, run_apart
from rbc_lightning.sweeps.places import own_place

# In the directory of a multirun: the jobs' outcomes, Hydra's record, and the group.
_RECORDS, _MULTIRUN, _GROUP = "records", "multirun.yaml", "sweep.json"
# Keys that say where things lie rather than what a job is.
_PLACES = ("sweep", "runs_dir", "artifacts_dir")
# Keys that say where things lie, what runs them and what is printed, rather than what is compared.
_NOT_COMPARED = ("runs_dir", "artifacts_dir", "data.root", "trainer", "logger", "rerun")
# What a job's status is called at the end.
_WORDS = {"finished": "finished", "skipped": "finished earlier", "failed": "failed", "begun": "failed"}

# Directory of the multirun that this process has begun.
_begun: list[Path] = []


@dataclass(frozen=True)
class Job:
    """One job of the multirun named `sweep` in `directory`, with the overrides of the command line that are its own.

    `number` counts from 0; `devices` are GPUs that its trainer asks for (-1: all), None on the CPU.
    """

    number: int
    overrides: tuple[str, ...]
    sweep: str
    directory: Path
    launcher: str = "basic"
    devices: int | None = None

    @property
    def label(self) -> str:
        """How it is named to the user: its overrides but for those that say where things lie."""
        return " ".join(o for o in self.overrides if o.lstrip("+~").split("=")[0] not in _PLACES)

    @property
    def record(self) -> Path:
        """The file of its outcome."""
        name = re.sub(r"[^\w.=+-]+", "_", self.label)[:100]
        return self.directory / _RECORDS / f"{name}_{content_hash(sorted(self.overrides))[:8]}.json"

    @property
    def log(self) -> Path | None:
        """The file of its output; what a single job prints need not be kept apart from what others print."""
        return None if self.launcher == "basic" else self.record.with_suffix(".log")


def begin_sweep(name: str, directory: Path, *, queued: bool) -> None:
    """Remember, in the process that the user started, where the jobs will write how they went.

    Where they are `queued` to run elsewhere this process announces them.
    """
    _begun[:] = [directory]
    if queued:
        _announce(name, directory)


def write_group(name: str, overrides: Sequence[str], params: Mapping[str, object], directory: Path) -> None:
    """Write down the group of a multirun for its jobs, whatever process or machine they run on.

    Its identity are the overrides that all jobs share and the keys that vary, also by the sweeper's `params`, not their
    values: a sweep with more seeds, or called again after a crash, goes on in the same group.
    """
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    varied = {str(o.key_or_group) for o in parsed if o.is_sweep_override()} | set(map(str, params))
    aside = re.compile(rf"({'|'.join(map(re.escape, _NOT_COMPARED))})([.@].*)?")
    keys = [(str(o.key_or_group), str(o.input_line)) for o in parsed]
    shared = sorted(line for key, line in keys if key not in varied and not aside.fullmatch(key))
    group = f"{name}-{content_hash([sorted(varied), shared])[:6]}"
    write_json(directory / _GROUP, {"group": group, "varied": sorted(varied), "shared": shared})


def read_group(directory: Path) -> str | None:
    """The group of the multirun whose record lies in `directory`; None where there is none."""
    path = directory / _GROUP
    return str(json.loads(path.read_text())["group"]) if path.is_file() else None


def run_job(run: Callable[[Any], Any], settings: object, job: Job) -> None:
    """Call `run(settings)` in a process of its own, and write down how it went; called wherever the launcher chose.

    `run` is importable by name, and skips what is finished.
    """
    with suppress(FileExistsError):
        # The first job of the sweep to begin, in whatever process, makes it.
        job.record.parent.mkdir(parents=True)
        if not job.launcher.startswith("submitit"):
            _announce(job.sweep, job.directory)
    count = count_jobs(job.directory)
    shown = f"Job {job.number + 1}{'' if count is None else f' of {count}'}: {job.label}"
    begun = JobOutcome("begun", f"no word from it since it began; its output: {job.log or 'see above'}")
    write_json(job.record, {"job": job.label, **asdict(begun)})
    _say(shown if job.log is None else f"{shown} begins; its output goes to {job.log}")
    started = time.monotonic()
    try:
        with own_place(job.launcher, job.devices, job.directory.parent / "places") as device:
            outcome = run_apart(run, settings, log=job.log, cuda_devices=device, follow_parent=job.launcher == "joblib")
    except InputError as error:
        outcome = JobOutcome("failed", str(error))
    where = f"; its output: {job.log}" if outcome.status == "failed" and job.log is not None else ""
    outcome = replace(outcome, message=f"{outcome.message}{where}", seconds=round(time.monotonic() - started, 1))
    write_json(job.record, {"job": job.label, **asdict(outcome)})
    _say(f"{shown} {outcome.status}: {outcome.directory or outcome.message}")


def count_jobs(directory: Path) -> int | None:
    """The jobs of a multirun, counted in Hydra's record of it; None where the record does not say."""
    try:
        settings = yaml.safe_load((directory / _MULTIRUN).read_text())["hydra"]
        given = [f"{key}={values}" for key, values in (settings["sweeper"]["params"] or {}).items()]
        overrides = OverridesParser.create().parse_overrides([*given, *settings["overrides"]["task"]])
        # Of those that name the same key, the last one holds.
        last = {override.get_key_element(): override for override in overrides}
        swept = [override for override in last.values() if override.is_sweep_override()]
        return math.prod(sum(1 for _ in override.sweep_string_iterator()) for override in swept)
    except (OSError, HydraException, yaml.YAMLError, KeyError, TypeError):
        return None


def is_begun() -> bool:
    """Whether this process has begun a multirun."""
    return bool(_begun)


def leave_no_empty_record() -> None:
    """Remove the record of this process's multirun where none of its jobs has begun."""
    if not _begun or (_begun[0] / _RECORDS).exists():
        return
    directory = _begun.pop()
    for name in (_MULTIRUN, _GROUP):
        (directory / name).unlink(missing_ok=True)
    # Whatever else lies there is not ours.
    with suppress(OSError):
        directory.rmdir()


def close_sweep() -> int:
    """Report how the jobs of this process's multirun went, if there was one; returns the exit status: 1 where any failed."""
    if not _begun:
        return 0
    directory = _begun.pop()
    records = [json.loads(path.read_text()) for path in sorted((directory / _RECORDS).glob("*.json"))]
    if not records:
        return 0
    counts = Counter(_WORDS[record["status"]] for record in records)
    shown = ", ".join(f"{counts[word]} {word}" for word in dict.fromkeys(_WORDS.values()) if counts[word])
    print(f"Sweep of {len(records)} jobs: {shown}; recorded in {directory}", flush=True)
    for record in records:
        if _WORDS[record["status"]] == "failed":
            print(f"error: job {record['job']}: {record['message']}", file=sys.stderr)
    if counts["failed"]:
        print("The same command again skips what is finished and goes on with the rest.", file=sys.stderr, flush=True)
    return 1 if counts["failed"] else 0


def _announce(name: str, directory: Path) -> None:
    _say(f"Sweep {name}; how its jobs go is written in {directory / _RECORDS}")


def _say(line: str) -> None:
    # In one piece: several processes print here, and the end of a line must not come apart from it.
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()

"""`stage=report`: collect finished runs into S3 Table 2, with intervals and a verdict for each model."""

from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from rbc_lightning.data.formats import write_atomically
from rbc_lightning.errors import InputError
from rbc_lightning.report.collect import Collection, collect_runs, group_runs
from rbc_lightning.report.table2 import build_table2, to_csv, to_latex, to_markdown
from rbc_lightning.stages.inputs import console


@dataclass(frozen=True)
class ReportResult:
    """Where the tables are, of how many runs they tell, and the verdicts."""

    directory: Path
    n_runs: int
    verdicts: tuple[str, ...]

    def summary(self) -> str:
        """The verdicts, and where to look."""
        return "\n".join(
            [*self.verdicts, f"Tables of {self.n_runs} runs: {self.directory} (table2.md, table2.csv, table2.tex)"]
        )


def run(cfg: DictConfig) -> ReportResult:
    """Write Table 2 of the finished runs on the config's data set as Markdown, CSV and LaTeX.

    Raises:
        InputError: there is no finished run on this data set.
    """
    runs_dir = Path(cfg.runs_dir)
    found = collect_runs(runs_dir) if runs_dir.is_dir() else Collection((), ())
    for line in found.unreadable:
        console.print(f"note: {line}", markup=False, soft_wrap=True)
    names = sorted({str(run.metrics["data"]) for run in found.runs})
    if cfg.data.name not in names:
        others = f"; there are runs on {', '.join(names)}: take one of them with data=... or data.name=..." if names else ""
        raise InputError(
            f"{runs_dir}: no finished run on {cfg.data.name}; expected run directories that stage=train left, or another "
            f"runs_dir=...{others}"
        )
    groups = group_runs(found.runs, cfg.data.name)
    for line in groups.left_out:
        console.print(f"note: {line}", markup=False, soft_wrap=True)
    table = build_table2(groups, seed=cfg.seed)
    directory = runs_dir / "report" / cfg.data.name
    for suffix, text in (("md", to_markdown(table)), ("csv", to_csv(table)), ("tex", to_latex(table))):
        _write(directory / f"table2.{suffix}", text)
    n_runs = sum(len(seeds) for columns in groups.runs.values() for seeds in columns.values())
    verdicts = tuple(f"{row.model}: {answer.text}" for row in table.rows for answer in row.answers)
    return ReportResult(directory.resolve(), n_runs, verdicts)


def _write(path: Path, text: str) -> None:
    write_atomically(path, lambda part: part.write_text(text))

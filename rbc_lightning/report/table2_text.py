"""S3 Table 2 as Markdown, LaTeX and CSV, and the parts that they and the page share: verdicts, grids, footnotes."""

import csv
import io
from collections.abc import Iterator

from rbc_lightning.report.table2 import REFERENCES, TITLES, Cell, ModelRow, Table2, interval_text, p_text
from rbc_lightning.report.tables import CONTROLS, OPTIMISTIC

PAPER_TITLE = "Bailo et al. 2019 (another data set: not comparable)"
MARK = "†"  # behind optimistic figures
_METHOD = (
    "Intervals (95 %) tell of other images and other seeds, p of other images for these trainings (signs flipped by image, "
    "Holm's correction over the comparisons of a model). Helps or hurts: the interval leaves out 0, p is at most 0.05, and "
    "both columns have two seeds or more."
)
_LATEX = {letter: f"\\{letter}" for letter in "&%$#_{}"} | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}"}
_LATEX |= {"^": r"\textasciicircum{}", "±": r"$\pm$", "−": "$-$", "†": r"$\dagger$", "<": "$<$", ">": "$>$"}


def to_markdown(table: Table2) -> str:
    """The table as Markdown: verdicts, the columns, the comparisons, notes."""
    parts = [f"# Table 2 on {table.data}", "\n".join(f"- **{verdict}** {why}" for verdict, why in verdict_lines(table))]
    for caption, header, rows in grids(table):
        lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
        grid = "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
        parts += [f"**{caption}**", grid]
    return "\n\n".join([*parts, "\n".join(f"- {note}" for note in footnotes(table))]) + "\n"


def to_latex(table: Table2) -> str:
    """The table as LaTeX, for a document that uses the packages booktabs and graphicx."""
    parts = [r"% needs \usepackage{booktabs,graphicx}"]
    parts += [rf"\noindent \textbf{{{_latex(verdict)}}} {_latex(why)}" + "\n" for verdict, why in verdict_lines(table)]
    for caption, header, rows in grids(table):
        first, *others = [" & ".join(_latex(cell) for cell in line) + r" \\" for line in (header, *rows)]
        body = "\n".join([r"\toprule", first, r"\midrule", *others, r"\bottomrule"])
        columns = "l" + "r" * (len(header) - 1)
        fitted = f"\\resizebox{{\\textwidth}}{{!}}{{\\begin{{tabular}}{{{columns}}}\n{body}\n\\end{{tabular}}}}"
        parts.append(f"\\begin{{table}}\n\\centering\n\\caption{{{_latex(caption)}}}\n{fitted}\n\\end{{table}}")
    return "\n".join([*parts, *[f"\\noindent {_latex(note)}\n" for note in footnotes(table)]]) + "\n"


def to_csv(table: Table2) -> str:
    """One line for each model and column; numbers unrounded, empty where there is none."""
    header = ["data", "model", "score", "n_images", "column", "mean", "spread", "pooled", "n_seeds", "optimistic", "paper"]
    compared = ("difference", "low", "high", "p", "p_holm", "verdict")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*header, *[f"{name}_against_{against}" for against in REFERENCES for name in compared]])
    for row in table.rows:
        for column in table.columns:
            cell = row.cells.get(column)
            line: list[object] = [table.data, row.model, row.score, row.n_images, column]
            line += (cell.mean, cell.spread, cell.pooled, len(cell.seeds), cell.optimistic) if cell else [None] * 5
            line.append(row.paper.get(column))
            for against in REFERENCES:
                c = row.compared(column, against)
                figures = (c.difference.value, c.difference.low, c.difference.high, c.p_value, c.p_holm, c.verdict) if c else ()
                line += figures or [None] * len(compared)
            writer.writerow(line)
    return out.getvalue()


def verdict_lines(table: Table2) -> Iterator[tuple[str, str]]:
    """For each model the answer to the first question, and the reasons for all."""
    for row in table.rows:
        yield f"{row.model}: {row.answers[0].verdict}.", " ".join(f"{answer.text}." for answer in row.answers)


def grids(table: Table2) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """The means, then the differences with each reference: caption, header, lines."""
    header = ["", *[TITLES[column] for column in table.columns]]
    yield "Mean over test images and seeds ± standard deviation over seeds", header, list(_mean_lines(table))
    for against in REFERENCES:
        lines = [[f"{row.model}, {row.score}", *[_against(row, c, against) for c in table.columns]] for row in table.rows]
        yield f"Difference with {TITLES[against]}, 95 % interval, p after Holm", header, lines


def _mean_lines(table: Table2) -> Iterator[list[str]]:
    for row in table.rows:
        cells = [row.cells.get(column) for column in table.columns]
        yield [f"{row.model}, {row.score}", *[figure_text(cell.mean, cell, cell.spread) if cell else "-" for cell in cells]]
        if any(cell and cell.pooled is not None for cell in cells):
            yield [f"{row.model}, {row.score} pooled", *[figure_text(cell.pooled, cell) if cell else "-" for cell in cells]]
        if row.paper:
            yield [f"{row.model}, {PAPER_TITLE}", *[figure_text(row.paper.get(column)) for column in table.columns]]


def footnotes(table: Table2) -> Iterator[str]:
    """What marks and columns mean, what is missing, how intervals and p came about, which runs were left out."""
    if any(cell.optimistic for row in table.rows for cell in row.cells.values()):
        yield f"{MARK} {OPTIMISTIC}"
    yield from (f"{TITLES[column]}: {CONTROLS[column]}" for column in table.columns if column in CONTROLS)
    yield from (f"{row.model}: {note}" for row in table.rows for note in (f"{row.n_images} test images", *row.notes))
    yield _METHOD
    yield from table.notes


def _against(row: ModelRow, column: str, against: str) -> str:
    found = row.compared(column, against)
    return f"{interval_text(found.difference)}, {p_text(found.p_holm)}" if found else "-"


def figure_text(value: float | None, cell: Cell | None = None, spread: float | None = None) -> str:
    """A score to three places, with its spread over seeds and the mark of optimistic figures; "-" for none."""
    if value is None:
        return "-"
    return f"{value:.3f}{'' if spread is None else f' ± {spread:.3f}'}{f' {MARK}' if cell and cell.optimistic else ''}"


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)

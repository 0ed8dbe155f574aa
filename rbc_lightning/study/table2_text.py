"""Table 2 as Markdown, LaTeX and CSV, and the parts that they and the page share: verdicts, grids, footnotes."""

from collections.abc import Iterator

from rbc_lightning.study.table2 import Comparison, ModelRow, Table2, TableEntry, interval_text, p_text
from rbc_lightning.study.tables import CONTROLS, OPTIMISTIC, PAPER_TITLE, REFERENCES, TITLES, csv_text

MARK = "†"  # behind optimistic figures
EXPLORATORY = "‡"  # behind p-values that no question was asked for
_METHOD = (
    "Intervals (95 %) and p come from one model of crossed random effects, of seeds and of test images or groups: columns are "
    "compared seed by seed. Helps or hurts: p is at most 0.05, of two seeds and six images or groups at least."
)
_ASKED = (
    f"Holm's correction is over the two questions, what synthetic data add to {TITLES['rd_aug']} and to {TITLES['rd']}; "
    f"{EXPLORATORY} every other comparison is exploratory and not corrected"
)
_LATEX = {letter: f"\\{letter}" for letter in "&%$#_{}"} | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}"}
_LATEX |= {"^": r"\textasciicircum{}", "±": r"$\pm$", "−": "$-$", "†": r"$\dagger$", "‡": r"$\ddagger$", "<": "$<$", ">": "$>$"}


def to_markdown(table: Table2) -> str:
    """The table as Markdown: verdicts, the columns, the comparisons, notes."""
    parts = [f"# Table 2 on {table.data}", "\n".join(f"- **{verdict}** {why}" for verdict, why in verdict_lines(table))]
    for caption, header, rows in grids(table):
        lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
        grid = "\n".join(f"| {' | '.join(text.replace('|', '/') for text in line)} |" for line in lines)
        parts += [f"**{caption}**", grid]
    return "\n\n".join([*parts, "\n".join(f"- {note}" for note in footnotes(table))]) + "\n"


def to_latex(table: Table2) -> str:
    """The table as LaTeX, for a document that uses the packages booktabs and graphicx."""
    parts = [r"% needs \usepackage{booktabs,graphicx}"]
    parts += [rf"\noindent \textbf{{{_latex(verdict)}}} {_latex(why)}" + "\n" for verdict, why in verdict_lines(table)]
    for caption, header, rows in grids(table):
        first, *others = [" & ".join(_latex(text) for text in line) + r" \\" for line in (header, *rows)]
        body = "\n".join([r"\toprule", first, r"\midrule", *others, r"\bottomrule"])
        columns = "l" + "r" * (len(header) - 1)
        fitted = f"\\resizebox{{\\textwidth}}{{!}}{{\\begin{{tabular}}{{{columns}}}\n{body}\n\\end{{tabular}}}}"
        parts.append(f"\\begin{{table}}\n\\centering\n\\caption{{{_latex(caption)}}}\n{fitted}\n\\end{{table}}")
    return "\n".join([*parts, *[f"\\noindent {_latex(note)}\n" for note in footnotes(table)]]) + "\n"


def to_csv(table: Table2) -> str:
    """One line for each model and column; numbers unrounded, empty where there is none."""
    header = ["data", "model", "score", "n_images", "column", "mean", "spread", "pooled", "n_seeds", "optimistic", "paper"]
    compared = ("difference", "low", "high", "p", "p_holm", "n_seeds", "n_units", "verdict")
    lines = []
    for row in table.rows:
        for column in table.columns:
            entry = row.entries.get(column)
            line: list[object] = [table.data, row.model, row.score, row.n_images, column]
            line += (entry.mean, entry.spread, entry.pooled, len(entry.seeds), entry.optimistic) if entry else [None] * 5
            line.append(row.paper.get(column))
            for against in REFERENCES:
                c = row.comparisons.get((column, against))
                line += _figures(c) if c else [None] * len(compared)
            lines.append(line)
    return csv_text([*header, *[f"{name}_against_{against}" for against in REFERENCES for name in compared]], lines)


def verdict_lines(table: Table2) -> Iterator[tuple[str, str]]:
    """For each model the answer to the first question, and the reasons for all."""
    for row in table.rows:
        yield f"{row.model}: {row.answers[0].verdict}.", " ".join(f"{answer.text}." for answer in row.answers)


def grids(table: Table2) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """The means, then the differences with each reference: caption, header, lines."""
    header = ["", *[TITLES[column] for column in table.columns]]
    yield "Mean over test images and seeds ± standard deviation over seeds", header, list(_mean_lines(table))
    for against in REFERENCES:
        lines = [[f"{row.model}, {row.label}", *[_against(row, c, against) for c in table.columns]] for row in table.rows]
        yield f"Difference with {TITLES[against]}, 95 % interval, p", header, lines


def _mean_lines(table: Table2) -> Iterator[list[str]]:
    for row in table.rows:
        entries = [row.entries.get(column) for column in table.columns]
        yield [
            f"{row.model}, {row.label}",
            *[figure_text(found.mean, found, found.spread) if found else "-" for found in entries],
        ]
        if any(found and found.pooled is not None for found in entries):
            pooled = [figure_text(found.pooled, found) if found else "-" for found in entries]
            yield [f"{row.model}, {row.label} pooled", *pooled]
        if row.paper:
            yield [f"{row.model}, {PAPER_TITLE}", *[figure_text(row.paper.get(column)) for column in table.columns]]


def footnotes(table: Table2) -> Iterator[str]:
    """What marks and columns mean, what is missing, how intervals and p came about, which runs were left out."""
    if any(entry.optimistic for row in table.rows for entry in row.entries.values()):
        yield f"{MARK} {OPTIMISTIC}"
    yield from (f"{TITLES[column]}: {CONTROLS[column]}" for column in table.columns if column in CONTROLS)
    yield from (f"{row.model}: {note}" for row in table.rows for note in (row.units, *row.notes))
    yield _METHOD
    yield _ASKED
    yield from table.notes


def _against(row: ModelRow, column: str, against: str) -> str:
    found = row.comparisons.get((column, against))
    return f"{interval_text(found.difference)}, {p_of(found)}" if found else "-"


def p_of(comparison: Comparison) -> str:
    """A p-value, with the mark of exploratory ones."""
    return f"{p_text(comparison.p)}{f' {EXPLORATORY}' if comparison.p_holm is None else ''}"


def _figures(c: Comparison) -> tuple[object, ...]:
    found = c.difference
    return found.value, found.low, found.high, found.p_value, c.p_holm, found.n_seeds, found.n_units, c.verdict


def figure_text(value: float | None, entry: TableEntry | None = None, spread: float | None = None) -> str:
    """A score to three places, with its spread over seeds and the mark of optimistic figures; "-" for none."""
    if value is None:
        return "-"
    return f"{value:.3f}{'' if spread is None else f' ± {spread:.3f}'}{f' {MARK}' if entry and entry.optimistic else ''}"


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)

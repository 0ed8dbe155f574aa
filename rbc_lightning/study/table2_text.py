"""Table 2 as Markdown, LaTeX and CSV, and the parts that they and the page share: verdicts, grids, footnotes."""

from collections.abc import Iterator

from rbc_lightning.study.classes import EVERYWHERE, Grid, class_grids, class_notes, of_scans
from rbc_lightning.study.compare import NO_P, Comparison, interval_text
from rbc_lightning.study.lesions import lesion_grids, lesion_notes
from rbc_lightning.study.numbers import CUT, number_text
from rbc_lightning.study.rows import ModelRow, TableEntry
from rbc_lightning.study.table2 import Table2
from rbc_lightning.study.tables import (
    CONTROLS,
    OPTIMISTIC,
    PAPER_TITLE,
    REFERENCES,
    TITLES,
    TWO_ANNOTATORS,
    WITHOUT_TRAINING,
    csv_text,
    sentence,
)

MARK = "†"  # behind optimistic figures
EXPLORATORY = "‡"  # behind p-values that no question was asked for
_METHOD = (
    "Intervals (95 %) and p come from one model of crossed random effects, of seeds and of test images or groups: columns are "
    "compared seed by seed. Helps or hurts: p is at most 0.05, of two seeds and six images or groups at least; "
    "of fewer images or groups there is no p."
)
_ASKED = (
    f"Holm's correction is over the two questions, what synthetic data add to {TITLES['rd_aug']} and to {TITLES['rd']}; "
    f"{EXPLORATORY} every other comparison is exploratory and not corrected"
)
_FLOOR = (
    "Without training: a model that learns nothing, tested on the same images; its interval is that of its mean over other "
    "images or groups. It is no column, and no question is asked of it"
)
_NO_FLOOR = "no run without training beside these: floor=threshold makes one, with the next stage=train"
_EXTERNAL = (
    "External: images of another scanner or source, tested apart by the same models after the choice of weights; they take no "
    "part in any difference, p or verdict. Intervals are those of the means over other such images or groups and other seeds"
)
_COMPARED = ("difference", "low", "high", "p", "p_holm", "n_seeds", "n_units", "verdict")
_LATEX = {letter: f"\\{letter}" for letter in "&%$#_{}"}
_LATEX |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "·": r"$\cdot$"}
_LATEX |= {"±": r"$\pm$", "−": "$-$", "†": r"$\dagger$", "‡": r"$\ddagger$", "<": "$<$", ">": "$>$"}


def to_markdown(table: Table2) -> str:
    """The table as Markdown: a caution, verdicts, the columns, the comparisons, notes."""
    parts = [f"# Table 2 on {table.data}", *([f"**{sentence(table.caution)}**"] if table.caution else [])]
    parts.append("\n".join(f"- **{verdict}** {why}" for verdict, why in verdict_lines(table)))
    for caption, header, rows in grids(table):
        lines = [header, ["---", *["---:"] * (len(header) - 1)], *([*row, *[""] * (len(header) - len(row))] for row in rows)]
        grid = "\n".join(f"| {' | '.join(text.replace('|', '/') for text in line)} |" for line in lines)
        parts += [f"**{caption}**", grid]
    return "\n\n".join([*parts, "\n".join(f"- {note}" for note in footnotes(table))]) + "\n"


def to_latex(table: Table2) -> str:
    """The table as LaTeX, for a document that uses the packages booktabs and graphicx."""
    parts = [r"% needs \usepackage{booktabs,graphicx}"]
    parts += [rf"\noindent \textbf{{{_latex(sentence(table.caution))}}}" + "\n"] if table.caution else []
    parts += [rf"\noindent \textbf{{{_latex(verdict)}}} {_latex(why)}" + "\n" for verdict, why in verdict_lines(table)]
    for caption, header, rows in grids(table):
        first, *others = [_latex_line(line, len(header)) for line in (header, *rows)]
        body = "\n".join([r"\toprule", first, r"\midrule", *others, r"\bottomrule"])
        columns = "l" + "r" * (len(header) - 1)
        fitted = f"\\resizebox{{\\textwidth}}{{!}}{{\\begin{{tabular}}{{{columns}}}\n{body}\n\\end{{tabular}}}}"
        parts.append(f"\\begin{{table}}\n\\centering\n\\caption{{{_latex(caption)}}}\n{fitted}\n\\end{{table}}")
    return "\n".join([*parts, *[f"\\noindent {_latex(note)}\n" for note in footnotes(table)]]) + "\n"


def to_csv(table: Table2) -> str:
    """One line for each model and column, then for its floor and its ceiling; numbers unrounded, empty where there is none.

    `low` and `high` are the interval of the floor's mean; `pooled_difference_against_...` and what follows it compare scores
    over all images together.
    """
    compared = [(measure, against) for measure in ("", "pooled_") for against in (*REFERENCES, WITHOUT_TRAINING)]
    header = ["data", "model", "score", "n_images", "column", "mean", "spread", "pooled", "n_seeds", "optimistic", "paper"]
    header += ["external", "external_low", "external_high", "n_external"] if any(row.external for row in table.rows) else []
    header += [f"{measure}{name}_against_{against}" for measure, against in compared for name in _COMPARED]
    lines: list[dict[str, object]] = []
    for row in table.rows:
        about = {"data": table.data, "model": row.model, "score": row.score}
        for column in table.columns:
            line: dict[str, object] = {**about, "n_images": row.n_images, "column": column, "paper": row.paper.get(column)}
            entry = row.entries.get(column)
            if entry:
                line |= {"mean": entry.mean, "spread": entry.spread, "pooled": entry.pooled}
                line |= {"n_seeds": len(entry.seeds), "optimistic": entry.optimistic}
            if row.external:
                low, high = row.external.interval(column) or (None, None)
                line |= {"external": row.external.means.get(column), "n_external": row.external.n_images}
                line |= {"external_low": low, "external_high": high}
            for measure, against in compared:
                of = row.pooled if measure else row
                c = of.comparison(column, against) if of else None
                line |= {f"{measure}{name}_against_{against}": value for name, value in _figures(c).items()} if c else {}
            lines.append(line)
        lines += [about | line for line in _bounds_in_csv(row)]
    names = [*header, "low", "high"]
    return csv_text(names, [[line.get(name) for name in names] for line in lines])


def verdict_lines(table: Table2) -> Iterator[tuple[str, str]]:
    """For each model the answer to the first question, and all that is said of it."""
    for row in table.rows:
        yield f"{row.model}: {row.answers[0].word}.", " ".join(map(sentence, row.told))


def grids(table: Table2) -> Iterator[Grid]:
    """The means, then the differences with each reference, and measures of classes: caption, header, lines.

    A line of a single text spans the columns.
    """
    for caption, header, lines in (*_grids(table), *further_grids(table)):
        yield worded(table, caption), header, lines


def further_grids(table: Table2) -> Iterator[Grid]:
    """Measures of whole scans and of classes, as `grids`."""
    yield from lesion_grids(table.lesions, table.sizes, table.columns)
    yield from _alike_grid(table)
    yield from class_grids(table.classes, table.columns)


def _alike_grid(table: Table2) -> Iterator[Grid]:
    """What other targets gain, a line for each row and column."""
    lines = [
        [f"{one.row}, {TITLES[column]}, {one.title}", one.targets, interval_text(found.difference), p_of(found), found.word]
        for one in table.alike
        for column, found in one.comparisons.items()
    ]
    if lines:
        caption = "The same columns trained with other targets, as what looks like lesions as a class"
        yield caption, ["", "data.targets", "difference, 95 % interval", "p", "verdict"], lines


def worded(table: Table2, text: str) -> str:
    """A text as it is said of what the table counts: images or, of data of classes, scans."""
    return of_scans(text) if table.classes else text


def _grids(table: Table2) -> Iterator[Grid]:
    header = ["", *[TITLES[column] for column in table.columns]]
    yield "Mean over test images and seeds ± standard deviation over seeds", header, list(_mean_lines(table))
    measures = [measure for row in table.rows for measure in row.measures]
    for against, title in (*((name, TITLES[name]) for name in REFERENCES), (WITHOUT_TRAINING, "the score without training")):
        shown = measures if against in REFERENCES else [measure for measure in measures if measure.floor]
        lines = [[f"{row.model}, {row.label}", *[_against(row, c, against) for c in table.columns]] for row in shown]
        if any(cell != "-" for line in lines for cell in line[1:]):
            yield f"Difference with {title}, 95 % interval, p", header, lines


def _mean_lines(table: Table2) -> Iterator[list[str]]:
    for row in table.rows:
        for measure in row.measures:
            entries = [measure.entries.get(column) for column in table.columns]
            means = [figure_text(found.mean, found, found.spread) if found else "-" for found in entries]
            yield [f"{row.model}, {measure.label}", *means]
        if not row.pooled and any(entry.pooled is not None for entry in row.entries.values()):
            pooled = [figure_text(found.pooled, found) if found else "-" for found in entries]
            yield [f"{row.model}, {row.label} pooled", *pooled]
        if row.external:
            means = [row.external.figure(column) for column in table.columns]
            yield [f"{row.model}, {row.external.title}: {row.label}", *means]
        if row.paper:
            yield [f"{row.model}, {PAPER_TITLE}", *[figure_text(row.paper.get(column)) for column in table.columns]]
        yield from ([f"{row.model}, {line}"] for line in bound_lines(row))


def bound_lines(row: ModelRow) -> Iterator[str]:
    """Floor and ceiling of a model, and the score of finding nothing, a line each with their figures."""
    floors = [(measure.score, measure.floor) for measure in row.measures if measure.floor]
    if floors:
        (score, floor), *pooled = floors
        yield " · pooled ".join([f"{floor.title}: {score} {floor.figure}", *(other.figure for _, other in pooled)])
    if row.nothing is not None:
        yield f"{EVERYWHERE}: {row.score} {number_text(row.nothing)}"
    if row.ceiling:
        yield f"{row.ceiling.title}: {row.ceiling.figure}"


def footnotes(table: Table2) -> Iterator[str]:
    """What marks and columns mean, what is missing, how intervals and p came about, which runs were left out."""
    yield from (worded(table, note) for note in _footnotes(table))


def _footnotes(table: Table2) -> Iterator[str]:
    if any(entry.optimistic for row in table.rows for entry in row.entries.values()):
        yield f"{MARK} {OPTIMISTIC}"
    yield from (f"{TITLES[column]}: {CONTROLS[column]}" for column in table.columns if column in CONTROLS)
    yield from (f"{row.model}: {note}" for row in table.rows for note in (row.units, *row.notes))
    yield _METHOD
    yield _ASKED
    yield _FLOOR if any(row.answering.floor or row.floor for row in table.rows) else _NO_FLOOR
    if any(row.external for row in table.rows):
        yield _EXTERNAL
    yield from _cut_note(table)
    yield from lesion_notes(table.lesions)
    yield from class_notes(table.classes)
    yield from table.notes


def _cut_note(table: Table2) -> Iterator[str]:
    """What a cut end of an interval is, where one is shown."""
    shown = [text for row in table.rows for text in bound_lines(row)]
    shown += [row.external.figure(column) for row in table.rows if row.external for column in table.columns]
    if any(f"({CUT})" in text for text in shown):
        yield f"{CUT}: the interval is symmetric and reaches beyond what the score can be; table2.csv has its ends as they are"


def _against(row: ModelRow, column: str, against: str) -> str:
    found = row.comparison(column, against)
    return f"{interval_text(found.difference)}, {p_of(found)}" if found else "-"


def p_of(comparison: Comparison) -> str:
    """A p-value, with the mark of exploratory ones."""
    marked = comparison.p_holm is None and comparison.p_words != NO_P
    return f"{comparison.p_words}{f' {EXPLORATORY}' if marked else ''}"


def _figures(c: Comparison) -> dict[str, object]:
    found = c.difference
    values = (found.value, found.low, found.high, found.p_value, c.p_holm, found.n_seeds, found.n_units, c.word)
    return dict(zip(_COMPARED, values, strict=True))


def _bounds_in_csv(row: ModelRow) -> Iterator[dict[str, object]]:
    floor, ceiling = row.floor, row.ceiling
    if floor:
        pooled = row.pooled.floor.mean if row.pooled and row.pooled.floor else None
        line = {"column": WITHOUT_TRAINING, "n_images": floor.n_images, "mean": floor.mean, "spread": floor.spread}
        yield {**line, "pooled": pooled, "n_seeds": len(floor.seeds), "optimistic": False, "low": floor.low, "high": floor.high}
    if ceiling:
        yield {"column": TWO_ANNOTATORS, "n_images": ceiling.n_images, "mean": ceiling.mean}


def figure_text(value: float | None, entry: TableEntry | None = None, spread: float | None = None) -> str:
    """A score to three places, with its spread over seeds and the mark of optimistic figures; "-" for none."""
    if value is None:
        return "-"
    spreads = "" if spread is None else f" ± {spread:.3f}"
    return f"{number_text(value)}{spreads}{f' {MARK}' if entry and entry.optimistic else ''}"


def _latex_line(cells: list[str], width: int) -> str:
    written = " & ".join(_latex(text) for text in cells)
    return (written if len(cells) == width else rf"\multicolumn{{{width}}}{{l}}{{{written}}}") + r" \\"


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)

"""Scores by column as SVG text: means with their spread over seeds, and differences with intervals."""

from collections.abc import Iterator, Sequence

from rbc_lightning.report.page.content import Chart
from rbc_lightning.report.page.series import MARKS, PLAIN, Key, blank, interval, interval_keys, legend, score_scale
from rbc_lightning.report.page.svg import DOTS, Scale, axis_below, drawing, heading, labels, line_across, mark, words, zero_line
from rbc_lightning.study.compare import interval_text
from rbc_lightning.study.numbers import signed_text
from rbc_lightning.study.rows import ModelRow, TableEntry
from rbc_lightning.study.statistics import Difference
from rbc_lightning.study.table2_text import figure_text
from rbc_lightning.study.tables import COLUMNS, OPTIMISTIC, REFERENCES, TITLES, sentence

_NAMES_END, _VALUES = 86.0, 282.0  # where the names of columns end, and values begin
_ROW = 24.0
_PAPER_KEY = Key("open marks: Bailo et al. 2019, another data set", PLAIN)
_WORDS = {"helps": "better", "hurts": "worse", "cannot tell": "cannot tell", "one seed": "one seed"}


def bars_with_intervals(row: ModelRow) -> Chart:
    """Mean score of each column with its spread over seeds, and below it the difference with RD+aug (without it: with RD).

    The score is the one that the answers go by. Better is to the right. The scale of the means holds all marks and need not
    begin at 0: a mark, unlike a bar, has no length to be read. A line across all columns is the floor, a dotted one the
    ceiling; the figures of Bailo et al. 2019 stand beside as hollow marks.
    """
    row = row.answering
    title = f"{row.model}: {row.score} of each column"
    if not row.entries:
        return blank(title, f"No finished run of {row.model}.")
    columns = [column for column in TITLES if column in COLUMNS or column in row.entries]
    drawn, end = _means(row, columns)
    against = next((name for name in REFERENCES if any(name == against for _, against in row.comparisons)), None)
    if against:
        differences, end = _differences(row, columns, against, end + 14)
        drawn += differences
    return Chart(title, drawing(title, end, drawn), " ".join(_row_caption(row, against)))


def _means(row: ModelRow, columns: Sequence[str]) -> tuple[list[str], float]:
    bounds = list(_bounds(row))
    scale = _scale(row, [*row.entries.values(), *row.paper.values(), *(value for value, _ in bounds)])
    bottom = 30 + _ROW * len(columns)
    ticks = scale.ticks(4)
    drawn = [heading(14, f"Mean {row.label}"), axis_below(scale, bottom, ticks, labels(ticks), 26)]
    drawn += [line_across((scale(value), 24), (scale(value), bottom), key.line, key.text) for value, key in bounds]
    for place, column in enumerate(columns):
        y, entry = 30 + _ROW * (place + 0.5), row.entries.get(column)
        drawn.append(words(0, y + 4, TITLES[column]))
        if column in row.paper:
            label = f"{TITLES[column]}, Bailo et al. 2019 on another data set: {row.paper[column]:.3f}"
            drawn.append(mark(MARKS[column], scale(row.paper[column]), y + 7, PLAIN, filled=False, title=label, size=3))
        if entry:
            drawn.append(interval(column, entry, scale, y, _entry_text(row.score, entry)))
        value = figure_text(entry.mean, entry, entry.spread) if entry else "not run"
        drawn.append(words(_VALUES, y + 4, value, dim=entry is None))
    keys = [*(key for _, key in bounds), *([_PAPER_KEY] if row.paper else [])]
    key, end = legend(keys, bottom + 36)
    return [*drawn, key], end if keys else bottom + 24


def _bounds(row: ModelRow) -> Iterator[tuple[float, Key]]:
    """Floor and ceiling, each with how its line is drawn and called."""
    if row.floor:
        yield row.floor.mean, Key(f"{row.floor.title}: {row.floor.mean:.3f}", PLAIN, line="")
    if row.ceiling:
        yield row.ceiling.mean, Key(f"{row.ceiling.title}: {row.ceiling.mean:.3f}", PLAIN, line=DOTS)


def _differences(row: ModelRow, columns: Sequence[str], against: str, top: float) -> tuple[list[str], float]:
    found = [c for column in columns if (c := row.comparisons.get((column, against)))]
    scale = _scale(row, [0.0, *(c.difference for c in found)])
    start, bottom = top + 16, top + 16 + _ROW * len(found)
    ticks = scale.ticks(4)
    drawn = [
        heading(top, f"Difference with {TITLES[against]}, 95 % interval"),
        axis_below(scale, bottom, ticks, labels(ticks, signed=True), start - 4),
        zero_line((scale(0), start - 4), (scale(0), bottom)),
    ]
    for place, c in enumerate(found):
        y = start + _ROW * (place + 0.5)
        label = f"{TITLES[c.column]} less {TITLES[against]}: {interval_text(c.difference)}, {c.word}"
        drawn.append(words(0, y + 4, TITLES[c.column]))
        drawn.append(interval(c.column, c.difference, scale, y, label))
        drawn.append(words(_VALUES, y + 4, signed_text(c.difference.value)))
    key, end = legend(interval_keys([c.difference for c in found]), bottom + 36)
    return [*drawn, key], end


def _scale(row: ModelRow, shown: Sequence[Difference | TableEntry | float]) -> Scale:
    return score_scale(shown, _NAMES_END + 8, _VALUES - 14, higher_is_better=row.higher_is_better)


def _row_caption(row: ModelRow, against: str | None) -> Iterator[str]:
    spreads = any(entry.spread is not None for entry in row.entries.values())
    whiskers = "; whiskers: standard deviation over seeds" if spreads else ""
    yield f"Means over {row.units}, and seeds{whiskers}."
    if against is None:
        yield "Nothing to compare yet: neither RD+aug nor RD stands beside another column."
    else:
        by_word: dict[str, list[str]] = {word: [] for word in _WORDS}
        for c in row.comparisons.values():
            if c.against == against:
                by_word[c.word].append(TITLES[c.column])
        said = [f"{_WORDS[word]}: {', '.join(titles)}" for word, titles in by_word.items() if titles]
        yield f"Against {TITLES[against]}, {'; '.join(said)}."
    yield from map(sentence, row.bounds)
    if any(entry.optimistic for entry in row.entries.values()):
        yield f"† {OPTIMISTIC}."


def _entry_text(score: str, entry: TableEntry) -> str:
    spread = "one seed" if entry.spread is None else f"standard deviation {entry.spread:.4f} over {len(entry.seeds)} seeds"
    pooled = "" if entry.pooled is None else f"; {entry.pooled:.4f} with the cells of all images pooled"
    return f"{TITLES[entry.column]}: {score} {entry.mean:.4f}, {spread}{pooled}{f' ({OPTIMISTIC})' if entry.optimistic else ''}"

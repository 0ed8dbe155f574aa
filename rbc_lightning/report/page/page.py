"""The report as one HTML file that opens offline: verdicts, the table, charts, pictures and a gallery of test images."""

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files
from io import BytesIO
from math import isfinite
from typing import NamedTuple
from xml.etree import ElementTree

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from rbc_lightning.report.page.content import Chart, Page, Picture
from rbc_lightning.report.page.overlay_styles import LEGEND, ONE_CLASS_LEGEND, LegendEntry, class_legend
from rbc_lightning.report.page.series import STYLE
from rbc_lightning.study.classes import class_names
from rbc_lightning.study.compare import Answer
from rbc_lightning.study.numbers import signed_text
from rbc_lightning.study.rows import ModelRow
from rbc_lightning.study.table2 import Table2
from rbc_lightning.study.table2_text import bound_lines, figure_text, footnotes, further_grids, p_of
from rbc_lightning.study.tables import OPTIMISTIC, PAPER_TITLE, TITLES, sentence

_REFUSED_IN_SVG = ("script", "foreignObject", "image")
_SVG = "{http://www.w3.org/2000/svg}"


class _Strip(NamedTuple):
    """Where an interval lies on a strip with 0 in its middle and better scores right of it, in percent of its width."""

    left: float
    width: float
    value: float


class _Finding(NamedTuple):
    """An answer, and its interval as a drawing."""

    answer: Answer
    strip: _Strip | None


def render(page: Page) -> str:
    """Draw the page: UTF-8 HTML that loads nothing, neither from the network nor from other files.

    Every picture is embedded once, base64 making it a third larger than its bytes. The gallery's predictions lie in inert
    templates, so that a browser decodes what is looked at and no more. The same content gives the same text.

    Args:
        page: what to show; sections with nothing in them are left out.

    Raises:
        ValueError: a chart is no plain drawing, a picture cannot be read, or a gallery image has no layer.
    """
    for image in page.gallery:
        if not image.layers:
            raise ValueError(f"gallery image {image.sample_id} has no layers; expected the truth first, then predictions")
    script = _resource("report.js")
    environment = Environment(
        autoescape=True, loader=FunctionLoader(_resource), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "data_uri": _data_uri,
        "drawing": _drawing,
        "dimensions": _dimensions,
        "sentence": sentence,
        "dash": _dash,
    }
    environment.globals |= {"figure": figure_text, "signed": signed_text, "p": p_of, "finite": isfinite, "bounds": bound_lines}
    return environment.get_template("report.html.j2").render(
        page=page,
        table=page.table,
        series=Markup(STYLE),
        style=Markup(_resource("report.css")),
        script=Markup(script),
        # Only this script may run, whatever a name or a drawing brings along.
        script_hash=b64encode(sha256(script.encode()).digest()).decode(),
        models=_models(page.table),
        legend=_legend(page.table),
        # The truth, then every prediction, in the order they first come.
        layer_names=list(dict.fromkeys(layer.name for image in page.gallery for layer in image.layers)),
        embedded=_embedded(page),
        footnotes=list(footnotes(page.table)),
        classes=list(further_grids(page.table)),
        scans=bool(page.table.classes),
        titles=TITLES,
        paper_title=PAPER_TITLE,
        optimistic=OPTIMISTIC,
    )


def _resource(name: str) -> str:
    return (files("rbc_lightning.report.page") / "templates" / name).read_text("utf-8")


def _legend(table: Table2) -> Sequence[LegendEntry]:
    """Colours of predictions; of a single class, they show what is too much and too little."""
    names = class_names(table.classes)
    return class_legend(names) if len(names) > 1 else ONE_CLASS_LEGEND if names else LEGEND


def _models(table: Table2) -> list[tuple[ModelRow, list[_Finding]]]:
    """Models with what was found of them; those without the columns to compare come last."""
    models = [(row, _findings(row, table)) for row in table.rows]
    return sorted(models, key=lambda model: model[1][0].answer.comparison is None)


def _findings(row: ModelRow, table: Table2) -> list[_Finding]:
    # One scale for all models with the same score, so that wide intervals look wide.
    alike = [other for other in table.rows if other.answering.score == row.answering.score]
    compared = [a.comparison for other in alike for a in other.answers if a.comparison]
    ends = [abs(end) for c in compared for end in (c.difference.low, c.difference.high) if isfinite(end)]
    return [_finding(answer, row, max(ends, default=0.0)) for answer in row.answers]


def _finding(answer: Answer, row: ModelRow, reach: float) -> _Finding:
    strip = None
    if answer.comparison and reach > 0:
        difference = answer.comparison.difference
        ends = (difference.low, difference.value, difference.high)
        if all(map(isfinite, ends)):
            low, value, high = sorted(50 + (46 if row.higher_is_better else -46) * end / reach for end in ends)
            strip = _Strip(round(low, 2), round(high - low, 2), round(value, 2))
    return _Finding(answer, strip)


def _embedded(page: Page) -> str:
    """How many pictures the page holds, and how many megabytes they are."""
    pictures = [picture.data for picture in (*page.cards, *page.sheets)]
    pictures += [data for image in page.gallery for data in (image.data, *(layer.overlay for layer in image.layers))]
    return f"{len(pictures)} pictures, {sum(len(data) for data in pictures) * 4 / 3e6:.1f} MB"


def _dash(text: str) -> str:
    """A dash for what is not there, as long as the others of the page."""
    return "–" if text == "-" else text


def _data_uri(data: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{b64encode(data).decode()}"


def _dimensions(picture: Picture) -> Markup:
    """Width and height: the browser keeps the place free until it decodes the picture, and never shows it larger."""
    try:
        with Image.open(BytesIO(picture.data)) as image:
            return Markup('width="{0}" height="{1}" style="--width: {0}px"').format(*image.size)
    except OSError as error:
        raise ValueError(f"picture {picture.title!r}: {error}; expected PNG or JPEG bytes") from error


def _drawing(chart: Chart) -> Markup:
    """The chart's markup, taken as it is, once it is known to be one drawing that runs and loads nothing."""
    try:
        root = ElementTree.fromstring(chart.svg)
    except ElementTree.ParseError as error:
        raise ValueError(f"chart {chart.title!r}: {error}; expected one well-formed <svg> element") from error
    if root.tag.removeprefix(_SVG) != "svg":
        raise ValueError(f"chart {chart.title!r}: got <{root.tag}>, expected one <svg> element")
    for element in root.iter():
        name = element.tag.removeprefix(_SVG)
        attributes = {key.rpartition("}")[2]: value for key, value in element.attrib.items()}
        runs = name in _REFUSED_IN_SVG or any(key.startswith("on") for key in attributes)
        if runs or not attributes.get("href", "#").startswith("#"):
            raise ValueError(f"chart {chart.title!r}: <{name}> could run or load something; expected a plain drawing")
    return Markup(chart.svg)

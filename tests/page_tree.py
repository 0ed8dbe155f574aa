"""HTML as a tree of elements, with the standard library alone; unbalanced tags are errors."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = ("img", "meta", "link", "input", "br")


@dataclass
class Element:
    tag: str
    attributes: dict
    parent: "Element | None"
    children: list = field(default_factory=list)

    @property
    def raw(self):
        return "".join(child if isinstance(child, str) else child.raw for child in self.children)

    @property
    def text(self):
        return " ".join(self.raw.split())

    def all(self, tag, **attributes):
        wanted = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
        for child in (child for child in self.children if isinstance(child, Element)):
            if tag in ("*", child.tag) and all(
                value in (child.attributes.get(key) or "").split() for key, value in wanted.items()
            ):
                yield child
            yield from child.all(tag, **attributes)


class Tree(HTMLParser):
    def __init__(self):
        super().__init__()
        self.root = self.at = Element("root", {}, None)

    def handle_starttag(self, tag, attributes):
        made = Element(tag, dict(attributes), self.at)
        self.at.children.append(made)
        if tag not in VOID:
            self.at = made

    def handle_startendtag(self, tag, attributes):
        self.at.children.append(Element(tag, dict(attributes), self.at))

    def handle_endtag(self, tag):
        assert self.at.tag == tag, f"</{tag}> closes <{self.at.tag}>"
        self.at = self.at.parent

    def handle_data(self, data):
        self.at.children.append(data)


def parse(html):
    tree = Tree()
    tree.feed(html)
    tree.close()
    assert tree.at is tree.root
    return tree.root


def only(found):
    (one,) = found
    return one

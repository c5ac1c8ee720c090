"""Say how long the core of a page takes: the role {minutes}`core` becomes a number.

On another page {minutes}`clipping` is the number of the page `clipping`, {minutes}`all` the sum of those with
a number.

The core is what stands before the summary, without what is folded. The rates are those of the readers of the
first edition: 180 words a minute, and a longer look at code, formulas and figures.
"""

import re

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging

logger = logging.getLogger(__name__)
SUMMARY = "In three lines"
SECONDS = {"word": 60 / 180, "line of code": 3, "formula": 15, "figure": 40}


class minutes(nodes.inline):
    """The place of the number, until the whole page is read, or all pages."""


def minutes_role(name, rawtext, text, lineno, inliner, options=None, content=()):
    return [minutes("", page=text)], []


def core(document):
    """Yield the nodes of the core, in order."""
    open_details = 0
    for node in document.findall():
        if isinstance(node, nodes.section) and node.next_node(nodes.title).astext() == SUMMARY:
            return
        if isinstance(node, nodes.raw):
            open_details += node.astext().count("<details") - node.astext().count("</details")
        elif not open_details:
            yield node


def seconds(node):
    """Return how long one node takes, without those inside it."""
    if isinstance(node, nodes.math_block):
        return SECONDS["formula"]
    if isinstance(node, nodes.figure):
        return SECONDS["figure"]
    if isinstance(node, nodes.literal_block) and node.parent.get("nb_element") == "cell_code_source":
        folded = node.parent.parent.get("hide_mode") in ("input", "all")
        return 0 if folded else SECONDS["line of code"] * len(node.astext().splitlines())
    if isinstance(node, nodes.Text) and not isinstance(node.parent, nodes.FixedTextElement | nodes.literal):
        return SECONDS["word"] * len(re.findall(r"[A-Za-z’']{2,}", node))
    return 0


def fill_in(app, document):
    """Put the number into the page itself; note it for the others."""
    if places := [place for place in document.findall(minutes) if place["page"] == "core"]:
        number = max(1, round(sum(map(seconds, core(document))) / 60))
        app.env.metadata[app.env.current_document.docname]["minutes"] = number
        for place in places:
            place.replace_self(nodes.Text(f"{number}"))


class MinutesOfOthers(SphinxPostTransform):
    default_priority = 5

    def run(self, **kwargs):
        metadata = self.env.metadata
        known = {page: metadata[page]["minutes"] for page in metadata if "minutes" in metadata[page]}
        known["all"] = sum(known[page] for page in self.env.toc_secnumbers if page in known)
        for place in list(self.document.findall(minutes)):
            if place["page"] not in known:
                message = "minutes: no page `%s` says how long its core takes"
                logger.warning(message, place["page"], location=place)
            place.replace_self(nodes.Text(f"{known.get(place['page'])}"))


def setup(app):
    app.add_role("minutes", minutes_role)
    app.connect("doctree-read", fill_in)
    app.add_post_transform(MinutesOfOthers)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

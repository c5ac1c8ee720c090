"""Mend what MyST-NB and Furo write into every page, and have pages load no more than they use."""

import re
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.images import get_image_size

COMMENT = {  # but /*! licenses */
    ".css": r"/\*(?!!).*?\*/",
    ".js": r"^\s*(?://[^\n]*|/\*(?!!)(?:(?!\*/).)*\*/)$",  # which are whole lines
}


def drop_comments(app, exception):
    """Take comments out of styles and scripts: they are for who changes them, not for who loads a page."""
    static = Path(app.outdir, "_static")
    for unused in static.glob("mystnb.*"):  # and MyST-NB warns if it finds another text there
        unused.unlink()
    for file in () if exception else static.glob("*.*"):
        if comment := COMMENT.get(file.suffix):
            text = file.read_text(encoding="utf-8")
            bare = re.sub(comment, "", text, flags=re.MULTILINE | re.DOTALL)
            if bare != text:
                file.write_text(bare, encoding="utf-8", newline="\n")


def drop_files(app, pagename, templatename, context, doctree):
    """Do not load the 6 KB of styles of MyST-NB (site.css has what we need), and another search's marks."""
    for kind, name in {"css_files": "mystnb.", "script_files": "sphinx_highlight."}.items():
        context[kind] = [file for file in context[kind] if name not in str(file.filename)]


class OneId(SphinxPostTransform):
    """Take the ids off the boxes that Furo puts around tables and formulas: it copies them."""

    default_priority = 999  # after Furo has wrapped

    def run(self, **kwargs):
        for box in self.document.findall(nodes.container):
            if {"table-wrapper", "math-wrapper"} & set(box["classes"]):
                box["ids"] = []


class Pictures(SphinxPostTransform):
    """Give each picture its size, so that nothing jumps; all but a page's first load when they come near."""

    default_priority = 999  # after MyST-NB has put the pictures in

    def run(self, **kwargs):
        for number, image in enumerate(self.document.findall(nodes.image)):
            size = get_image_size(Path(self.env.srcdir, image["uri"]))
            if size and not {"width", "height"} & image.attributes.keys():
                image["width"], image["height"] = map(str, size)
            if number:
                image["loading"] = "lazy"


class Columns(SphinxPostTransform):
    """Name its column in each cell of a table that a narrow screen shows row by row (site.css)."""

    default_priority = 999  # so that no other takes it for text

    def run(self, **kwargs):
        for table in self.document.findall(nodes.table):
            if "stacked" not in table["classes"]:
                continue
            names = [cell.astext() for cell in table.next_node(nodes.thead)[0]]
            for row in table.next_node(nodes.tbody):
                for name, cell in zip(names, row, strict=True):
                    if cell.children:
                        place = cell[0] if isinstance(cell[0], nodes.paragraph) else cell
                        label = f'<span class="column">{escape(name)}{":" * (name[-1:] != ".")} </span>'
                        place.insert(0, nodes.raw("", label, format="html"))


class PlacesOfDiagnoses(SphinxPostTransform):
    """Link the place that a printed diagnosis names: here, beside the lectures, it is known where it is."""

    default_priority = 999

    def run(self, **kwargs):
        for output in self.document.findall(nodes.raw):
            named = re.sub(r'<code class="place">(.*?)</code>', r'<a href="\1">\1</a>', output.rawsource)
            if named != output.rawsource:
                output.replace_self(nodes.raw("", named, format=output["format"]))


def setup(app):
    app.connect("html-page-context", drop_files)
    app.connect("build-finished", drop_comments, priority=900)  # after Furo has written the colors of code
    app.add_post_transform(OneId)
    app.add_post_transform(Pictures)
    app.add_post_transform(Columns)
    app.add_post_transform(PlacesOfDiagnoses)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""Link each figure function in the reference to the figures that the pages draw with it, and those to it.

Each figure has a link to its files for slides, too.
"""

import re

from docutils import nodes
from gallery import file_links, file_name
from inputs import listing
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

CELL = re.compile(r"^```\{code-cell\}.*?^```$", re.MULTILINE | re.DOTALL)


def find_figures(app, config):
    """Note which figures each function draws; a change of that reads every page again."""
    drawn = {}
    for page in [file for file in listing(app.srcdir) if file.suffix == ".md"]:
        # A page that is no UTF-8 is named when it is read.
        for cell in CELL.findall(page.read_text(encoding="utf-8-sig", errors="replace")):
            if name := re.search(r"^ *name: (fig-[\w-]+)$", cell, re.MULTILINE):
                for function in re.findall(r"\bfigures\.(\w+)\(", cell):
                    drawn.setdefault(function, []).append(name[1])
    config.figures_drawn = drawn


def link_figures(app, what, name, obj, options, lines):
    """Put the links behind the first paragraph."""
    module, _, function = name.rpartition(".")
    if module == "rnn_notes.figures" and function in app.config.figures_drawn:
        links = ", ".join(f":numref:`{figure}`" for figure in app.config.figures_drawn[function])
        end = lines.index("") if "" in lines else len(lines)
        lines[end:end] = ["", f"On the pages: {links}."]


class DrawnBy(SphinxPostTransform):
    """Say below a figure's caption which function drew it, and where its files for slides are."""

    default_priority = 20

    def run(self, **kwargs):
        here = self.env.current_document.docname
        functions = {
            figure: function for function, drawn in self.config.figures_drawn.items() for figure in drawn
        }
        objects = self.env.domains.python_domain.objects
        slides = {figure for figure, *_ in self.env.metadata[here].get("figures", ())}
        for figure in self.document.findall(nodes.figure):
            lines = []
            function = next((functions[name] for name in figure["ids"] if name in functions), None)
            if place := objects.get(f"rnn_notes.figures.{function}"):
                name = nodes.literal("", f"figures.{function}")
                link = make_refnode(self.app.builder, here, place.docname, place.node_id, name)
                lines.append(nodes.paragraph("", "Drawn by ", link, nodes.Text(".")))
            if id := next((name for name in figure["ids"] if name in slides), None):
                files = f'<p class="files">Files: {file_links(self.app, file_name(id))}.</p>'
                lines.append(nodes.raw("", files, format="html"))
            if lines:
                figure += nodes.legend("", *lines)


def setup(app):
    app.setup_extension("sphinx.ext.autodoc")
    app.add_config_value("figures_drawn", {}, "env", dict)
    app.connect("config-inited", find_figures)
    app.add_post_transform(DrawnBy)
    app.connect("autodoc-process-docstring", link_figures, priority=600)  # after numpydoc
    return {"parallel_read_safe": True, "parallel_write_safe": True}

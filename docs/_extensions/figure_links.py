"""Link each figure function in the reference to the figures that the pages draw with it."""

import re

from inputs import listing

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


def setup(app):
    app.setup_extension("sphinx.ext.autodoc")
    app.add_config_value("figures_drawn", {}, "env", dict)
    app.connect("config-inited", find_figures)
    app.connect("autodoc-process-docstring", link_figures, priority=600)  # after numpydoc
    return {"parallel_read_safe": True, "parallel_write_safe": True}

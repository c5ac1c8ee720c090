"""Link the names of the package in code blocks to the reference.

A method or a figure is linked behind a dot (rnn.forward, figures.story), any other name where it stands
alone (RNN). It takes the place of sphinx-codeautolink, which parses every written page three times: that cost
more than the rest of the build.
"""

import re

from docutils import nodes
from sphinx.writers.html5 import HTML5Translator

NAME = re.compile(r'(<span class="o">\.</span>)?<span class="(?:n|nc|nn)">(\w+)</span>')


def reference(builder):
    """Return where each name is documented, as it is written in code: 'RNN', '.forward', '.story'."""
    places = {}
    for full, _, kind, page, anchor, _ in builder.env.domains.python_domain.get_objects():
        if kind == "module":
            continue  # rnn is a variable on most pages
        module, _, name = full.rpartition(".")
        behind_a_dot = kind == "method" or module == "rnn_notes.figures"
        uri = builder.get_relative_uri(builder.current_docname, page)
        places["." * behind_a_dot + name] = f"{uri}#{anchor}", full
    return places


def visit_literal_block(self, node):
    start = len(self.body)
    try:
        HTML5Translator.visit_literal_block(self, node)
    except nodes.SkipNode:
        places = reference(self.builder)

        def link(match):
            dot, name = match[1] or "", match[2]
            place = places.get("." + name if dot else name)
            return f'{dot}<a href="{place[0]}" title="{place[1]}">{name}</a>' if place else match[0]

        self.body[start:] = [NAME.sub(link, part) for part in self.body[start:]]
        raise


def setup(app):
    app.add_node(nodes.literal_block, override=True, html=(visit_literal_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}

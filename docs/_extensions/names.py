"""List what modules document: {names}`rnn lstm` becomes links to their functions and classes."""

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode


class names(nodes.inline):
    """The place of the names, until all pages are read."""


def names_role(name, rawtext, text, lineno, inliner, options=None, content=()):
    return [names("", modules=text.split())], []


class Names(SphinxPostTransform):
    default_priority = 5

    def run(self, **kwargs):
        for place in list(self.document.findall(names)):
            parts = [part for module in place["modules"] for part in self.links(f"rnn_notes.{module}")]
            place.replace_self(parts[:-1])  # without the last comma

    def links(self, module):
        """Yield the links and the commas after them, in the order of the page."""
        here = self.env.current_document.docname
        for path, entry in self.env.domains.python_domain.objects.items():
            parent, _, name = path.rpartition(".")
            if parent == module and not entry.aliased:
                word = nodes.literal("", name)
                yield make_refnode(self.app.builder, here, entry.docname, entry.node_id, word, path)
                yield nodes.Text(", ")


def setup(app):
    app.add_node(names)
    app.add_role("names", names_role)
    app.add_post_transform(Names)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

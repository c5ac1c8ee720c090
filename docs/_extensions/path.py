"""Show the lectures as a path: the directive {path} becomes one card each.

A card has the number, topic, title and minutes of a lecture in the numbered toctree of the page. Its picture
is the first one of the lecture, the one to remember; it is small, and shows no text (execution.py).
"""

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.addnodes import toctree
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode


class path(nodes.General, nodes.Element):
    """The place of the cards, until all pages are read."""


class bare(nodes.image):
    """A picture of a card."""


def visit_bare(self, node):
    self.visit_image(node)
    self.body[-1] = self.body[-1].replace('.svg"', '.svg#bare"')


def depart_bare(self, node):
    """An image has no end."""


class PathDirective(Directive):
    def run(self):
        return [path()]


def note_picture(app, document):
    """Note what other pages show of this one; find_outdated of rebuilding.py compares it."""
    pictures = [image["uri"] for image in document.findall(nodes.image)]
    app.env.metadata[app.env.current_document.docname]["picture"] = pictures[0] if pictures else None


class Cards(SphinxPostTransform):
    default_priority = 5  # before pictures get their size

    def run(self, **kwargs):
        for place in list(self.document.findall(path)):
            numbered = next(tree for tree in self.document.findall(toctree) if tree["numbered"])
            cards = [self.card(page, topic) for topic, page in numbered["entries"]]
            place.replace_self(nodes.bullet_list("", *cards, classes=["path"]))

    def card(self, page, topic):
        """Return a lecture's card, which is one link."""
        metadata = self.env.metadata[page]
        title = self.env.titles[page].astext()
        number = ".".join(map(str, self.env.toc_secnumbers[page][""]))
        content = nodes.inline("", "")
        if metadata["picture"]:
            picture = {"uri": metadata["picture"], "candidates": {"*": metadata["picture"]}, "alt": ""}
            content += bare(classes=["no-scaled-link"], **picture)
        content += nodes.strong("", f"{number}. {topic or title}")
        content += nodes.inline("", f"{title}.", classes=["claim"])
        if "minutes" in metadata:
            content += nodes.inline("", f"{metadata['minutes']} minutes", classes=["minutes"])
        builder = self.app.builder
        link = make_refnode(builder, self.env.current_document.docname, page, "", content)
        return nodes.list_item("", nodes.paragraph("", "", link))


def setup(app):
    app.add_node(path)
    app.add_node(bare, html=(visit_bare, depart_bare))
    app.add_directive("path", PathDirective)
    app.connect("doctree-read", note_picture)
    app.add_post_transform(Cards)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

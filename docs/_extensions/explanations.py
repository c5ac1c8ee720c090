"""Have terms and citations say what they are, where they stand.

A page ends with the definitions of the terms that it links: the first line of each, out of sight.
_static/site.js shows one beside its link, and screen readers read it as the link's description. A citation
has its entry as title. In the bibliography an entry has the label of its citations, author and year.
"""

from docutils import nodes
from pybtex.plugin import register_plugin
from pybtex.style.formatting.alpha import Style
from pybtex.style.labels import BaseLabelStyle
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinxcontrib.bibtex.style.referencing.author_year import AuthorYearReferenceStyle


class Labels(BaseLabelStyle):
    """Author and year as in the text; two works with one label are a warning of sphinxcontrib-bibtex."""

    def format_labels(self, sorted_entries):
        style = AuthorYearReferenceStyle()
        for entry in sorted_entries:
            names = style.person.author_or_editor_or_title(full=False)
            names = str(names.format_data({"entry": entry, "style": style})).replace(
                "<nbsp>", "\N{NO-BREAK SPACE}"
            )
            yield f"{names}{style.author_year_sep}{entry.fields['year']}"


class LabeledAuthorYear(Style):
    default_label_style = "author_year"


def note_definitions(app, document):
    """Keep the first line of each definition for the pages that link to it."""
    definitions = {}
    for item in document.findall(nodes.definition_list_item):
        ids = [name for term in item.findall(nodes.term) for name in term["ids"]]
        definition = item.next_node(nodes.definition)
        if ids and isinstance(definition[0], nodes.paragraph):
            definitions |= dict.fromkeys(ids, definition[0].deepcopy())  # this one gets its links resolved
    if definitions:
        app.env.metadata[app.env.current_document.docname]["definitions"] = definitions


class Definitions(SphinxPostTransform):
    default_priority = 8  # before links are resolved

    def run(self, **kwargs):
        objects = self.env.domains.standard_domain.get_objects()
        terms = {name.lower(): (page, anchor) for name, _, kind, page, anchor, _ in objects if kind == "term"}
        linked = {terms.get(link["reftarget"].lower()) for link in self.document.findall(is_term)} - {None}
        texts = [
            nodes.container("", self.first_line(page, anchor), ids=[f"explain-{page}-{anchor}"])
            for page, anchor in sorted(linked)
        ]
        if texts:
            self.document += nodes.container("", *texts, classes=["explanations"])

    def first_line(self, page, anchor):
        """Return what stands on the first line of a definition's source, a sentence, with links as text."""
        sentence = nodes.inline()
        for node in self.env.metadata[page]["definitions"][anchor].deepcopy().children:
            if isinstance(node, nodes.Text):
                line, *others = node.split("\n", 1)
                sentence += nodes.Text(line)
                if others:
                    break
            else:
                sentence += node.children if isinstance(node, addnodes.pending_xref) else node
        return sentence


def is_term(node):
    return isinstance(node, addnodes.pending_xref) and node["reftype"] == "term"


def setup(app):
    register_plugin("pybtex.style.labels", "author_year", Labels)
    register_plugin("pybtex.style.formatting", "labeled_author_year", LabeledAuthorYear)
    app.connect("doctree-read", note_definitions)
    app.add_post_transform(Definitions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

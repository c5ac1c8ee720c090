"""Places: what can be linked, and so found. Every box and table has an address, and the search knows it.

The search index is a script, because from a folder a browser lets no page fetch a file. Its places are the
sections, boxes, figures, terms and documented names of a page, each with its own text: in a small place, the
words that were found stand near to where a result leads. Sections that only hold others are left out.
MiniSearch, kept in _static/minisearch as published, makes the index in the browser, on the search page alone:
that takes a blink, and the index would be larger than the texts.
"""

import json
import re
from pathlib import Path

from docutils import nodes
from plain_math import plain
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform

SCRIPT = "searchindex.js"
BOXES = ("goal", "question", "exactly", "exercise", "check")


def boxes(document):
    """Yield the boxes of a page, without the frames that fold a cell."""
    for box in document.findall(nodes.Admonition):
        if isinstance(box[0], nodes.title):
            yield box


def new_id(document, text):
    base = name = nodes.make_id(text) or "box"
    number = 1
    while name in document.ids:
        number += 1
        name = f"{base}-{number}"
    return name


def name_boxes(app, document):
    """Give each box an id from its title, unless it has one."""
    for box in boxes(document):
        if not box["ids"]:
            box["ids"].append(new_id(document, box[0].astext()))
            document.ids[box["ids"][0]] = box


class Links(SphinxPostTransform):
    """Put a link to itself on each box and each table; Sphinx has those of headings, figures and formulas."""

    default_priority = 900  # after the results of cells are in place

    def run(self, **kwargs):
        for box in boxes(self.document):
            box[0] += self.link(box, "box")
        for table in self.tables():
            if not table["ids"]:
                section = table.parent
                while not isinstance(section, nodes.section) and section.parent:
                    section = section.parent
                name = f"{section['ids'][0]}-table" if section.get("ids") else "table"
                table["ids"].append(new_id(self.document, name))
                self.document.ids[table["ids"][0]] = table
            if isinstance(table, nodes.container):
                table.insert(0, self.link(table, "table"))
            elif not isinstance(table[0], nodes.title):
                table.parent.insert(table.parent.index(table), self.link(table, "table"))

    def tables(self):
        """Return the tables of a page: its own, and those that cells show."""
        ours = list(self.document.findall(nodes.table))
        return ours + [
            box
            for box in self.document.findall(nodes.container)
            if box.get("nb_element") == "cell_code_output"
            and any("<table" in raw.astext() for raw in box.findall(nodes.raw))
        ]

    def link(self, node, what):
        icon = self.config.html_permalinks_icon
        link = (
            f'<a class="headerlink to-{what}" href="#{node["ids"][0]}" title="Link to this {what}">{icon}</a>'
        )
        return nodes.raw("", link, format="html")


class Places(nodes.SparseNodeVisitor):
    """Collects the places of a page: (kind, anchor, title, titles above, index entries, text, code) each."""

    def __init__(self, document, folder, numbers):
        super().__init__(document)
        self.folder, self.numbers, self.open, self.found = folder, numbers, [], []
        self.solved = None  # the exercise whose solution this is

    def enter(self, kind, anchor, title):
        above = [place["title"] for place in self.open if place["kind"] == "section"]
        place = {"kind": kind, "anchor": anchor, "title": title, "above": " › ".join(above)}
        place |= {"entries": [], "text": [], "code": []}
        self.open.append(place)
        self.found.append(place)

    def leave(self, node):
        self.open.pop()

    def words(self, node):
        """Return a node's text as one reads it."""
        if isinstance(node, nodes.math | nodes.math_block):
            return plain(node.astext(), isinstance(node, nodes.math_block), self.folder)
        if isinstance(node, nodes.superscript | nodes.subscript):
            return f"{'^' if isinstance(node, nodes.superscript) else '_'}({node.astext()})"
        if isinstance(node, nodes.raw | nodes.comment | nodes.literal_block | nodes.image):
            return ""
        if isinstance(node, nodes.Text):
            return node.astext()
        return "".join(map(self.words, node.children))

    def visit_section(self, node):
        documents = node["ids"][0].startswith("module-") or (not self.open and node.next_node(addnodes.desc))
        kind = "name" if documents else "section" if self.open else "page"
        self.enter(kind, node["ids"][0], self.words(node[0]))

    depart_section = leave

    def visit_admonition(self, node):
        if not (isinstance(node[0], nodes.title) and node["ids"]):
            return
        kind = next((kind for kind in BOXES if kind in node["classes"]), "box")
        self.enter(kind, node["ids"][0], self.words(node[0]))

    def depart_admonition(self, node):
        if isinstance(node[0], nodes.title) and node["ids"]:
            self.leave(node)

    def visit_raw(self, node):
        """Give an exercise the words of the solution that is folded below it."""
        if 'class="solution"' in node.astext():
            self.solved = self.found[-1]
            self.open.append(self.solved)
        elif self.solved and self.solved is self.open[-1] and node.astext().strip() == "</details>":
            self.solved = self.open.pop() and None

    def visit_figure(self, node):
        caption = node.next_node(nodes.caption)
        number = self.numbers.get(node["ids"][0]) if node["ids"] else None
        if not (caption and number):
            return
        words = squeeze(self.words(caption))
        first, *others = re.split(r"(?<=[^.]\.) ", words, maxsplit=1)
        self.enter(
            "figure", node["ids"][0], f"Figure {'.'.join(map(str, number))} · {first.removesuffix('.')}"
        )
        self.open[-1]["text"] += others
        self.open[-1]["code"] += [image["alt"] for image in node.findall(nodes.image) if image.get("alt")]
        self.open[-1]["code"] += [link.astext() for link in node.findall(nodes.literal)]
        self.leave(node)
        raise nodes.SkipNode

    def visit_definition_list_item(self, node):
        if ids := [name for term in node.findall(nodes.term) for name in term["ids"]]:
            self.enter("term", ids[0], ", ".join(self.words(term) for term in node.findall(nodes.term)))

    def depart_definition_list_item(self, node):
        if any(term["ids"] for term in node.findall(nodes.term)):
            self.leave(node)

    def visit_desc(self, node):
        signature = node.next_node(addnodes.desc_signature)
        if signature["ids"]:
            self.enter("name", signature["ids"][0], signature["fullname"])

    def depart_desc(self, node):
        if node.next_node(addnodes.desc_signature)["ids"]:
            self.leave(node)

    def visit_index(self, node):
        if self.open and self.open[-1]["kind"] not in ("term", "name"):
            self.open[-1]["entries"] += [value for _, value, *_ in node["entries"]]

    def visit_container(self, node):
        if node.get("nb_element") == "cell_code_output" and not list(node.findall(nodes.figure)):
            raise nodes.SkipNode  # what a cell prints

    def visit_literal_block(self, node):
        if self.open:
            self.open[-1]["code"].append(node.astext())
        raise nodes.SkipNode

    def visit_title(self, node):
        if not isinstance(node.parent, nodes.section | nodes.Admonition):
            self.add(node)
        raise nodes.SkipNode

    def add(self, node):
        if self.open:
            self.open[-1]["text"].append(self.words(node))
        raise nodes.SkipNode

    visit_paragraph = visit_caption = visit_math_block = visit_rubric = visit_field_name = add

    def skip(self, node):
        raise nodes.SkipNode

    visit_compound = visit_desc_signature = skip  # lists of pages, and names
    visit_choice = skip  # a wrong answer is nothing to find, and the right one is not to be told

    def visit_term(self, node):
        if node["ids"]:
            raise nodes.SkipNode
        self.add(node)

    def unknown_visit(self, node):
        """Nodes without a method only hold others."""

    unknown_departure = unknown_visit


def squeeze(text):
    """Join lines. No other spaces go: a formula has some in which no excerpt ends."""
    return re.sub(r"[ \t\n]+", " ", text).strip(" ")


def tells(place):
    """Whether a place is more than the frame of others."""
    return place["kind"] in ("page", "name") or any(place[of] for of in ("text", "code", "entries"))


def places(document, folder, numbers):
    """Return the places of a page, in the form in which the script has them."""
    visitor = Places(document, str(folder), numbers)
    document.walkabout(visitor)
    return [
        [
            *(squeeze(place[of]) for of in ("kind", "anchor", "title", "above")),
            "; ".join(place["entries"]),
            squeeze(" ".join(place["text"])),
            " ".join(sorted(set(re.findall(r"[^\W\d]\w+", " ".join(place["code"]))))),  # to find, not to show
        ]
        for place in visitor.found
        if tells(place)
    ]


def write_script(file, titles, found):
    """Write the places of all pages, one a line."""
    pages = [[page, titles[page], found[page]] for page in sorted(found)]
    lines = [json.dumps(page, ensure_ascii=False, separators=(",", ":")) for page in pages]
    text = "const PAGES = [\n" + ",\n".join(lines) + "\n];\n"
    Path(file).write_text(text, encoding="utf-8", newline="\n")


def setup(app):
    app.connect("doctree-read", name_boxes)
    app.add_post_transform(Links)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

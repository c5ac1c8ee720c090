"""Write a page as the Markdown that notebooks render: with its numbers, its formulas as TeX, no MyST.

It is made of the page's own nodes when it is written, so what pages show of one another is filled in. A link
within the site is absolute where the site's address is known, and is only its text where not. What is folded
on the page is folded here; a fold that has cells in it is cut at each of them.
"""

import re
from types import SimpleNamespace
from urllib.parse import urljoin, urlsplit

from docutils import nodes
from places import Places
from site_address import address
from sphinx import addnodes
from sphinx.errors import ExtensionError
from sphinx.util.math import get_node_equation_number

NOT_TEXT = (
    *(nodes.comment, nodes.target, nodes.meta, nodes.image, nodes.legend, nodes.colspec, nodes.topic),
    *(addnodes.index, nodes.substitution_definition),
)
NOT_HERE = {"toctree-wrapper", "explanations", "path"}  # containers that are the page's, not the text's


def escape(text):
    """Return a text in which nothing is a mark of Markdown."""
    return re.sub(r"([\\`*<$~]|(?<![^\W_])_|_(?![^\W_])|\](?=[(:]))", r"\\\1", text)


def escape_starts(text):
    """Return a paragraph in which no line begins like a list, a heading or a quotation."""
    return re.sub(r"^(\d*)([-+>#.)])(?=[ #\n]|$)", r"\1\\\2", text, flags=re.MULTILINE)


def indent(text, by):
    return text.replace("\n", "\n" + by).replace("\n" + by + "\n", "\n\n")


def fenced(code, language):
    fence = "`" * max([3, *(len(ticks) + 1 for ticks in re.findall("`+", code))])
    return f"{fence}{language}\n{code}\n{fence}"


def is_cell(node):
    return isinstance(node, nodes.container) and node.get("nb_element") == "cell_code"


class Page:
    """A page in parts: texts and cells, in order.

    A text is Markdown. A cell is its index in the notebook that was run, the titles above it and the last
    paragraph below them as plain text, what of it is folded, and its pictures: the alternative text and the
    caption of each, if it has them.
    """

    def __init__(self, app, page, document):
        self.app, self.page, self.document = app, page, document
        self.address = address(app, app.builder.get_target_uri(page))
        self.plain = Places(document, app.doctreedir, {}).words
        self.parts, self.blocks, self.sources = [], [], {}
        self.titles, self.before, self.level, self.folded, self.in_table = [], "", 0, "", False
        self.flow(document.children)
        self.end_text()

    def end_text(self):
        if self.blocks:
            self.parts.append("\n\n".join(self.blocks))
        self.blocks = []

    def flow(self, children):
        """Take what stands at the top, where cells are."""
        for node in children:
            if isinstance(node, nodes.section):
                self.level += 1
                self.flow(node.children)
                self.level -= 1
            elif is_cell(node):
                self.cell(node)
            else:
                if isinstance(node, nodes.title) or "exercise" in node.get("classes", ()):
                    self.titles.append(" ".join(self.plain(node.next_node(nodes.title, True)).split()))
                    self.before = ""
                if isinstance(node, nodes.paragraph | nodes.admonition):
                    *_, last = node.findall(nodes.paragraph)
                    self.before = self.plain(last)
                self.blocks += self.block(node)

    def cell(self, node):
        if self.folded and self.blocks:
            self.blocks.append("</details>")
        self.end_text()
        captions = {
            image: self.caption(figure)
            for figure in node.findall(nodes.figure)
            for image in figure.findall(nodes.image)
        }
        figures = [(image.get("alt", ""), captions.get(image, "")) for image in node.findall(nodes.image)]
        hidden = ["source_hidden", "outputs_hidden"] if self.folded else []
        hidden = hidden or ["source_hidden"] * (node.get("hide_mode") == "input")
        self.parts.append(
            SimpleNamespace(
                index=node["cell_index"],
                hidden=hidden,
                titles=self.titles,
                before=self.before,
                figures=figures,
            )
        )
        self.titles, self.before = [], ""
        if self.folded:
            self.blocks = [f"<details><summary>{self.folded}, continued</summary>"]

    def caption(self, figure):
        caption = figure.next_node(nodes.caption)
        words = self.inlines(caption) if caption else ""
        return " ".join(filter(None, [self.number(figure, "figure"), words]))

    def number(self, node, kind):
        numbers = self.app.env.toc_fignumbers.get(self.page, {}).get(kind, {})
        number = next((numbers[name] for name in node["ids"] if name in numbers), None)
        return f"**{kind.title()} {'.'.join(map(str, number))}.**" if number else ""

    def inner(self, node):
        """Return the blocks in a node that has no cells in it."""
        return [block for child in node.children for block in self.block(child)]

    def block(self, node):
        """Return a node as a list of blocks of Markdown, which stand apart."""
        if isinstance(node, NOT_TEXT) or NOT_HERE & set(node.get("classes", ())):
            return []
        if isinstance(node, nodes.Inline | nodes.Text) and not isinstance(node, nodes.raw):
            return [text] if (text := self.inline(node).strip()) else []
        for kind in type(node).__mro__:
            if method := getattr(self, "block_" + kind.__name__, None):
                return [text for text in method(node) if text]
        raise ExtensionError(f"{self.page}: plain_markdown.py does not know {node.__class__.__name__}")

    def block_container(self, node):
        return self.inner(node)

    block_compound = block_definition = block_container

    def block_paragraph(self, node):
        return [escape_starts(self.inlines(node))]

    block_caption = block_paragraph

    def block_title(self, node):
        title = " ".join(self.inlines(node).split())
        if isinstance(node.parent, nodes.section):
            return ["#" * self.level + " " + title]
        return [f"**{title}**"]

    block_rubric = block_title

    def block_math_block(self, node):
        tex = self.tex(node).strip()
        if node["number"]:
            tex += rf" \tag{{{get_node_equation_number(self.app, node)}}}"
        return [f"$$\n{tex}\n$$"]

    def block_literal_block(self, node):
        language = node.get("language", "")
        return [fenced(node.astext(), "" if language in ("default", "none", "text") else language)]

    def block_doctest_block(self, node):
        return [fenced(node.astext(), "pycon")]

    def block_block_quote(self, node):
        return ["> " + "\n\n".join(self.inner(node)).replace("\n", "\n> ")]

    block_Admonition = block_block_quote

    def block_choice(self, node):
        """Write an answer of a question (quiz.py): what one chooses, and below it, folded, what it says."""
        title, *reason = node.children
        letter = title[0].astext()
        folded = [block for part in reason for block in self.block(part)]
        words = "".join(map(self.inline, title.children[1:])).strip()
        return [
            f"**{letter}.** {words}",
            f"<details><summary>Choose {letter}</summary>",
            *folded,
            "</details>",
        ]

    def block_bullet_list(self, node):
        return self.list(node, lambda number: "- ")

    def block_enumerated_list(self, node):
        return self.list(node, lambda number: f"{number}. ", node.get("start", 1))

    def list(self, node, mark, start=1):
        items = []
        for number, item in enumerate(node.children, start):
            bullet = mark(number)
            items.append(bullet + indent("\n\n".join(self.inner(item)), " " * len(bullet)))
        loose = any("\n\n" in item for item in items)
        return [("\n\n" if loose else "\n").join(items)]

    def block_definition_list(self, node):
        return self.inner(node)

    def block_definition_list_item(self, node):
        terms = ", ".join(f"**{self.inlines(term)}**" for term in node.findall(nodes.term))
        first, *others = self.inner(node[-1])
        return [f"{terms}: {first}", *others]

    def block_raw(self, node):
        """Keep folds; the other HTML of a page is its own (links to itself, say)."""
        folds = re.findall(r"<details|<summary>.*?</summary>|</details>", node.astext(), re.DOTALL)
        if folds[-1:] == ["</details>"]:
            empty = self.blocks and self.blocks[-1].endswith(", continued</summary>")
            self.folded = ""
            return self.blocks.pop() and [] if empty else ["</details>"]
        if folds:
            self.folded = re.sub("<.*?>", "", folds[1])
            return [f"<details>{folds[1]}"]
        return []

    def block_figure(self, node):
        """Say what a picture shows that no cell has drawn."""
        return [escape(node.next_node(nodes.image).get("alt", "")), self.caption(node)]

    def block_transition(self, node):
        return ["---"]

    def block_table(self, node):
        rows, self.in_table = [], True
        for row in node.findall(nodes.row):
            rows.append([" <br> ".join(self.inner(entry)).replace("\n", " ") for entry in row.children])
        self.in_table = False
        head = rows.pop(0) if node.next_node(nodes.thead) else [""] * len(rows[0])
        lines = [head, ["---"] * len(head), *rows]
        title = [self.inlines(title) for title in node.children if isinstance(title, nodes.title)]
        title = [" ".join(filter(None, [self.number(node, "table"), *title]))]
        return [*title, "\n".join(f"| {' | '.join(line)} |" for line in lines)]

    def inlines(self, node):
        return "".join(map(self.inline, node.children)).strip()

    def inline(self, node):
        """Return what stands in a line."""
        if isinstance(node, nodes.Text):
            text = escape(node.astext())
            return text.replace("|", r"\|") if self.in_table else text
        if isinstance(node, nodes.math):
            tex = " ".join(self.tex(node).split())
            if self.in_table:
                tex = tex.replace(r"\|", r"\Vert ").replace("|", r"\vert ")
            return f"${tex}$"
        if isinstance(node, nodes.literal):
            code = node.astext()
            ticks = "``" if "`" in code else "`"
            space = " " if code[:1] == "`" or code[-1:] == "`" else ""
            return ticks + space + (code.replace("|", r"\|") if self.in_table else code) + space + ticks
        if isinstance(node, (*NOT_TEXT, nodes.raw)):
            return ""
        text = "".join(map(self.inline, node.children))
        if isinstance(node, nodes.emphasis) and text:
            return f"*{text}*"
        if isinstance(node, nodes.strong) and text:
            return f"**{text}**"
        if isinstance(node, nodes.superscript | nodes.subscript):
            tag = "sup" if isinstance(node, nodes.superscript) else "sub"
            return f"<{tag}>{text}</{tag}>"
        if isinstance(node, nodes.reference):
            return self.link(node, text)
        if isinstance(node, nodes.inline | nodes.title_reference):
            return text
        raise ExtensionError(f"{self.page}: plain_markdown.py does not know {node.__class__.__name__}")

    def tex(self, node):
        """Return a formula in which no program sees the beginning of HTML."""
        return node.astext().replace("<", r"\lt ")

    def link(self, node, text):
        uri = node.get("refuri") or "#" + node["refid"]
        if node.get("reftitle") and urlsplit(uri).path == self.app.builder.get_target_uri("bibliography"):
            self.sources[node["reftitle"]] = None
        if not urlsplit(uri).scheme:
            if not self.address:
                return text
            uri = urljoin(self.address, uri)
        return f"[{text}]({uri})" if text else ""

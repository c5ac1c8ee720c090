"""Render every formula at build time with KaTeX's own script, run by QuickJS.

The reader's browser gets finished HTML with MathML inside, and runs nothing. Bad TeX is a warning
that names page and line, so the build stops. KaTeX itself (script, styles, fonts) is kept in
_static/katex as published, but that the fonts have no hints: a tenth of a page. Only styles and fonts go into
the site. What was rendered is kept beside the doctrees: it would be a fifth of the time after a changed word.

Browsers break lines on both sides of a formula. So a formula and the punctuation that touches it share a box,
in which a line breaks only where the formula lets it. A short formula does not.
"""

import json
import os
import re
from functools import cache
from html import escape, unescape
from pathlib import Path

import quickjs
from docutils import nodes
from inputs import digest, digest_of
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

KATEX = Path(__file__).parent.parent / "_static" / "katex"
SHORT = 16  # signs: at most two thirds of a line on a phone
OPTIONS = '{displayMode: display, throwOnError: true, strict: "error"}'


@cache
def renderer():
    context = quickjs.Context()
    context.eval((KATEX / "katex.min.js").read_text(encoding="utf-8"))
    # quickjs 0.17 returns only flat strings: trim() flattens.
    return context.eval(f"(tex, display) => katex.renderToString(tex, {OPTIONS}).trim()")


@cache
def kept(folder):
    """Return what was rendered before, and a file for what is not, to which several processes can append."""
    file = Path(folder, f"katex-{digest(digest_of(__file__), digest_of(KATEX / 'katex.min.js'))}.jsonl")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    rendered = {(tex, display): html for tex, display, html in map(json.loads, lines)}
    return rendered, os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def render(tex, display, folder):
    rendered, file = kept(folder)
    if (tex, display) not in rendered:
        html = renderer()(tex, display)
        # The TeX source, which nothing here reads. A formula on two lines has line breaks there.
        html = re.sub(r"<annotation.*?</annotation>", "", html, flags=re.DOTALL)
        # The face has one bar for both signs; the faces that stand in for it know only the keyboard's.
        mathml, begin, shown = html.partition('class="katex-html"')
        html = mathml + begin + shown.replace("\N{DIVIDES}", "|")
        rendered[tex, display] = html
        os.write(file, json.dumps([tex, display, html]).encode() + b"\n")
    return rendered[tex, display]


def math_html(self, node, display):
    tex = node.astext()
    try:
        return render(tex, display, self.builder.doctreedir)
    except quickjs.JSException as error:
        message = str(error).splitlines()[0].removeprefix("ParseError: ")
        logging.getLogger(__name__).warning("%s\n%s", message, tex, location=node, type="katex")
        return f"<code>{escape(tex)}</code>"


class Punctuation(SphinxPostTransform):
    """Put a formula and the punctuation around it into one box; a link or stress that ends with it, too."""

    default_priority = 900  # after all formulas are in

    def run(self, **kwargs):
        for formula in list(self.document.findall(nodes.math)):
            end = formula
            while isinstance(end.parent, nodes.Inline) and end.parent[-1] is end:
                end = end.parent
            before = cut(formula.previous_sibling(), r"[^\w\s]+$")
            after = cut(end.next_node(descend=False, siblings=True), r"^[^\w\s]+")
            if before or after:
                formula.replace_self(
                    nodes.inline("", "", *before, formula.deepcopy(), *after, classes=["unbroken"])
                )


def cut(text, pattern):
    """Take the punctuation out of a text, and return it."""
    found = re.search(pattern, text) if isinstance(text, nodes.Text) else None
    if not found:
        return []
    siblings = text.parent.children
    place = next(place for place, node in enumerate(siblings) if node is text)  # index() finds an equal text
    text.parent[place] = nodes.Text(re.sub(pattern, "", text))
    return [nodes.Text(found[0])]


def visit_inline(self, node):
    html = math_html(self, node, False)
    shown = html.partition('<span class="katex-html"')[2].partition(">")[2]
    short = len(re.sub(r"\s|\u200b", "", unescape(re.sub(r"<[^>]*>", "", shown)))) <= SHORT
    if not short and "unbroken" in node.parent.get("classes", ()):
        html = html.replace('</span><span class="katex-base">', '</span><wbr><span class="katex-base">')
    self.body.append(f'<span class="math{" unbroken" * short}">{html}</span>')
    raise nodes.SkipNode


def visit_block(self, node):
    self.body.append(self.starttag(node, "div", CLASS="math"))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append(math_html(self, node, True) + "</div>\n")
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("katex", (visit_inline, None), (visit_block, None))
    app.add_post_transform(Punctuation)
    app.add_css_file("katex/katex.min.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}

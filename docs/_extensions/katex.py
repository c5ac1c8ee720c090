"""Render every formula at build time with KaTeX's own script, run by QuickJS.

The reader's browser gets finished HTML with MathML inside, and runs nothing. Bad TeX is a warning
that names page and line, so the build stops. KaTeX itself (script, styles, fonts) is kept in
_static/katex as published; only the styles and fonts go into the site. What was rendered is kept beside the
doctrees: it would be a fifth of the time after a changed word.
"""

import json
import os
import re
from functools import cache
from html import escape
from pathlib import Path

import quickjs
from docutils import nodes
from inputs import digest, digest_of
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

KATEX = Path(__file__).parent.parent / "_static" / "katex"
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


def visit_inline(self, node):
    self.body.append(f'<span class="math">{math_html(self, node, False)}</span>')
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
    app.add_css_file("katex/katex.min.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}

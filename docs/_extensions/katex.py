"""Render every formula at build time with KaTeX's own script, run by QuickJS.

The reader's browser gets finished HTML with MathML inside, and runs nothing. Bad TeX is a warning
that names page and line, so the build stops. KaTeX itself (script, styles, fonts) is kept in
_static/katex as published; only the styles and fonts go into the site.
"""

import re
from functools import cache
from html import escape
from pathlib import Path

import quickjs
from docutils import nodes
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
def render(tex, display):
    html = renderer()(tex, display)
    # The TeX source, which nothing here reads. It has line breaks where a formula was written on two lines.
    return re.sub(r"<annotation.*?</annotation>", "", html, flags=re.DOTALL)


def math_html(node, display):
    tex = node.astext()
    try:
        return render(tex, display)
    except quickjs.JSException as error:
        message = str(error).splitlines()[0].removeprefix("ParseError: ")
        logging.getLogger(__name__).warning("%s\n%s", message, tex, location=node, type="katex")
        return f"<code>{escape(tex)}</code>"


def visit_inline(self, node):
    self.body.append(f'<span class="math">{math_html(node, False)}</span>')
    raise nodes.SkipNode


def visit_block(self, node):
    self.body.append(self.starttag(node, "div", CLASS="math"))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append(math_html(node, True) + "</div>\n")
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("katex", (visit_inline, None), (visit_block, None))
    app.add_css_file("katex/katex.min.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""What the site needs beside its pages: the mark, its own address, and numbers that read as numbers."""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from docutils import nodes
from notfound.utils import replace_uris
from sphinx.transforms.post_transforms import SphinxPostTransform


def draw_mark(app, config):
    """Draw the mark, unless it lies beside the executed pages already."""
    mark = Path(config.nb_execution_cache_path, "mark.svg")
    if not mark.exists():
        from rnn_notes.figures import mark as draw  # imports Matplotlib: not in every build

        mark.parent.mkdir(parents=True, exist_ok=True)
        unfinished = mark.with_suffix(".part")
        unfinished.write_text(draw(), encoding="utf-8")
        unfinished.replace(mark)
    config.html_logo = config.html_favicon = os.path.relpath(mark, app.confdir)


def set_address(app, config):
    """Take the site's address from its host; 404.html links from there, as it is shown at any depth."""
    config.html_baseurl = os.environ.get("SITE_URL") or os.environ.get("READTHEDOCS_CANONICAL_URL", "")
    path = urlsplit(config.html_baseurl).path
    config.notfound_urls_prefix = path if path.endswith("/") else path + "/"


def link_from_404(app, doctree, docname):
    """Make the links in the text of 404.html absolute, as sphinx-notfound-page does with all others."""
    if docname == app.config.notfound_pagename:
        replace_uris(app, doctree, nodes.reference, "refuri")


def drop_mystnb_css(app, pagename, templatename, context, doctree):
    """Do not load MyST-NB's 6 KB of styles: site.css has the few rules that our cells need."""
    context["css_files"] = [css for css in context["css_files"] if "mystnb." not in str(css.filename)]


class OneId(SphinxPostTransform):
    """Take the ids off the boxes that Furo puts around tables and formulas: it copies them."""

    default_priority = 999  # after Furo has wrapped

    def run(self, **kwargs):
        for box in self.document.findall(nodes.container):
            if {"table-wrapper", "math-wrapper"} & set(box["classes"]):
                box["ids"] = []


class PowersOfTen(SphinxPostTransform):
    """Typeset a computed number such as 4e-11 in the text as a formula."""

    default_priority = 20  # after MyST-NB has put the computed numbers in

    def run(self, **kwargs):
        for node in list(self.document.findall(nodes.inline)):
            number = re.fullmatch(r"([\d.]+)e([+-]\d+)", node.astext())
            if "pasted-text" in node["classes"] and number:
                mantissa, exponent = number[1], int(number[2])
                tex = f"10^{{{exponent}}}" if mantissa == "1" else rf"{mantissa}\times 10^{{{exponent}}}"
                node.replace_self(nodes.math(tex, tex))


def setup(app):
    app.connect("config-inited", draw_mark, priority=510)  # after execution.py has named its folder
    app.connect("config-inited", set_address, priority=510)
    app.connect("doctree-resolved", link_from_404)
    app.connect("html-page-context", drop_mystnb_css)
    app.add_post_transform(OneId)
    app.add_post_transform(PowersOfTen)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

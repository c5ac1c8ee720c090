"""Take the site's address from its host: for canonical links, and for 404.html, shown at any depth."""

import os
import sys
from urllib.parse import urljoin, urlsplit

from docutils import nodes
from notfound.utils import replace_uris


def set_address(app, config):
    for name in ("SITE_URL", "READTHEDOCS_CANONICAL_URL"):
        if address := os.environ.get(name):
            break
    else:
        address = ""
    parts = urlsplit(address)
    if address and not (parts.scheme in ("http", "https") and parts.netloc):
        sys.exit(f"{name} is an address such as https://example.org/notes/, not {address!r}")
    config.html_baseurl = address
    config.notfound_urls_prefix = parts.path if parts.path.endswith("/") else parts.path + "/"


def address(app, name):
    """Return where a file of the site is, or '' where the address of the site is not known."""
    base = app.config.html_baseurl
    return base and urljoin(base.rstrip("/") + "/", name)


def link_from_404(app, doctree, docname):
    """Make the links in the text of 404.html absolute, as sphinx-notfound-page does with all others."""
    if docname == app.config.notfound_pagename:
        replace_uris(app, doctree, nodes.reference, "refuri")


def setup(app):
    app.connect("config-inited", set_address)
    app.connect("doctree-resolved", link_from_404)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

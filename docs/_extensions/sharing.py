"""Where the address of the site is known: what search engines and other sites show of it.

Each page has the tags of the Open Graph with its title, description, address and picture; the site has a
sitemap. The picture is the first figure of the page, or that of the front page, as a PNG on white, which
others want. Without an address, none of this is made.
"""

import re
from html import escape, unescape
from pathlib import Path

from docutils import nodes
from inputs import digest_of
from site_address import address

WIDTH, HEIGHT, MARGIN = 1200, 630, 40  # of a picture, as other sites ask for it


def picture(app, page):
    """Return the SVG of a page's first figure, else of the front page's, else None."""
    for name in (page, app.config.root_doc):
        uri = app.env.metadata[name].get("picture")
        if uri and uri.endswith(".svg"):
            return Path(app.srcdir, uri)
    return None


def add_tags(app, pagename, templatename, context, doctree):
    """Add the tags to the head of a page."""
    if not app.config.html_baseurl or doctree is None or pagename == app.config.notfound_pagename:
        return
    description = next(
        (meta["content"] for meta in doctree.findall(nodes.meta) if meta.get("name") == "description"), ""
    )
    tags = {
        "og:site_name": app.config.html_title,
        "og:type": "website" if pagename == app.config.root_doc else "article",
        "og:title": re.sub(r"^[\d.]+ ", "", re.sub(r"<[^>]*>", "", context["title"])),
        "og:description": " ".join(description.split()),
        "og:url": context["pageurl"],
    }
    if svg := picture(app, pagename):
        tags |= {
            "og:image": address(app, f"pictures/{digest_of(svg)}.png"),
            "og:image:width": WIDTH,
            "og:image:height": HEIGHT,
            "twitter:card": "summary_large_image",
        }
    lines = []
    for tag, value in tags.items():
        key = "name" if tag.startswith("twitter:") else "property"
        if value:
            lines.append(f'<meta {key}="{tag}" content="{escape(unescape(str(value)))}">')
    context["metatags"] = "\n".join([context.get("metatags") or "", *lines])


def draw(svg):
    """Return an SVG figure in the middle of a white PNG."""
    from resvg_py import svg_to_bytes

    text = svg.read_text(encoding="utf-8")
    text = text[text.index("<svg") :]
    inner = f'width="{WIDTH - 2 * MARGIN}" height="{HEIGHT - 2 * MARGIN}"'
    text = re.sub(r'width="[^"]*" height="[^"]*"', inner, text, count=1)
    text = text.replace("<svg", f'<svg x="{MARGIN}" y="{MARGIN}"', 1)
    size = f'width="{WIDTH}" height="{HEIGHT}"'
    whole = f'<svg xmlns="http://www.w3.org/2000/svg" {size}><rect {size} fill="#ffffff"/>{text}</svg>'
    return bytes(svg_to_bytes(svg_string=whole, skip_system_fonts=True))


def write_files(app, exception):
    """Write the pictures that are not there yet, and the sitemap."""
    if exception or app.builder.format != "html" or not app.config.html_baseurl:
        return
    pages = sorted(app.env.found_docs - {app.config.notfound_pagename})
    folder = Path(app.outdir, "pictures")
    folder.mkdir(exist_ok=True)
    wanted = {f"{digest_of(svg)}.png": svg for svg in (picture(app, page) for page in pages) if svg}
    for file in folder.iterdir():
        if file.name not in wanted:
            file.unlink()
    for name, svg in wanted.items():
        if not (folder / name).exists():
            (folder / name).write_bytes(draw(svg))
    urls = [
        f"<url><loc>{escape(address(app, app.builder.get_target_uri(page)))}</loc></url>" for page in pages
    ]
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">',
        *urls,
        "</urlset>",
    ]
    Path(app.outdir, "sitemap.xml").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def setup(app):
    app.connect("html-page-context", add_tags)
    app.connect("build-finished", write_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

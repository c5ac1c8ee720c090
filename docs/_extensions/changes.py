"""Read every page again when something changes that pages show of one another.

Sphinx reads the changed pages only. But the sidebar of every page lists the titles of all, and references
show titles and numbers from elsewhere, or break. So titles, order, labels and names become configuration,
and Sphinx starts anew when that changes.
"""

import re
from pathlib import Path

SHARED = [
    r"^#+ .+",  # titles and headings
    r"^\(.+\)=$",  # labels
    r"^ *:?(?:name|label): .+",  # names of figures, boxes and equations
    r"^```\{toctree\}[^`]*",  # the order of the pages
]


def collect_shared(app, config):
    shared = []
    for page in sorted(Path(app.srcdir).glob("**/*.md")):
        text = page.read_text(encoding="utf-8-sig")
        shared += [page.name, *(re.findall(pattern, text, re.MULTILINE) for pattern in SHARED)]
    config.shared_when_read = config.shared_when_written = shared


def remove_html(app, env, added, changed, removed):
    """Remove what Sphinx leaves of a removed page."""
    for page in removed:
        Path(app.builder.get_outfilename(page)).unlink(missing_ok=True)
    return []


def setup(app):
    app.add_config_value("shared_when_read", [], "env", list)  # a change reads all pages
    app.add_config_value("shared_when_written", [], "html", list)  # and writes them all
    app.connect("config-inited", collect_shared)
    app.connect("env-get-outdated", remove_html)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""What the tests of the pages share: sources, cells, extensions, the built site, what a copy button gives."""

import copy
import functools
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from myst_nb.core.read import is_myst_markdown_notebook, read_myst_markdown_notebook

ROOT = Path(__file__).parent.parent
SITE = ROOT / "_build" / "html"
WRITTEN = sorted((ROOT / "docs").glob("[!_]*.md"))
EXECUTED = [page for page in WRITTEN if is_myst_markdown_notebook(page.read_text(encoding="utf-8"))]
NOT_BUILT = "the site is not built: run `make test`"


def extension(name):
    """Return an extension of the site, a new one for each call; Sphinx has a folder for them."""
    spec = spec_from_file_location(f"_tested_{name}", ROOT / "docs" / "_extensions" / f"{name}.py")
    module = module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "docs" / "_extensions")
        spec.loader.exec_module(module)
    return module


def by_name(page):
    return page.name


def first_now(things, page_of=str):
    """Mark all but one of the first lecture's as deep: pages, or what pages have; for what takes long."""
    now = next((thing for thing in things if "chain_rule" in page_of(thing)), None)
    return [thing if thing == now else pytest.param(thing, marks=pytest.mark.deep) for thing in things]


def html(page):
    """Return the name of a page in the site."""
    return f"{page.stem}.html"


def cells(page):
    """Return the code cells of a page."""
    notebook = read_myst_markdown_notebook(page.read_text(encoding="utf-8"))
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def is_shown(cell):
    return not {"remove-cell", "remove-input"} & set(cell.metadata.get("tags", []))


def shown(page):
    """Return the code of the cells that a reader sees."""
    return [cell.source for cell in cells(page) if is_shown(cell)]


@functools.cache
def parsed(page):
    return BeautifulSoup((SITE / page).read_text(encoding="utf-8"), "html.parser")


def copied(block):
    """Return what the copy button of a block gives; test_browser.py holds the two together."""
    block = copy.copy(block)
    for part in block.select(".linenos, .gp, .go"):
        part.decompose()
    return block.get_text().removesuffix("\n")


def docstrings(page):
    """Return the blocks of >>> examples of a page: one list for each docstring, one for the page itself."""
    found = {}
    for block in parsed(page).select("pre:has(.gp)"):
        around = block.find_parent("dl", class_="py")
        found.setdefault(id(around), []).append(block)
    return list(found.values())

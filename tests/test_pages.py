"""The pages as they are written: what a reader copies works, and every figure has its words."""

import doctest
import os
import re
import subprocess
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import numpy as np
import pytest
from myst_nb.core.read import is_myst_markdown_notebook, read_myst_markdown_notebook

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("[!_]*.md"))
EXECUTED = [page for page in PAGES if is_myst_markdown_notebook(page.read_text(encoding="utf-8"))]


def by_name(page):
    return page.name


def cells(page):
    """Return the code cells of a page."""
    notebook = read_myst_markdown_notebook(page.read_text(encoding="utf-8"))
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def copied(page):
    """Return what the copy buttons of a page give: the code of each cell that is shown."""
    hidden = {"remove-cell", "remove-input"}
    return [cell.source for cell in cells(page) if not hidden & set(cell.metadata.get("tags", []))]


def packages_of_a_reader():
    """Return the import names that come with `pip install` of the package."""
    found, waiting = set(), ["rnn-notes"]
    while waiting:
        name = re.match(r"[\w.-]+", waiting.pop())[0].lower()
        if name not in found:
            found.add(name)
            waiting += [r for r in requires(name) or [] if "extra ==" not in r]
    modules = packages_distributions().items()
    return {module for module, names in modules if found & {name.lower() for name in names}}


# In the environment of the tests far more can be imported than a reader has: the rest is barred.
ONLY_THE_PACKAGE = """
import sys
class Bar:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {barred}:
            raise ModuleNotFoundError(name + " does not come with rnn-notes", name=name)
sys.meta_path.insert(0, Bar)
"""


@pytest.mark.parametrize("page", EXECUTED, ids=by_name)
def test_copied_code_runs_at_a_prompt(page, tmp_path):
    """Paste all cells, one after the other, into an interactive Python with only the package installed."""
    reader = os.environ.get("RNN_NOTES_READER")  # .ci/run names the Python of such an environment
    barred = set(packages_distributions()) - packages_of_a_reader()
    start = "" if reader else ONLY_THE_PACKAGE.format(barred=barred)
    done = subprocess.run(
        [reader or sys.executable, "-I", "-q", "-i", "-X", "utf8", "-W", "error", "-c", start],
        input="\n".join(copied(page)) + "\nprint('reached', 'the end')\n",
        capture_output=True,
        encoding="utf-8",
        cwd=tmp_path,
        timeout=300,
        env={**os.environ, "MPLBACKEND": "Agg"},
    )
    assert "Error" not in done.stderr and "Warning" not in done.stderr, done.stderr
    assert done.stdout.endswith("reached the end\n")


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=by_name)
def test_examples(page):
    """Run the >>> examples of the fenced blocks, in order and in one namespace."""
    text = page.read_text(encoding="utf-8")
    blocks = re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    namespace, runner = {}, doctest.DocTestRunner()
    for block in blocks:
        line = text.count("\n", 0, block.start(1))
        test = doctest.DocTestParser().get_doctest(block[1], namespace, page.name, str(page), line)
        runner.run(test, clear_globs=False)
    assert runner.summarize().failed == 0


@pytest.mark.parametrize("page", EXECUTED, ids=by_name)
def test_code_fits_the_column(page):
    """No line of shown code is wider than the text column of the site."""
    lines = [line for cell in copied(page) for line in cell.splitlines()]
    assert max(map(len, lines)) <= 84


@pytest.mark.parametrize("page", EXECUTED, ids=by_name)
def test_figures_have_words(page):
    """Every cell that draws gives its figure a name, a caption and an alternative text."""
    for cell in cells(page):
        if "figures." in cell.source:
            words = cell.metadata.get("mystnb", {})
            caption, alt = words["figure"]["caption"], words["image"]["alt"]
            assert words["figure"]["name"].startswith("fig-")
            assert len(caption.split()) > 10 and len(alt.split()) > 10 and caption != alt


def test_places_have_one_name():
    """No two pages give a place the same name; Sphinx sees that only when one process reads both."""
    pattern = r"^\(([\w-]+)\)=$|^ *:?name: ([\w-]+)$|^:label: ([\w-]+)$"
    named = [
        next(filter(None, match.groups()))
        for page in sorted((ROOT / "docs").glob("*.md"))
        for match in re.finditer(pattern, page.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    named = [name for name in named if name != "python3"]  # the kernel of every page
    assert len(named) > 100
    assert sorted(set(named)) == sorted(named)


def test_statements():
    """The table of the lecture's statements lists all 24, in order."""
    text = (ROOT / "docs" / "lecture.md").read_text(encoding="utf-8")
    assert re.findall(r"^\* - (N\d+)$", text, re.MULTILINE) == [f"N{n}" for n in range(1, 25)]


def test_readme_picture_is_current(monkeypatch):
    """The README's picture is the front page's figure; hosts show a README before any site is built."""
    monkeypatch.setenv("MPLBACKEND", "Agg")
    namespace = {}
    exec("\n".join(copied(ROOT / "docs" / "index.md")), namespace)
    drawn = ROOT / "_build" / "story.svg"
    drawn.parent.mkdir(exist_ok=True)
    with namespace["figures"].style.plt.rc_context({"svg.hashsalt": "rnn-notes"}):
        namespace["fig"].savefig(drawn, facecolor="white", metadata={"Date": None, "Creator": None})
    texts = [path.read_text(encoding="utf-8") for path in (drawn, ROOT / ".github" / "story.svg")]
    words, numbers = zip(*(split_numbers(text) for text in texts), strict=True)
    advice = "copy _build/story.svg to .github/story.svg"
    assert words[0] == words[1], advice
    np.testing.assert_allclose(numbers[0], numbers[1], atol=0.5, err_msg=advice)


def split_numbers(svg):
    """Return an SVG's text without its coordinates and ids, and the coordinates."""
    svg = re.sub(r'(id="|url\(#|href="#)[\w-]+', "", svg)
    number = r"-?\d+\.\d+"
    return re.sub(number, "", svg), [float(n) for n in re.findall(number, svg)]

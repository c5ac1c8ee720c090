"""What readers take along: the notebook and the script of each page, and the package that they need.

They run as a reader runs them: in an environment that has the package, installed from the site's own wheel,
and what it requires; for notebooks Jupyter's kernel, too. The environment needs no network: what is required
is linked from this one.
"""

import ast
import copy
import functools
import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import nbformat
import pytest
from bs4 import BeautifulSoup
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from nbclient import NotebookClient
from packaging.requirements import Requirement
from pages import EXECUTED, NOT_BUILT, SITE, by_name, extension, first_now, html, parsed, shown
from test_browser import base, browser  # noqa: F401

FOLDER = SITE / "notebooks"
PATIENCE = 600  # seconds
MARKDOWN = MarkdownIt("commonmark").enable("table").use(dollarmath_plugin)

pytestmark = pytest.mark.skipif(not SITE.exists(), reason=NOT_BUILT)


@functools.cache
def notebook(page):
    return nbformat.read(FOLDER / f"{page.stem}.ipynb", as_version=4)


def markdown(page):
    return [cell.source for cell in notebook(page).cells if cell.cell_type == "markdown"]


def taken(page):
    """Return the code cells that are the page's: all but the one that installs the package."""
    return [cell for cell in notebook(page).cells if cell.cell_type == "code" and "%pip" not in cell.source]


def printed(cell):
    """Return what a cell prints at a prompt."""
    texts = []
    for output in cell.outputs:
        if output.output_type == "stream":
            texts.append(output.text)
        elif output.output_type == "execute_result" and not pictures(output):
            texts.append(output.data["text/plain"] + "\n")
    return "".join(texts)


def pictures(output):
    return [kind for kind in output.get("data", {}) if kind.startswith("image/")]


def test_every_page_with_cells_is_there_and_no_other():
    names = {f"{page.stem}{ending}" for page in EXECUTED for ending in (".ipynb", ".py")}
    assert {file.name for file in FOLDER.iterdir()} == names


def test_what_is_left_of_a_page_that_is_gone_is_removed_and_a_folder_stays(tmp_path):
    """Jupyter makes one beside a notebook that it opens."""
    there = [
        tmp_path / "notebooks" / name for name in ("gone.py", "here.ipynb", ".ipynb_checkpoints/x.ipynb")
    ]
    for file in there:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    app = SimpleNamespace(
        outdir=tmp_path, builder=SimpleNamespace(name="html"), env=SimpleNamespace(found_docs={"here"})
    )
    extension("downloads").remove_others(app, None)
    assert [file.exists() for file in there] == [False, True, True]


@pytest.mark.parametrize("page", EXECUTED, ids=by_name)
def test_the_page_leads_there(page):
    (line,) = parsed(html(page)).select(".take")
    links = {link.text: link["href"] for link in line.select("a")}
    assert links["notebook"] == f"notebooks/{page.stem}.ipynb"
    assert links["script"] == f"notebooks/{page.stem}.py"
    assert (SITE / links["package"]).is_file()
    name = Path(links["package"]).name
    assert re.fullmatch(rf"python -m pip install (https?://\S+/)?{re.escape(name)}", line.code.text)
    first = markdown(page)[0], (FOLDER / f"{page.stem}.py").read_text(encoding="utf-8")
    assert all(line.code.text in text for text in first)


@pytest.mark.parametrize("place", ["server", "folder"])
def test_the_package_installs_from_where_the_page_is(browser, base, place, tmp_path):  # noqa: F811
    with browser.new_context() as context:
        tab = context.new_page()
        tab.goto({"server": base, "folder": f"{SITE.as_uri()}/"}[place] + "lstm.html")
        line = tab.locator(".take .pip").text_content().split()
    assert line[:4] == ["python", "-m", "pip", "install"]
    pip = [sys.executable, *line[1:4], "--quiet", "--no-deps", "--no-index", "--target", tmp_path]
    done = subprocess.run([*pip, *line[4:]], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "rnn_notes" / "__init__.py").is_file()


@pytest.mark.parametrize("page", EXECUTED, ids=by_name)
def test_the_notebook_has_the_page_s_cells_and_what_they_left(page):
    nbformat.validate(notebook(page))
    assert [cell.source for cell in taken(page)] == shown(page)
    boxes = parsed(html(page)).select("div.cell")
    assert len(boxes) == len(taken(page))
    for cell, box in zip(taken(page), boxes, strict=True):
        outputs = [output for output in cell.outputs if not pictures(output)]
        ours = [
            BeautifulSoup(output.data["text/html"], "html.parser").get_text()
            if "text/html" in output.get("data", {})
            else output.get("text") or output.data["text/plain"]
            for output in outputs
        ]
        box = BeautifulSoup(str(box), "html.parser")
        for part in box.select("figure, .headerlink"):
            part.decompose()
        theirs = [output.get_text() for output in box.select(".cell_output")]
        assert " ".join(ours).split() == " ".join(theirs).split()


@pytest.mark.parametrize("page", EXECUTED, ids=by_name)
def test_figures_have_their_words(page):
    """The alternative text, where programs look for it; below the figure its number and its caption."""
    found = []
    everything = notebook(page).cells
    for place, cell in enumerate(everything):
        for output in cell.get("outputs", []):
            if pictures(output):
                svg = ElementTree.fromstring(output.data["image/svg+xml"])
                alt = output.metadata["image/svg+xml"]["alt"]
                assert svg.get("role") == "img"
                assert svg.get("aria-label") == output.data["text/plain"] == alt
                below = everything[place + 1].source
                assert alt.split()[-1] in below.partition("in words</summary>")[2]
                found.append((alt, below.split("**")[1]))
    figures = parsed(html(page)).select(".cell_output figure")
    numbers = [" ".join(figure.select_one(".caption-number").text.split()) + "." for figure in figures]
    alts = [figure.img["alt"] for figure in figures]
    assert found == list(zip(alts, numbers, strict=True))


@pytest.mark.parametrize(
    ("repository", "where"),
    [
        ("", None),
        ("https://gitlab.com/someone/rnn-notes", None),
        ("https://github.com.example.org/someone/rnn-notes", None),
        ("https://github.com/someone/rnn-notes", "someone/rnn-notes"),
        ("https://github.com/someone/rnn-notes/", "someone/rnn-notes"),
        ("https://github.com/someone/notes.git", "someone/notes"),
    ],
)
def test_colab_opens_what_is_on_github(repository, where):
    app = SimpleNamespace(config=SimpleNamespace(html_theme_options={"source_repository": repository}))
    expected = where and f"https://colab.research.google.com/github/{where}/blob/notebooks/lstm.ipynb"
    assert extension("downloads").colab(app, "lstm") == (expected or "")


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        ('"∂∂∂"  # what', "∂∂∂"),
        ("x = 1; x", "1"),
        ("π = 3; (π +\n 1)", "4"),
        ("'α'; ('α'\n 'ω')  # both", "αω"),
        ("x = 1\nx if x else (\n    2\n)", "1"),
    ],
)
def test_value_of_a_cell_is_printed(code, printed, capsys):
    value = nbformat.v4.new_output("execute_result", {"text/plain": "the value"})
    cell = nbformat.v4.new_code_cell(code, outputs=[value])
    exec(extension("downloads").printing(cell), {})
    assert capsys.readouterr().out == printed + "\n"


LEFT_OVER = {
    "a role": r"\{[\w:.-]+\}`",
    "a directive": r"^\s*(:{3,}|```+\{)",
    "a target": r"^\([\w-]+\)=",
    "a comment": r"^%",
    "an option": r"^:[\w-]+:",
    "an empty link": r"\[\]|\]\(\)",
    "a link within the site": r"\]\((?!https?://)",
    "attributes": r"\]\{",
    "a label": r"\\label|\\eqref",
    "a reference": r"\{(eq|numref|term|cite|glue|ref)\b",
    "HTML": r"<(?!/?(details|summary|br|code)\b)\w",
}


@pytest.mark.parametrize("page", EXECUTED, ids=by_name)
def test_no_myst_is_left(page):
    for text in markdown(page):
        prose = re.sub(r"^( *)(`{3,}).*?^\1\2$", "", text, flags=re.MULTILINE | re.DOTALL)
        prose = re.sub(r"\\.", "", re.sub(r"`+[^`]*`+", "code", prose.replace("$$", "")))
        for what, pattern in LEFT_OVER.items():
            assert not re.findall(rf".*(?:{pattern}).*", prose, re.MULTILINE), what
        assert prose.count("<details>") == prose.count("</details>")


def words(element):
    return " ".join(element.get_text().split())


@pytest.mark.parametrize("page", EXECUTED, ids=by_name)
def test_the_text_is_whole(page):
    """Each paragraph of the page stands in the notebook, as Markdown renders it, and in the same order."""
    rendered = BeautifulSoup("\n".join(map(MARKDOWN.render, markdown(page))), "html.parser")
    for formula in rendered.select(".math"):
        formula.replace_with("$")
    text, place = words(rendered), 0
    article = BeautifulSoup(str(parsed(html(page)).article), "html.parser")
    for part in article.select(
        ".take, .key, .column, .legend, ul.path, .explanations, .headerlink, .cell, figcaption, .eqno"
    ):
        part.decompose()
    for formula in article.select(".math"):
        formula.replace_with("$")
    paragraphs = [
        words(paragraph) for paragraph in article.select("p:not(.admonition-title, p p), li:not(:has(p))")
    ]
    assert len(paragraphs) > 5
    for paragraph in paragraphs:
        assert paragraph in text[place:], paragraph
        place = text.index(paragraph, place) + len(paragraph)


@pytest.mark.parametrize("page", EXECUTED, ids=by_name)
def test_answers_of_questions_are_folded(page):
    choices = len(parsed(html(page)).select("details.choice"))
    assert "\n".join(markdown(page)).count("<summary>Choose ") == choices


def test_what_is_folded_on_the_page_is_folded_in_the_notebook():
    found = set()
    for page in EXECUTED:
        for cell, box in zip(taken(page), parsed(html(page)).select("div.cell"), strict=True):
            around = {"source_hidden", "outputs_hidden"} if box.find_parent("details") else set()
            expected = around or ({"source_hidden"} if box.select("details.hide") else set())
            hidden = {name for name, value in cell.metadata.get("jupyter", {}).items() if value}
            assert hidden == expected
            found.add(frozenset(hidden))
    assert len(found) == 3


# The files run as a reader runs them.


def requirements(*names):
    """Return these distributions and all that they require here, by their names."""
    waiting, found = [*names], {}
    while waiting:
        name = waiting.pop()
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue
        for line in found[name].requires or []:
            requirement = Requirement(line)
            if (requirement.marker is None or requirement.marker.evaluate({"extra": ""})) and (
                requirement.name not in found
            ):
                waiting.append(requirement.name)
    return found


class Environment:
    def __init__(self, folder, *others):
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        name = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
        self.folder, self.python = folder, Path(folder, *name)
        ask = [self.python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
        packages = Path(subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip())
        needed = requirements("rnn-notes", *others)
        del needed["rnn-notes"]
        for found in needed.values():
            for top in {file.parts[0] for file in found.files} - {"..", "__pycache__"}:
                if not (packages / top).exists():
                    (packages / top).symlink_to(found.locate_file(top))
        wheel = next((SITE / "_static").glob("rnn_notes-*.whl"))
        pip = [sys.executable, "-m", "pip", "--python", self.python, "install", "--quiet", "--no-index"]
        done = subprocess.run([*pip, wheel], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def variables(self):
        """Return what a user without settings and without a screen has."""
        ours = ("PATH", "SYSTEMROOT", "SYSTEMDRIVE", "TEMP", "TMP", "TMPDIR", "LD_LIBRARY_PATH")
        threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        return (
            {name: os.environ[name] for name in ours if name in os.environ}
            | dict.fromkeys(threads, "1")
            | {"HOME": str(self.folder), "MPLCONFIGDIR": str(self.folder), "IPYTHONDIR": str(self.folder)}
            | {"MPLBACKEND": "Agg", "PYTHONUTF8": "1"}
        )


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return Environment(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory):
    return Environment(tmp_path_factory.mktemp("jupyter"), "ipykernel")


needs_links = pytest.mark.skipif(os.name == "nt", reason="links to folders need rights on Windows")


@needs_links
def test_the_environment_has_the_package_and_what_it_needs(plain, tmp_path):
    code = "import rnn_notes; print(rnn_notes.__file__)"
    command = [plain.python, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=plain.variables(), capture_output=True, text=True)
    assert done.stdout.startswith(str(plain.folder)), done.stderr
    for other in ("sphinx", "myst_nb", "IPython", "nbformat"):
        assert subprocess.run([plain.python, "-c", f"import {other}"], stderr=subprocess.DEVNULL).returncode


@needs_links
@pytest.mark.parametrize("page", first_now(EXECUTED), ids=by_name)
def test_the_script_runs_and_prints_what_the_notebook_has(page, plain, tmp_path):
    """It has no hidden cell, so none that is shown depends on one, not even on its random numbers."""
    command = [plain.python, FOLDER / f"{page.stem}.py"]
    done = subprocess.run(
        command, cwd=tmp_path, env=plain.variables(), capture_output=True, encoding="utf-8", timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout.split("\n") == "".join(map(printed, taken(page))).split("\n")


@needs_links
@pytest.mark.parametrize("page", first_now(EXECUTED), ids=by_name)
def test_the_notebook_runs_and_leaves_what_it_had(page, jupyter, tmp_path):
    class Kernels(KernelSpecManager):
        def get_kernel_spec(self, kernel_name):
            command = [str(jupyter.python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            return KernelSpec(argv=command, display_name="Python 3", language="python")

    ran = copy.deepcopy(notebook(page))
    for cell in ran.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    client = NotebookClient(
        ran, timeout=PATIENCE, resources={"metadata": {"path": str(tmp_path)}}, coalesce_streams=True
    )
    manager = client.create_kernel_manager()
    manager.kernel_spec_manager = Kernels()
    variables = jupyter.variables()
    del variables["MPLBACKEND"]
    client.execute(env=variables)
    mine = [cell for cell in ran.cells if cell.cell_type == "code" and "%pip" not in cell.source]
    for cell, before in zip(mine, taken(page), strict=True):
        assert printed(cell) == printed(before)
        count = [len(list(filter(pictures, outputs))) for outputs in (cell.outputs, before.outputs)]
        assert count[0] == count[1]


@pytest.mark.parametrize("page", EXECUTED, ids=by_name)
def test_the_script_is_cells_with_a_comment(page):
    text = (FOLDER / f"{page.stem}.py").read_text(encoding="utf-8")
    ast.parse(text)
    cells = text.split("\n# %%")[1:]
    assert len(cells) == len(shown(page))
    # What stands above a title says nothing of the cell below it.
    headings = parsed(html(page)).article.select("h2, h3")
    above = [heading.find_previous(["p", "pre", "h1", "h2"]) for heading in headings]
    before = {" ".join(words(part).split()[:5]) for part in above if part.name == "p"}
    for title, *comment in (cell.partition("\n\n")[0].split("\n") for cell in cells):
        said = " ".join(" ".join(comment).replace("# ", "").split()[:5])
        assert not title or said not in before, title
    assert max(len(line) for line in text.split("\n") if line.startswith("# ") and "http" not in line) <= 100

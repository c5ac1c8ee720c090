"""The build itself, on small copies of the site: what stops it, what runs again, and the first `make`."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pages import extension

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [
    "conf.py",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "Makefile",
    "rnn_notes",
    "docs/_extensions",
    "docs/_static",
    "docs/_templates",
    "docs/references.bib",
]
# No jobs or variables of the make that runs these tests, and no package index.
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("MAKE", "MFLAGS", "PIP_", "PYTHONPATH"))
} | {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_CONFIG_FILE": os.devnull}
OPTIONS = ["-c", ".", "--jobs", "auto", "--nitpicky", "--quiet", "--fail-on-warning"]  # as in the Makefile
PATIENCE = 300  # seconds, and then something hangs, on the slowest machine too
FRONT = "---\nfile_format: mystnb\nkernelspec:\n  name: python3\n---\n\n"

pytestmark = pytest.mark.deep
needs_make = pytest.mark.skipif(
    os.name == "nt" or not shutil.which("make"), reason="runs make with shell scripts and POSIX signals"
)


class Site:
    """A copy of the site with its machinery and its package, but with small pages of its own."""

    def __init__(self, path, **pages):
        self.path = path
        for source in SOURCES:
            (path / source).parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
            copy(
                ROOT / source,
                path / source,
                **({"ignore": shutil.ignore_patterns("__pycache__")} if copy is shutil.copytree else {}),
            )
        self.write(**pages)

    def write(self, **pages):
        for name, text in pages.items():
            Path(self.path, "docs", name + ".md").write_text(text, encoding="utf-8")
        names = [name for name in self.pages() if name != "index"]
        index = "\n".join(["# Home", "", "```{toctree}", *names, "```", ""])
        Path(self.path, "docs", "index.md").write_text(index, encoding="utf-8")

    def pages(self):
        return sorted(page.stem for page in Path(self.path, "docs").glob("[!._]*.md"))

    def edit(self, file, old, new):
        text = Path(self.path, file).read_text(encoding="utf-8")
        assert old in text
        Path(self.path, file).write_text(text.replace(old, new), encoding="utf-8")

    def run(self, *command, **variables):
        return subprocess.run(
            command,
            cwd=self.path,
            env=ENVIRONMENT | variables,
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE,
        )

    def build(self, *options, **variables):
        command = [sys.executable, "-I", "-X", "utf8", "docs/_extensions/build.py", *OPTIONS, *options]
        return self.run(*command, **variables)

    def built(self, **pages):
        """Write some pages, build the site, and return all its files."""
        self.write(**pages)
        succeed(self.build())
        return self.files()

    def files(self):
        html = self.path / "_build" / "html"
        return {file.relative_to(html): file.read_bytes() for file in html.rglob("*") if file.is_file()}

    def from_nothing(self):
        """Build the site again with the results of its cells, but none of its pages; return all its files."""
        for folder in ("html", "doctrees", "jupyter_execute"):
            shutil.rmtree(self.path / "_build" / folder)
        return self.built()

    def make(self, *arguments, **variables):
        return self.run("make", *arguments, **variables)

    def html(self, page):
        return Path(self.path, "_build", "html", page + ".html").read_text(encoding="utf-8")

    def line(self, page, text):
        """Return the number of the line of a page that ends with a text."""
        lines = Path(self.path, "docs", page + ".md").read_text(encoding="utf-8").splitlines()
        (number,) = [number for number, line in enumerate(lines, 1) if line.endswith(text)]
        return number


# `make html` with the environment that runs the tests.
MAKE_HTML = ["html", "--assume-old=environment", f"BIN={Path(sys.executable).parent}"]


def page(title, *cells):
    cells = [f"```{{code-cell}}\n{cell}\n```\n" for cell in cells]
    return FRONT + f"# {title}\n\nSome prose.\n\n" + "\n".join(cells)


def succeed(result):
    """Assert that a build was silent and successful."""
    assert (result.returncode, result.stderr) == (0, "")


# The cells of a page, of which one stops at the line that ends with `# here`, and the message to expect.
FAILING_CELLS = {
    "raises": (["x = 0", "y = 1\n\n1 / x  # here"], "cell 2: ZeroDivisionError: division by zero"),
    "in_another_cell": (["def f():\n    1 / 0", "y = 1\ny = 2\nf()  # here"], "cell 2: ZeroDivisionError"),
    "in_the_package": (["from rnn_notes import RNN\nRNN(1, 2, 3)  # here"], "cell 1: TypeError: W_x must be"),
    "in_a_statement_of_many_lines": (["max(\n    1,\n    1 / 0,  # here\n)"], "cell 1: ZeroDivisionError"),
    "below_options": ([":tags: [hide-input]\n\nx = 1\n1 / 0  # here"], "cell 1: ZeroDivisionError"),
    "below_yaml": (["---\ntags: [hide-input]\n---\nx = 1\n1 / 0  # here"], "cell 1: ZeroDivisionError"),
    "is_no_python": (["x = 1\nx = = 2  # here"], "cell 1: SyntaxError: invalid syntax\n"),
    "is_wrongly_indented": (["if True:\n    x = 1\n  y = 2  # here"], "cell 1: IndentationError: unindent"),
    "warns": (["import warnings\nwarnings.warn('careful')  # here"], "cell 1: UserWarning: careful"),
    "warns_in_numpy": (["import numpy as np\n1 / np.zeros(1)  # here"], "cell 1: RuntimeWarning: divide"),
    "never_ends": (["# here\nwhile True:\n    pass"], "cell 1: the cell runs longer than its time limit"),
    "kills_its_kernel": (["# here\nimport os\nos._exit(1)"], "cell 1: the kernel died"),
    "talks_to_stderr": (
        ["x = 1", "# here\nimport sys\nprint('a\\nb', file=sys.stderr)"],
        r"cell 2: writes to stderr: 'a\nb'",
    ),
    "asserts": (["assert False, 'no'  # here"], "cell 1: AssertionError: no"),
    "moves_what_it_does_not_draw": (
        ["---\nslider: {label: x, values: '[1]', says: ''}\n---\nabs(2)  # here"],
        "cell 1: ValueError: the slider's values must include 2",
    ),
    "draws_another_figure_again": (
        [
            "---\nslider: {label: x, values: '[1]', says: 'x'}\n---\nimport itertools\n"
            "from rnn_notes import figures\nnumbers = itertools.count(2)\ndef draw(x):\n"
            "    return figures.unrolled_graph(next(numbers))\n\ndraw(1)  # here"
        ],
        "cell 1: its last line, run again, draws another figure",
    ),
    "has_bad_options": (["---\ntags: [\n---  # here\nx = 1"], "cell 1: "),
}
NAMED_BY_FENCE = {"never_ends", "kills_its_kernel", "talks_to_stderr"}


@pytest.fixture(scope="module")
def failed_cells(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("cells"))
    site.write(**{name: page("Page", *cells) for name, (cells, _) in FAILING_CELLS.items()})
    return site, site.build("-D", "nb_execution_timeout=15")


@pytest.mark.parametrize("name", FAILING_CELLS)
@pytest.mark.xdist_group("failed_cells")
def test_failing_cell_is_named(failed_cells, name):
    site, result = failed_cells
    # A cell without a line to blame is named by its fence.
    line = site.line(name, "# here") - (name in NAMED_BY_FENCE) - 3 * (name == "has_bad_options")
    assert result.returncode == 1
    assert f"docs/{name}.md:{line}: {FAILING_CELLS[name][1]}" in result.stderr


@pytest.mark.xdist_group("failed_cells")
def test_failing_cells_are_all_that_is_said(failed_cells):
    lines = failed_cells[1].stderr.splitlines()
    assert [re.match(r"docs/(\w+)\.md:\d+: cell ", line)[1] for line in lines] == sorted(FAILING_CELLS)


# What is wrong with the page as a whole, and the line to expect.
UNREADABLE = {
    "latin": (FRONT.encode() + "# Gr\xf6bner\n".encode("latin-1"), "7: not UTF-8: '# Gr\\xf6bner'"),
    "inline": (
        FRONT.replace("kernelspec:", "mystnb:\n  execution_mode: inline\nkernelspec:").encode() + b"# Page\n",
        "4: execution_mode is for conf.py; a page does not set its own",
    ),
    "empty": (b"", "1: the page is empty"),
    "settings": (
        FRONT.replace("kernelspec:", "mystnb: inline\nkernelspec:").encode() + b"# Page\n",
        "3: mystnb is a table of settings, not 'inline'",
    ),
    "loads": (
        FRONT.encode() + b"# Page\n\n```{code-cell}\n:load: gone.py\n```\n",
        "10: Can't read file from",
    ),
}


def test_an_error_in_a_process_stops_the_build(tmp_path):
    """Sphinx drops what fails while it starts other processes, and pages were missing."""
    site = Site(tmp_path)
    site.write(**{f"page_{number}": f"# Page {number}\n" for number in range(12)})
    check = "    if not app.config.html_baseurl or"
    site.edit("docs/_extensions/sharing.py", check, f"    pagename == 'index' or 1 / 0\n{check}")
    # Sphinx writes the first page itself; the last process starts when the others have failed.
    before = "        for place in list(self.document.findall(path)):\n"
    site.edit("docs/_extensions/path.py", before, f"        __import__('time').sleep(0.3)\n{before}")
    code = site.build("--jobs", "2")
    assert code.returncode != 0
    assert "division by zero" in code.stderr
    assert not (tmp_path / "_build" / "site.json").exists()


def test_page_that_cannot_be_read_is_named(tmp_path):
    site = Site(tmp_path, one=page("One", "print(1)"))
    for name, (content, _) in UNREADABLE.items():
        Path(site.path, "docs", name + ".md").write_bytes(content)
    site.write()
    result = site.build()
    assert result.returncode == 1
    lines = result.stderr.splitlines()
    assert len(lines) == len(UNREADABLE)
    for line, (name, (_, message)) in zip(lines, sorted(UNREADABLE.items()), strict=True):
        assert line.startswith(f"docs/{name}.md:{message}")


def test_address_is_checked(tmp_path):
    result = Site(tmp_path, one="# One\n").build(SITE_URL="example.org/notes")
    expected = "SITE_URL is an address such as https://example.org/notes/, not 'example.org/notes'\n"
    assert (result.returncode, result.stderr) == (1, expected)


QUESTION = ":::{{question}} Counting\nHow many?\n\n- [{}] one\n  It is.\n- [{}] {}\n  Not two.\n:::"
MOVED = """```{{code-cell}}
---
slider: {{label: Steps, values: '[2, 3]', says: 'f"{{steps}}: "'}}
mystnb: {}
---
from rnn_notes import figures
def draw(steps):
    return figures.unrolled_graph(steps)

fig = draw(2)
```"""
# A page's one fault, and the warning to expect.
FAULTS = {
    "unknown_page": ("[here](nowhere.md)", "cross-reference target not found: 'nowhere.md'"),
    "unknown_target": ("[here](#nowhere)", "cross-reference target not found: 'nowhere'"),
    "unknown_label": ("{ref}`nowhere`", "undefined label: 'nowhere'"),
    "unknown_figure": ("{numref}`fig-nowhere`", "undefined label: 'fig-nowhere'"),
    "unknown_equation": ("{eq}`nowhere`", "equation not found: nowhere"),
    "unknown_term": ("{term}`nowhere`", "term not in glossary: 'nowhere'"),
    "unknown_name": ("{py:func}`rnn_notes.nowhere`", "reference target not found: rnn_notes.nowhere"),
    "unknown_citation": ("{cite:p}`nobody1900`", 'could not find bibtex key "nobody1900"'),
    "unknown_directive": ("```{nonsense}\n```", "Unknown directive type: 'nonsense'"),
    "bad_inline_formula": (r"$\frac{1$", r"KaTeX parse error"),
    "question_without_right": (QUESTION.format(" ", " ", "two"), "2 answers of which 0 are right"),
    "question_with_two_right": (QUESTION.format("x", "x", "two"), "2 answers of which 2 are right"),
    "question_with_a_faulty_reason": (
        QUESTION.format("x", " ", "two").replace("Not two", "Not [two](#nowhere)"),
        "cross-reference target not found: 'nowhere'",
    ),
    "question_without_reason": (
        "```{code-cell}\n1\n```\n\n" + QUESTION.format("x", " ", "two").replace("  Not two.\n", ""),
        "gives no reason for its answer B",
    ),
    "question_that_repeats": (QUESTION.format("x", " ", "one"), "has the same answer twice"),
    "question_that_asks_nothing": (QUESTION.format("x", " ", "two").replace("How many?", ""), "asks nothing"),
    "slider_without_figure": (MOVED.format("{}"), "a cell with a slider has a figure"),
    "slider_without_caption": (
        MOVED.format("{figure: {name: fig-x}}"),
        "a figure has a name, a caption and an `alt`",
    ),
    "bad_formula": ("$$\n\\nonsense\n$$", r"KaTeX parse error: Undefined control sequence: \nonsense"),
}


# Where a warning is not of a whole block: the beginning of the line to expect.
LINES = {"question_without_reason": "- [ ] two", "question_with_a_faulty_reason": "  Not [two]"}


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("faults"))
    site.write(**{name: f"{FRONT}# Page\n\nProse.\n\n{text}\n" for name, (text, _) in FAULTS.items()})
    return site.build()


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.xdist_group("faulty")
def test_fault_is_named(faulty, name):
    text, message = FAULTS[name]
    first = FRONT.count("\n") + 5
    assert faulty.returncode == 1
    said = re.findall(rf"docs[/\\]{name}\.md:(\d+): WARNING: (.*)", faulty.stderr)
    assert len(said) == 1
    assert first <= int(said[0][0]) <= first + text.count("\n")
    if name in LINES:
        assert int(said[0][0]) == first + text.partition(LINES[name])[0].count("\n")
    assert message in said[0][1].replace("\u0332", "")  # KaTeX underlines the culprit


MODULE = '''"""In place of the real module, whose reference links to lectures that are not here."""
VALUE = 1
class RNNGradients: "Gradients."
class RNN: "A network."
'''


COUNTED = "log = open('../{}.log', 'a'); n = log.write('x'); log.close()"


def test_what_runs_again(tmp_path):
    site = Site(tmp_path / "site")
    code = "from rnn_notes import rnn, RNN\nprint(rnn.__file__, getattr(rnn, 'ANSWER', 'no answer'))"
    reference = "# Reference\n\n```{eval-rst}\n.. autoclass:: rnn_notes.rnn.RNN\n```\n"
    data = "import helper\nfrom pathlib import Path\nprint(helper.double, Path('data.txt').read_text())"
    Path(site.path, "docs", "helper.py").write_text("double = 2\n")
    Path(site.path, "docs", "loaded.py").write_text("print('loaded')\n")
    Path(site.path, "docs", "data.txt").write_text("some data\n")
    Path(site.path, "rnn_notes", "rnn.py").write_text(MODULE)
    site.write(
        one=page("One", COUNTED.format("one"), code),
        two=page("Two", COUNTED.format("two"), data, ":load: loaded.py"),
        gone=page("Gone", "print('gone')"),
        reference=reference,
    )

    def runs():
        return [len(Path(site.path, name).read_text()) for name in ("one.log", "two.log")]

    succeed(site.build())
    assert runs() == [1, 1]
    assert f"{site.path / 'rnn_notes' / 'rnn.py'} no answer" in site.html("one")  # not the installed package
    assert 'href="reference.html#rnn_notes.rnn.RNN"' in site.html("one")
    first = site.files()

    def after(file, old, new):
        """Return what has run after an edit, and how one page looks then."""
        before = runs()
        site.edit(file, old, new)
        succeed(site.build())
        return [now - then for now, then in zip(runs(), before, strict=True)]

    assert after("docs/one.md", "Some prose", "Some other prose") == [0, 0]
    assert "Some other prose" in site.html("one")
    assert after("docs/one.md", "print(", "print('changed', ") == [1, 0]
    assert "changed" in site.html("one")
    assert after("rnn_notes/rnn.py", "VALUE = 1", "ANSWER = 4") == [1, 0]
    assert "rnn.py 4" in site.html("one")
    assert after("rnn_notes/rnn.py", "ANSWER = 4", "ANSWER = 5") == [
        1,
        0,
    ]  # as long, and as old to the second
    assert "rnn.py 5" in site.html("one")
    assert after("rnn_notes/figures/lstm.py", "import", " import") == [0, 0]  # which no page imports
    assert after("rnn_notes/figures/lstm.py", " import", "import") == [0, 0]  # all of it is in the wheel
    assert after("docs/data.txt", "some", "other") == [0, 1]
    assert "2 other data" in site.html("two")
    assert after("docs/helper.py", "2", "3") == [0, 1]
    assert "3 other data" in site.html("two")
    assert after("docs/loaded.py", "loaded", "reloaded") == [0, 1]
    assert "reloaded" in site.html("two")

    # The variables with which cells run.
    assert after("docs/_extensions/inputs.py", '"TZ": "UTC"', '"TZ": "GMT"') == [1, 1]
    assert after("docs/_extensions/inputs.py", '"TZ": "GMT"', '"TZ": "UTC"') == [0, 0]

    # A title is shown on every page; a removed page on none, and it leaves no file.
    assert after("docs/one.md", "# One", "# First") == [0, 0]
    assert "First" in site.html("two")
    gone = Path(site.path, "docs", "gone.md").rename(tmp_path / "gone.md")
    before = runs()
    site.built()
    assert runs() == before
    assert "Gone" not in site.html("two")
    assert not Path(site.path, "_build", "html", "gone.html").exists()

    # Back to the first state: nothing runs, and every byte is as it was.
    gone.rename(site.path / "docs" / "gone.md")
    site.write(one=page("One", COUNTED.format("one"), code))
    for file, text in {
        "helper.py": "double = 2\n",
        "loaded.py": "print('loaded')\n",
        "data.txt": "some data\n",
    }.items():
        Path(site.path, "docs", file).write_text(text)
    Path(site.path, "rnn_notes", "rnn.py").write_text(MODULE)
    succeed(site.build())
    assert runs() == before
    assert site.files() == first


def test_pages_with_one_text_keep_their_own_outputs(tmp_path):
    site = Site(tmp_path / "site")
    docs = Path(site.path, "docs")
    for name in ("first", "second"):
        docs.joinpath(name).mkdir()
        docs.joinpath(name, "data.txt").write_text(f"the data of the {name}\n")
        cell = "from pathlib import Path\nprint(Path('data.txt').read_text())"
        docs.joinpath(name, "page.md").write_text(page("Page", cell))
    docs.joinpath("index.md").write_text("# Home\n\n```{toctree}\nfirst/page\nsecond/page\n```\n")
    succeed(site.build())
    for name in ("first", "second"):
        html = site.html(f"{name}/page")
        assert f"the data of the {name}" in html
        assert "notebooks/" not in html  # which are of the pages in docs/ itself
    assert not list(Path(site.path, "_build", "html").glob("notebooks/*"))


DAMAGE = [b"", b"null", b"5", b"[]", b"{}", b'{"read": []}', b"[" * 100_000, b"\xff" * 500]


def test_record_is_whole_or_missing(tmp_path):
    records = extension("records")
    file, record = tmp_path / "record.json", {"read": {"é": ""}, "outputs": [[1, []]]}
    assert records.read_record(file) == {}
    records.write_record(file, record)
    assert records.read_record(file) == record
    assert list(tmp_path.iterdir()) == [file]
    content = file.read_bytes()
    flipped = [content[:i] + bytes([content[i] ^ 1]) + content[i + 1 :] for i in range(len(content))]
    cut = [content[:i] for i in range(len(content))]
    for damaged in [*DAMAGE, *flipped, *cut, content + b" "]:
        file.write_bytes(damaged)
        assert records.read_record(file) == {}, damaged[:99]


FIGURE = """---
mystnb:
  image:
    alt: Three steps.
  figure:
    name: fig-unrolled
    caption: Three steps of one network, unrolled in time.
---
from rnn_notes import figures
fig = figures.unrolled_graph(steps=3)"""
SLIDER = """---
slider: {label: Steps, values: "range(2, 5)", says: "str(steps)"}
mystnb:
  image:
    alt: Two steps.
  figure:
    name: fig-moving
    caption: A network that can be made longer.
---
from rnn_notes import figures
def draw(steps):
    return figures.unrolled_lstm(steps)

# other numbers: 2 to 4
fig = draw(2)"""
COMPUTED = "import numpy as np\nA = np.random.default_rng(0).random((99, 99))\nprint((A @ A).sum().hex())"


TERMS = """# Terms

```{glossary}
gradient
  What goes back through time, from step to step, until it vanishes.

loss
  What has a {term}`gradient`.

state
  What stays.
```
"""
REFERENCES = """# References

{numref}`fig-unrolled` shows the {term}`gradient` of the {term}`loss`.
[](#reading) has it, as {cite:t}`Elman1990` does.

## Works

```{bibliography}
```

```{handouts}
```

```{exercises}
```

```{gallery}
```
"""
FORMULAS = "# Formulas\n\n$$\na = b\n$$ (eq-one)\n\n(reading)=\n## Reading\n\nSee {eq}`eq-one`.\n"

EXERCISES = """
## In three lines

- One thing.

## Exercises

:::{admonition} Exercise: by hand
:class: exercise
How long?
:::

<details class="solution"><summary>Solution</summary>

Three steps.

</details>
"""
FORMULAS += EXERCISES


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A site with something of everything that pages show of one another, built."""
    cells = ["print({'alpha', 'beta', 'gamma', 'delta'})", COMPUTED]
    site = Site(tmp_path_factory.mktemp("small") / "site")
    works = re.findall(r"@\w+\{([^,]+),", Path(ROOT, "docs", "references.bib").read_text(encoding="utf-8"))
    first = site.built(
        a_figure=page("Figure", FIGURE, "fig = figures.unrolled_graph(steps=2)"),  # a picture alone, too
        a_slider=page(
            "Slider", SLIDER, SLIDER.replace("fig-moving", "fig-other").replace("draw(2)", "draw(3)")
        ),
        a_page_with_a_long_name_one=page("One", *cells),
        a_page_with_a_long_name_two=page("Two", *cells),
        terms=TERMS,  # written before a page that shows what they mean
        works=REFERENCES.replace("Elman1990", works[0]),
        formulas=FORMULAS,
    )
    assert any(file.parts[0] == "_images" for file in first)
    return site, first


@pytest.fixture
def restored(small):
    """The small site, its sources as they were after the test, whatever was built in between."""
    site, first = small
    sources = {file: file.read_bytes() for file in Path(site.path, "docs").glob("*.*")}
    yield site, first
    for file in set(Path(site.path, "docs").glob("*.*")) - sources.keys():
        file.unlink()
    for file, content in sources.items():
        file.write_bytes(content)


@pytest.mark.xdist_group("small")
def test_cold_builds_give_the_same_bytes(small, tmp_path):
    site, first = small
    another = Site(tmp_path / "another")
    for file in Path(site.path, "docs").glob("*.*"):
        shutil.copy(file, another.path / "docs")
    succeed(another.build("--jobs", "8"))
    files = another.files()
    assert files.keys() == first.keys()
    # .buildinfo is Sphinx's own note, and hashes its options.
    assert [file for file in files if files[file] != first[file] and file.name != ".buildinfo"] == []


# Edits of one file each: what a build after it writes must be what a build from nothing writes.
EDITS = {
    "a word": ("a_page_with_a_long_name_one.md", "Some prose.", "Some unheardof prose."),
    "a title": ("formulas.md", "# Formulas", "# Equations"),
    "a label": ("formulas.md", "## Reading", "## Writing"),
    "a number": ("a_figure.md", "# Figure\n", "# Figure\n\n:::{figure} mark.svg\nA caption\n:::\n"),
    "an equation": ("formulas.md", "$$\na", "$$\nc = d\n$$ (eq-two)\n\n$$\na"),
    "a definition": ("terms.md", "until it vanishes.", "until it fades."),  # nodes are abridged when printed
    "a caption": ("a_figure.md", "unrolled in time", "unrolled in space"),
    "an exercise's title": ("formulas.md", "by hand", "by head"),
    "a box": ("formulas.md", "See {eq}", ":::{admonition} Exactly\nTrue.\n:::\n\nSee {eq}"),
    "a term": ("terms.md", "state\n", "outcome\n"),
    "a cell": ("a_page_with_a_long_name_one.md", "'alpha'", "'omega'"),
    "a figure": ("a_figure.md", "steps=3)", "steps=4)"),
    "a slider's values": ("a_slider.md", "range(2, 5)", "range(2, 6)"),
    "a slider's label": ("a_slider.md", "label: Steps", "label: Length"),
    "a slider's name": ("a_slider.md", "fig-moving", "fig-moved"),
    "no sliders": ("a_slider.md", "slider:", "other:"),
    "an exercise": ("formulas.md", "How long?", "How short?"),
    "a solution": ("formulas.md", "Three steps.", "Four steps."),
    "no exercises": ("formulas.md", "## Exercises", "## Questions"),
    "a citation": ("formulas.md", "See {eq}", "See {cite:t}`WORK` and {eq}"),
}


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.xdist_group("small")
def test_build_after_an_edit_gives_the_bytes_of_one_from_nothing(restored, name):
    site, first = restored
    file, old, new = EDITS[name]
    works = re.findall(r"@\w+\{([^,]+),", Path(ROOT, "docs", "references.bib").read_text(encoding="utf-8"))
    shutil.copy(site.path / "_build" / "mark.svg", site.path / "docs")
    assert site.built() == first
    site.edit(f"docs/{file}", old, new.replace("WORK", works[1]))
    edited = site.built()
    assert edited != first
    assert edited == site.from_nothing()
    site.edit(f"docs/{file}", new.replace("WORK", works[1]), old)
    assert site.built() == first


SHARING = ["og:title", "og:url", "og:image", "twitter:card", 'rel="canonical"']


@pytest.mark.xdist_group("small")
def test_other_sites_are_told_of_pages_when_the_address_is_known(restored):
    """Title, description, address, picture and sitemap; without an address nothing, in either order."""
    site, first = restored
    assert not [name for name in [*SHARING, "PNG, "] if name in site.html("a_figure")]
    site.edit(
        "docs/a_figure.md",
        "kernelspec:",
        'myst:\n  html_meta:\n    description: "<Three> steps"\nkernelspec:',
    )
    without = site.built()
    succeed(site.build(SITE_URL="https://example.org/notes"))
    html, files = site.html("a_figure"), site.files()
    assert all(name in html for name in SHARING)
    assert '<meta property="og:title" content="Figure">' in html
    assert '<meta property="og:description" content="&lt;Three&gt; steps">' in html
    assert '<meta name="twitter:card" content="summary_large_image">' in html
    assert '<meta property="og:url" content="https://example.org/notes/a_figure.html">' in html
    (picture,) = re.findall(r'"og:image" content="https://example.org/notes/(.*?)"', html)
    content = files[Path(picture)]
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert [int.from_bytes(content[start : start + 4]) for start in (16, 20)] == [1200, 630]
    for name in ("unrolled", "unrolled-dark"):
        slide = files[Path(f"slides/{name}.png")]
        assert (slide[:8], int.from_bytes(slide[16:20])) == (b"\x89PNG\r\n\x1a\n", 1920)
    for page in ("a_figure", "works"):  # below the figure, and in the gallery
        assert 'href="slides/unrolled-dark.png" download' in site.html(page)
        assert ">PNG, 1920 px, dark slides</a>" in site.html(page)
    sitemap = files[Path("sitemap.xml")].decode()
    assert re.findall(r"<loc>https://example.org/notes/(\w+)\.html</loc>", sitemap) == sorted(
        page.stem for page in Path(site.path, "docs").glob("[!_]*.md")
    )
    succeed(site.build(SITE_URL="https://example.org/notes"))
    assert site.files() == files
    for steps in (4, 3):  # there and back
        site.edit("docs/a_figure.md", f"steps={7 - steps})", f"steps={steps})")
        succeed(site.build(SITE_URL="https://example.org/notes"))
        assert (site.files()[Path("slides/unrolled.png")] == files[Path("slides/unrolled.png")]) == (
            steps == 3
        )
    assert site.files() == files
    assert site.built() == without
    assert without.keys() == first.keys()


@pytest.mark.xdist_group("small")
def test_what_is_taken_along_knows_where_it_comes_from(restored):
    """With an address the notebook installs the package and leads back; on GitHub, Colab opens it."""
    site, first = restored
    notebook, script = (Path(f"notebooks/a_figure{ending}") for ending in (".ipynb", ".py"))
    assert b"%pip" not in first[notebook] and b"colab" not in site.html("a_figure").encode()
    found = [output for cell in json.loads(first[notebook])["cells"] for output in cell.get("outputs", [])]
    assert [picture["data"]["text/plain"] for picture in found] == ["Three steps.", ""]
    succeed(site.build(SITE_URL="https://example.org/notes"))
    (wheel,) = (f"https://example.org/notes/{name.as_posix()}" for name in first if name.suffix == ".whl")
    files = site.files()
    for text in (site.html("a_figure"), files[notebook].decode(), files[script].decode()):
        assert f"python -m pip install {wheel}" in text
    assert f"%pip install --quiet {wheel}" in files[notebook].decode()
    assert b"image/png" in files[notebook] and b"image/png" not in first[notebook]
    assert "](https://example.org/notes/a_figure.html)" in files[notebook].decode()
    project = site.path / "pyproject.toml"
    without = project.read_text(encoding="utf-8")
    setting = '\n[project.urls]\nRepository = "https://github.com/someone/notes"\n'
    project.write_text(
        without.replace("\n[tool.flit.module]", setting + "\n[tool.flit.module]"), encoding="utf-8"
    )
    succeed(site.build())
    opened = "https://colab.research.google.com/github/someone/notes/blob/notebooks/a_figure.ipynb"
    assert f'href="{opened}"' in site.html("a_figure")
    project.write_text(without, encoding="utf-8")
    assert site.built() == first


@pytest.mark.xdist_group("small")
def test_build_after_a_page_came_and_went_gives_the_same_bytes(restored):
    site, first = restored
    added = site.built(
        an_addition=page("Addition", FIGURE.replace("unrolled\n", "added\n"), "print('added')") + EXERCISES
    )
    assert {Path(f"an_addition{part}.html") for part in ("", "-handout", "-solutions")} <= added.keys()
    assert added == site.from_nothing()
    Path(site.path, "docs", "an_addition.md").unlink()
    assert site.built() == first


@pytest.mark.xdist_group("small")
def test_older_file_counts_as_changed(restored):
    site, _ = restored
    file = Path(site.path, "docs", "formulas.md")
    site.edit("docs/formulas.md", "See", "Read")
    os.utime(file, (0, 0))
    succeed(site.build())
    assert "Read" in site.html("formulas")


@pytest.mark.xdist_group("small")
def test_site_that_stands_is_left_alone(restored):
    site, first = restored
    site.built()
    docs = Path(site.path, "docs")
    for left in ("._terms.md", ".terms.md.swp", "terms.md~", "#terms.md#", "Thumbs.db", ".DS_Store"):
        docs.joinpath(left).write_bytes(b"\xff")
        docs.joinpath("_static", left).write_bytes(b"\xff")
        site.path.joinpath("rnn_notes", left).write_bytes(b"\xff")
    if os.name == "posix":
        docs.joinpath(".#terms.md").symlink_to("me@host.4711:1")  # Emacs locks a file so
    docs.joinpath("terms.md").touch()
    result = site.build()
    assert result.stdout.splitlines() == [f"The site: {Path(site.path, '_build/html/index.html').as_uri()}"]
    assert site.from_nothing() == first


@pytest.mark.parametrize(
    "pattern",
    ["html/terms.html", "html/_images/*", "html/searchindex.js", "doctrees/terms.doctree", "doctrees/env*",
     "doctrees/places.pickle", "jupyter_execute/*.svg", "executed/a_figure/*.json", "site.json", "mark.json"],
)  # fmt: skip
@pytest.mark.parametrize("damage", ["truncated", "removed"])
@pytest.mark.xdist_group("small")
def test_damage_is_mended(restored, pattern, damage):
    site, first = restored
    site.built()
    files = list(Path(site.path, "_build").glob(pattern))
    assert files
    for file in files:
        if damage == "truncated":
            os.truncate(file, file.stat().st_size // 2)
        else:
            file.unlink()
    if pattern.startswith("executed"):
        os.truncate(site.path / "_build" / "site.json", 0)
    assert site.built() == first


@pytest.mark.xdist_group("small")
def test_users_environment_stays_out(restored, tmp_path):
    site, first = restored
    for file, text in {
        "numpy.py": "1 / 0",
        "docutils.conf": "[general]\nno_such_setting: 1\nsmart_quotes: no\n",
        "profile_default/startup/first.py": "print = None",
        "kernels/python3/kernel.json": '{"argv": ["false"], "display_name": "x", "language": "x"}',
        "matplotlibrc": "svg.fonttype: none\nfont.size: 30",
    }.items():
        tmp_path.joinpath(file).parent.mkdir(parents=True, exist_ok=True)
        tmp_path.joinpath(file).write_text(text)
    hostile = {
        "PYTHONOPTIMIZE": "2", "PYTHONWARNINGS": "error", "PYTHONPATH": str(tmp_path), "PYTHONHASHSEED": "7",
        "PYTHONUTF8": "0", "PYTHONIOENCODING": "latin-1", "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": "/proc/none" if os.name == "posix" else "", "IPYTHONDIR": str(tmp_path), "MPLBACKEND": "pdf",
        "MPLCONFIGDIR": str(tmp_path), "MATPLOTLIBRC": str(tmp_path), "JUPYTER_PATH": str(tmp_path),
        "JUPYTER_PLATFORM_DIRS": "1", "DOCUTILSCONFIG": str(tmp_path / "docutils.conf"), "LANG": "C",
        "LC_ALL": "C", "TZ": "Asia/Kolkata", "SOURCE_DATE_EPOCH": "0", "OPENBLAS_CORETYPE": "Prescott",
        "OMP_NUM_THREADS": "5", "COLUMNS": "20", "NO_COLOR": "1", "FORCE_COLOR": "1", "SPHINXOPTS": "-Q",
        "TMPDIR": str(tmp_path / ("long" * 30)),
    }  # fmt: skip
    Path(hostile["TMPDIR"]).mkdir()
    shutil.rmtree(site.path / "_build")
    succeed(site.build(**hostile))
    assert site.files() == first
    site.write(asserts=page("Asserts", "assert False"))
    assert "docs/asserts.md:12: cell 1: AssertionError" in site.build(**hostile).stderr


@pytest.mark.xdist_group("small")
def test_log_has_a_line_per_stage(restored):
    site, _ = restored
    site.write(addition=page("Addition", "print('an addition')"))
    lines = site.build().stdout.splitlines()
    expected = ["Running the cells of 1 page", f"Reading {len(site.pages())} pages", "Writing the pages"]
    assert lines[:-1] == expected


@needs_make
@pytest.mark.xdist_group("small")
def test_terminal_has_one_line(restored):
    import pty

    site, _ = restored
    site.write(addition=page("Addition", "print('another')"))
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        ["make", *MAKE_HTML], cwd=site.path, env=ENVIRONMENT | {"TERM": "xterm"}, stdout=theirs, stderr=theirs
    ) as build:
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 4096)
            except OSError:  # the other side is closed
                break
    os.close(ours)
    assert build.returncode == 0
    lines = shown.decode().split("\r\n")
    assert len(lines) == 2
    pieces = [piece.strip() for piece in lines[0].split("\r")]
    cells, reading = "Running the cells of 1 page", f"Reading {len(site.pages())} pages"
    for piece in (cells, cells + ": 1 of 1, addition", reading, "Writing the pages"):
        assert piece in pieces
    assert pieces[-1].startswith("The site: file:")


@needs_make
def test_make_fails_until_the_fault_is_mended(tmp_path):
    path = tmp_path / "100% 'new' \"site\" %s"
    site = Site(path, one=page("One", "print(1)") + "\n{ref}`nowhere`\n")
    for _ in range(2):  # the second time Sphinx alone would find nothing to do, and be content
        result = site.make(*MAKE_HTML)
        assert result.returncode != 0
        assert "docs/one.md:15: WARNING: undefined label: 'nowhere'" in result.stderr
    site.edit("docs/one.md", "{ref}`nowhere`", "Mended.")
    result = site.make(*MAKE_HTML)
    succeed(result)
    address = Path(site.path, "_build", "html", "index.html").as_uri()
    assert result.stdout.endswith(f"\nThe site: {address}\n")
    assert "Mended." in site.html("one")


SLOW = """import time
from pathlib import Path
while Path("../slow").exists():
    Path("../beat").write_text(str(time.time()))
    time.sleep(0.05)"""


@needs_make
def test_make_can_be_interrupted(tmp_path):
    site = Site(tmp_path / "site", one=page("One", SLOW), two=page("Two", "print(2)"))
    slow, beat = site.path / "slow", site.path / "beat"
    slow.touch()
    with subprocess.Popen(
        ["make", *MAKE_HTML],
        cwd=site.path,
        env=ENVIRONMENT,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as build:
        wait_until(beat.exists)
        os.killpg(build.pid, signal.SIGINT)  # as Ctrl-C does
        assert build.wait(timeout=PATIENCE) != 0

    def kernel_is_gone():
        before = beat.read_text()
        time.sleep(0.5)
        return before == beat.read_text()

    wait_until(kernel_is_gone)
    slow.unlink()
    succeed(site.make(*MAKE_HTML))


@needs_make
def test_second_build_waits_for_the_first(tmp_path):
    site = Site(tmp_path / "site", one=page("One", SLOW))
    slow, beat = site.path / "slow", site.path / "beat"
    slow.touch()
    first, second = (
        subprocess.Popen(
            ["make", *MAKE_HTML],
            cwd=site.path,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for _ in range(2)
    )
    wait_until(beat.exists)
    slow.unlink()
    said = sorted(build.communicate(timeout=PATIENCE)[0].decode() for build in (first, second))
    assert (first.returncode, second.returncode) == (0, 0)
    assert "Another build of this site is running; waiting for it\nThe site: " in said[0]
    assert "Another build" not in said[1]


@needs_make
@pytest.mark.parametrize("moment", ["Running", "Reading", "Writing", "any time", "any other time"])
@pytest.mark.parametrize("whom", ["all", "the first"])
@pytest.mark.xdist_group("kills")
def test_killed_build_leaves_nothing_that_counts(restored, moment, whom):
    site, first = restored
    shutil.rmtree(site.path / "_build", ignore_errors=True)
    with subprocess.Popen(
        [sys.executable, "-I", "-X", "utf8", "docs/_extensions/build.py", *OPTIONS],
        cwd=site.path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        encoding="utf-8",
    ) as build:
        if not moment.startswith("any"):
            next(line for line in build.stdout if line.startswith(moment))
        delay = random.uniform(0, 5 if moment.startswith("any") else 0.5)
        print(f"killed {delay:.3f} s later")  # pytest shows it if the test fails
        time.sleep(delay)
        if whom == "all":
            os.killpg(build.pid, signal.SIGKILL)
        else:
            build.kill()
    assert site.built() == first


@pytest.mark.parametrize("size", [*range(1, 10), 12])
@pytest.mark.xdist_group("kills")
def test_full_disk_leaves_nothing_that_counts(restored, size):
    site, first = restored
    disk = site.path / "_build"
    shutil.rmtree(disk, ignore_errors=True)
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size * 256}k", "tmpfs", str(disk)]
    if not hasattr(os, "geteuid") or os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk is not possible here")
    try:
        assert site.build().returncode != 0 or site.files() == first
        subprocess.run(["mount", "-o", "remount,size=100m", str(disk)], check=True)
        assert site.built() == first
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def wait_until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture
def clone(tmp_path):
    """A folder as a fresh clone has it, for the environment only."""
    path = tmp_path / "fresh clone"
    path.mkdir()
    for file in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / file, path)
    return path


def script(path, text):
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


def make(folder, *arguments, **variables):
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env=ENVIRONMENT | variables,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


OLD = 'case "$1" in -c) exit 1;; *) echo Python 3.8.1;; esac'
NO_VENV = 'case "$1" in -m) mkdir -p .venv/bin; echo ensurepip is not available; exit 1;; esac'


@needs_make
@pytest.mark.parametrize(
    ("python", "message"),
    [
        (OLD, "Python 3.11 or newer is needed, and '{}' is Python 3.8.1; install one and name it"),
        (None, "Python 3.11 or newer is needed, and '{}' is missing; install one and name it"),
        (NO_VENV, "Python's venv module does not work here; install it"),
        (f'exec "{sys.executable}" "$@"', "the packages could not be installed; check the connection"),
    ],
    ids=["old Python", "no Python", "no venv", "no network"],
)
def test_first_make_says_plainly_what_is_missing(clone, tmp_path, python, message):
    name = script(tmp_path / "python", python) if python else tmp_path / "python"
    for _ in range(2):  # what the first run leaves behind is not taken for an environment
        result = make(clone, "html", f"PYTHON={name}")
        assert result.returncode != 0
        said = [line for line in result.stderr.splitlines() if not line.startswith("make")]
        assert len(said) == 1
        assert said[0].startswith("rnn-notes: " + message.format(name))
        assert not Path(clone, ".venv", "ready").exists()


# A Python that only notes what it is asked for. `-m venv` puts a copy of it into .venv.
FAKE = """echo "$*" PIP_USER=$PIP_USER $PIP_INDEX_URL $PYTHONOPTIMIZE $PIP_TARGET >>"{log}"
case "$2" in venv) mkdir -p .venv/bin && cp "{fake}" .venv/bin/python;; esac
"""


@needs_make
def test_environment_is_made_again_only_when_it_must_be(clone, tmp_path):
    log, fake = tmp_path / "log", tmp_path / "python"
    script(fake, FAKE.format(log=log, fake=fake))

    def asked_for():
        """Run make; return what Python had to do."""
        log.write_text("")
        result = make(clone, "environment", f"PYTHON={fake}")
        assert (result.returncode, result.stderr) == (0, "")
        return re.findall(r"-m venv|--requirement|--editable", log.read_text())

    everything, package = ["-m venv", "--requirement", "--editable"], ["--editable"]
    assert asked_for() == everything
    assert asked_for() == []
    with Path(clone, "pyproject.toml").open("a") as file:
        file.write("# another comment\n")
    assert asked_for() == package
    clone = clone.rename(tmp_path / "moved clone")
    assert asked_for() == package
    Path(clone, ".venv", "ready").unlink()  # interrupted when all packages were there
    assert asked_for() == package
    with Path(clone, "requirements.txt").open("a") as file:
        file.write("another==1.0\n")
    assert asked_for() == everything
    Path(clone, ".venv", "bin", "python").unlink()
    Path(clone, ".venv", "bin", "python").symlink_to(tmp_path / "a Python that was uninstalled")
    assert asked_for() == everything
    Path(clone, ".venv", "requirements").unlink()  # interrupted while packages were installed
    Path(clone, ".venv", "ready").unlink()
    assert asked_for() == everything
    assert asked_for() == []


@needs_make
def test_users_settings_stay_out_of_the_environment(clone, tmp_path):
    log, fake = tmp_path / "log", tmp_path / "python"
    script(fake, FAKE.format(log=log, fake=fake))
    settings = {"PIP_USER": "1", "PIP_TARGET": "elsewhere", "PYTHONOPTIMIZE": "2", "PYTHONHOME": "nowhere"}
    assert make(clone, "environment", f"PYTHON={fake}", **settings).returncode == 0
    lines = log.read_text().splitlines()
    assert len(lines) == 4
    assert all(line.endswith(f" PIP_USER=0 {ENVIRONMENT['PIP_INDEX_URL']}") for line in lines)


@needs_make
def test_make_alone_prints_the_targets(clone):
    result = make(clone)
    assert result.returncode == 0
    targets = re.findall(r"^make (\w+)", result.stdout, re.MULTILINE)
    phony = re.search(r"^\.PHONY: (.*)", Path(clone, "Makefile").read_text(), re.MULTILINE)[1].split()
    assert sorted([*targets, "environment"]) == sorted(phony)
    assert not Path(clone, ".venv").exists()

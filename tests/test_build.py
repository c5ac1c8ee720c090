"""The build itself, on small copies of the site: what stops it, what runs again, and the first `make`."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [
    "conf.py",
    "pyproject.toml",
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
            copy(ROOT / source, path / source)
        self.write(**pages)

    def write(self, **pages):
        for name, text in pages.items():
            Path(self.path, "docs", name + ".md").write_text(text, encoding="utf-8")
        names = sorted(page.stem for page in Path(self.path, "docs").glob("*.md") if page.stem != "index")
        index = "\n".join(["# Home", "", "```{toctree}", *names, "```", ""])
        Path(self.path, "docs", "index.md").write_text(index, encoding="utf-8")

    def edit(self, file, old, new):
        text = Path(self.path, file).read_text(encoding="utf-8")
        assert old in text
        Path(self.path, file).write_text(text.replace(old, new), encoding="utf-8")

    def run(self, *command):
        return subprocess.run(
            command, cwd=self.path, env=ENVIRONMENT, capture_output=True, encoding="utf-8", timeout=120
        )

    def build(self, *options):
        return self.run(
            sys.executable,
            "-m",
            "sphinx",
            "-c",
            ".",
            "-d",
            "_build/doctrees",
            "--jobs",
            "auto",
            "--nitpicky",
            "--quiet",
            "--fail-on-warning",
            "--builder",
            "html",
            *options,
            "docs",
            "_build/html",
        )

    def make(self, *arguments):
        return self.run("make", *arguments)

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
}


@pytest.fixture(scope="module")
def failed_cells(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("cells"))
    site.write(**{name: page("Page", *cells) for name, (cells, _) in FAILING_CELLS.items()})
    return site, site.build("-D", "nb_execution_timeout=2")


@pytest.mark.xdist_group("failed_cells")
@pytest.mark.parametrize("name", FAILING_CELLS)
def test_failing_cell_is_named(failed_cells, name):
    site, result = failed_cells
    # A cell without a line to blame is named by its fence.
    line = site.line(name, "# here") - (name in ("never_ends", "kills_its_kernel"))
    assert result.returncode == 1
    assert f"docs/{name}.md:{line}: {FAILING_CELLS[name][1]}" in result.stderr


@pytest.mark.xdist_group("failed_cells")
def test_failing_cells_are_all_that_is_said(failed_cells):
    lines = failed_cells[1].stderr.splitlines()
    assert [re.match(r"docs/(\w+)\.md:\d+: cell ", line)[1] for line in lines] == sorted(FAILING_CELLS)


def test_page_is_never_run_by_mystnb_itself(tmp_path):
    force = page("Page", "print(1)").replace("kernelspec:", "mystnb:\n  execution_mode: force\nkernelspec:")
    result = Site(tmp_path, page=force).build()
    assert result.returncode != 0
    assert "sets another execution_mode for itself" in result.stderr


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
    "bad_formula": ("$$\n\\nonsense\n$$", r"KaTeX parse error: Undefined control sequence: \nonsense"),
    "talks_to_stderr": ("```{code-cell}\nimport sys\nprint(1, file=sys.stderr)\n```", "stderr was found"),
}


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("faults"))
    site.write(**{name: f"{FRONT}# Page\n\nProse.\n\n{text}\n" for name, (text, _) in FAULTS.items()})
    return site.build()


@pytest.mark.xdist_group("faulty")
@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_named(faulty, name):
    text, message = FAULTS[name]
    first = FRONT.count("\n") + 5
    assert faulty.returncode == 1
    said = re.findall(rf"docs[/\\]{name}\.md:(\d+): WARNING: (.*)", faulty.stderr)
    assert len(said) == 1
    assert first <= int(said[0][0]) <= first + text.count("\n")
    assert message in said[0][1].replace("\u0332", "")  # KaTeX underlines the culprit


MODULE = '''"""In place of the real module, whose reference links to lectures that are not here."""
VALUE = 1
class RNNGradients: "Gradients."
class RNN: "A network."
'''


def test_what_runs_again(tmp_path):
    site = Site(tmp_path / "site")
    counted = "from pathlib import Path\nlog = open('../{}.log', 'a'); n = log.write('x'); log.close()"
    code = "from rnn_notes import rnn, RNN\nprint(rnn.__file__, getattr(rnn, 'ANSWER', 'no answer'))"
    reference = "# Reference\n\n```{eval-rst}\n.. autoclass:: rnn_notes.rnn.RNN\n```\n"
    site.write(
        one=page("One", counted.format("one"), code),
        two=page("Two", counted.format("two"), code),
        gone=page("Gone", "print('gone')"),
        reference=reference,
    )

    def runs():
        return [len(Path(site.path, name).read_text()) for name in ("one.log", "two.log")]

    def code_links():
        return [site.html(name).count('href="reference.html#rnn_notes.rnn.RNN"') for name in ("one", "two")]

    Path(site.path, "rnn_notes", "rnn.py").write_text(MODULE)
    succeed(site.build())
    assert runs() == [1, 1]
    assert f"{site.path / 'rnn_notes' / 'rnn.py'} no answer" in site.html("one")  # not the installed package
    links = code_links()
    assert min(links) > 0

    succeed(site.build())
    site.edit("docs/one.md", "Some prose", "Some other prose")
    succeed(site.build())
    assert "Some other prose" in site.html("one")
    assert runs() == [1, 1]

    site.edit("docs/one.md", "print(", "print('changed', ")
    succeed(site.build())
    assert runs() == [2, 1]
    assert "changed" in site.html("one")

    site.edit("rnn_notes/rnn.py", "VALUE = 1", "ANSWER = 42")
    succeed(site.build())
    assert runs() == [3, 2]
    assert "rnn.py 42" in site.html("one")
    assert "rnn.py 42" in site.html("two")

    # A title is shown on every page; a removed page on none, and it leaves no file.
    site.edit("docs/one.md", "# One", "# First")
    Path(site.path, "docs", "gone.md").unlink()
    site.write()
    succeed(site.build())
    assert runs() == [3, 2]
    assert "First" in site.html("two")
    assert "Gone" not in site.html("two")
    assert not Path(site.path, "_build", "html", "gone.html").exists()
    assert code_links() == links


FIGURE = """---
mystnb:
  image:
    alt: Three steps.
  figure:
    name: fig-unrolled
    caption: Three steps.
---
from rnn_notes import figures
fig = figures.unrolled_graph(steps=3)"""
COMPUTED = "import numpy as np\nA = np.random.default_rng(0).random((99, 99))\nprint((A @ A).sum().hex())"


def test_cold_builds_are_parallel_and_give_the_same_bytes(tmp_path):
    cells = ["print({'alpha', 'beta', 'gamma', 'delta'})", COMPUTED]
    pages = {f"page{n}": page("Page", *cells, f"print({n})") for n in range(7)}
    sites = [Site(tmp_path / folder, figure=page("Figure", FIGURE), **pages) for folder in ("one", "another")]
    built = []
    for site in sites:
        succeed(site.build("--jobs", "8"))  # which jupyter-cache alone does not survive on a cold cache
        html = site.path / "_build" / "html"
        # .buildinfo is Sphinx's own note, and hashes the folder's name.
        files = [file for file in html.rglob("*") if file.is_file() and file.name != ".buildinfo"]
        built.append({file.relative_to(html): file.read_bytes() for file in files})
    assert any(file.parts[0] == "_images" for file in built[0])
    assert built[0].keys() == built[1].keys()
    assert [file for file in built[0] if built[0][file] != built[1][file]] == []


@needs_make
def test_make_fails_until_the_fault_is_mended(tmp_path):
    site = Site(tmp_path / "a path with spaces", one=page("One", "print(1)") + "\n{ref}`nowhere`\n")
    for _ in range(2):  # the second time Sphinx alone would find nothing to do, and be content
        result = site.make(*MAKE_HTML)
        assert result.returncode != 0
        assert "docs/one.md:15: WARNING: undefined label: 'nowhere'" in result.stderr
    site.edit("docs/one.md", "{ref}`nowhere`", "Mended.")
    result = site.make(*MAKE_HTML)
    succeed(result)
    address = Path(site.path, "_build", "html", "index.html").as_uri()
    assert result.stdout == f"The site: {address}\n"
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
        wait_until(beat.exists, 30)
        os.killpg(build.pid, signal.SIGINT)  # as Ctrl-C does
        assert build.wait(timeout=5) != 0

    def kernel_is_gone():
        before = beat.read_text()
        time.sleep(0.5)
        return before == beat.read_text()

    wait_until(kernel_is_gone, 10)
    slow.unlink()
    succeed(site.make(*MAKE_HTML))


def wait_until(condition, seconds):
    end = time.monotonic() + seconds
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


def make(folder, *arguments):
    return subprocess.run(
        ["make", *arguments], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=120
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
        start = time.monotonic()
        result = make(clone, "html", f"PYTHON={name}")
        assert time.monotonic() - start < 60
        assert result.returncode != 0
        said = [line for line in result.stderr.splitlines() if not line.startswith("make")]
        assert len(said) == 1
        assert said[0].startswith("rnn-notes: " + message.format(name))
        assert not Path(clone, ".venv", "ready").exists()


# A Python that only notes what it is asked for. `-m venv` puts a copy of it into .venv.
FAKE = """echo "$*" >>"{log}"
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
def test_make_alone_prints_the_targets(clone):
    result = make(clone)
    assert result.returncode == 0
    targets = re.findall(r"^make (\w+)", result.stdout, re.MULTILINE)
    assert targets == ["html", "test", "check", "live", "bench", "experiments", "linkcheck", "clean", "help"]
    assert not Path(clone, ".venv").exists()

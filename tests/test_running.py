"""Cells that run in the reader's browser: the parts alone, and all of it in Chromium with a real Pyodide.

RNN_NOTES_PYODIDE names a folder with the Pyodide of docs/_extensions/pyodide.json. Without one the tests
that need it are skipped; RNN_NOTES_REQUIRE_PYODIDE=1 makes that a failure. The pages ask for it where they
would on the internet: the requests are answered from the folder.
"""

import base64
import difflib
import functools
import hashlib
import json
import os
import re
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pages
import pytest
from axe_playwright_python.sync_playwright import Axe
from matplotlib import pyplot as plt
from pages import ROOT, SITE, extension, first_now, html
from test_browser import AUDIT, MODES, OPEN, PAGES, Visit, base, browser, contexts  # noqa: F401


@pytest.fixture(scope="module")
def running():
    """Return the extension, which Sphinx imports from a folder of its own."""
    return extension("running")


@pytest.fixture
def cells(monkeypatch):
    import warnings

    monkeypatch.setenv("MPLBACKEND", "svg")
    plt.close("all")  # what another test left open would be this one's
    with warnings.catch_warnings():
        yield extension("cells")


@pytest.fixture(scope="module")
def pyodide():
    folder = os.environ.get("RNN_NOTES_PYODIDE", "")
    if not Path(folder, "pyodide.js").is_file():
        say = pytest.fail if os.environ.get("RNN_NOTES_REQUIRE_PYODIDE") == "1" else pytest.skip
        say("RNN_NOTES_PYODIDE names no folder with Pyodide: cells are not run in a browser")
    return Path(folder)


# The Python half, without a browser.


def run(cells, code, label="cell 1"):
    printed = []
    left = cells.run(code, label, printed.append)
    text = ""
    for more in printed:
        text = text[: text.rfind("\n") + 1] + more[1:] if more[0] == "\r" else text + more
    return text, {name: value for name, value in left.items() if value}


def test_cells_share_their_names(cells):
    assert run(cells, "a = 1\nprint('one'); print('two', end='')") == ("one\ntwo", {})
    assert run(cells, "a + 1") == ("", {"text": "2"})
    assert run(cells, "a + 1;") == ("", {})
    assert run(cells, "") == run(cells, "None") == run(cells, "# nothing") == ("", {})


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("for i in range(3): print(i, end='\\r', flush=True)\nprint('done')", "done\n"),
        ("print('a\\rb')\nprint('\\rc', end='')", "b\nc"),
        ("print('a', end='', flush=True)\nprint('b', end='', flush=True)", "ab"),
        ("for i in range(2441): print(f'\\r{i:040d}', end='', flush=True)", f"{2440:040d}"),
        (
            "for i in range(30_000): print('\\rbar', i, end='', flush=True)\nprint('\\nEND')",
            "bar 29999\nEND\n",
        ),
    ],
)
def test_of_a_line_that_is_written_again_the_last_state_is_shown(cells, code, shown):
    assert run(cells, code) == (shown, {})


def test_a_table_is_shown_as_a_table(cells):
    _, left = run(cells, "from rnn_notes import table\ntable({'a': 'd'}, [(1,)])")
    assert left["html"].startswith('<table class="results">')


def test_an_error_names_the_lines_of_the_cells(cells):
    run(cells, "def half(x):\n    return x / 0\n", "cell 1")
    printed, left = run(cells, "print('before')\nhalf(1)", "cell 2")
    assert printed == "before\n"
    assert left["error"] == (
        "cell 2, line 2: half(1)\ncell 1, line 2: return x / 0\nZeroDivisionError: division by zero\n"
    )


def test_an_error_in_the_package_names_the_line_of_the_cell(cells):
    _, left = run(cells, "from rnn_notes import spectral_radius\n\nspectral_radius('x')")
    assert left["error"].startswith("cell 1, line 3: spectral_radius('x')\n")
    assert left["error"].count("\n") == 2


def test_wrong_syntax_is_marked(cells):
    _, left = run(cells, "x = 1\nif x\n    pass", "cell 3")
    assert left["error"] == "cell 3, line 2\n    if x\n        ^\nSyntaxError: expected ':'\n"


@pytest.mark.parametrize("code", ["exit()", "raise KeyboardInterrupt", "[0] * 10 ** 20"])
def test_whatever_a_cell_raises_the_next_one_runs(cells, code):
    assert run(cells, code)[1]["error"].startswith("cell 1, line 1:")
    assert run(cells, "1")[1] == {"text": "1"}


def test_a_cell_that_prints_without_end_is_cut(cells):
    printed, _ = run(cells, "for i in range(100_000):\n    print('again')\nprint('x' * 10 ** 6, end='')")
    assert cells.LONGEST < len(printed) < cells.LONGEST + 50
    assert printed.endswith("left out\n")
    bar = "for i in range(5): print('\\r' + 66 * str(i), end='', flush=True)"
    printed, _ = run(cells, f"print('x' * {cells.LONGEST - 99})\n{bar}")
    assert printed.count("left out\n") == 0
    printed, _ = run(cells, f"print('x' * {cells.LONGEST - 50})\n{bar}")
    assert printed.count("left out\n") == 1
    printed, _ = run(cells, f"print('x' * {cells.LONGEST - 1})\nprint('lost')")
    assert printed.endswith("left out\n")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("'x' * 10 ** 6", "text"),
        ("raise ValueError('x' * 10 ** 6)", "error"),
        ("class Long:\n    def _repr_html_(self):\n        return 'x' * 10 ** 7\nLong()", "text"),
    ],
)
def test_whatever_a_cell_leaves_is_cut(cells, code, kind):
    _, left = run(cells, code)
    assert len(left[kind]) < cells.LONGEST + 50
    assert "html" not in left


@pytest.mark.parametrize("drawn", [r"$\\foo{$", r"\ud800"])
def test_a_figure_that_cannot_be_drawn_is_an_error_of_its_cell(cells, drawn):
    """Python goes on, and no figure is left for the next cell; half a character is no text for a browser."""
    printed, left = run(cells, f"import matplotlib.pyplot as plt\nplt.title('{drawn}')\nprint('before')")
    assert printed.startswith("before\n")
    if "error" in left:
        assert re.search(r"^(ValueError|TypeError): ", left["error"], re.MULTILINE)
    else:
        "".join(left["figures"]).encode()
    assert run(cells, "1") == ("", {"text": "1"})
    _, left = run(cells, f"plt.title(r'{drawn}')\n1 / 0")
    assert "ZeroDivisionError" in left["error"]


def test_show_says_nothing(cells):
    printed, left = run(cells, "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()")
    assert printed == ""
    assert len(left["figures"]) == 1


def test_a_cell_cannot_ask_and_says_what_to_do(cells):
    printed, left = run(cells, "input('Your name? ')")
    assert printed == "Your name? "
    assert left["error"].endswith("write the answer into its code.\n")


def test_a_package_that_is_not_there_is_known(cells):
    _, left = run(cells, "import torch")
    assert left["error"].endswith("other packages need a prompt.\n")


def test_a_semicolon_hides_a_value_but_not_in_a_comment(cells):
    assert run(cells, "'é';  # hidden") == ("", {})
    assert run(cells, "'é'  # shown;") == ("", {"text": "'é'"})


def test_figures_are_those_of_the_page(cells):
    """A cell shows each open figure once, with the bytes that another run has."""
    code = "from rnn_notes import figures\nfig = figures.unrolled_graph(steps=2)"
    assert cells.draws(code)
    assert not cells.draws("import numpy as np\nprint('figures')")
    drawing = {
        file.stem for file in (ROOT / "rnn_notes").glob("*.py") if "import figures" in file.read_text("utf-8")
    }
    assert drawing == {"report"}  # what `diagnose` returns
    assert cells.draws("from rnn_notes import diagnose\ndiagnose(rnn, x)")
    (first,) = run(cells, code)[1]["figures"]
    for again in (code + "\nfig", "fig"):
        assert run(cells, again)[1] == {"figures": [first]}
    assert run(cells, "fig;")[1] == {}
    assert "<svg" in first
    assert run(cells, "1")[1] == {"text": "1"}


# What the build writes.


def settings():
    text = (SITE / "_static" / "python.js").read_text(encoding="utf-8")
    return json.loads(text.removeprefix("Run.python = ").removesuffix(";\n"))


def digest(content):
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def test_pyodide_is_pinned(running):
    """All files that are fetched have a hash, packages that of the lock file."""
    pinned = running.pinned()
    packages = pinned["lock"]["packages"]
    assert {"numpy", "matplotlib"} <= packages.keys()
    assert set(pinned["files"]) == {*running.CORE, *(package["file_name"] for package in packages.values())}
    for package in packages.values():
        assert set(package["depends"]) <= packages.keys()
        _, expected = pinned["files"][package["file_name"]]
        assert base64.b64decode(expected).hex() == package["sha256"]


def test_the_tests_have_the_pinned_pyodide(running, pyodide):
    assert running.describe(pyodide) == running.pinned()


def test_the_setting(running, monkeypatch, tmp_path):
    """An address, a folder with the pinned files, or a message that says what is wrong."""
    config = SimpleNamespace()

    def taken(place):
        monkeypatch.setenv("PYODIDE", place)
        running.set_pyodide(None, config)
        return config.pyodide

    assert taken("") == "https://cdn.jsdelivr.net/pyodide/v0.27.7/full/"
    assert taken("https://example.org/py") == "https://example.org/py/"
    with pytest.raises(SystemExit, match=r"has no pyodide\.js"):
        taken(str(tmp_path))
    (tmp_path / "pyodide.js").write_text("alert()", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"pyodide\.js is not that of Pyodide 0\.27\.7"):
        taken(str(tmp_path))


def test_a_folder_is_taken_into_the_site(running, monkeypatch, tmp_path, pyodide):
    config = SimpleNamespace(pyodide="", pyodide_folder="")
    monkeypatch.setenv("PYODIDE", str(pyodide))
    running.set_pyodide(None, config)
    (tmp_path / "_static").mkdir()
    app = SimpleNamespace(outdir=tmp_path, config=config, builder=SimpleNamespace(format="html"))
    running.write_python(app, None)
    extension("html_fixes").drop_comments(app, None)
    there = {file.name: digest(file.read_bytes()) for file in (tmp_path / "_static" / "pyodide").iterdir()}
    assert there == {name: expected for name, (_, expected) in running.pinned()["files"].items()}
    assert '"address":"_static/pyodide/"' in (tmp_path / "_static" / "python.js").read_text(encoding="utf-8")
    assert "connect-src 'self';" in running.policy(config.pyodide)


def test_the_site_has_the_package(running, tmp_path):
    """One wheel for pip and for the browser, the same bytes from another build, and tqdm with its license."""
    (wheel,) = (SITE / "_static").glob("*.whl")
    ours, tqdm = map(base64.b64decode, settings()["wheels"])
    assert ours == wheel.read_bytes() == running.write_wheel(tmp_path).read_bytes()
    assert tqdm == running.wheel_of("tqdm")
    (tmp_path / "tqdm.whl").write_bytes(tqdm)
    names = zipfile.ZipFile(tmp_path / "tqdm.whl").namelist()
    assert "tqdm/std.py" in names
    assert any(re.search(r"\.dist-info/.*LICEN[CS]E", name) for name in names)


@pytest.mark.parametrize("page", PAGES)
def test_policy(page):
    """Each page has the policy before all that it governs, and it allows each script in the page."""
    head = pages.parsed(page).head
    first = head.select_one("meta[http-equiv], script, link, style")
    assert first.get("http-equiv") == "Content-Security-Policy"
    rules = dict(rule.split(" ", 1) for rule in first["content"].split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["connect-src"].split() == ["'self'", settings()["address"]]
    for script in pages.parsed(page).select("script:not([src])"):
        assert f"'sha256-{digest(script.string.encode())}'" in rules["script-src"]
    assert "unsafe-inline" not in rules["script-src"]
    assert "'unsafe-eval'" not in rules["script-src"]


# In a browser.

ENDED = (
    "i => /^(Done|An error|Stopped|Python |The name|Not run)/.test(Run.cells[i].status?.textContent ?? '')"
)
LEFT = """async i => {
    const words = part => part.matches("table") ? [...part.querySelectorAll("th, td")] : [part];
    const text = box => [...box?.querySelectorAll("pre, table") ?? []].flatMap(words)
        .map(word => word.textContent).join(" ");
    const { box, panel, status } = Run.cells[i];
    const own = box.closest(".cell").querySelector(".cell_output:not(.ran)");
    const images = [...panel.querySelectorAll("img")];
    await Promise.all(images.map(image => {
        image.loading = "eager";  // in a report's HTML some wait until they are near
        return image.decode().catch(() => {});
    }));
    return {
        said: status.textContent, ran: text(panel), page: text(own), error: !!panel.querySelector(".error"),
        pictures: [own?.querySelectorAll("img").length ?? 0, images.length],
        alts: images.map(image => image.naturalWidth ? image.alt : ""),
    };
}"""
PATIENCE = 300_000  # milliseconds


class Reader(Visit):
    """Someone who runs cells of a page, with a Pyodide that is reached, missing or not the right one."""

    def __init__(self, context, url, pyodide, answer=None):
        self.asked = []
        context.route(settings()["address"] + "**", functools.partial(self.answer, pyodide, answer))
        super().__init__(context, url)
        self.tab.set_default_timeout(PATIENCE)
        self.tab.evaluate("for (const box of document.querySelectorAll('details')) box.open = true")

    def on_request(self, request):
        if not request.url.startswith(("blob:", settings()["address"])):
            super().on_request(request)

    def answer(self, folder, answer, route):
        name = route.request.url.rsplit("/", 1)[1]
        self.asked.append(name)
        if answer:
            return answer(route)
        kind = "application/wasm" if name.endswith(".wasm") else "application/octet-stream"
        headers = {"access-control-allow-origin": "*"}
        route.fulfill(path=folder / name, content_type=kind, headers=headers)

    def press(self, number, name):
        """Press a button of a cell, wherever it is."""
        cell = self.tab.locator(".bar").nth(number)
        cell.get_by_role("button", name=name, include_hidden=True).evaluate("button => button.click()")

    def wait(self, number):
        self.tab.wait_for_function(ENDED, arg=number)
        return self.tab.evaluate(LEFT, number)

    def run(self, number):
        self.press(number, re.compile("^Run cell"))
        return self.wait(number)

    def write(self, number, code):
        self.press(number, re.compile("^Edit"))
        self.tab.wait_for_function("i => Run.cells[i].pre?.isContentEditable", arg=number)
        self.tab.keyboard.press("Control+a")
        self.tab.keyboard.type(code)


@pytest.fixture
def reader(browser, base, pyodide):  # noqa: F811
    with browser.new_context() as context:
        yield Reader(context, base + "chain_rule.html", pyodide)


# Cells whose digits hang on rounding, which differs between processors and libraries: they train, compare
# single precision with its limits, or print errors of rounding. A word of the code of each. There nine tenths
# of the words have to agree, whatever the numbers: how a run fails hangs on rounding, too.
ROUNDING = {
    "clipping": ['"αθ"', "AutoClip", "gradient kept", "Regularized"],
    "experiments": ["history.outcome"],
    "initialization": ["solved of 5", "saturated"],
    "orthogonal_initialization": ["departure"],
    "recipes": ["mistake"],
    "sigmoid": ["float32"],
    "truncation": ["ReadoutOnly"],
    "wont_train": ["compare(", "off by"],
}
NUMBER = re.compile(r"[-+]?\d[\d.]*(e[-+]?\d+)?")


def alike(one, other, rounding):
    """Return whether two texts are one, or so but for their numbers and few words."""
    words = [NUMBER.sub("0", text).split() if rounding else text.split() for text in (one, other)]
    if not rounding:
        return words[0] == words[1]
    return difflib.SequenceMatcher(None, *words, autojunk=False).ratio() > 0.9


@pytest.mark.parametrize("page", first_now(pages.EXECUTED), ids=pages.by_name)
def test_cells_print_what_the_page_prints(browser, base, pyodide, page):  # noqa: F811
    with browser.new_context() as context:
        visit = Reader(context, base + html(page), pyodide)
        faults = []
        for number, code in enumerate(pages.shown(page)):
            left = visit.run(number)
            if "subprocess.run" in code:  # a browser starts no programs, and says so
                assert "run this cell at a prompt" in left["ran"]
                continue
            rounding = any(word in code for word in ROUNDING.get(page.stem, []))
            same = alike(left["ran"], left["page"], rounding) and not left["error"]
            if not same or left["pictures"][0] != left["pictures"][1]:
                faults.append(f"cell {number + 1}: {left}\n")
            assert all(len(alt.split()) > 3 for alt in left["alts"])
        assert not faults, "\n".join(["", *faults])
        assert not visit.wrong


def test_nothing_is_fetched_before_a_press(browser, base):  # noqa: F811
    with browser.new_context() as context:
        visit = Visit(context, base + "chain_rule.html")
        names = {Path(urlsplit(url).path).name for url in visit.loaded}
        assert names.isdisjoint({"run.js", "worker.js", "python.js"})
        assert visit.tab.locator(".bar").count() == len(pages.shown(ROOT / "docs" / "chain_rule.md"))
        visit.tab.goto(base + "chain_rule-solutions.html")
        assert visit.tab.locator(".bar").count() == 0
        assert not visit.wrong


def test_a_press_says_what_is_fetched_and_how_large_it_is(reader):
    reader.tab.evaluate("""() => {
        globalThis.said = new Set();
        new MutationObserver(() => {
            for (const box of document.querySelectorAll(".ran .status")) said.add(box.textContent);
        }).observe(document.body, { subtree: true, childList: true, characterData: true });
    }""")
    reader.run(1)
    said = "\n".join(reader.tab.evaluate("[...said]"))
    first = {name: size for name, (size, _) in settings()["files"].items() if name in reader.asked}
    assert all(re.match("pyodide|python_stdlib|numpy", name) for name in first)
    assert re.search(r"Fetching Python: .*pyodide\.asm\.wasm \(10\.1 MB\)", said)
    assert set(re.findall(r" of (.*) so far", said)) == {
        f"{sum(first.values()) / 1e6:.1f} MB"
    }  # from the start
    assert "Running cell 2" in said
    assert reader.tab.locator(".ran [role=status]").count() == 1
    before = len(reader.asked)
    reader.run(1)
    assert len(reader.asked) == before
    reader.run(0)
    said = "\n".join(reader.tab.evaluate("[...said]"))
    assert "Unpacking Matplotlib. " in said
    both = [sum(first.values()), sum(size for size, _ in settings()["files"].values())]
    assert re.findall(r" of (.*) so far", said)[-1] == f"{both[1] / 1e6:.1f} MB"
    assert set(re.findall(r" of (.*) so far", said)) == {f"{size / 1e6:.1f} MB" for size in both}
    assert not reader.wrong


def test_cells_above(reader):
    """What misses a name says which button makes it; that runs them in order, up to the first error."""
    reader.write(4, "q  # of which there are many in longer names")
    assert reader.run(4)["said"].startswith("An error after")
    reader.press(4, re.compile("^Reset"))
    left = reader.run(4)
    assert "NameError: name 'rng' is not defined" in left["ran"]
    assert left["said"].startswith("The name rng is missing, and a cell above that has not run has it.")
    reader.press(4, "Run all above, and cell 5")
    assert reader.wait(4)["said"].startswith("Done")
    assert reader.tab.locator(".ran").count() == 1
    reader.write(1, "import numpy as np\n1 / 0")
    reader.press(4, "Run all above, and cell 5")
    left = reader.wait(4)
    assert left["said"] == "An error in cell 2, above"
    assert "cell 2, line 2: 1 / 0\nZeroDivisionError" in left["ran"]
    reader.write(1, "a_name_that_no_cell_has")
    reader.press(4, "Run all above, and cell 5")
    assert reader.wait(4)["said"] == "An error in cell 2, above"
    assert reader.run(1)["said"].startswith("An error after")
    assert not reader.wrong


def test_of_a_progress_bar_the_last_state_is_shown(reader):
    loop = "for _ in tqdm(range(3), mininterval=0): pass"
    reader.write(0, f"from tqdm import tqdm\nprint('before')\n{loop}\nprint('after')")
    before, bar, after = reader.run(0)["ran"].strip().split("\n")
    assert (before, bar[:5], after) == ("before", "100%|", "after")
    assert not reader.wrong


def test_edit_and_reset(reader):
    """With the keyboard alone; the colors of what stays are kept, and the page's code comes back."""
    tab = reader.tab
    cell = tab.locator(".cell_input").nth(4)
    before = cell.locator("pre").inner_html()
    cell.get_by_role("button", name="Edit cell 5").press("Enter")
    box = tab.get_by_role("textbox", name=re.compile("Code of cell 5"))
    box.wait_for()
    assert tab.evaluate("document.activeElement.matches('pre')")
    tab.keyboard.press("Control+End")
    tab.keyboard.type("\nif True:\nprint('first')\nprint('second')")
    assert cell.locator("pre .n").count() > 10
    tab.keyboard.press("ArrowRight")
    tab.keyboard.type("/")
    tab.keyboard.press("Backspace")
    assert tab.url.endswith("chain_rule.html")
    assert tab.evaluate("document.activeElement.matches('pre')")
    tab.keyboard.press("Control+a")
    tab.keyboard.type("if True:\nprint('first')\nprint('second')")
    tab.keyboard.press("Control+Enter")
    assert reader.wait(4)["ran"].split() == ["first", "second"]
    hint = cell.locator("xpath=..").get_by_text("Escape ends editing")
    assert hint.is_visible()
    tab.keyboard.press("Escape")
    assert not hint.count()
    assert tab.evaluate("document.activeElement.textContent") == "Edit"
    cell.get_by_role("button", name="Reset cell 5").press("Enter")
    assert cell.locator("pre").inner_html() == before
    assert tab.locator(".ran").count() == 0
    assert tab.evaluate("document.activeElement.textContent") == "Run"
    assert not reader.wrong


def test_a_figure_of_edited_code_says_so(reader):
    """And no longer when the page's code has run again."""
    reader.write(0, "from rnn_notes import figures\nfig = figures.unrolled_graph(steps=3)")
    left = reader.run(0)
    assert left["alts"][0].startswith(
        "Drawn by code that was edited. Before the edit: The states h(0) to h(4)"
    )
    assert left["said"].endswith(" s, with edited code")
    reader.press(0, re.compile("^Reset"))
    left = reader.run(0)
    assert left["alts"][0].startswith("The states h(0) to h(4)")
    assert left["said"].endswith(" s")
    # What was computed from edited code stays so; what stands above it never was.
    reader.press(1, re.compile("^Edit"))
    reader.tab.keyboard.press("Control+End")
    reader.tab.keyboard.type("\n# mine")
    assert reader.run(1)["said"].endswith(", with edited code")
    assert reader.run(2)["said"].endswith(", with edited code")
    reader.press(1, re.compile("^Reset"))
    said = [reader.run(number)["said"].endswith(", with edited code") for number in (0, 1, 3)]
    assert said == [False, False, True]
    assert not reader.wrong


def test_edits_are_not_lost_without_a_word(reader):
    said = []
    reader.tab.on("dialog", lambda dialog: (said.append(dialog.type), dialog.dismiss()))
    reader.write(0, "1")
    with reader.tab.expect_event("dialog"):
        reader.tab.evaluate("setTimeout(() => location.reload())")
    assert said == ["beforeunload"]
    reader.press(0, re.compile("^Reset"))
    reader.tab.reload()
    assert said == ["beforeunload"]


def test_stop(reader):
    """A cell without end stops; what was computed is gone, and the page says so; the next run starts anew."""
    reader.run(1)
    reader.run(2)
    reader.write(1, "while True:\npass")
    reader.press(1, re.compile("^Run cell"))
    reader.tab.wait_for_function("() => Run.cells[1].status.textContent == 'Running cell 2'")
    stop = reader.tab.get_by_role("button", name="Stop cell 2")
    stop.press("Enter")
    left = reader.wait(1)
    assert left["said"] == "Stopped. What the cells computed is gone: Run all above computes it again."
    assert reader.wait(2)["said"].startswith("Done in ")
    assert reader.wait(2)["said"].endswith(", before Python stopped")
    assert not stop.is_visible()
    assert reader.tab.evaluate("document.activeElement.textContent") == "Run"
    assert "NameError" in reader.run(2)["ran"]
    assert not reader.wrong


def held(reader, name):
    """Have a request for a file of the site wait; return what lets it go."""
    waiting = []
    reader.tab.context.route(f"**/{name}*", lambda route: waiting.append(route))
    return lambda: [route.continue_() for route in waiting]


def test_stop_while_the_package_loads(reader):
    """Nothing runs afterwards, and a press meanwhile starts one Python, not two."""
    reader.tab.evaluate("""() => {
        globalThis.made = 0;
        globalThis.Worker = class extends Worker { constructor(url) { super(url); made++; } };
    }""")
    go = held(reader, "python.js")
    reader.press(1, re.compile("^Run cell"))
    reader.tab.wait_for_function("() => Run.cells[1].status?.textContent == 'Loading the package'")
    reader.press(1, re.compile("^Stop"))
    assert reader.wait(1)["said"] == "Stopped."
    reader.press(4, "Run all above, and cell 5")
    reader.tab.wait_for_timeout(200)
    go()
    assert reader.wait(4)["said"].startswith("Done")
    assert reader.tab.evaluate("[made, Run.cells[1].status.textContent]") == [1, "Stopped."]
    assert not reader.wrong


def test_two_presses_and_cells_that_wait(reader):
    """A double click runs a cell once; a cell that waits is stopped without the one that runs."""
    tab = reader.tab
    reader.write(1, "import time\ncount = globals().get('count', 0) + 1\nprint(count)\ntime.sleep(2)")
    for _ in range(3):
        reader.press(1, re.compile("^Run cell"))
    reader.press(2, re.compile("^Run cell"))
    tab.wait_for_function("() => Run.cells[1].status.textContent == 'Running cell 2'")
    assert tab.evaluate("Run.cells[2].status.textContent") == "Waiting for the cell that runs"
    assert not tab.get_by_role("button", name=re.compile("^Reset cell [23]$")).count()
    reader.press(2, re.compile("^Stop"))
    assert reader.wait(1)["ran"].split() == ["1"]
    assert reader.wait(1)["said"].startswith("Done")
    assert reader.wait(2)["said"] == "Stopped before it began"
    assert reader.run(1)["ran"].split() == ["2"]
    # Who stops the cell that runs takes Python from those that wait.
    reader.press(1, re.compile("^Run cell"))
    reader.press(2, re.compile("^Run cell"))
    reader.press(1, re.compile("^Stop"))
    assert reader.wait(1)["said"].startswith("Stopped. What the cells computed is gone")
    assert reader.wait(2)["said"] == "Not run: Python was stopped"
    reader.press(1, re.compile("^Reset"))
    assert tab.evaluate("!Run.cells[1].panel && Run.cells[1].reset.hidden")
    assert not reader.wrong


@pytest.mark.parametrize("missing", ["matplotlib-3", "pillow"])
def test_matplotlib_that_cannot_be_fetched(browser, base, pyodide, missing):  # noqa: F811
    """The cell says so, what was computed stays, and the next press tries again."""
    with browser.new_context() as context:
        reader = Reader(context, base + "chain_rule.html", pyodide)
        context.route(f"**/{missing}*", lambda route: route.abort())
        reader.write(1, "count = globals().get('count', 0) + 1\ncount")
        reader.run(1)
        assert reader.run(0)["ran"].startswith("Matplotlib cannot be fetched, or is not the file")
        context.unroute(f"**/{missing}*")
        assert reader.run(1)["ran"] == "2"
        assert reader.run(0)["pictures"] == [1, 1]


def test_numpy_that_cannot_be_fetched(browser, base, pyodide):  # noqa: F811
    with browser.new_context() as context:
        reader = Reader(context, base + "chain_rule.html", pyodide)
        context.route("**/numpy*", lambda route: route.abort())
        assert reader.run(1)["said"].startswith("Python cannot be loaded: numpy-2")
        context.unroute("**/numpy*")
        assert reader.run(1)["said"].startswith("Done")


@pytest.mark.parametrize(
    "answer",
    [
        lambda route: route.abort(),
        lambda route: route.fulfill(status=404),
        lambda route: route.fulfill(body="postMessage(1)", headers={"access-control-allow-origin": "*"}),
    ],
    ids=["no network", "no file", "another file"],
)
def test_without_python_the_page_says_so_and_is_whole(browser, base, answer):  # noqa: F811
    with browser.new_context() as context:
        reader = Reader(context, base + "index.html", None, answer)
        article = "Run.cells[0].box.closest('article').querySelectorAll('*').length"
        before = reader.tab.evaluate(article)
        said = reader.run(0)["said"]
        assert re.match(r"Python cannot be loaded: pyodide[.\w]* cannot be fetched, or is not the file", said)
        reader.press(0, re.compile("^Reset"))
        assert reader.tab.evaluate(article) == before + 2  # two more buttons
        again = len(reader.asked)
        reader.run(0)
        assert len(reader.asked) > again  # it is tried again


def test_from_a_folder(browser, pyodide):  # noqa: F811
    """Without a server, the package comes with the page."""
    with browser.new_context() as context:
        reader = Reader(context, (SITE / "chain_rule.html").as_uri(), pyodide)
        reader.home = SITE.as_uri()
        assert reader.run(1)["said"].startswith("Done")
        assert not [fault for fault in reader.wrong if "third-party" not in fault]


def test_the_policy_holds(reader):
    """Neither the page nor a cell reaches another server; code in what a cell shows does not run."""
    reached = []

    class Other(BaseHTTPRequestHandler):
        def do_GET(self):
            reached.append(self.path)
            self.send_response(200)
            self.send_header("access-control-allow-origin", "*")
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with HTTPServer(("127.0.0.1", 0), Other) as other:
        thread = threading.Thread(target=other.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{other.server_port}/"
        get = "address => fetch(address).then(() => 'reached', () => 'refused')"
        blank = reader.tab.context.new_page()
        blank.goto(address)
        assert blank.evaluate(get, address) == "reached"
        reached.clear()
        assert reader.tab.evaluate(get, address) == "refused"
        asks = f"r = XMLHttpRequest.new()\nr.open('GET', '{address}', False)\nr.send()"
        reader.write(1, f"from js import XMLHttpRequest\n{asks}")
        assert "NetworkError" in reader.run(1)["ran"]
        shows = "class Bad:\ndef _repr_html_(self):\nreturn '<img src=x onerror=\"globalThis.bad = 1\">'\n"
        reader.write(1, shows)
        reader.tab.keyboard.press("Enter")
        for _ in range(8):
            reader.tab.keyboard.press("Backspace")
        reader.tab.keyboard.type("\nBad()")
        reader.run(1)
        reader.tab.wait_for_timeout(300)
        assert reader.tab.evaluate("globalThis.bad") is None
        assert not reached
        other.shutdown()
        thread.join()


@pytest.mark.parametrize("mode", MODES)
def test_everyone_can_use_it(browser, base, pyodide, mode):  # noqa: F811
    """After a run, an error, a figure and an edit: no finding of axe, nothing scrolls sideways."""
    with browser.new_context(**MODES[mode]) as context:
        reader = Reader(context, base + "chain_rule.html", pyodide)
        for number in (4, 0, 1, 2):
            reader.run(number)
        reader.write(5, "x")
        reader.tab.evaluate(OPEN)
        faults = reader.look()
        reader.tab.evaluate(Axe().axe_script)
        faults += reader.tab.evaluate(AUDIT)
        assert not faults, "\n".join(["", *faults])


def test_buttons_take_no_place_that_was_not_theirs(browser, base):  # noqa: F811
    """The text does not move when the buttons come."""
    heights = []
    for script in (True, False):
        with browser.new_context() as context:
            if not script:
                context.route("**/site.js*", lambda route: route.fulfill(body=""))
            tab = context.new_page()
            tab.goto(base + "chain_rule.html")
            heights.append(
                tab.evaluate("[...document.querySelectorAll('.cell_input')].map(box => box.offsetHeight)")
            )
    assert heights[0] == heights[1]

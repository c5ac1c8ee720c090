"""The code on the site: what is copied runs at a prompt, and what is linked leads to what it names."""

import ast
import doctest
import functools
import importlib
import inspect
import io
import os
import re
import subprocess
import sys
from collections import defaultdict
from importlib.metadata import packages_distributions, requires
from types import SimpleNamespace

import matplotlib
import matplotlib.pyplot as plt
import pytest
from pages import (
    EXECUTED,
    NOT_BUILT,
    SITE,
    by_name,
    cells,
    copied,
    docstrings,
    extension,
    first_now,
    html,
    is_shown,
    parsed,
    shown,
)
from sphinx.util.inventory import InventoryFile

import rnn_notes.figures

WITH_EXAMPLES = sorted(
    page.name for page in SITE.glob("*.html") if 'class="gp"' in page.read_text(encoding="utf-8")
) or ["reference_networks.html"]


@pytest.fixture(autouse=True)
def built():
    if not (SITE / "index.html").exists():
        pytest.fail(NOT_BUILT, pytrace=False)


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


COMPLAINT = re.compile(r"^(?:Traceback|\w*(?:Error|Warning)\b)", re.MULTILINE)


def paste(blocks, folder):
    """Paste each block's copy at a prompt where only the package is installed; one Enter must do."""
    texts = [copied(block) for block in blocks]
    marks = [f"print('pasted', {number})" for number in range(len(texts))]
    reader = os.environ.get("RNN_NOTES_READER")  # .ci/run names the Python of such an environment
    barred = set(packages_distributions()) - packages_of_a_reader()
    start = "" if reader else ONLY_THE_PACKAGE.format(barred=barred)
    strict = ["-W", "error", "-W", "ignore:More than 20 figures"]
    command = [reader or sys.executable, "-q", "-i", "-X", "utf8", *strict, "-c", start]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"MPLBACKEND": "Agg", "HOME": str(folder), "TERM": "xterm"}
    options = {"cwd": folder, "env": environment, "encoding": "utf-8", "timeout": 120}
    if os.name == "nt":  # which has no terminals of this kind
        lines = "".join(f"{text}\n{mark}\n" for text, mark in zip(texts, marks, strict=True))
        done = subprocess.run(command, input=lines, capture_output=True, **options)
        assert not COMPLAINT.search(done.stderr), done.stderr
        assert done.stdout.endswith(f"pasted {len(texts) - 1}\n")
        return

    import pexpect

    said = io.StringIO()
    with pexpect.spawn(command[0], command[1:], dimensions=(50, 200), **options) as prompt:
        prompt.logfile_read, prompt.delaybeforesend = said, None
        prompt.expect_exact(">>> ")
        for number, (text, mark) in enumerate(zip(texts, marks, strict=True)):
            wants_marks = re.findall(r"\x1b\[\?2004([hl])", said.getvalue())[-1:] == ["h"]
            prompt.send(f"\x1b[200~{text}\x1b[201~" if wants_marks else text.replace("\n", "\r"))
            prompt.send(f"\r{mark}\r")
            reached = prompt.expect_exact([f"\npasted {number}\r", pexpect.EOF, pexpect.TIMEOUT]) == 0
            if not reached or COMPLAINT.search(said.getvalue()):
                pytest.fail(f"{said.getvalue()[-3000:]}\n\nThis was pasted:\n{text}", pytrace=False)


@pytest.mark.parametrize("page", first_now(EXECUTED), ids=by_name)
def test_copied_cells_run_at_a_prompt(page, tmp_path):
    """And after a figure's cell, the code that the gallery has of it."""
    blocks = []
    for block in parsed(html(page)).select(".cell_input pre"):
        figure = block.find_parent(class_="cell").select_one("figure[id]")
        name = figure and figure["id"].replace("fig-", "slide-", 1)
        blocks += [block, *(parsed("teaching.html").select(f"#{name} pre") if figure else ())]
    paste(blocks, tmp_path)


@pytest.mark.parametrize("page", first_now(WITH_EXAMPLES))
def test_copied_examples_run_at_a_prompt(page, tmp_path):
    paste([block for docstring in docstrings(page) for block in docstring], tmp_path)


@pytest.mark.parametrize("page", EXECUTED, ids=by_name)
def test_a_cell_is_copied_as_it_was_written(page):
    """Of several lines the last ends too, so that one Enter runs them at every prompt."""
    written = [source.rstrip("\n") for source in shown(page)]
    written = [source + "\n" * ("\n" in source) for source in written]
    assert [copied(block) for block in parsed(html(page)).select(".cell_input pre")] == written


def attribute(thing, name):
    """Return an attribute as its class has it: a property itself, not its value."""
    if inspect.ismodule(thing):
        return getattr(thing, name)
    return inspect.getattr_static(thing if inspect.isclass(thing) else type(thing), name, None)


def named(path):
    """Return the object of a documented name."""
    return functools.reduce(attribute, path.split(".")[1:], rnn_notes)


def documented():
    """Return the full name of each object that the reference describes, by identity."""
    objects = InventoryFile.loads((SITE / "objects.inv").read_bytes(), uri="").data
    paths = [
        path for kind in objects if kind.startswith("py:") and kind != "py:module" for path in objects[kind]
    ]
    return {id(named(path)): path for path in paths}


class Witness(ast.NodeTransformer):
    """Rewrite code so that it notes what stands at each place of each block, as (block, line, column)."""

    def __init__(self):
        self.seen = defaultdict(dict)
        self.names = {"__name__": "__main__", "__note__": self.note, "__get__": self.get}

    def run(self, block, source, first=1, indent=0):
        """Run code that starts in line `first` of a block, behind so many characters of a prompt."""
        self.place = lambda line, column: (
            block,
            first + line - 1,
            indent + len(source.split("\n")[line - 1].encode()[:column].decode()),
        )
        tree = ast.fix_missing_locations(self.visit(ast.parse(source)))
        exec(compile(tree, "cell", "exec"), self.names)

    def note(self, place, thing):
        self.seen[place][id(thing)] = thing  # kept, so that no other object gets its id
        return thing

    def get(self, place, base, name):
        self.note(place, attribute(base, name))
        return getattr(base, name)

    def call(self, function, node, *arguments):
        return ast.copy_location(ast.Call(ast.Name(function, ast.Load()), list(arguments), []), node)

    def visit_Name(self, node):
        if not isinstance(node.ctx, ast.Load):
            return node
        return self.call("__note__", node, ast.Constant(self.place(node.lineno, node.col_offset)), node)

    def visit_Attribute(self, node):
        place = self.place(node.end_lineno, node.end_col_offset - len(node.attr.encode()))
        self.generic_visit(node)
        if not isinstance(node.ctx, ast.Load):
            return node
        return self.call("__get__", node, ast.Constant(place), node.value, ast.Constant(node.attr))

    def visit_ImportFrom(self, node):
        module = importlib.import_module(node.module)
        for alias in node.names:
            if hasattr(module, alias.name):
                self.note(self.place(alias.lineno, alias.col_offset), getattr(module, alias.name))
        return node


def seen(block):
    """Return the text of a block as it is shown."""
    return "".join(string for string in block.find_all(string=True) if not string.parent.has_attr("hidden"))


def links(number, block):
    """Return where the links of a block lead, by their places."""
    found, text = {}, ""
    for string in block.find_all(string=True):
        if string.parent.name == "a":
            place = number, text.count("\n") + 1, len(text) - text.rfind("\n") - 1
            target, title = string.parent["href"].partition("#")[2], string.parent["title"]
            assert target == title
            found[place] = target
        text += "" if string.parent.has_attr("hidden") else string
    return found


def compare(linked, seen):
    """Hold the links of a page against what the places turned out to be."""
    for place, path in linked.items():
        assert place in seen, f"{path} at {place} was never reached"
        assert list(seen[place].values()) == [named(path)], f"{path} at {place}"


@pytest.fixture
def quiet(monkeypatch, capsys):
    monkeypatch.setattr(matplotlib, "use", matplotlib.use)
    matplotlib.use("Agg")
    yield
    plt.close("all")


@pytest.mark.deep
@pytest.mark.parametrize("page", EXECUTED, ids=by_name)
def test_links_in_cells(page, quiet):
    """Run the page: each link leads to what stands there, and each name of the package is linked."""
    witness, linked, reached = Witness(), {}, set()
    blocks = iter(parsed(html(page)).select(".cell_input pre"))
    for number, cell in enumerate(cells(page)):
        witness.run(number, cell.source)
        if is_shown(cell):
            linked |= links(number, next(blocks))
            reached.add(number)
    compare(linked, witness.seen)
    paths = documented()
    for place, things in witness.seen.items():
        path = paths.get(id(next(iter(things.values()))))
        if place[0] in reached and len(things) == 1 and path and path.count(".") == 2:
            assert place in linked, f"{path} at {place} is not linked"


@pytest.mark.deep
@pytest.mark.parametrize("page", WITH_EXAMPLES)
def test_links_in_examples(page, quiet):
    found = 0
    for docstring in docstrings(page):
        witness, linked = Witness(), {}
        for number, block in enumerate(docstring):
            linked |= links(number, block)
            for example in doctest.DocTestParser().get_examples(seen(block)):
                witness.run(number, example.source, example.lineno + 1, len(">>> "))
        compare(linked, witness.seen)
        found += len(linked)
    assert found


def variables(code):
    """Yield each line of a function below some code, with the function's own variables."""
    for inner in filter(inspect.iscode, code.co_consts):
        if inner.co_flags & inspect.CO_OPTIMIZED:
            yield from ((line, {*inner.co_varnames, *inner.co_cellvars}) for *_, line in inner.co_lines())
        yield from variables(inner)


def test_links_in_sources():
    found = 0
    reference = sorted(page.name for page in SITE.glob("reference_*.html"))
    for box in [box for page in reference for box in parsed(page).select("details.source")]:
        name = box.summary.code.text.removesuffix(".py").replace("/", ".")
        block, module = box.find("pre"), importlib.import_module(name)
        own = defaultdict(set)
        for line, names in variables(compile(seen(block), name, "exec")):
            own[line] |= names
        for (_, line, _), path in links(0, block).items():
            name = path.rpartition(".")[2]
            assert getattr(module, name) is named(path) and name not in own[line], f"{path} in line {line}"
            found += 1
    assert found


# The code of a page, and all that is linked in it, in order. Each begins with "import rnn_notes as rn".
RULES = {
    "import as": ("from rnn_notes import RNN as Net\nNet()", "RNN RNN"),
    "package": ("import rnn_notes\nrnn_notes.RNN(), rnn_notes.rnn.RNN()", "RNN RNN"),
    "package as": (
        "rn.figures.unrolled_graph(), rn.relu.derivative(0)",
        "unrolled_graph relu Activation.derivative",
    ),
    "other package": ("from torch.nn import RNN\nRNN()", ""),
    "result": ("lstm = rn.LSTM()\nlstm.forward(0).i", "LSTM LSTM.forward LSTMState.i"),
    "in a row": ("rn.LSTM().forward", "LSTM LSTM.forward"),
    "data": ("rn.adding().x, rn.adding.read", "adding adding Task.read"),
    "bound again": ("from rnn_notes import RNN\nRNN = 1\nRNN", "RNN"),
    "bound again to the same": ("r = rn.RNN()\nr = rn.RNN()\nr.forward", "RNN RNN RNN.forward"),
    "bound to two": ("n = rn.RNN()\nn = rn.LSTM()\nn.forward", "RNN LSTM"),
    "bound later": ("n = rn.RNN()\nn.forward\nn += 1", "RNN"),
    "by itself": ("n = n.forward()\nn.forward", ""),
    "in pairs": ("a, b = rn.RNN(), rn.LSTM()\na.forward, b.forward", "RNN LSTM RNN.forward LSTM.forward"),
    "starred": ("a, *b = rn.RNN(), 1\na.forward\nc, d = *b, rn.RNN()\nd.forward", "RNN RNN"),
    "loop": ("for n in [rn.RNN()]:\n    n.forward", "RNN"),
    "with": ("from rnn_notes import RNN\nwith 0 as RNN:\n    RNN", "RNN"),
    "except": ("from rnn_notes import RNN\ntry: 0\nexcept E as RNN:\n    RNN", "RNN"),
    "match": ("from rnn_notes import RNN\nmatch 0:\n    case {**RNN}:\n        RNN", "RNN"),
    "argument": ("from rnn_notes import RNN\ndef f(RNN, a=RNN):\n    RNN\nlambda *RNN: RNN", "RNN RNN"),
    "local": ("from rnn_notes import RNN\ndef f():\n    RNN = 0\n    RNN\nRNN", "RNN RNN"),
    "global": ("from rnn_notes import RNN\ndef f():\n    global RNN\n    RNN = 0\nRNN", "RNN"),
    "comprehension": ("from rnn_notes import RNN\n[RNN for RNN in RNN]\nRNN", "RNN RNN RNN"),
    "walrus": ("from rnn_notes import RNN\n[(RNN := 0) for _ in 1]\nRNN", "RNN"),
    "class": ("from rnn_notes import RNN\nclass C(RNN):\n    RNN = 0\n    def f(self): RNN", "RNN RNN RNN"),
    "subclass": ("class C(rn.RNN): 0\nC().forward", "RNN"),
    "function": ("def f():\n    return rn.RNN(), 0\nr, _ = f()\nr.forward", "RNN RNN.forward"),
    "two returns": ("def f():\n    if 0: return rn.RNN()\n    return 0\nf().forward", "RNN"),
    "generator": ("def f():\n    yield 0\n    return rn.RNN()\nf().forward", "RNN"),
    "coroutine": ("async def f(rn):\n    return rn.RNN()\nf(0).forward", ""),
    "decorated": ("@d\ndef f(): return rn.RNN()\nf().forward", "RNN"),
    "stored": ("r = rn.RNN()\nr.forward = 0", "RNN"),
}


@pytest.mark.parametrize("rule", RULES)
def test_what_is_linked(rule):
    code_links = extension("code_links")
    inventory = InventoryFile.loads((SITE / "objects.inv").read_bytes(), uri="").data
    objects = [
        (path, "", kind[3:], "", path, 1)
        for kind in inventory
        if kind[:3] == "py:"
        for path in inventory[kind]
    ]
    domains = SimpleNamespace(python_domain=SimpleNamespace(get_objects=lambda: objects))
    builder = SimpleNamespace(
        env=SimpleNamespace(domains=domains), current_docname="", get_relative_uri=lambda *names: ""
    )
    reference, scope = code_links.Reference(builder), code_links.Scope()
    scope.visit(ast.parse("import rnn_notes as rn\n" + RULES[rule][0]))
    uses = sorted(scope.uses, key=lambda use: use[2:])
    paths = [reference.name(scope, node) for scope, node, *_ in uses]
    linked = [path.split(".", 2)[2] for path in paths if path in reference.places]
    assert linked == RULES[rule][1].split()

"""Link the names of the package in code blocks to the reference.

A name is linked where it is certain what it names. All that a name is bound to is collected, from the cells
of a page (hidden ones too), the examples of a docstring, or the source of a module. If that is one and the
same thing, the name is that thing wherever it stands; else nothing is known of it. Of `rnn = RNN(...)` the
class is known, and of `state = lstm.forward(x)` too, because the docstring of `LSTM.forward` names the class
that it returns.

It takes the place of sphinx-codeautolink, which parses every written page three times: that cost more than
the rest of the build.
"""

import ast
import inspect
import re
from collections import defaultdict
from doctest import DocTestParser
from functools import cache
from html import unescape
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from docutils import nodes
from myst_nb.core.read import read_myst_markdown_notebook
from sphinx import addnodes
from sphinx.writers.html5 import HTML5Translator

import rnn_notes

ROOT = Path(rnn_notes.__file__).parent.parent


class Instance(NamedTuple):
    """An object of which the class is known; what the package itself holds is a str, its full name."""

    of: str


class Item(NamedTuple):
    """An element of what an expression gives."""

    of: object
    index: int


def starred(node):
    return any(isinstance(part, ast.Starred) for part in node.elts)


@cache
def live(path):
    """Return the object with a full name, a property as itself; None if it is not there, or not imported."""
    thing = rnn_notes
    try:
        for name in path.split(".")[1:]:
            thing = inspect.getattr_static(thing, name)
    except AttributeError:
        return None
    return thing


class Reference:
    """What the reference documents, and what is known of attributes and results."""

    def __init__(self, builder):
        self.kinds, self.places, self.public = {}, {}, {}
        for path, _, kind, page, anchor, _ in builder.env.domains.python_domain.get_objects():
            self.kinds[path] = kind
            if kind != "module":  # figures stands before every figure's name
                self.places[path] = f"{builder.get_relative_uri(builder.current_docname, page)}#{anchor}"
            if path.count(".") == 2 and not path.startswith("rnn_notes.figures."):
                self.public[f"rnn_notes.{path.rpartition('.')[2]}"] = path

    def attribute(self, thing, name):
        """Return the full name of an attribute."""
        if isinstance(thing, str):
            cls = type(live(thing))
            cls = f"{cls.__module__}.{cls.__qualname__}"
            thing = Instance(cls) if cls in self.kinds else thing
        path = f"{thing.of if isinstance(thing, Instance) else thing}.{name}"
        return self.public.get(path, path)

    def name(self, scope, node):
        """Return the full name of what an expression is, an Instance if its class is certain, else None."""
        match node:
            case str():
                return self.public.get(node, node)
            case Scope():
                return node
            case Item(of=inner, index=index):
                things = self.value(scope, inner)
                return things[index] if type(things) is tuple and index < len(things) else None
            case ast.Tuple(elts=parts) if not starred(node):
                return tuple(self.value(scope, part) for part in parts)
            case ast.Name(id=name):
                homes = (s for s in scope.chain() if name in s.bound and (s is scope or not s.is_class))
                home = next(homes, None)
                if home and name not in home.known:
                    home.known[name] = None  # what is known by itself only is not known
                    things = {self.value(home, bound) for bound in home.bound[name]}
                    home.known[name] = things.pop() if len(things) == 1 else None
                return home and home.known[name]
            case ast.Attribute(value=inner, attr=name):
                thing = self.value(scope, inner)
                return thing and self.attribute(thing, name)
            case ast.Call(func=inner):
                thing = self.value(scope, inner)
                return thing and self.result(thing)
        return None

    def value(self, scope, node):
        """Return what `name` returns, and of a property what it holds."""
        thing = self.name(scope, node)
        return self.result(thing) if self.kinds.get(thing) == "property" else thing

    def result(self, thing):
        """Return what is known of the result of a call, or of the value of a property."""
        if isinstance(thing, Scope):  # a function of the page
            return self.name(thing, ast.Name("return"))
        if self.kinds.get(thing) == "class":
            return Instance(thing)
        if isinstance(thing, Instance) or (isinstance(thing, str) and not inspect.isroutine(live(thing))):
            thing = self.attribute(thing, "__call__")
        doc = inspect.getdoc(live(thing)) if isinstance(thing, str) else None
        returned = re.search(r"^Returns\n-+\n(\w+)$", doc or "", re.MULTILINE)
        path = returned and self.public.get(f"rnn_notes.{returned[1]}")
        # A protocol is a class as well, but not that of any object.
        known = self.kinds.get(path) == "class" and not getattr(live(path), "_is_protocol", False)
        return Instance(path) if known else None


class Scope(ast.NodeVisitor):
    """The names of a page, of a function or of a class: all that each is bound to, and every use."""

    def __init__(self, outer=None, module="", is_class=False):
        self.outer, self.module, self.is_class = outer, module, is_class
        self.bound, self.known = defaultdict(list), {}
        self.uses = outer.uses if outer else []

    def chain(self):
        """Return this scope and those around it."""
        return [self, *(self.outer.chain() if self.outer else [])]

    def bind(self, name, value=None):
        """Note that a name is bound to a full name or to an expression; None stands for anything."""
        if self.module and not isinstance(value, str):
            value = f"{self.module}.{name}"
        self.bound[name].append(value)

    def bind_everywhere(self, *names):
        """Give up on names that may belong to a scope further out."""
        for scope in self.chain():
            for name in names:
                scope.bind(name)

    def use(self, node, line, column):
        self.uses.append((self, node, line, column))

    def visit_all(self, parts):
        for part in parts:
            self.visit(part)

    def visit_Global(self, node):
        self.bind_everywhere(*node.names)

    visit_Nonlocal = visit_Global

    def visit_Import(self, node):
        for alias in node.names:
            top = alias.name.partition(".")[0]
            self.bind(alias.asname or top, alias.name if alias.asname else top)

    def visit_ImportFrom(self, node):
        for alias in node.names:
            path = f"{node.module}.{alias.name}"
            self.bind(alias.asname or alias.name, path)
            self.use(path, alias.lineno, alias.col_offset)

    def visit_Name(self, node):
        if isinstance(node.ctx, ast.Load):
            self.use(node, node.lineno, node.col_offset)
        else:
            self.bind(node.id)

    def visit_Attribute(self, node):
        if isinstance(node.ctx, ast.Load):
            self.use(node, node.end_lineno, node.end_col_offset - len(node.attr.encode()))
        self.visit(node.value)

    def visit_Assign(self, node):
        self.visit(node.value)
        for target in node.targets:
            self.assign(target, node.value)

    def assign(self, target, value):
        if isinstance(target, ast.Name):
            self.bind(target.id, value)
        elif isinstance(target, ast.Tuple) and not starred(target):
            for index, part in enumerate(target.elts):
                self.assign(part, Item(value, index))
        else:
            self.visit(target)

    def visit_NamedExpr(self, node):
        self.visit(node.value)
        self.bind_everywhere(node.target.id)  # in a comprehension it binds further out

    def visit_ListComp(self, node):
        first = node.generators[0]
        self.visit(first.iter)
        first.iter = ast.Constant(None)  # it belongs to the scope around
        Scope(self).generic_visit(node)

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp

    def visit_Return(self, node):
        self.bind("return", node.value)  # no variable can have this name
        self.generic_visit(node)

    def visit_Yield(self, node):
        self.bind("return")
        self.generic_visit(node)

    visit_YieldFrom = visit_Yield

    def visit_FunctionDef(self, node):
        inner = Scope(self)
        for part in ast.walk(node.args):
            if isinstance(part, ast.arg):
                inner.bind(part.arg)
        self.visit(node.args)  # defaults and annotations
        if isinstance(node, ast.Lambda):
            inner.visit(node.body)
        else:
            plain = isinstance(node, ast.FunctionDef) and not node.decorator_list
            self.bind(node.name, inner if plain else None)
            self.visit_all(node.decorator_list)
            inner.visit_all(node.body)

    visit_AsyncFunctionDef = visit_Lambda = visit_FunctionDef

    def visit_ClassDef(self, node):
        self.bind(node.name)
        self.visit_all([*node.decorator_list, *node.bases, *node.keywords])
        Scope(self, is_class=True).visit_all(node.body)

    def visit_ExceptHandler(self, node):
        self.bind(node.name)
        self.generic_visit(node)

    visit_MatchAs = visit_MatchStar = visit_ExceptHandler

    def visit_MatchMapping(self, node):
        self.bind(node.rest)
        self.generic_visit(node)


def around(node, test):
    """Return the nearest node around a node that passes a test, or None."""
    while node is not None and not test(node):
        node = node.parent
    return node


def namespaces(document, page):
    """Yield the code that shares its names: the module it is the source of, and blocks with their texts."""
    cells, examples, sources = [], defaultdict(list), []
    for block in document.findall(lambda node: isinstance(node, nodes.literal_block | nodes.doctest_block)):
        text = block.astext()
        source = Path(block.get("source") or "")
        if block.parent.get("nb_element") == "cell_code_source":
            cells.append((block, text))
        elif text.startswith(">>> "):
            examples[around(block, lambda node: isinstance(node, addnodes.desc))].append((block, text))
        elif source.suffix == ".py" and source.is_relative_to(ROOT):
            sources.append((".".join(source.relative_to(ROOT).with_suffix("").parts), [(block, text)]))
    if cells:
        shown = {text for _, text in cells}
        notebook = read_myst_markdown_notebook(Path(page).read_text(encoding="utf-8-sig"), path=page)
        hidden = [
            cell.source for cell in notebook.cells if cell.cell_type == "code" and cell.source not in shown
        ]
        yield "", cells + [(None, text) for text in hidden]
    for blocks in examples.values():
        yield "", blocks
    yield from sources


def statements(text):
    """Yield the Python code of a block in pieces, each with the places in the block where its lines start."""
    starts = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
    if not text.startswith(">>> "):
        yield text, starts
        return
    for example in DocTestParser().get_examples(text):
        yield example.source, [start + example.indent + len(">>> ") for start in starts[example.lineno :]]


def find_links(document, page, reference):
    """Return for each block of Python the full names of what stands at which place in it."""
    links = {}
    for module, blocks in namespaces(document, page):
        links.update({block: {} for block, _ in blocks})
        whole, uses = Scope(module=module), []
        try:
            for block, text in blocks:
                for code, starts in statements(text):
                    whole.uses.clear()
                    whole.visit(ast.parse(code))
                    lines = code.split("\n")
                    for scope, node, line, column in whole.uses:
                        before = lines[line - 1].encode()[:column].decode()
                        uses.append((block, starts[line - 1] + len(before), scope, node))
        except (SyntaxError, ValueError):
            continue  # IPython's own syntax, or no Python at all: nothing is certain
        for block, place, scope, node in uses:
            path = reference.name(scope, node)
            # In the source of a module, names are enough: its variables are mostly arguments.
            if path in reference.places and not (module and isinstance(node, ast.Attribute)):
                links[block][place] = path
    return links


def add_links(html, links, reference):
    """Put links into the highlighted code of a block."""
    place, parts = 0, []
    for part in re.finditer(r'<span class="n\w?">(\w+)</span>|<[^>]*>|[^<]+', html):
        path = links.get(place) if part[1] else None
        parts.append(f'<a href="{reference.places[path]}" title="{path}">{part[1]}</a>' if path else part[0])
        place += len(unescape(re.sub(r"<[^>]*>", "", part[0])))
    return "".join(parts)


def add_ends(html):
    """Put line ends into a block that only its copy shows: where the prompt waits for one.

    The prompt of Python 3.12 and before wants an empty line between an indented block and the next statement;
    that of 3.13 and later runs several lines when there is an empty one at the end.
    """
    end = "<span hidden>\n</span>"
    html = re.sub(r'(<span class="gp">\.\.\. .*\n)(?=<span class="gp">&gt;)', rf"\1{end}", html)
    return re.sub(r"(\n(?!<span class=\"go\">).+\n)(?=</pre>)", rf"\1{end}", html)


def visit_literal_block(self, node):
    start = len(self.body)
    try:
        HTML5Translator.visit_literal_block(self, node)
    except nodes.SkipNode:
        if not hasattr(self, "code_links"):  # the first block of a page
            self.reference = Reference(self.builder)
            page = self.builder.env.doc2path(self.builder.current_docname)
            self.code_links = find_links(self.document, page, self.reference)
        if node in self.code_links:
            html = "".join(self.body[start:])
            self.body[start:] = [add_ends(add_links(html, self.code_links[node], self.reference))]
        raise


def setup(app):
    app.add_node(nodes.literal_block, override=True, html=(visit_literal_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}

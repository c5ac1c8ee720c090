"""Run a page's cells in the reader's browser: the Python half of docs/_static/worker.js, which has Pyodide.

All cells share one namespace. What a cell prints is sent line by line, the rest when it ends: the value of
its last line as text or HTML, the open figures as SVG, or an error with the lines of the cells that led to
it. A text that begins with a carriage return replaces what was sent of the line: a progress bar.
"""

import ast
import io
import linecache
import logging
import sys
import traceback
import warnings
from time import monotonic

LONGEST = 100_000  # characters of each text; a loop that never ends would fill the page's memory
MORE = "\n… and more, which is left out\n"

namespace = {"__name__": "__main__"}


def names(code):
    """Return all names, attributes and parts of modules in a cell; none where it is no Python."""
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return set()
    found = set()
    for node in ast.walk(tree):
        for word in (getattr(node, key, None) for key in ("id", "attr", "name", "module")):
            found.update(word.split(".") if isinstance(word, str) else ())
    return found


def draws(code):
    """Return whether a cell may need Matplotlib, which is fetched for the first that does."""
    return not names(code).isdisjoint({"matplotlib", "figures", "plt", "diagnose"})  # a report has a figure


class Stream(io.TextIOBase):
    """Sends what is written, whole lines at a time, until it is too much."""

    def __init__(self, send):
        self.send, self.left = send, LONGEST
        self.line = self.sent = ""  # the line that has no end yet, and what of it is sent
        self.later = 0.0  # when a bar may move again

    def writable(self):
        return True

    def write(self, text):
        self.line += text
        if "\n" in text:
            *lines, self.line = self.line.split("\n")
            self.post("\n".join([*map(visible, lines), ""]))
            self.sent = ""
        elif "\r" in text:
            self.line = self.line[self.line.rstrip("\r").rfind("\r") + 1 :]
        if len(self.line) > LONGEST:
            self.flush(last=True)
            self.line = self.sent = ""
        return len(text)

    def flush(self, last=False):
        now = visible(self.line)
        if now.startswith(self.sent) or last or monotonic() > self.later:
            self.post(now)
            self.sent, self.later = now, monotonic() + 0.05

    def post(self, text):
        """Send a text that begins with the line of which a part is sent; what replaces this part is free."""
        more = text[len(self.sent) :]
        if self.left >= 0 and text != self.sent:
            self.send(
                cut(more, self.left)
                if text.startswith(self.sent)
                else "\r" + cut(text, self.left + len(self.sent))
            )
        self.left -= len(more)


def visible(line):
    """Return what of a line was written last: what follows its last carriage return."""
    return line.rstrip("\r").rpartition("\r")[2]


def cut(text, longest=LONGEST):
    return text if len(text) <= longest else text[:longest] + MORE


def describe(error, label):
    """Return the lines of the cells that led to an error, the innermost last, and what it says."""
    if isinstance(error, SyntaxError) and error.filename == label:
        return "".join(traceback.format_exception_only(error)).replace(f'  File "{label}"', label)
    lines = []
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename in cells:
            lines.append(f"{frame.filename}, line {frame.lineno}: {frame.line}\n")
    said = traceback.format_exception_only(error)
    if "emscripten does not support processes" in said[-1]:
        said.append("In a browser no other program can be started: run this cell at a prompt.\n")
    if isinstance(error, ModuleNotFoundError):
        said.append("On this page there are NumPy, Matplotlib and rnn_notes: other packages need a prompt.\n")
    if isinstance(error, EOFError):
        said.append("A cell on this page cannot ask: write the answer into its code.\n")
    return cut("".join(lines[:1] + lines[1:][-3:] + said))


# What would be told here as if something were wrong: Matplotlib makes a cache of fonts, its version 3.8 draws
# contours as lines where the pages have pixels, figures are shown without plt.show(), and tqdm has no thread
# to watch its bars.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", "Rasterization of .* will be ignored")
warnings.filterwarnings("ignore", "FigureCanvas.* is non-interactive")
warnings.filterwarnings("ignore", "tqdm:disabling monitor support")

cells = set()  # their labels, which tracebacks have as names of files


def show(value):
    """Return a value as a notebook shows it: as HTML if it has some, else as text."""
    if value is None:
        return {}
    to_html = getattr(value, "_repr_html_", None)
    html = to_html() if to_html and not isinstance(value, type) else None
    short = isinstance(html, str) and len(html) <= 10 * LONGEST
    return {"html": html} if short else {"text": cut(repr(value))}


def silent(code, last):
    """Return whether a semicolon follows the last value of a cell."""
    line = code.split("\n")[last.end_lineno - 1].encode()
    return line[last.end_col_offset :].lstrip().startswith(b";")


def figures(value):
    """Return the open figures, and a value that is one, as SVG, as the pages have them, and close them."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return []
    drawn, found = [], [pyplot.figure(number) for number in pyplot.get_fignums()]
    try:
        for figure in found + [value] * (is_figure(value) and value not in found):
            content = io.StringIO()
            with pyplot.rc_context({"svg.hashsalt": "rnn-notes"}):
                figure.savefig(content, format="svg", metadata={"Date": None})
            drawn.append(content.getvalue().encode(errors="replace").decode())  # half a character is none
    finally:
        pyplot.close("all")
    return drawn


def run(code, label, send):
    """Run a cell; call `send` with what it prints, and return what it leaves as a dictionary of texts."""
    cells.add(label)
    linecache.cache[label] = len(code), None, code.splitlines(keepends=True), label
    out = Stream(send)
    before, sys.stdin = (sys.stdin, sys.stdout, sys.stderr), io.StringIO()
    sys.stdout = sys.stderr = out
    left, value = {}, None
    try:
        try:
            tree = ast.parse(code, label)
            last = tree.body[-1:] if tree.body and isinstance(tree.body[-1], ast.Expr) else []
            tree.body = tree.body[: len(tree.body) - len(last)]
            exec(compile(tree, label, "exec"), namespace)
            if last:
                value = eval(compile(ast.Expression(last[0].value), label, "eval"), namespace)
                value = None if silent(code, last[0]) else value
                left = show(None if is_figure(value) else value)
        except BaseException as error:  # exit() as well: the page stays
            left = {"error": describe(error, label)}
        try:
            left["figures"] = figures(value)
        except BaseException as error:  # a formula that cannot be drawn, say
            left = {"error": describe(error, label)} | left | {"figures": []}
        out.flush(last=True)
    finally:
        sys.stdin, sys.stdout, sys.stderr = before
    return left


def is_figure(value):
    """Return whether a value is a figure, which is shown as one."""
    figure = sys.modules.get("matplotlib.figure")
    return figure is not None and isinstance(value, figure.Figure)

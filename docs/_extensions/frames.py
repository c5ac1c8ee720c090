"""Draw a figure once for each value of its slider: the half of sliders.py that runs in the page's kernel.

The frames are one table of lines, the elements of all SVGs, and for each frame what of the figure's own lines
to replace by which others. What does not move is there once: so that it does not differ, what is defined
(letters, markers, frames to clip at) stands at the top, groups have no names, and coordinates are rounded to
a tenth of a point, a fifth of a pixel on the page.
"""

import ast
import inspect
import re
from collections.abc import Callable
from contextlib import contextmanager
from difflib import SequenceMatcher
from functools import lru_cache
from hashlib import blake2b

PRINT = {"bbox_inches": None, "metadata": {"Date": None}}  # as kernel.py has the cell's own figure printed


def call_of(source: str, namespace: dict) -> tuple[Callable, object]:
    """Return the function that the last line of a cell calls with one value, and this value."""
    last = ast.parse(source).body[-1]
    call = getattr(last, "value", None)
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and len(call.args) == 1):
        raise ValueError("the last line of a cell with a slider calls a function of one value")
    return eval(call.func.id, namespace), eval(ast.unparse(call.args[0]), namespace)


def draw_frames(source: str, settings: dict, namespace: dict) -> dict:
    """Return the frames of a cell's figure, the words for each, and the number of the one it shows."""
    from IPython.core.pylabtools import print_figure
    from matplotlib import pyplot, rc_context

    remember_formulas()
    function, shown = call_of(source, namespace)
    (parameter,) = inspect.signature(function).parameters
    values = list(eval(str(settings["values"]), dict(namespace)))
    if shown not in values:
        raise ValueError(f"the slider's values must include {shown!r}, which the cell draws, got {values}")
    drawn, places = {}, None
    for value in [shown, *values]:
        if value in drawn:
            continue
        with rc_context({"svg.hashsalt": "rnn-notes"}), layout(places):
            figure = function(value)
            drawn[value] = print_figure(figure, "svg", **PRINT)
            places = places or [axes.get_position(original=True) for axes in figure.axes]
        pyplot.close("all")
    words = [str(eval(settings["says"], namespace | {parameter: value})) for value in values]
    start = values.index(shown)
    svgs = [drawn[value] for value in values]
    return {"start": start, "drawn": identity(svgs[start]), "words": words, **differences(svgs, start)}


@contextmanager
def layout(places: list | None):
    """Have the axes where they are in the cell's own figure: a layout takes most of a figure's time."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    def place(figure):
        with rc_context({"figure.constrained_layout.use": False}):
            figure.set_layout_engine(None)  # by name, "none" is still one, for which is drawn once more
        for axes, at in zip(figure.axes, places, strict=True):
            axes.set_position(at)
            axes.apply_aspect()
            for axis in (axes.xaxis, axes.yaxis):  # ticks are made when asked for: in the figure's style
                axis.get_majorticklabels(), axis.get_minorticklabels()

    draw = Figure.draw_without_rendering
    if places:
        Figure.draw_without_rendering = place
    try:
        yield
    finally:
        Figure.draw_without_rendering = draw


def remember_formulas():
    """Have Matplotlib parse a formula once: it forgets with every picture, and frames have the same ones."""
    from matplotlib.mathtext import MathTextParser

    parse = getattr(getattr(MathTextParser, "_parse_cached", None), "__wrapped__", None)
    if parse is None:  # done already, or a Matplotlib that is made otherwise
        return

    @lru_cache(2000)
    def parsed(kind, *key):
        return parse(parsers[kind], *key)

    def remembered(self, *key):
        parsers.setdefault(self._output_type, self)
        return parsed(self._output_type, *key)

    parsers, MathTextParser._parse_cached = {}, remembered


def hashed(svg: str) -> str:
    return blake2b(svg.encode(), digest_size=12).hexdigest()


def identity(svg: str) -> str:
    """Return what figures that look the same share: coordinates differ by rounding, and ids with them."""
    return hashed(repr(elements(svg)))


def rounded(match):
    return re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]):.1f}".removesuffix(".0"), match[0])


def elements(svg: str) -> tuple[str, dict[str, str], list[str]]:
    """Return the first element of an SVG, what it defines, named by its hash, and all other elements."""
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r' (?:d|x|y|x1|x2|y1|y2)="[^"]*"|translate\([^)]*\)', rounded, svg)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    # Matplotlib breaks lines within elements, and has no text but that of styles.
    first, *parts = [" ".join(part.split()) for part in re.findall(r"<[^>]*>|[^<\s][^<]*", svg)]
    defined, names, drawn, depth, one = {}, {}, [], None, ""
    for part in parts:
        if part == "<defs>":
            depth = 0
        elif part == "</defs>":
            depth = None
        elif depth is None:
            if part != "<defs/>":
                drawn.append(part)
        else:
            one += part
            if part.startswith("<"):
                depth += -1 if part.startswith("</") else not part.endswith("/>")
            if depth == 0:
                what = re.sub(r' id="([^"]*)"', "", one, count=1)
                name = "d" + hashed(what)[:7]
                if then := re.search(r' id="([^"]*)"', one):
                    names[then[1]] = name
                defined[name] = re.sub(r"^<[\w]+", rf'\g<0> id="{name}"', what)
                one = ""

    def named(part):
        return re.sub(r"#([\w-]+)", lambda match: "#" + names.get(match[1], match[1]), part)

    return first, {name: named(one) for name, one in defined.items()}, [named(part) for part in drawn]


def differences(svgs: list[str], start: int) -> dict:
    """Return the lines of all frames, how many make the one at `start`, and what to replace for each."""
    parts = [elements(svg) for svg in svgs]
    defined = {}
    for _, more, _ in parts:
        defined |= more
    whole = [[first, "<defs>", *defined.values(), "</defs>", *drawn] for first, _, drawn in parts]
    lines = whole[start][:]
    numbers = {line: number for number, line in reversed(list(enumerate(lines)))}
    base, frames = len(lines), []
    for frame in whole:
        replaced = []
        for kind, low, high, of, to in SequenceMatcher(None, whole[start], frame, False).get_opcodes():
            if kind == "equal":
                continue
            for line in frame[of:to]:
                if numbers.setdefault(line, len(lines)) == len(lines):
                    lines.append(line)
            replaced.append([low, high - low, *(numbers[line] for line in frame[of:to])])
        frames.append(replaced[::-1])  # from the end, so that places before stay
    return {"lines": lines, "base": base, "frames": frames}


def leave(source: str, settings: dict, namespace: dict):
    """Leave the frames as the output of a cell that sliders.py has put behind the figure's."""
    from IPython.display import publish_display_data

    publish_display_data({"application/json": draw_frames(source, settings, namespace)})

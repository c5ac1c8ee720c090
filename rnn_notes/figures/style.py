"""One look for every figure: its face and sizes, what each color means, what is drawn again and again."""

from collections.abc import Callable, Sequence
from functools import partial, wraps
from io import BytesIO
from pathlib import Path
from typing import ParamSpec

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch
from matplotlib.path import Path as Outline

from rnn_notes.spectrum import classify

FACE = "Lecture Serif"
FONT = Path(__file__).with_name("LectureSerif-Regular.otf")

# The same thing has the same color on all pages. tests/test_figures.py holds the colors to be legible in the
# light and the dark theme, and different to every kind of color vision.
INK = "#1c2024"  # text, axes, and what is neither
FAINT = "#80868c"  # guides
GROUND = "#ffffff"  # the page: what hides what is behind it; site.css turns it into the dark theme's ground
PAPER = "#f4f2ec"  # the ground of nodes
SAND = "#cfc6ae"  # a norm of 1 on a map: neither the white of the page nor, inverted, its black
SHRINKS = "#2a52be"  # vanishing, and what the activation takes
STEADY = "#00733c"  # norms that last
GROWS = "#b84d00"  # exploding, and what W_h gives
MARK, MARK_START = "#4a8fc4", "#d9732b"  # the mark's blue and orange, for light and dark grounds alike
NORMS = LinearSegmentedColormap.from_list("norms", [SHRINKS, SAND, GROWS])  # log norms around 0

DASHED = (0, (5, 2))
GUIDE = {"color": FAINT, "linewidth": 0.7, "linestyle": (0, (4, 3)), "zorder": 1}

WIDTH = 4.75  # inches: on a phone of 390 px a figure is 358 px wide, text of SIZE 11.5 px high, exponents 8
SIZE = 11
STYLE = {
    "font.family": [FACE, "DejaVu Serif"],
    "mathtext.fontset": "cm",  # as KaTeX on the pages
    "font.size": SIZE,
    "axes.titlesize": SIZE,
    "axes.labelsize": SIZE,
    "xtick.labelsize": SIZE,
    "ytick.labelsize": SIZE,
    "legend.fontsize": SIZE,
    "legend.frameon": False,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "lines.linewidth": 2.0,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "figure.constrained_layout.use": True,
    "figure.dpi": 144,
    "svg.fonttype": "path",
}


Arguments = ParamSpec("Arguments")


def styled(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Return a drawing function that draws in this style, and leaves the reader's own settings alone."""

    @wraps(draw)
    def wrapper(*args, **kwargs):
        if FACE not in font_manager.get_font_names():
            font_manager.fontManager.addfont(FONT)
        plt.draw_if_interactive()  # load the backend before: Jupyter's changes settings, for good
        with plt.rc_context(STYLE):
            figure = draw(*args, **kwargs)
            figure.draw_without_rendering()  # tick labels are made when drawn: make them in this style
            for axes in figure.axes:
                _keep_apart([text for text in axes.texts if text.get_label() == "_end"])
        return figure

    return wrapper


def svg(figure: Figure) -> bytes:
    """Return the figure as SVG, the same bytes for the same figure, and close it."""
    content = BytesIO()
    with plt.rc_context({"svg.hashsalt": "rnn-notes"}):
        figure.savefig(content, format="svg", metadata={"Date": None})
    plt.close(figure)
    return content.getvalue()


# What figures are given.


def numbers(name: str, value, *shape: int | str, positive: bool = False, nan: bool = False) -> np.ndarray:
    """Return `value` as finite floats of this shape, in which a word is any size from 1, or raise."""
    array = np.asarray(value, float)
    fits = array.ndim == len(shape) and all(
        size > 0 if isinstance(expected, str) else size == expected
        for size, expected in zip(array.shape, shape, strict=True)
    )
    if not fits:
        expected = f"({', '.join(map(str, shape))}{',' * (len(shape) == 1)})"
        raise ValueError(f"{name} must have shape {expected}, got {array.shape}")
    if not np.all(np.isfinite(array) | (nan & np.isnan(array))):
        raise ValueError(f"{name} must be finite")
    if positive and np.any(array <= 0):
        raise ValueError(f"{name} must be positive")
    return array


def check_names(name: str, names: Sequence[str], things: Sequence, most: float = np.inf) -> None:
    """Raise unless there are as many names as things, at least one and at most `most`."""
    if len(names) != len(things) or not 1 <= len(names) <= most:
        limit = f" (from 1 to {most})" if most < np.inf else ""
        raise ValueError(f"{name} must name each of the {len(things)} drawn{limit}, got {len(names)}")


# What they draw.


def trend(ends: np.ndarray) -> str:
    """Return the color of norms that began at 1, from where they end.

    All within a factor of ten of 1: steady. Some above 1 and some below: neither.
    """
    if np.all((ends > 0.1) & (ends < 10)):
        return STEADY
    return GROWS if np.all(ends > 1) else SHRINKS if np.all(ends < 1) else INK


def eigenvalue_look(eigenvalue: complex) -> tuple[str, str]:
    """Return color and marker of an eigenvalue: growth, decay or steady as `rnn_notes.classify` says."""
    size = classify(eigenvalue, tolerance=1e-5).size  # so that float32 may have computed it
    return {"growth": (GROWS, "^"), "steady": (STEADY, "o"), "decay": (SHRINKS, "v")}[size]


def panels(titles: Sequence[str], height: float, columns: int = 4, **options) -> tuple[Figure, list[Axes]]:
    """Return a figure of panels with these titles, each row of them `height` inches high, and the panels."""
    columns = min(columns, len(titles))
    rows = -(-len(titles) // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(WIDTH, rows * height), squeeze=False, **options)
    for axes in grid.flat[len(titles) :]:
        axes.remove()
    for axes, title in zip(grid.flat, titles, strict=False):
        axes.set_title(title)
    return figure, list(grid.flat[: len(titles)])


def label_end(axes: Axes, text: str, x: float, y: float, color: str = INK, **settings) -> None:
    """Write to the right of a curve's end; labels of curves that end close to each other move apart."""
    place = {"xytext": (6, 0), "textcoords": "offset points", "va": "center", "annotation_clip": False}
    axes.annotate(text, (x, y), color=color, label="_end", **place | settings)


def _keep_apart(labels):
    labels = sorted(labels, key=lambda label: label.get_window_extent().y0)
    low, high = np.array([label.get_window_extent().intervaly for label in labels]).reshape(-1, 2).T
    shift = np.zeros(len(labels))
    for _ in range(100):
        overlap = np.maximum(high[:-1] + shift[:-1] - low[1:] - shift[1:], 0)
        shift[:-1] -= overlap / 2
        shift[1:] += overlap / 2
    for label, up in zip(labels, shift, strict=True):
        x, y = label.xyann
        label.xyann = (x, y + 72 * up / label.figure.dpi)


def guide(axes: Axes, y: float, label: str = "") -> None:
    """Draw a line to compare with at the height `y`."""
    axes.axhline(y, **GUIDE)
    if label:
        label_end(axes, label, 1, y, xycoords=("axes fraction", "data"))


def curve(axes: Axes, x: np.ndarray, rows: np.ndarray, color: str, label: str = "", **line) -> None:
    """Draw the median of the rows as a line, and from the smallest to the largest as a band."""
    rows = np.atleast_2d(rows)
    middle = np.median(rows, axis=0)
    if len(rows) > 1:
        axes.fill_between(x, rows.min(axis=0), rows.max(axis=0), color=color, alpha=0.15, linewidth=0)
    axes.plot(x, middle, color=color, **line)
    if label:
        label_end(axes, label, x[-1], middle[-1], color)


def jacobian(of: str = "h", by: str | None = None) -> str:
    """Return the label of the norm of ∂h⁽ᵗ⁾/∂h⁽ᵏ⁾, or of another letter `of`, for another state `by`."""
    return rf"$\Vert\,\partial {of}^{{(t)}}\!/\partial {by or of}^{{(k)}}\,\Vert_2$"


def norm_axis(axes: Axes, label: str, limits: tuple[float, float] | None = None) -> None:
    """Make y the axis of norms that begin at 1: powers of ten, and 1 among them with its guide."""
    guide(axes, 1)
    axes.set(yscale="log", ylabel=label, ylim=limits)
    low, high = np.log10(axes.get_ylim())
    powers = plt.MaxNLocator(6, integer=True).tick_values(low, high)
    axes.set_yticks(10.0 ** powers[(low <= powers) & (powers <= high)])
    axes.minorticks_off()
    axes.set_ylim(10.0**low, 10.0**high)


def distance_axis(axes: Axes, distance: np.ndarray) -> None:
    """Make x the axis of the distances t - k."""
    axes.set(xlim=(distance[0], distance[-1]), xlabel="distance $t-k$ in steps")


def plane(axes: Axes, reach: float, **settings) -> None:
    """Make the axes a plane around the origin."""
    axes.axhline(0, color=FAINT, linewidth=0.5)
    axes.axvline(0, color=FAINT, linewidth=0.5)
    axes.set(aspect="equal", xlim=(-reach, reach), ylim=(-reach, reach), **settings)


def eigenvalue_plane(axes: Axes, values: np.ndarray, reach: float, size: float = 4.5) -> None:
    """Draw eigenvalues in the complex plane, with the unit circle, each in the color of its trend."""
    plane(axes, reach, xlabel=r"real part of $\lambda$", ylabel=r"imaginary part of $\lambda$")
    axes.add_patch(Circle((0, 0), 1, fill=False, edgecolor=STEADY, linewidth=1))
    looks = [eigenvalue_look(value) for value in values]
    for color, marker in sorted(set(looks)):
        at = values[[look == (color, marker) for look in looks]]
        axes.plot(at.real, at.imag, marker, color=color, markersize=size, markeredgewidth=0)


def node(axes: Axes, at: tuple[float, float], label: str, color: str = INK, radius: float = 0.27) -> None:
    """Draw a node of a graph."""
    axes.add_patch(Circle(at, radius, facecolor=PAPER, edgecolor=color, linewidth=0.9, zorder=2))
    axes.text(*at, label, ha="center", va="center", color=color, zorder=3)


def arrow(
    axes: Axes,
    start: Sequence[float],
    end: Sequence[float],
    color: str,
    width: float = 1.8,
    *,
    radius: float | None = None,
    bend: float = 0.0,
    **settings,
) -> None:
    """Draw an arrow, between the rims of two nodes of this radius or from point to point."""
    look = {"color": color, "linewidth": width, "arrowstyle": "-|>", "mutation_scale": 7 + 2 * width}
    shape = {"shrinkA": 0, "shrinkB": 0, "clip_on": False}
    if radius is None:
        shape |= {"posA": start, "posB": end, "connectionstyle": f"arc3,rad={bend}"}
    else:
        shape |= {"path": _between_rims(np.array(start), np.array(end), radius + 0.03, bend)}
    axes.add_patch(FancyArrowPatch(**look | shape | settings))


def _between_rims(start, end, radius, bend):
    """Return the quadratic Bézier curve of Matplotlib's arc3 from rim to rim, where both axes have one scale.

    Matplotlib would ask circles for thousands of points; the cut is a root of |curve(t) - start| = radius.
    """
    across = end - start
    control = across / 2 + bend * np.array([across[1], -across[0]])
    rest = across - 2 * control  # curve(t) - start = 2t control + t² rest
    roots = np.roots([rest @ rest, 4 * control @ rest, 4 * control @ control, 0, -(radius**2)])
    t = min(root.real for root in roots if abs(root.imag) < 1e-9 and root.real > 0)

    def at(s, t):
        return start + (s * (1 - t) + t * (1 - s)) * control + s * t * across

    ends_and_control = [at(t, t), at(t, 1 - t), at(1 - t, 1 - t)]
    return Outline(ends_and_control, [Outline.MOVETO, Outline.CURVE3, Outline.CURVE3])


def graph(
    height: float, x: tuple[float, float], y: tuple[float, float], radius: float = 0.27
) -> tuple[Figure, Axes, Callable, Callable]:
    """Return a figure, axes with nothing but these limits, and what draws a node and an arrow between two.

    Call ``add(at, label, color)`` and ``connect(start, end, color, width, bend=bend)``. What is FAINT goes
    forward, and is thin.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, height))
    axes.set(xlim=x, ylim=y, aspect="equal")
    axes.axis("off")

    def connect(start, end, color, width=1.6, *, bend=0.0):
        arrow(axes, start, end, color, 0.9 if color == FAINT else width, radius=radius, bend=bend)

    return figure, axes, partial(node, axes, radius=radius), connect

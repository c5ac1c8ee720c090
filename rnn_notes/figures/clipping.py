"""Figures of the lecture on gradient clipping."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import BoundaryNorm, LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from rnn_notes.figures import style
from rnn_notes.figures.style import DASHED, FAINT, GROWS, INK, NORMS, PAPER, SHRINKS, STEADY, WIDTH, styled

HEIGHTS = LinearSegmentedColormap.from_list("heights", ["#dadad8", "#6c7278"])  # a loss, low to high


@styled
def loss_surface(w: np.ndarray, b: np.ndarray, loss: np.ndarray, norms: np.ndarray) -> Figure:
    """Draw a loss over two parameters as a surface, colored by the norm of its gradient.

    Parameters
    ----------
    w, b, loss, norms : ndarray of shape (rows, columns)
        A grid of parameters as `numpy.meshgrid` returns it, the loss and the gradient's norm on it. Norms
        below 1e-3 and above 1e3 get the colors of these.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> w, b = np.meshgrid(np.linspace(4, 8, 9), np.linspace(-4, -2, 9))
    >>> figure = figures.loss_surface(w, b, loss=w * b, norms=np.hypot(w, b))
    >>> figure.axes[0].get_ylabel()
    '$w$'
    """
    w, b, loss = _grids(w, b, loss)
    norms = style.numbers("norms", norms, *w.shape, positive=True)
    corners = np.stack([norms[:-1, :-1], norms[1:, :-1], norms[:-1, 1:], norms[1:, 1:]])
    scale = BoundaryNorm(np.arange(-3, 4), NORMS.N)  # few colors keep the file small
    logs = np.clip(np.log10(corners.max(axis=0)), -2.99, 2.99)
    figure = plt.figure(figsize=(WIDTH, 3.4))
    figure.set_dpi(144)
    figure.set_layout_engine("none")  # it knows no third dimension
    axes = figure.add_axes((-0.05, 0.0, 0.93, 1.06), projection="3d")
    axes.plot_surface(
        b,
        w,
        loss,
        facecolors=NORMS(scale(logs)),
        rcount=len(w),
        ccount=len(w[0]),
        linewidth=0,
        antialiased=False,
        shade=False,
        rasterized=True,
    )
    axes.view_init(elev=33, azim=-22)
    axes.set_box_aspect((1.1, 1, 0.6), zoom=1.0)
    axes.set(xlabel="$b$", ylabel="$w$")
    figure.text(0.7, 0.62, "loss $L$")
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_major_locator(plt.MaxNLocator(4))
        axis.set_pane_color((0, 0, 0, 0))
        axis.line.set_color(INK)
    axes.grid(False)
    axes.tick_params(pad=0)
    ticks = np.arange(-3, 4)
    bar_axes = figure.add_axes((0.87, 0.2, 0.025, 0.56))
    bar = figure.colorbar(plt.cm.ScalarMappable(scale, NORMS), cax=bar_axes, ticks=ticks)
    bar.set_ticklabels([rf"$10^{{{tick}}}$" for tick in ticks])
    bar_axes.set_title("gradient\nnorm", pad=8)
    bar.outline.set_visible(False)
    return figure


@styled
def steps_from_a_wall(
    w: np.ndarray,
    b: np.ndarray,
    loss: np.ndarray,
    path: np.ndarray,
    landings: np.ndarray,
    labels: Sequence[str],
) -> Figure:
    """Draw a path of gradient descent to a wall of the loss, and where its next step may lead.

    Parameters
    ----------
    w, b, loss : ndarray of shape (rows, columns)
        A grid of parameters as `numpy.meshgrid` returns it, and the loss on it.
    path : ndarray of shape (points, 2)
        w and b of the descent, up to the wall.
    landings : ndarray of shape (steps, 2)
        w and b after the next step, for several lengths of it, at least 2. The first is the longest: it is
        shown by an arrow that leaves the frame around all others.
    labels : sequence of str
        What to write beside each landing.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> w, b = np.meshgrid(np.linspace(4, 6, 9), np.linspace(-3, -1, 9))
    >>> path, landings = np.array([[5, -2], [4.9, -2.1]]), np.array([[9.0, 3.0], [5.0, -1.5]])
    >>> figure = figures.steps_from_a_wall(w, b, b**2, path, landings, ["unclipped", "clipped"])
    >>> figure.axes[0].get_xlabel()
    '$b$'
    """
    w, b, loss = _grids(w, b, loss)
    path, landings = style.numbers("path", path, "points", 2), style.numbers("landings", landings, "steps", 2)
    style.check_names("labels", labels, landings)
    if len(landings) < 2:
        raise ValueError(f"landings must be 2 or more, got {len(landings)}")
    points = np.vstack([path, landings[1:]])[:, ::-1]  # b to the right, w upward
    margin = 0.18 * np.ptp(points, axis=0)
    low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
    figure, axes = plt.subplots(figsize=(WIDTH, 3.4))
    image = axes.contourf(b, w, loss, locator=plt.MaxNLocator(10), cmap=HEIGHTS)
    image.set_rasterized(True)
    # Outlined, because neighboring zones are nearly of one gray.
    axes.contour(b, w, loss, levels=image.levels, colors=INK, linewidths=0.5)
    bar = figure.colorbar(image, ax=axes, shrink=0.9, ticks=plt.MaxNLocator(5))
    bar.set_label("loss $L$")
    bar.outline.set_visible(False)
    axes.plot(*path.T[::-1], color=INK, marker="o", markersize=2, linewidth=0.8, zorder=4)
    axes.annotate("start", path[0, ::-1], xytext=(0, 5), textcoords="offset points", ha="center")
    end = path[-1, ::-1]
    colors = [GROWS, *[SHRINKS] * (len(labels) - 2), STEADY]
    for landing, label, color in zip(landings[:, ::-1], labels, colors, strict=True):
        step = landing - end
        with np.errstate(divide="ignore"):
            to_frame = np.min(np.where(step > 0, high - end, low - end) / np.where(step == 0, np.nan, step))
        if to_frame < 1:
            tip, line = end + 0.98 * to_frame * step, DASHED
            place = {"xytext": (-24, -1), "ha": "right", "va": "top"}
        else:
            tip, line = landing, "-"
            place = {"xytext": (7, -9), "ha": "left", "va": "center"}
        style.arrow(axes, end, tip, color, linestyle=line, zorder=5)
        text = axes.annotate(label, tip, textcoords="offset points", color=color, zorder=6, **place)
        text.set_bbox({"facecolor": style.GROUND, "alpha": 0.8, "linewidth": 0, "pad": 1.5})
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel="$b$", ylabel="$w$")
    return figure


@styled
def clipped_directions(
    gradient: np.ndarray, by_value: np.ndarray, by_norm: np.ndarray, threshold: float
) -> Figure:
    """Draw a gradient of two entries, and what clipping by value and by norm make of it.

    Parameters
    ----------
    gradient, by_value, by_norm : ndarray of shape (2,)
        The gradient and its clipped versions.
    threshold : float
        The threshold of both, above 0.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from rnn_notes import figures
    >>> figure = figures.clipped_directions([30, 12], [10, 10], [9.3, 3.7], threshold=10)
    >>> figure.axes[0].get_xlabel()
    'first entry'
    """
    gradient = style.numbers("gradient", gradient, 2)
    by_value, by_norm = style.numbers("by_value", by_value, 2), style.numbers("by_norm", by_norm, 2)
    if not threshold > 0:
        raise ValueError(f"threshold must be above 0, got {threshold!r}")
    figure, axes = plt.subplots(figsize=(WIDTH, 2.7))
    square = (-threshold, -threshold), 2 * threshold, 2 * threshold
    axes.add_patch(Rectangle(*square, facecolor=PAPER, edgecolor=SHRINKS, linewidth=1, linestyle=DASHED))
    axes.add_patch(Circle((0, 0), threshold, fill=False, edgecolor=STEADY, linewidth=1))
    for end, name, color, width, place, side in [
        (gradient, "gradient", GROWS, 1.3, (0, 9), "right"),
        (by_value, "by value", SHRINKS, 2.4, (7, 6), "left"),
        (by_norm, "by norm", STEADY, 2.4, (12, -7), "left"),
    ]:
        style.arrow(axes, (0, 0), end, color, width, zorder=3)
        axes.annotate(name, end, xytext=place, textcoords="offset points", color=color, ha=side)
    largest = abs(gradient).max()
    axes.set(
        xlim=(-0.4 * threshold, 1.06 * largest),
        ylim=(-0.35 * threshold, 0.5 * largest),
        aspect="equal",
        xlabel="first entry",
        ylabel="second entry",
    )
    axes.plot(0, 0, "o", color=INK, markersize=3)
    return figure


@styled
def errors_by_threshold(
    labels: Sequence[str], errors: np.ndarray, chance: float, control: int | None = None
) -> Figure:
    """Draw the errors of several runs for each threshold.

    Parameters
    ----------
    labels : sequence of str
        The names of the thresholds.
    errors : ndarray of shape (thresholds, runs)
        Error rates at the end of training.
    chance : float
        The error rate of guessing.
    control : int, optional
        The number of a row that is set apart, because it differs in more than the threshold.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from rnn_notes import figures
    >>> figure = figures.errors_by_threshold(["none", "1"], [[0.7, 0.8], [0.1, 0.0]], chance=0.75)
    >>> [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    ['none', '1']
    """
    errors = style.numbers("errors", errors, "thresholds", "runs")
    style.check_names("labels", labels, errors)
    if control not in (None, *range(len(errors))):
        raise ValueError(f"control must be the number of a row of errors, got {control!r}")
    figure, axes = plt.subplots(figsize=(WIDTH, 2.9))
    style.guide(axes, chance, "guessing")
    places = np.arange(len(errors), dtype=float)
    if control is not None:
        places[control:] += 0.5
        axes.axvline(places[control] - 0.75, color=FAINT, linewidth=0.7)
    for number, (place, row) in enumerate(zip(places, errors, strict=True)):
        share = np.median(row) / chance
        color = STEADY if share < 0.1 else GROWS if share > 0.96 else SHRINKS
        across = place + np.linspace(-0.2, 0.2, len(row))
        marker = "D" if number == control else "o"
        axes.plot(across, np.sort(row), marker, color=color, markersize=5, clip_on=False)
    axes.set(
        xlim=(-0.5, places[-1] + 0.5),
        ylim=(0, None),
        ylabel="error rate, last 50 updates",
        xlabel="clipping threshold",
    )
    axes.set_xticks(places, labels)
    return figure


def _grids(w, b, loss):
    w = style.numbers("w", w, "rows", "columns")
    if min(w.shape) < 2:
        raise ValueError(f"w must be a grid of at least 2 by 2, got {w.shape}")
    return w, style.numbers("b", b, *w.shape), style.numbers("loss", loss, *w.shape)

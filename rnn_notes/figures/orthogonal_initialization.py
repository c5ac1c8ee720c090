"""Figures of the lecture on orthogonal initialization."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle

from rnn_notes.figures import style
from rnn_notes.figures.style import DASHED, FAINT, GUIDE, INK, SHRINKS, STEADY, styled


@styled
def gram_schmidt_steps(A: np.ndarray, along: np.ndarray, Q: np.ndarray) -> Figure:
    """Draw the Gram-Schmidt process for two columns in the plane: before, subtract, make one long.

    Parameters
    ----------
    A : ndarray of shape (2, 2)
        The columns to begin with.
    along : ndarray of shape (2,)
        What the second column has along the first.
    Q : ndarray of shape (2, 2)
        The columns at the end.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> A, Q = np.array([[2.0, 1.0], [0.0, 1.0]]), np.eye(2)
    >>> figure = figures.gram_schmidt_steps(A, along=np.array([1.0, 0.0]), Q=Q)
    >>> len(figure.axes)
    3
    """
    first, second = style.numbers("A", A, 2, 2).T
    along, Q = style.numbers("along", along, 2), style.numbers("Q", Q, 2, 2)
    figure, (before, subtract, ready) = style.panels(["two columns", "subtract", "length one"], 1.9)

    def vector(axes, end, label, place, color=INK, start=(0, 0)):
        style.arrow(axes, start, end, color)
        at = (np.add(start, end) / 2) if any(start) else end
        axes.annotate(
            label, at, xytext=place, textcoords="offset points", color=color, ha="center", va="center"
        )

    vector(before, first, "$a_1$", (-1, 9))
    vector(before, second, "$a_2$", (9, 1))
    subtract.plot(*zip((0, 0), first, strict=True), **GUIDE)
    vector(subtract, along, r"$r_{12}\,q_1$", (13, -10), SHRINKS)
    vector(subtract, second, "$v_2$", (10, 4), STEADY, start=tuple(along))
    vector(subtract, second, "$a_2$", (-11, -2))
    vector(ready, Q[:, 0], "$q_1$", (4, 9), STEADY)
    vector(ready, Q[:, 1], "$q_2$", (-4, 9), STEADY)
    ready.add_patch(Circle((0, 0), 1, fill=False, edgecolor=STEADY, linewidth=1))
    reach = 1.05 * max(abs(first).max(), abs(second).max())
    for axes in (before, subtract, ready):
        low, high = (-1.2, 1.2) if axes is ready else (-0.08 * reach, reach)
        axes.set(aspect="equal", xlim=(low, high), ylim=(low, high))
        axes.axis("off")
    return figure


@styled
def entry_histograms(raw: np.ndarray, fixed: np.ndarray, x: np.ndarray, density: np.ndarray) -> Figure:
    """Draw how often an entry of a random orthogonal matrix has which value, with and without the sign fix.

    Parameters
    ----------
    raw, fixed : ndarray of shape (draws,)
        The entry in each draw, from -1 to 1, as QR gives it, and with signs fixed.
    x, density : ndarray of shape (points,)
        The density of that entry if all directions are equally likely.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    In three dimensions an entry is uniform from -1 to 1.

    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> entry = np.linspace(-1, 1, 100)
    >>> figure = figures.entry_histograms(-abs(entry), entry, x=entry, density=np.full(100, 0.5))
    >>> [axes.get_title() for axes in figure.axes]
    ['as it comes', 'signs fixed']
    """
    x = style.numbers("x", x, "points")
    density = style.numbers("density", density, len(x))
    figure, (as_it_comes, signs_fixed) = style.panels(["as it comes", "signs fixed"], 2.4, sharey=True)
    for axes, name, entry, color in [(as_it_comes, "raw", raw, FAINT), (signs_fixed, "fixed", fixed, STEADY)]:
        entry = style.numbers(name, entry, "draws")
        if not np.all(abs(entry) <= 1):
            raise ValueError(f"{name} must have values from -1 to 1, got {entry!r}")
        axes.hist(entry, np.linspace(-1, 1, 33), density=True, color=color, alpha=0.45)
        axes.plot(x, density, color=INK)
        axes.set(xlabel="entry $Q_{11}$", ylabel="density", xlim=(-1, 1), xticks=(-1, 0, 1))
        axes.label_outer()
    as_it_comes.text(0.97, 0.6, "uniform", transform=as_it_comes.transAxes, ha="right", va="top")
    return figure


@styled
def norms_by_start(
    norms: dict[str, dict[str, np.ndarray]],
    distance: np.ndarray,
    limits: tuple[float, float] = (1e-12, 1e12),
) -> Figure:
    """Draw gradient norms by distance for several starts of W_h, in one panel for each setting.

    Parameters
    ----------
    norms : dict of str to dict of str to ndarray of shape (draws, D)
        ``norms[setting][start]``: ‖∂h⁽ᵗ⁾/∂h⁽ᵏ⁾‖, positive, one row per random draw. Four settings at most,
        and four starts at most.
    distance : ndarray of shape (D,)
        The distances t - k.
    limits : tuple of two floats
        The smallest and the largest norm that is shown.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> distance = np.arange(10)
    >>> rows = np.array([[0.8], [0.7]]) ** distance
    >>> figure = figures.norms_by_start({"tanh": {"small": rows, "large": 1 / rows}}, distance)
    >>> figure.axes[0].get_title()
    'tanh'
    """
    distance = style.numbers("distance", distance, "D")
    starts = list(dict.fromkeys(start for setting in norms.values() for start in setting))
    if not 1 <= len(norms) <= 4 or not 1 <= len(starts) <= 4:
        raise ValueError(f"norms must have 1 to 4 settings and starts, got {len(norms)} and {len(starts)}")
    lines = ["solid", DASHED, (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5))]
    looks = {
        start: {"linestyle": line, "linewidth": 2.4 if line == "solid" else 1.6}
        for start, line in zip(starts, lines, strict=False)
    }
    figure, grid = style.panels(list(norms), 1.75, columns=2, sharex=True, sharey=True)
    for axes, (setting, by_start) in zip(grid, norms.items(), strict=True):
        for start, rows in by_start.items():
            name = f"norms[{setting!r}][{start!r}]"
            rows = style.numbers(name, rows, "draws", len(distance), positive=True)
            style.curve(axes, distance, rows, style.trend(rows[:, -1]), **looks[start])
        style.distance_axis(axes, distance)
        style.norm_axis(axes, style.jacobian(), limits)
        axes.set_xticks([distance[0], (distance[0] + distance[-1]) / 2, distance[-1]])
        axes.label_outer()
    handles = [Line2D([], [], color=INK, **look) for look in looks.values()]
    figure.legend(
        handles,
        starts,
        loc="outside upper center",
        ncols=len(starts),
        handlelength=2,
        handletextpad=0.5,
        columnspacing=1,
    )
    return figure

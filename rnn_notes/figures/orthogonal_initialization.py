"""Figures of the lecture on orthogonal initialization."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.lines import Line2D

from rnn_notes.figures.style import FAINT, GROWS, INK, SHRINKS, STEADY, WIDTH, styled


@styled
def gram_schmidt_steps(A, along, Q):
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
    for name, value, shape in (("A", A, (2, 2)), ("along", along, (2,)), ("Q", Q, (2, 2))):
        if np.shape(value) != shape or not np.all(np.isfinite(value)):
            raise ValueError(f"{name} must be finite, of shape {shape}, got {value!r}")
    (first, second), along, Q = np.asarray(A, float).T, np.asarray(along, float), np.asarray(Q, float)
    figure, panels = plt.subplots(1, 3, figsize=(WIDTH, 2.35))

    def arrow(axes, end, color, label, start=(0, 0), style="-|>", offset=(0, 0)):
        axes.annotate(
            "",
            end,
            start,
            arrowprops={
                "arrowstyle": style,
                "color": color,
                "linewidth": 1.8,
                "shrinkA": 0,
                "shrinkB": 0,
                "mutation_scale": 11,
            },
        )
        middle = (np.asarray(start, float) + end) / 2 if any(start) else np.asarray(end, float)
        axes.annotate(
            label,
            middle,
            xytext=offset,
            textcoords="offset points",
            color=color,
            ha="center",
            va="center",
            annotation_clip=False,
        )

    reach = 1.05 * max(abs(first).max(), abs(second).max())
    before, subtract, ready = panels
    arrow(before, first, INK, "$a_1$", offset=(-1, 9))
    arrow(before, second, INK, "$a_2$", offset=(9, 1))
    subtract.plot(*zip((0, 0), first, strict=True), color=FAINT, linewidth=0.7, linestyle=(0, (4, 3)))
    arrow(subtract, along, SHRINKS, r"$r_{12}\,q_1$", offset=(13, -10))
    arrow(subtract, second, STEADY, "$v_2$", start=tuple(along), offset=(10, 4))
    arrow(subtract, second, INK, "$a_2$", offset=(-11, -2))
    for column, color, label, offset in zip(
        Q.T, (STEADY, STEADY), ("$q_1$", "$q_2$"), ((4, 9), (-4, 9)), strict=True
    ):
        arrow(ready, column, color, label, offset=offset)
    angle = np.linspace(0, 2 * np.pi, 181)
    ready.plot(np.cos(angle), np.sin(angle), color=FAINT, linewidth=0.7)
    for axes, title in zip(panels, ("two columns", "subtract", "length one"), strict=True):
        axes.set_title(title)
        axes.set(aspect="equal")
        axes.axis("off")
    for axes in (before, subtract):
        axes.set(xlim=(-0.08 * reach, reach), ylim=(-0.08 * reach, reach))
    ready.set(xlim=(-1.2, 1.2), ylim=(-1.2, 1.2))
    return figure


@styled
def entry_histograms(raw, fixed, x, density):
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
    x, density = np.asarray(x, float), np.asarray(density, float)
    if x.ndim != 1 or x.shape != density.shape or not x.size:
        raise ValueError(f"x and density must have one shape (points,), got {x.shape} and {density.shape}")
    figure, panels = plt.subplots(1, 2, figsize=(WIDTH, 2.5), sharey=True)
    drawn = [("raw", raw, "as it comes", FAINT), ("fixed", fixed, "signs fixed", STEADY)]
    for axes, (name, entry, title, color) in zip(panels, drawn, strict=True):
        entry = np.asarray(entry, float)
        if entry.ndim != 1 or not entry.size or not np.all(abs(entry) <= 1):
            raise ValueError(f"{name} must have shape (draws,) and values from -1 to 1, got {entry!r}")
        axes.hist(entry, np.linspace(-1, 1, 33), density=True, color=color, alpha=0.45)
        axes.plot(x, density, color=INK, linewidth=1.8)
        axes.set_title(title)
        axes.set(xlabel="entry $Q_{11}$", xlim=(-1, 1), xticks=(-1, 0, 1))
    panels[0].set_ylabel("density")
    panels[0].text(0.97, 0.97, "line: uniform", transform=panels[0].transAxes, ha="right", va="top")
    return figure


@styled
def start_grid(norms, distance, limits=(1e-12, 1e12)):
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
    >>> figure = figures.start_grid({"tanh": {"small": rows, "large": 1 / rows}}, distance)
    >>> figure.axes[0].get_title()
    'tanh'
    """
    distance = np.asarray(distance, float)
    styles, widths = ["solid", (0, (5, 2)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5))], [2.4, 1.6, 1.6, 1.6]
    starts = list(dict.fromkeys(start for setting in norms.values() for start in setting))
    if not 1 <= len(norms) <= 4 or not 1 <= len(starts) <= 4:
        raise ValueError(f"norms must have 1 to 4 settings and starts, got {len(norms)} and {len(starts)}")
    high, wide = (len(norms) + 1) // 2, min(len(norms), 2)
    figure, panels = plt.subplots(
        high, wide, figsize=(WIDTH, 0.6 + 1.95 * high), sharex=True, sharey=True, squeeze=False
    )
    for axes, (setting, by_start) in zip(panels.flat, norms.items(), strict=False):
        axes.axhline(1, color=FAINT, linewidth=0.7)
        for start, rows in by_start.items():
            rows = np.asarray(rows, float)
            if rows.ndim != 2 or rows.shape[1] != len(distance) or not np.all(rows > 0):
                raise ValueError(
                    f"norms[{setting!r}][{start!r}] must be positive, of shape (draws, {len(distance)})"
                )
            middle, low, high = np.median(rows, axis=0), rows.min(axis=0), rows.max(axis=0)
            drift = np.log10([low[-1], middle[-1], high[-1]])  # a color only where all draws agree
            if np.all(abs(drift) < 1):
                color = STEADY
            else:
                color = GROWS if np.all(drift > 0) else SHRINKS if np.all(drift < 0) else INK
            axes.fill_between(distance, low, high, color=color, alpha=0.13, linewidth=0)
            number = starts.index(start)
            axes.plot(distance, middle, color=color, linestyle=styles[number], linewidth=widths[number])
        axes.set_title(setting)
        axes.set(yscale="log", ylim=limits, xlim=(distance[0], distance[-1]))
        axes.set_xticks([distance[0], (distance[0] + distance[-1]) / 2, distance[-1]])
    for axes in panels[-1]:
        axes.set_xlabel("distance $t-k$ in steps")
    figure.supylabel(r"$\Vert\,\partial h^{(t)}\!/\partial h^{(k)}\,\Vert_2$", size=10.5)
    handles = [
        Line2D([], [], color=INK, linestyle=style, linewidth=width)
        for _, style, width in zip(starts, styles, widths, strict=False)
    ]
    figure.legend(
        handles, starts, loc="outside upper center", ncols=len(starts), handlelength=2.2, columnspacing=1.3
    )
    return figure


@styled
def eigenvalues_trained(before, after):
    """Draw eigenvalues of W_h in the complex plane beside the unit circle, before and after training.

    Parameters
    ----------
    before, after : ndarray of complex, of any shape
        Eigenvalues, of one matrix or of many.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> circle = np.exp(2j * np.pi * np.arange(5) / 5)
    >>> figure = figures.eigenvalues_trained(circle, np.array([0.8, 1.2, 1.3]) * circle[:3])
    >>> [axes.get_title() for axes in figure.axes]
    ['before', 'after']
    """
    before, after = np.ravel(before), np.ravel(after)
    for name, values in (("before", before), ("after", after)):
        if not values.size or not np.all(np.isfinite(values)):
            raise ValueError(f"{name} must be finite eigenvalues, at least one")
    reach = 1.08 * max(1.05, abs(before).max(), abs(after).max())
    angle = np.linspace(0, 2 * np.pi, 181)
    figure, panels = plt.subplots(1, 2, figsize=(WIDTH, 2.9), sharex=True, sharey=True)
    for axes, values, title in zip(panels, (before, after), ("before", "after"), strict=True):
        axes.plot(np.cos(angle), np.sin(angle), color=INK, linewidth=0.8)
        for among, color, marker in [
            (abs(values) > 1 + 1e-3, GROWS, "^"),
            (abs(values) < 1 - 1e-3, SHRINKS, "v"),
            (abs(abs(values) - 1) <= 1e-3, STEADY, "o"),
        ]:
            points = values[among]
            axes.plot(points.real, points.imag, marker, color=color, alpha=0.65, markersize=3.8, mew=0)
        axes.set_title(title)
        axes.set(
            aspect="equal",
            xlim=(-reach, reach),
            ylim=(-reach, reach),
            xlabel=r"real part of $\lambda$",
            xticks=(-1, 0, 1),
            yticks=(-1, 0, 1),
        )
    panels[0].set_ylabel(r"imaginary part of $\lambda$")
    return figure

"""Figures of the lecture on the chain-rule product."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Circle, FancyArrowPatch

from rnn_notes.figures.style import FAINT, GROWS, INK, NORMS, PAPER, SHRINKS, WIDTH, styled


@styled
def unrolled_graph(steps=4):
    """Draw the unrolled network and the paths from the last loss back to every use of W_h.

    Parameters
    ----------
    steps : int
        The number of steps that are drawn, at least 2.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from rnn_notes import figures
    >>> figure = figures.unrolled_graph(steps=3)
    >>> figure.get_size_inches().tolist()
    [5.2, 2.7]
    """
    if steps < 2:
        raise ValueError(f"steps must be at least 2, got {steps!r}")
    figure, axes = plt.subplots(figsize=(WIDTH, 2.7))
    axes.set(xlim=(-0.4, steps + 1.1), ylim=(-1.5, 1.55), aspect="equal")
    axes.axis("off")
    radius = 0.27

    def node(x, y, label, color=INK):
        axes.add_patch(Circle((x, y), radius, facecolor=PAPER, edgecolor=color, linewidth=0.9, zorder=2))
        axes.text(x, y, label, ha="center", va="center", color=color, zorder=3)

    def arrow(start, end, color, width=0.9, bend=0.0):
        """Draw from the rim of the node at `start` to the rim of the node at `end`."""
        patches = [Circle(center, radius + 0.03, transform=axes.transData) for center in (start, end)]
        axes.add_patch(
            FancyArrowPatch(
                start,
                end,
                patchA=patches[0],
                patchB=patches[1],
                shrinkA=0,
                shrinkB=0,
                color=color,
                linewidth=width,
                arrowstyle="-|>",
                mutation_scale=9,
                connectionstyle=f"arc3,rad={bend}",
            )
        )

    for t in range(steps + 1):
        node(t, 0, f"$h^{{({t})}}$")
        if t == 0:
            continue
        arrow((t - 1, 0), (t, 0), FAINT)
        node(t - 0.5, -1.15, "$W_h$", GROWS)
        arrow((t - 0.5, -1.15), (t, 0), FAINT)
        arrow((t, 0), (t - 0.5, -1.15), GROWS, 1.8, bend=-0.3)
        if t > 1:
            arrow((t, 0), (t - 1, 0), SHRINKS, 1.8, bend=0.55)
            axes.text(
                t - 0.5,
                0.42,
                rf"$\partial h^{{({t})}}\!/\partial h^{{({t - 1})}}$",
                ha="center",
                va="bottom",
                color=SHRINKS,
                size=9,
            )
    node(steps, 1.2, f"$L^{{({steps})}}$")
    arrow((steps, 0), (steps, 1.2), FAINT)
    arrow((steps, 1.2), (steps, 0), SHRINKS, 1.8, bend=-0.3)
    axes.text(
        steps + 0.3,
        0.6,
        rf"$\partial L^{{({steps})}}\!/\partial h^{{({steps})}}$",
        va="center",
        color=SHRINKS,
    )
    axes.text(
        steps + 0.12, -0.75, rf"$\partial^{{+}}h^{{({steps})}}\!/\partial W_h$", va="center", color=GROWS
    )
    return figure


@styled
def jacobian_norm_map(norms):
    """Draw the norms of ∂h⁽ᵗ⁾/∂h⁽ᵏ⁾ for all pairs of steps.

    Parameters
    ----------
    norms : ndarray of shape (T + 1, T + 1)
        ``norms[k, t]`` for k <= t, positive; the rest is not looked at.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> k, t = np.indices((11, 11))
    >>> figure = figures.jacobian_norm_map(0.5 ** np.abs(t - k))
    >>> figure.axes[0].get_xlabel()
    'later step $t$'
    """
    norms = _check_norms(norms)
    T = len(norms) - 1
    logs = np.full(norms.shape, np.nan)
    upper = np.triu_indices(T + 1)
    logs[upper] = np.log10(norms[upper])
    bound = np.nanmax(np.abs(logs)) or 1.0

    figure, axes = plt.subplots(figsize=(WIDTH, 3.5))
    image = axes.imshow(logs, cmap=NORMS, vmin=-bound, vmax=bound, origin="lower", interpolation="none")
    axes.plot([-0.5, T + 0.5], [-0.5, T + 0.5], color=INK, linewidth=0.7)
    axes.set(xlabel="later step $t$", ylabel="earlier step $k$")
    axes.text(
        0.05,
        0.95,
        "no path:\nthe future does not\nact on the past",
        transform=axes.transAxes,
        va="top",
        color=FAINT,
        size=9.5,
    )
    bar = figure.colorbar(image, ax=axes, shrink=0.9, format=lambda value, _: rf"$10^{{{value:.0f}}}$")
    bar.set_label(r"$\Vert\,\partial h^{(t)}\!/\partial h^{(k)}\,\Vert_2$")
    bar.ax.set_ylim(np.nanmin(logs), np.nanmax(logs))  # the colors are symmetric around 0; show those in use
    bar.locator = plt.MaxNLocator(6, integer=True)
    bar.update_ticks()
    bar.outline.set_visible(False)
    return figure


@styled
def norm_by_distance(taken, given):
    """Draw the norm of ∂h⁽ᵗ⁾/∂h⁽ᵏ⁾ by distance, split into what the activation takes and what W_h gives.

    Parameters
    ----------
    taken, given : ndarray of shape (D,)
        The factors by which diag(φ′) and W_h change the norm of the product at the 1st, ..., Dth step back.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> figure = figures.norm_by_distance(taken=np.full(20, 0.6), given=np.full(20, 1.5))
    >>> figure.axes[0].get_yscale()
    'log'
    """
    taken, given = np.asarray(taken, float), np.asarray(given, float)
    if taken.ndim != 1 or taken.shape != given.shape or not taken.size:
        raise ValueError(f"taken and given must have one shape (D,), got {taken.shape} and {given.shape}")
    distance = np.arange(len(taken) + 1)
    curves = [
        (given, GROWS, "what $W_h$ gives"),
        (taken * given, INK, r"the norm: their product"),
        (taken, SHRINKS, r"what $\varphi'$ leaves"),
    ]
    figure, axes = plt.subplots(figsize=(WIDTH, 3.0))
    axes.axhline(1, color=FAINT, linewidth=0.7, linestyle=(0, (4, 3)))
    for factors, color, label in curves:
        norm = np.cumprod([1.0, *factors])
        axes.plot(distance, norm, color=color, linewidth=2.2 if color == INK else 1.6)
        axes.annotate(
            label,
            (distance[-1], norm[-1]),
            xytext=(6, 0),
            textcoords="offset points",
            color=color,
            va="center",
            annotation_clip=False,
        )
    axes.set(
        yscale="log",
        xlim=(0, distance[-1]),
        xlabel="distance $t-k$ in steps",
        ylabel=r"factor, and $\Vert\,\partial h^{(t)}\!/\partial h^{(k)}\,\Vert_2$",
    )
    return figure


def _check_norms(norms):
    norms = np.asarray(norms, float)
    if norms.ndim != 2 or norms.shape[0] != norms.shape[1] or len(norms) < 2:
        raise ValueError(f"norms must have shape (T + 1, T + 1) with T at least 1, got {norms.shape}")
    if not np.all(norms[np.triu_indices(len(norms))] > 0):
        raise ValueError("norms must be positive on and above the diagonal")
    return norms

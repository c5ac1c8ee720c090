"""Figures of the lecture on the chain-rule product."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from rnn_notes._checks import check_integer
from rnn_notes.figures import style
from rnn_notes.figures.style import FAINT, GROWS, INK, NORMS, SHRINKS, WIDTH, styled


@styled
def unrolled_graph(steps: int = 4) -> Figure:
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
    >>> len(figure.axes)
    1
    """
    check_integer("steps", steps, 2)
    figure, axes, add, connect = style.graph(2.6, (-0.3, steps + 1.1), (-1.5, 1.5))
    for t in range(steps + 1):
        here, before, weight = (t, 0), (t - 1, 0), (t - 0.5, -1.15)
        add(here, f"$h^{{({t})}}$")
        if t == 0:
            continue
        connect(before, here, FAINT)
        add(weight, "$W_h$", GROWS)
        connect(weight, here, FAINT)
        connect(here, weight, GROWS, bend=-0.3)
        if t > 1:
            connect(here, before, SHRINKS, bend=0.55)
            factor = rf"$\partial h^{{({t})}}\!/\partial h^{{({t - 1})}}$"
            axes.text(t - 0.5, 0.42, factor, ha="center", va="bottom", color=SHRINKS)
    end, loss = (steps, 0), (steps, 1.2)
    add(loss, f"$L^{{({steps})}}$")
    connect(end, loss, FAINT)
    connect(loss, end, SHRINKS, bend=-0.3)
    factor = rf"$\partial L^{{({steps})}}\!/\partial h^{{({steps})}}$"
    axes.text(steps + 0.3, 0.7, factor, va="center", color=SHRINKS)
    use = rf"$\partial^{{+}}h^{{({steps})}}\!/\partial W_h$"
    axes.text(steps + 0.12, -0.75, use, va="center", color=GROWS)
    return figure


@styled
def gradient_walk(lengths: np.ndarray, passed: int, code: tuple[str, str]) -> Figure:
    """Draw how far the gradient has come on its way back, beside the two lines of code that take it there.

    Parameters
    ----------
    lengths : ndarray of shape (2 T + 1,)
        The length of the gradient for the last state, and after each line that it passes: two for every
        step, from the last step to the first.
    passed : int
        How many lines it has passed, from 0 to 2 T.
    code : tuple of two str
        The two lines.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> figure = figures.gradient_walk(0.8 ** np.arange(9), passed=3, code=("dz = ...", "dh_next = ..."))
    >>> len(figure.axes)
    1
    """
    lengths = style.numbers("lengths", lengths, "2 T + 1", positive=True)
    if len(lengths) < 5 or len(lengths) % 2 == 0:
        raise ValueError(f"lengths must have shape (2 T + 1,) with T at least 2, got {lengths.shape}")
    check_integer("passed", passed, 0)
    steps = len(lengths) // 2
    if passed > 2 * steps:
        raise ValueError(f"passed must be at most {2 * steps}, got {passed}")
    if len(code) != 2:
        raise ValueError(f"code must be two lines, got {code!r}")
    figure, axes, add, connect = style.graph(3.3, (-0.3, steps + 1.1), (-2.75, 1.5))
    now, line = steps - passed // 2, passed % 2  # at z of the state if a line is half a factor
    for t in range(steps + 1):
        here, before, weight = (t, 0), (t - 1, 0), (t - 0.5, -1.15)
        letter = "z" if t == now and line else "h"
        add(here, f"${letter}^{{({t})}}$", SHRINKS if t == now else INK)
        if t == 0:
            continue
        connect(before, here, FAINT)
        add(weight, "$W_h$", GROWS)
        connect(weight, here, FAINT)
        if 2 * (steps - t) + 1 <= passed:
            connect(here, weight, GROWS, bend=-0.3)
        if 2 * (steps - t) + 2 <= passed:
            connect(here, before, SHRINKS, bend=0.55)
    end, loss = (steps, 0), (steps, 1.2)
    add(loss, f"$L^{{({steps})}}$")
    connect(end, loss, FAINT)
    connect(loss, end, SHRINKS, bend=-0.3)
    at, share = "z" if line else "h", lengths[passed] / lengths[0]
    words = rf"$\Vert\partial L/\partial {at}^{{({now})}}\Vert = {share:.3f}$ of that at $h^{{({steps})}}$"
    axes.text(-0.3, 1.2, words, color=SHRINKS, va="center")
    for number, text in enumerate(code):
        runs = passed > 0 and line != number
        look = {"color": SHRINKS if runs else FAINT, "family": "monospace"}
        axes.text(
            -0.3,
            -2.05 - 0.5 * number,
            ("\N{BLACK RIGHT-POINTING TRIANGLE} " if runs else "  ") + text,
            **look,
        )
    return figure


@styled
def jacobian_norm_map(norms: np.ndarray) -> Figure:
    """Draw the norms of ∂h⁽ᵗ⁾/∂h⁽ᵏ⁾ for all pairs of steps as a map, from vanished to exploded.

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
    norms = np.asarray(norms, float)
    if norms.ndim != 2 or norms.shape[0] != norms.shape[1] or len(norms) < 2:
        raise ValueError(f"norms must have shape (T + 1, T + 1) with T at least 1, got {norms.shape}")
    T = len(norms) - 1
    upper = np.triu_indices(T + 1)
    if not np.all(norms[upper] > 0):
        raise ValueError("norms must be positive on and above the diagonal")
    logs = np.full(norms.shape, np.nan)
    logs[upper] = np.log10(norms[upper])
    bound = np.nanmax(np.abs(logs)) or 1.0

    figure, axes = plt.subplots(figsize=(WIDTH, 3.3))
    image = axes.imshow(logs, cmap=NORMS, vmin=-bound, vmax=bound, origin="lower", interpolation="none")
    axes.plot([-0.5, T + 0.5], [-0.5, T + 0.5], color=INK, linewidth=0.7)
    axes.set(xlabel="later step $t$", ylabel="earlier step $k$")
    # Hatched, because no color would say that there is nothing.
    for above in np.arange(1, 16) * (T + 1) / 16:
        axes.plot([-0.5, T + 0.5 - above], [-0.5 + above, T + 0.5], color=FAINT, linewidth=0.3)
    words = "no path:\nthe future does not\nact on the past"
    axes.text(0.05, 0.95, words, transform=axes.transAxes, va="top")
    bar = figure.colorbar(image, ax=axes, shrink=0.9, format=lambda value, _: rf"$10^{{{value:.0f}}}$")
    bar.set_label(style.jacobian())
    bar.ax.set_ylim(np.nanmin(logs), np.nanmax(logs))  # the colors are symmetric around 0; show those in use
    bar.locator = plt.MaxNLocator(6, integer=True)
    bar.update_ticks()
    bar.outline.set_visible(False)
    return figure


@styled
def factors_by_distance(taken: np.ndarray, given: np.ndarray) -> Figure:
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
    >>> figure = figures.factors_by_distance(taken=np.full(20, 0.6), given=np.full(20, 1.5))
    >>> figure.axes[0].get_yscale()
    'log'
    """
    taken = style.numbers("taken", taken, "D", positive=True)
    given = style.numbers("given", given, len(taken), positive=True)
    distance = np.arange(len(taken) + 1)
    figure, axes = plt.subplots(figsize=(WIDTH, 2.9))
    for factors, color, label in [
        (given, GROWS, "what $W_h$\ngives"),
        (taken * given, INK, "the norm:\ntheir product"),
        (taken, SHRINKS, "what $\\varphi'$\nleaves"),
    ]:
        style.curve(axes, distance, np.cumprod([1, *factors]), color, label)
    style.norm_axis(axes, f"factor, and {style.jacobian()}")
    style.distance_axis(axes, distance)
    return figure

"""Figures of the lecture on the sigmoid's derivative."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from rnn_notes.figures import style
from rnn_notes.figures.style import FAINT, GROUND, GROWS, INK, SHRINKS, WIDTH, styled


@styled
def activation_and_slope(z: np.ndarray, value: np.ndarray, slope: np.ndarray) -> Figure:
    """Draw an activation and its derivative over z, with the largest slope marked.

    Parameters
    ----------
    z : ndarray of shape (N,)
        Where the functions were computed, in increasing order.
    value, slope : ndarray of shape (N,)
        φ(z) and φ′(z).

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures, sigmoid
    >>> z = np.linspace(-8, 8, 161)
    >>> figure = figures.activation_and_slope(z, sigmoid(z), sigmoid.derivative(z))
    >>> figure.axes[0].get_xlabel()
    '$z$'
    """
    z = _increasing("z", z)
    value, slope = style.numbers("value", value, len(z)), style.numbers("slope", slope, len(z))
    top = slope.argmax()
    figure, axes = plt.subplots(figsize=(WIDTH, 2.8))
    style.guide(axes, slope[top])
    axes.plot(z, value, color=INK)
    axes.plot(z, slope, color=SHRINKS)
    axes.fill_between(z, slope, color=SHRINKS, alpha=0.15, linewidth=0)
    axes.plot(z[top], slope[top], "o", color=SHRINKS, markersize=5)
    below = {"xytext": (0, -6), "textcoords": "offset points", "ha": "right", "va": "top"}
    axes.annotate(r"$\sigma(z)$", (z[-1], value[-1]), **below)
    axes.annotate(r"$\sigma'(z)=\sigma(z)\,[1-\sigma(z)]$", (z[-1], slope[top]), color=SHRINKS, **below)
    axes.set(xlim=(z[0], z[-1]), ylim=(0, 1.04), xlabel="$z$", yticks=[0, 0.25, 0.5, 0.75, 1])
    return figure


@styled
def slopes_in_use(
    z: np.ndarray,
    slopes: dict[str, np.ndarray],
    start: dict[str, np.ndarray],
    trained: dict[str, np.ndarray],
) -> Figure:
    """Draw the derivatives of activations, and behind each the values of z that networks had.

    Parameters
    ----------
    z : ndarray of shape (N,)
        Where the derivatives were computed, in increasing order.
    slopes : dict of str to ndarray of shape (N,)
        For each activation's name, φ′(z).
    start, trained : dict of str to ndarray of shape (M,)
        For the same names, the inputs z of all units and steps, before and after training.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures, tanh
    >>> z, samples = np.linspace(-4, 4, 81), np.random.default_rng(0).normal(size=1000)
    >>> figure = figures.slopes_in_use(
    ...     z, {"tanh": tanh.derivative(z)}, {"tanh": samples}, {"tanh": 2 * samples})
    >>> figure.axes[0].get_title()
    'tanh'
    """
    if not slopes or not slopes.keys() == start.keys() == trained.keys():
        raise ValueError(
            f"start and trained must have the names {sorted(slopes)}, got "
            f"{sorted(start)} and {sorted(trained)}"
        )
    z = _increasing("z", z)
    edges = np.linspace(z[0], z[-1], 41)
    figure, row = style.panels(list(slopes), 2.6, sharey=True)
    for axes, (name, slope) in zip(row, slopes.items(), strict=True):
        slope = style.numbers(f"slopes[{name!r}]", slope, len(z))
        before, after = (np.histogram(samples[name], edges)[0] for samples in (start, trained))
        if not before.any() or not after.any():
            raise ValueError(f"start and trained must have values of {name!r} between {z[0]} and {z[-1]}")
        before, after = before / before.sum(), after / after.sum()
        height = 0.9 / max(before.max(), after.max())
        axes.stairs(after * height, edges, fill=True, color=FAINT, alpha=0.45, label="trained")
        axes.stairs(before * height, edges, color=INK, linewidth=0.9, label="start")
        axes.plot(z, slope, color=SHRINKS, label=r"slope $\varphi'(z)$")
        axes.set(xlabel="$z$", xlim=(z[0], z[-1]), ylim=(0, 1.04), yticks=[0, 0.25, 0.5, 0.75, 1])
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles[::-1], names[::-1], loc="outside upper center", ncols=3)
    return figure


@styled
def growth_window(w: np.ndarray, low: np.ndarray, high: np.ndarray) -> Figure:
    """Draw the previous states for which one sigmoid unit passes on at least the whole gradient.

    Parameters
    ----------
    w : ndarray of shape (N,)
        Weights, positive and in increasing order.
    low, high : ndarray of shape (N,)
        The ends of the window of previous states at each weight.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> w = np.linspace(4, 30, 14)
    >>> figure = figures.growth_window(w, 0.5 - 1 / w, 0.5 + 1 / w)
    >>> figure.axes[0].get_xlabel()
    'weight $w$'
    """
    w = _increasing("w", w)
    low, high = style.numbers("low", low, len(w)), style.numbers("high", high, len(w))
    if w[0] <= 0:
        raise ValueError(f"w must be positive, got {w[0]!r}")
    if not np.all(low <= high):
        raise ValueError("low must not be above high")
    widest = (high - low).argmax()
    figure, axes = plt.subplots(figsize=(WIDTH, 2.9))
    axes.fill_between([0, w[-1]], 0, 1, color=SHRINKS, alpha=0.12, linewidth=0)
    axes.fill_between(w, low, high, color=GROUND, linewidth=0)
    axes.fill_between(w, low, high, color=GROWS, alpha=0.35, linewidth=0)
    axes.plot(w, low, color=GROWS)
    axes.plot(w, high, color=GROWS)
    at = w[widest]
    style.arrow(axes, (at, low[widest]), (at, high[widest]), INK, 1, arrowstyle="<->")
    axes.text(at + 0.5, 0.5, f"{high[widest] - low[widest]:.2f} wide\nat $w={at:.1f}$", va="center")
    right = {"x": w[-1] - 0.5, "ha": "right", "va": "center"}
    axes.text(y=0.92, s=r"$|w\,\sigma'|<1$: the gradient shrinks", color=SHRINKS, **right)
    axes.text(y=0.5, s=r"$|w\,\sigma'|\geq 1$", color=GROWS, **right)
    axes.set(xlim=(0, w[-1]), ylim=(0, 1), xlabel="weight $w$", ylabel="previous state $h^{(t-1)}$")
    return figure


@styled
def factors_by_scale(scales: np.ndarray, taken: np.ndarray, given: np.ndarray) -> Figure:
    """Draw by size of W_h what φ′ takes of a gradient in one step, what W_h gives, and their product.

    Parameters
    ----------
    scales : ndarray of shape (N,)
        The sizes of W_h, positive.
    taken, given : ndarray of shape (draws, N)
        The factors by which φ′ and W_h change the norm of a gradient in one step, one row per random draw.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> scales = np.array([1.0, 4.0, 16.0])
    >>> figure = figures.factors_by_scale(scales, taken=[0.5 / scales], given=[scales])
    >>> figure.axes[0].get_xscale()
    'log'
    """
    scales = style.numbers("scales", scales, "N", positive=True)
    taken = style.numbers("taken", taken, "draws", len(scales), positive=True)
    given = style.numbers("given", given, *taken.shape, positive=True)
    figure, axes = plt.subplots(figsize=(WIDTH, 3.2))
    for factors, color, label in [
        (given, GROWS, "what\n$W_h$ gives"),
        (taken * given, INK, "together"),
        (taken, SHRINKS, "what $\\varphi'$\nleaves"),
    ]:
        style.curve(axes, scales, factors, color, label)
    style.norm_axis(axes, "factor on a gradient, per step")
    axes.set(xscale="log", xlim=(scales[0], scales[-1]), xlabel="scale $g$ of $W_h$")
    axes.set_xticks([s for s in (1, 2, 4, 8, 16, 32, 64) if scales[0] <= s <= scales[-1]])
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.xaxis.set_minor_locator(plt.NullLocator())
    return figure


def _increasing(name, x):
    x = style.numbers(name, x, "N")
    if len(x) < 2 or not np.all(np.diff(x) > 0):
        raise ValueError(f"{name} must be at least two increasing numbers")
    return x

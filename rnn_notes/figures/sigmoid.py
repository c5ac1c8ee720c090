"""Figures of the lecture on the sigmoid's derivative."""

import matplotlib.pyplot as plt
import numpy as np

from rnn_notes.figures.style import FAINT, GROWS, INK, SHRINKS, WIDTH, styled

DASHES = (0, (4, 3))


@styled
def function_and_slope(z, value, slope):
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
    >>> figure = figures.function_and_slope(z, sigmoid(z), sigmoid.derivative(z))
    >>> figure.axes[0].get_xlabel()
    '$z$'
    """
    z, value, slope = _check_curves(z, value=value, slope=slope)
    top = slope.argmax()
    figure, axes = plt.subplots(figsize=(WIDTH, 2.9))
    axes.plot(z, value, color=INK)
    axes.plot(z, slope, color=SHRINKS, linewidth=2.2)
    axes.fill_between(z, slope, color=SHRINKS, alpha=0.15, linewidth=0)
    axes.axhline(slope[top], color=FAINT, linewidth=0.7, linestyle=DASHES)
    axes.plot(z[top], slope[top], "o", color=SHRINKS, markersize=5)
    axes.annotate(
        r"$\sigma(z)$", (z[-1], value[-1]), xytext=(-4, -5), textcoords="offset points", ha="right", va="top"
    )
    axes.annotate(
        r"$\sigma'(z)=\sigma(z)\,[1-\sigma(z)]$",
        (z[-1], slope[top]),
        xytext=(0, -6),
        textcoords="offset points",
        ha="right",
        va="top",
        color=SHRINKS,
    )
    axes.set(xlim=(z[0], z[-1]), ylim=(0, 1.04), xlabel="$z$", yticks=[0, 0.25, 0.5, 0.75, 1])
    return figure


@styled
def slopes_in_use(z, slopes, start, trained):
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
    z, *curves = _check_curves(z, **{f"slopes[{name!r}]": slope for name, slope in slopes.items()})
    edges = np.linspace(z[0], z[-1], 41)
    figure, row = plt.subplots(1, len(slopes), figsize=(WIDTH, 2.5), sharey=True, squeeze=False)
    for axes, name, slope in zip(row[0], slopes, curves, strict=True):
        before, after = (np.histogram(samples[name], edges)[0] for samples in (start, trained))
        if not before.any() or not after.any():
            raise ValueError(f"start and trained must have values of {name!r} between {z[0]} and {z[-1]}")
        height = 0.9 / max(before.max() / before.sum(), after.max() / after.sum())
        axes.stairs(after / after.sum() * height, edges, fill=True, color=FAINT, alpha=0.45)
        axes.stairs(before / before.sum() * height, edges, color=INK, linewidth=0.9)
        axes.plot(z, slope, color=SHRINKS, linewidth=2.2)
        axes.set(title=name, xlabel="$z$", xlim=(z[0], z[-1]), ylim=(0, 1.04), yticks=[0, 0.25, 0.5, 0.75, 1])
    row[0, 0].set_ylabel(r"slope $\varphi'(z)$", color=SHRINKS)
    return figure


@styled
def growth_window(w, low, high):
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
    w, low, high = _check_curves(w, low=low, high=high)
    if w[0] <= 0:
        raise ValueError(f"w must be positive, got {w[0]!r}")
    if not np.all(low <= high):
        raise ValueError("low must not be above high")
    widest = (high - low).argmax()
    figure, axes = plt.subplots(figsize=(WIDTH, 3.0))
    axes.fill_between([0, w[-1]], 0, 1, color=SHRINKS, alpha=0.12, linewidth=0)
    axes.fill_between(w, low, high, color="white", linewidth=0)
    axes.fill_between(w, low, high, color=GROWS, alpha=0.35, linewidth=0)
    axes.plot(w, low, color=GROWS)
    axes.plot(w, high, color=GROWS)
    axes.annotate(
        "",
        (w[widest], high[widest]),
        (w[widest], low[widest]),
        arrowprops={"arrowstyle": "<->", "color": INK, "shrinkA": 0, "shrinkB": 0},
    )
    label = f"{high[widest] - low[widest]:.2f} wide\nat $w={w[widest]:.1f}$"
    axes.text(w[widest] + 0.5, 0.5, label, va="center")
    right = {"x": w[-1] - 0.5, "ha": "right", "va": "center"}
    axes.text(y=0.92, s=r"$|w\,\sigma'|<1$: the gradient shrinks", color=SHRINKS, **right)
    axes.text(y=0.5, s=r"$|w\,\sigma'|\geq 1$", color=GROWS, **right)
    axes.set(xlim=(0, w[-1]), ylim=(0, 1), xlabel="weight $w$", ylabel="previous state $h^{(t-1)}$")
    return figure


@styled
def tug_of_war(scales, taken, given):
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
    >>> figure = figures.tug_of_war(scales, taken=[0.5 / scales], given=[scales])
    >>> figure.axes[0].get_xscale()
    'log'
    """
    scales, taken, given = np.asarray(scales, float), np.asarray(taken, float), np.asarray(given, float)
    if scales.ndim != 1 or not np.all(scales > 0):
        raise ValueError("scales must be positive numbers, of shape (N,)")
    if taken.ndim != 2 or taken.shape != given.shape or taken.shape[1] != len(scales):
        raise ValueError(
            f"taken and given must have one shape (draws, {len(scales)}), got {taken.shape} and {given.shape}"
        )
    figure, axes = plt.subplots(figsize=(WIDTH, 3.3))
    axes.axhline(1, color=FAINT, linewidth=0.7, linestyle=DASHES)
    curves = [
        (given, GROWS, "what\n$W_h$ gives"),
        (taken * given, INK, "together"),
        (taken, SHRINKS, "what $\\varphi'$\nleaves"),
    ]
    for factors, color, label in curves:
        middle = np.median(factors, axis=0)
        axes.fill_between(
            scales, factors.min(axis=0), factors.max(axis=0), color=color, alpha=0.18, linewidth=0
        )
        axes.plot(scales, middle, color=color, linewidth=2.2 if color == INK else 1.6)
        axes.annotate(
            label,
            (scales[-1], middle[-1]),
            xytext=(6, 0),
            textcoords="offset points",
            color=color,
            va="center",
            annotation_clip=False,
        )
    axes.set(
        xscale="log",
        yscale="log",
        xlim=(scales[0], scales[-1]),
        xlabel="scale $g$ of $W_h$",
        ylabel="factor on a gradient, per step",
    )
    axes.set_xticks([s for s in (1, 2, 4, 8, 16, 32, 64) if scales[0] <= s <= scales[-1]])
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.xaxis.set_minor_locator(plt.NullLocator())
    return figure


def _check_curves(x, **curves):
    """Return x and the curves as arrays; raise unless x increases and each curve has its shape."""
    x = np.asarray(x, float)
    if x.ndim != 1 or len(x) < 2 or not np.all(np.diff(x) > 0):
        raise ValueError(f"{'w' if 'low' in curves else 'z'} must be at least two increasing numbers")
    arrays = [np.asarray(curve, float) for curve in curves.values()]
    for name, array in zip(curves, arrays, strict=True):
        if array.shape != x.shape:
            raise ValueError(f"{name} must have shape {x.shape}, got {array.shape}")
    return x, *arrays

"""Figures of the lecture on where large eigenvalues come from."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Circle

from rnn_notes.figures.style import FAINT, GROWS, INK, SHRINKS, STEADY, WIDTH, norm_curves, styled


@styled
def spectrum_disk(values, radius):
    """Draw eigenvalues in the complex plane, with the unit circle and the circle they are expected to fill.

    Parameters
    ----------
    values : ndarray of shape (n,)
        The eigenvalues, complex; those of several matrices may be joined.
    radius : float
        The radius of the expected circle, such as σ√n.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> figure = figures.spectrum_disk(np.array([3 + 1j, 3 - 1j, 0.5]), radius=4.0)
    >>> figure.axes[0].get_xlabel()
    'real part of $\\\\lambda$'
    """
    values = np.asarray(values, complex)
    if values.ndim != 1 or not values.size:
        raise ValueError(f"values must have shape (n,), got {values.shape}")
    if not radius > 0:
        raise ValueError(f"radius must be positive, got {radius!r}")
    inside = abs(values) <= 1
    figure, axes = plt.subplots(figsize=(WIDTH, 4.1))
    axes.axhline(0, color=FAINT, linewidth=0.5)
    axes.axvline(0, color=FAINT, linewidth=0.5)
    axes.scatter(values.real[~inside], values.imag[~inside], s=9, color=GROWS, linewidth=0)
    axes.scatter(values.real[inside], values.imag[inside], s=13, color=SHRINKS, marker="s", linewidth=0)
    axes.add_patch(Circle((0, 0), 1, fill=False, edgecolor=STEADY, linewidth=1.8))
    axes.add_patch(Circle((0, 0), radius, fill=False, edgecolor=INK, linewidth=1.2, linestyle=(0, (4, 3))))
    bound = 1.18 * max(radius, abs(values).max())
    axes.annotate(
        r"$|\lambda| = 1$",
        (0.72, -0.72),
        xytext=(0.82 * bound, -0.92 * bound),
        color=STEADY,
        va="center",
        arrowprops={"arrowstyle": "-", "color": STEADY, "linewidth": 0.8},
    )
    axes.annotate(
        r"$|\lambda| = \sigma\sqrt{n}$",
        (0.707 * radius, 0.707 * radius),
        xytext=(0.82 * bound, 0.92 * bound),
        color=INK,
        va="center",
        arrowprops={"arrowstyle": "-", "color": INK, "linewidth": 0.8},
    )
    axes.set(
        xlim=(-bound, bound),
        ylim=(-bound, bound),
        aspect="equal",
        xlabel=r"real part of $\lambda$",
        ylabel=r"imaginary part of $\lambda$",
    )
    return figure


@styled
def norms_by_draw(norms, labels):
    """Draw gradient norms by distance as `story` does, for norms that span very many powers of ten.

    Parameters
    ----------
    norms : sequence of ndarray of shape (draws, D + 1)
        For each network, ‖∂h⁽ᵗ⁾/∂h⁽ᵏ⁾‖ at the distances t - k = 0, ..., D, one row per random draw.
    labels : sequence of str
        What to write beside each network's curve.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> rows = np.array([[8.0], [9.0]]) ** np.arange(40)
    >>> figure = figures.norms_by_draw([rows, 1 / rows], ["explodes", "vanishes"])
    >>> bool(1.0 in figure.axes[0].get_yticks())
    True
    """
    figure = norm_curves(norms, labels)
    axes = figure.axes[0]
    low, high = np.log10(axes.get_ylim())
    step = max(1, 10 * round((high - low) / 50))  # so that 10⁰ is among them
    powers = step * np.arange(np.ceil(low / step), np.floor(high / step) + 1)
    axes.set_yticks(10.0**powers)
    axes.minorticks_off()
    axes.set_ylim(10.0**low, 10.0**high)
    return figure


@styled
def growth_by_scale(scales, rates, labels):
    """Draw the growth rate of gradients over the scale of W_h, for several networks.

    Parameters
    ----------
    scales : ndarray of shape (S,)
        The values of σ√n, increasing.
    rates : sequence of ndarray of shape (draws, S)
        For each network the rates per step, one row per random draw. The first network has no activation.
    labels : sequence of str
        What to write beside each network's curve.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> scales = np.array([0.5, 1.0, 2.0])
    >>> rates = np.log(scales) + np.array([[0.0], [0.1]])
    >>> figure = figures.growth_by_scale(scales, [rates, rates - 0.5], ["linear", "tanh"])
    >>> len(figure.axes[0].get_lines())
    3
    """
    scales = np.asarray(scales, float)
    if scales.ndim != 1 or len(scales) < 2 or np.any(np.diff(scales) <= 0):
        raise ValueError(f"scales must be increasing, at least two, got {scales}")
    if len(rates) != len(labels):
        raise ValueError(f"labels must name each of the {len(rates)} networks in rates, got {len(labels)}")
    figure, axes = plt.subplots(figsize=(WIDTH, 3.3))
    axes.axhline(0, color=STEADY, linewidth=1.0)
    dashes = ["-", (0, (5, 2)), "-", (0, (1, 1.5))]
    ends = []
    for number, (rows, label) in enumerate(zip(rates, labels, strict=True)):
        rows = np.asarray(rows, float)
        if rows.ndim != 2 or rows.shape[1] != len(scales):
            raise ValueError(f"rates must have rows of {len(scales)} numbers, got shape {rows.shape}")
        color = SHRINKS if number else GROWS
        middle = np.median(rows, axis=0)
        axes.fill_between(scales, rows.min(axis=0), rows.max(axis=0), color=color, alpha=0.18, linewidth=0)
        axes.plot(scales, middle, color=color, linewidth=2.0, linestyle=dashes[number % 4])
        ends.append((middle[-1], label.replace(", ", ",\n"), color))
        edges = [np.interp(0, row, scales) for row in rows]
        if rows.min() < 0 < rows.max():
            axes.scatter(np.median(edges), 0, s=34, color=STEADY, zorder=3)
    low, high = axes.get_ylim()
    ends.sort(key=lambda end: end[0])
    lowest = ends[0][0] - 0.05 * (high - low) * (len(ends) > 1)
    for value, label, color in ends:  # labels of curves that end close to each other stand apart
        value = max(value, lowest)
        axes.annotate(
            label,
            (scales[-1], value),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=color,
            annotation_clip=False,
        )
        lowest = value + 0.17 * (high - low)
    axes.text(0.03, 0.97, "gradients grow", color=GROWS, transform=axes.transAxes, va="top")
    axes.text(0.97, 0.03, "gradients vanish", color=SHRINKS, transform=axes.transAxes, ha="right")
    axes.set(
        xlim=(scales[0], scales[-1]),
        xlabel=r"scale of the recurrent weights, $\sigma\sqrt{n}$",
        ylabel="growth rate per step",
    )
    return figure


@styled
def transient_growth(norms, limit):
    """Draw the norms of the powers of matrices of spectral radius 1, and the limit for large matrices.

    Parameters
    ----------
    norms : ndarray of shape (draws, D + 1)
        ‖Wᵗ‖₂ for t = 0, ..., D, one row per random draw.
    limit : ndarray of shape (D + 1,)
        The limit at the same powers.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> t = np.arange(6)
    >>> figure = figures.transient_growth(np.tile(1 + t / 6, (3, 1)), limit=np.sqrt(1 + np.e * t))
    >>> figure.axes[0].get_xlabel()
    'power $t$'
    """
    norms, limit = np.asarray(norms, float), np.asarray(limit, float)
    if norms.ndim != 2 or norms.shape[1] < 2:
        raise ValueError(f"norms must have shape (draws, D + 1) with D at least 1, got {norms.shape}")
    if limit.shape != norms.shape[1:]:
        raise ValueError(f"limit must have shape {norms.shape[1:]}, got {limit.shape}")
    power, middle = np.arange(norms.shape[1]), np.median(norms, axis=0)
    figure, axes = plt.subplots(figsize=(WIDTH, 3.0))
    axes.axhline(1, color=STEADY, linewidth=1.6)
    axes.fill_between(power, norms.min(axis=0), norms.max(axis=0), color=GROWS, alpha=0.18, linewidth=0)
    axes.plot(power, middle, color=GROWS, linewidth=2.2)
    axes.plot(power, limit, color=INK, linewidth=1.2, linestyle=(0, (4, 3)))
    ends = [
        (limit[-1], INK, "limit for\nlarge $n$"),
        (middle[-1], GROWS, r"$\Vert W^t\Vert_2$"),
        (1, STEADY, r"$\rho(W)^t$"),
    ]
    for value, color, label in ends:
        axes.annotate(
            label,
            (power[-1], value),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=color,
            annotation_clip=False,
        )
    axes.set(xlim=(0, power[-1]), ylim=(0, None), xlabel="power $t$", ylabel="size of the power")
    return figure

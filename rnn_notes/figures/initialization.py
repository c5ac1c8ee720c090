"""Figures of the lecture on where large eigenvalues come from."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from rnn_notes.figures import style
from rnn_notes.figures.style import DASHED, GROWS, INK, SHRINKS, STEADY, WIDTH, styled


@styled
def spectrum_disk(values: np.ndarray, radius: float) -> Figure:
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
    figure, axes = plt.subplots(figsize=(WIDTH, 3.9))
    bound = 1.18 * max(radius, abs(values).max())
    style.eigenvalue_plane(axes, values, bound)
    axes.add_patch(Circle((0, 0), radius, fill=False, edgecolor=INK, linewidth=1.2, linestyle=DASHED))
    for size, name, color, side in [
        (1, r"$|\lambda| = 1$", STEADY, -1),
        (radius, r"$|\lambda| = \sigma\sqrt{n}$", INK, 1),
    ]:
        axes.annotate(
            name,
            (0.71 * size, side * 0.71 * size),
            xytext=(0.82 * bound, side * 0.92 * bound),
            color=color,
            va="center",
            arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.8},
        )
    return figure


@styled
def growth_by_scale(
    scales: np.ndarray,
    rates: Sequence[np.ndarray],
    labels: Sequence[str],
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Draw the growth rate of gradients over the scale of W_h, for several networks.

    Parameters
    ----------
    scales : ndarray of shape (S,)
        The values of σ√n, increasing.
    rates : sequence of ndarray of shape (draws, S)
        For each network the rates per step, one row per random draw. The first network has no activation.
    labels : sequence of str
        What to write beside each network's curve.
    limits : tuple of two floats, optional
        The smallest and the largest rate that is shown; without them, those drawn.

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
    scales = style.numbers("scales", scales, "S")
    if len(scales) < 2 or np.any(np.diff(scales) <= 0):
        raise ValueError(f"scales must be increasing, at least two, got {scales}")
    style.check_names("labels", labels, rates)
    figure, axes = plt.subplots(figsize=(WIDTH, 3.2))
    axes.axhline(0, color=STEADY, linewidth=1.0)
    for number, (rows, label) in enumerate(zip(rates, labels, strict=True)):
        rows = style.numbers(f"rates of {label!r}", rows, "draws", len(scales))
        line = ["-", DASHED, "-", (0, (1, 1.5))][number % 4]
        color = SHRINKS if number else GROWS
        style.curve(axes, scales, rows, color, label, linestyle=line)
        if rows.min() < 0 < rows.max():
            edges = [np.interp(0, row, scales) for row in rows]
            axes.scatter(np.median(edges), 0, s=34, color=STEADY, zorder=3)
    axes.text(0.03, 0.97, "gradients grow", color=GROWS, transform=axes.transAxes, va="top")
    axes.text(0.97, 0.03, "gradients vanish", color=SHRINKS, transform=axes.transAxes, ha="right")
    axes.set(
        xlim=(scales[0], scales[-1]),
        ylim=limits,
        xlabel=r"scale of the recurrent weights, $\sigma\sqrt{n}$",
        ylabel="growth rate per step",
    )
    return figure


@styled
def transient_growth(norms: np.ndarray, limit: np.ndarray) -> Figure:
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
    norms = style.numbers("norms", norms, "draws", "D + 1")
    limit = style.numbers("limit", limit, norms.shape[1])
    power = np.arange(len(limit))
    figure, axes = plt.subplots(figsize=(WIDTH, 2.9))
    style.curve(axes, power, np.ones(len(limit)), STEADY, r"$\rho(W)^t$")
    style.curve(axes, power, norms, GROWS, r"$\Vert W^t\Vert_2$")
    style.curve(axes, power, limit, INK, "limit for\nlarge $n$", linewidth=1.2, linestyle=DASHED)
    axes.set(xlim=(0, power[-1]), ylim=(0, None), xlabel="power $t$", ylabel="size of the power")
    return figure

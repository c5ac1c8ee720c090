"""Figures of the lecture on eigenvalues."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from rnn_notes.figures import style
from rnn_notes.figures.style import DASHED, FAINT, GROWS, INK, PAPER, SHRINKS, STEADY, WIDTH, styled
from rnn_notes.spectrum import classify


@styled
def singular_values_of_powers(
    values: Sequence[np.ndarray], sizes: Sequence[np.ndarray], labels: Sequence[str]
) -> Figure:
    """Draw singular values of the powers of random matrices, beside the powers of their eigenvalues' sizes.

    Lines are medians of the draws, bands reach from the smallest to the largest; dashed lines are the
    medians of abs(λ)ᵏ. The color says whether all draws vanish, explode, or stay within a factor of ten.

    Parameters
    ----------
    values : sequence of ndarray of shape (draws, t + 1)
        For each rank, the singular value of that rank of A⁰, A¹, ..., Aᵗ, positive, one row per draw.
    sizes : sequence of ndarray of shape (draws,)
        For each rank, the size of the eigenvalue of that rank of A, positive.
    labels : sequence of str
        What to write beside each line.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> rows = np.array([[0.8], [0.7]]) ** np.arange(10)
    >>> figure = figures.singular_values_of_powers([1 / rows, rows], [[1.3, 1.5], [0.8, 0.7]], ["1st", "2nd"])
    >>> figure.axes[0].get_xlabel()
    'power $k$: steps back'
    """
    style.check_names("labels", labels, values)
    style.check_names("sizes", sizes, values)
    draws, powers = np.shape(values[0]) if np.ndim(values[0]) == 2 else ("draws", "t + 1")
    figure, axes = plt.subplots(figsize=(WIDTH, 3.2))
    for rows, size, label in zip(values, sizes, labels, strict=True):
        rows = style.numbers("values", rows, draws, powers, positive=True)
        size = style.numbers("sizes", size, draws, positive=True)
        k, color = np.arange(powers), style.trend(rows[:, -1])
        style.curve(axes, k, rows, color, label)
        limit = np.median(size[:, None] ** k, axis=0)
        axes.plot(k, limit, color=color, linewidth=1, linestyle=DASHED)
    style.norm_axis(axes, "singular values of $W_h^k$")
    axes.set(xlim=(0, k[-1]), xlabel="power $k$: steps back")
    return figure


@styled
def vectors_and_images(vectors: np.ndarray, images: np.ndarray) -> Figure:
    """Draw where a 2×2 matrix sends vectors of the plane.

    Vectors whose image lies on their own line through the origin are the eigenvectors among them: they are
    drawn in color, those that get longer in one, those that get shorter in another.

    Parameters
    ----------
    vectors, images : ndarray of shape (2, n)
        One vector x in each column, and its image A x in the same column.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> figure = figures.vectors_and_images(np.eye(2), np.array([[1.0, 1.0], [1.0, 1.0]]))
    >>> figure.axes[0].get_xlabel()
    '$x_1$'
    """
    vectors = style.numbers("vectors", vectors, 2, "n")
    images = style.numbers("images", images, *vectors.shape)
    figure, axes = plt.subplots(figsize=(WIDTH, 3.1))
    reach = 1.12 * max(abs(vectors).max(), abs(images).max())
    style.plane(axes, reach, xlabel="$x_1$", ylabel="$x_2$")
    for x, y in zip(vectors.T, images.T, strict=True):
        keeps_line = abs(x[0] * y[1] - x[1] * y[0]) < 1e-9 * np.dot(x, x)
        longer = np.linalg.norm(y) > np.linalg.norm(x)
        color = FAINT if not keeps_line else GROWS if longer else SHRINKS
        width, front = (2.0, 5) if keeps_line else (0.9, 3)
        if not np.allclose(x, y):
            style.arrow(axes, x, y, color, width, shrinkA=3, shrinkB=2, zorder=front)
        axes.plot(*x, "o", color=color, markerfacecolor=PAPER, markersize=5.5, zorder=front)
        axes.plot(*y, "o", color=color, markersize=4.5, zorder=front + 1)
    handles = [
        axes.plot([], [], "o", color=FAINT, markerfacecolor=PAPER, label="$x$")[0],
        axes.plot([], [], "o", color=FAINT, label="$Ax$")[0],
        axes.plot([], [], color=GROWS, label="keeps its line,\ngets longer")[0],
        axes.plot([], [], color=SHRINKS, label="keeps its line,\ngets shorter")[0],
    ]
    axes.legend(handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=1.2)
    return figure


@styled
def paths_by_eigenvalue(paths: Sequence[np.ndarray], eigenvalues: Sequence[complex]) -> Figure:
    """Draw the paths x, Ax, A²x, ... of several 2×2 matrices, one panel each, three in a row.

    Parameters
    ----------
    paths : sequence of ndarray of shape (t + 1, 2)
        For each matrix, the points x, Ax, ..., Aᵗx.
    eigenvalues : sequence of float or complex
        For each matrix, the eigenvalue that stands above its panel; a complex one stands for its pair.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> path = 0.5 ** np.arange(9)[:, None] * np.array([1.0, 2.0])
    >>> figure = figures.paths_by_eigenvalue([path, path[::-1], path], [0.5, 2.0, 0.5j])
    >>> [axes.get_title().splitlines()[0] for axes in figure.axes]
    ['decay', 'growth', 'decay, rotation']
    """
    style.check_names("eigenvalues", eigenvalues, paths)
    titles = []
    for eigenvalue in eigenvalues:
        motion = classify(eigenvalue)
        name = motion.size if motion.turn == "none" else f"{motion.size}, {motion.turn}"
        if motion.turn == "rotation":
            size, angle = abs(eigenvalue), abs(np.angle(eigenvalue, deg=True))
            titles.append(f"{name}\n" rf"$|\lambda| = {size:.3g},\ \pm{angle:.0f}^\circ$")
        else:
            titles.append(f"{name}\n" rf"$\lambda = {np.real(eigenvalue):.3g}$")
    figure, grid = style.panels(titles, 1.9, columns=3)
    for axes, path, eigenvalue in zip(grid, paths, eigenvalues, strict=True):
        color, _ = style.eigenvalue_look(eigenvalue)
        path = style.numbers("paths", path, "t + 1", 2)
        style.plane(axes, 1.18 * abs(path).max(), xticks=[], yticks=[])
        axes.plot(*path.T, color=color, linewidth=0.8)
        axes.plot(*path[1:].T, "o", color=color, markersize=3.2)
        axes.plot(*path[0], "o", color=color, markerfacecolor=PAPER, markersize=7, markeredgewidth=1.6)
        axes.title.set_color(color)
        axes.spines[:].set_visible(False)
    return figure


@styled
def powers_of_a_cloud(
    points: np.ndarray, eigenvectors: np.ndarray, eigenvalues: Sequence[float], reach: float
) -> Figure:
    """Draw where a power of a 2×2 matrix has sent a cloud of points, beside the lines of its eigenvectors.

    Parameters
    ----------
    points : ndarray of shape (n, 2)
        The points Aᵏx.
    eigenvectors : ndarray of shape (2, 2)
        One eigenvector in each column, not zero.
    eigenvalues : sequence of two floats
        What A does along them, for their colors.
    reach : float
        How far the axes go to the right; they go half as far up.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> cloud = np.random.default_rng(0).normal(size=(50, 2))
    >>> figure = figures.powers_of_a_cloud(cloud, np.eye(2), [1.1, 0.7], reach=5)
    >>> len(figure.axes[0].get_lines())
    5
    """
    points = style.numbers("points", points, "n", 2)
    eigenvectors = style.numbers("eigenvectors", eigenvectors, 2, 2)
    lengths = np.linalg.norm(eigenvectors, axis=0)
    if not np.all(lengths > 0):
        raise ValueError(f"eigenvectors must have no column of zeros, got {eigenvectors!r}")
    eigenvalues = style.numbers("eigenvalues", eigenvalues, 2)
    figure, axes = plt.subplots(figsize=(WIDTH, 2.6))
    style.plane(axes, reach, xticks=[], yticks=[])
    for vector, value in zip((eigenvectors / lengths).T, eigenvalues, strict=True):
        color, _ = style.eigenvalue_look(value)
        end = 3 * reach * vector
        axes.plot(*zip(-end, end, strict=True), color=color, linewidth=1.2)
    axes.plot(*points.T, "o", color=INK, markersize=2.2, markeredgewidth=0)
    axes.set_ylim(-reach / 2, reach / 2)
    axes.spines[:].set_visible(False)
    return figure


@styled
def eigenvalues_and_norms(
    values: np.ndarray, norms: np.ndarray, reach: float, limits: tuple[float, float]
) -> Figure:
    """Draw the eigenvalues of a matrix in the plane, and beside them the norms of its powers.

    Parameters
    ----------
    values : ndarray of shape (n,)
        The eigenvalues, complex.
    norms : ndarray of shape (t + 1,)
        ‖Aᵏ‖₂ for k = 0, 1, ..., t, positive.
    reach : float
        How far the plane goes to each side.
    limits : tuple of two floats
        The smallest and the largest norm that is shown.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> figure = figures.eigenvalues_and_norms(
    ...     np.array([0.9, 0.5j, -0.5j]), 0.9 ** np.arange(20), reach=1.5, limits=(1e-3, 1e3)
    ... )
    >>> figure.axes[1].get_xlabel()
    'power $k$: steps back'
    """
    values = np.asarray(values, complex)
    if values.ndim != 1 or not values.size:
        raise ValueError(f"values must have shape (n,), got {values.shape}")
    norms = style.numbers("norms", norms, "t + 1", positive=True)
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 2.45), width_ratios=(1, 1.1))
    style.eigenvalue_plane(left, values, reach, size=3)
    k = np.arange(len(norms))
    style.curve(right, k, norms, style.trend(norms[-1:]))
    style.norm_axis(right, r"$\Vert W_h^k\Vert_2$", limits)
    right.set(xlim=(0, k[-1]), xlabel="power $k$: steps back")
    return figure


@styled
def power_iteration_ratios(curves: Sequence[np.ndarray], labels: Sequence[str]) -> Figure:
    """Draw the ratio of successive norms in power iteration, divided by the size of the largest eigenvalue.

    Parameters
    ----------
    curves : sequence of ndarray of shape (steps,)
        For each matrix, ‖Aᵏ⁺¹x‖ / (‖Aᵏx‖ abs(λ₁)) for k = 0, 1, ...; at most two.
    labels : sequence of str
        What to write beside each curve.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> k = np.arange(30)
    >>> figure = figures.power_iteration_ratios([1 + 0.5**k, 1 + 0.3 * np.sin(k)], ["settles", "does not"])
    >>> figure.axes[0].get_xlabel()
    'step $k$'
    """
    style.check_names("labels", labels, curves, most=2)
    figure, axes = plt.subplots(figsize=(WIDTH, 2.8))
    style.guide(axes, 1)
    looks = [(STEADY, "o", 2.0), (INK, "s", 1.0)]
    for values, label, (color, marker, width) in zip(curves, labels, looks, strict=False):
        values = style.numbers("curves", values, "steps")
        k = np.arange(len(values))
        axes.plot(k, values, color=color, linewidth=width, marker=marker, markersize=3.2, label=label)
    axes.set(
        xlim=(-0.5, len(values) - 0.5),
        xlabel="step $k$",
        ylabel=r"$\Vert A^{k+1}x\Vert\,/\,(\Vert A^{k}x\Vert\,|\lambda_1|)$",
    )
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return figure


@styled
def powers_and_jacobians(powers: np.ndarray, at_the_point: np.ndarray, beside_it: np.ndarray) -> Figure:
    """Draw the norms of three products with the same W_h: its powers, and the Jacobians of two tanh runs.

    Parameters
    ----------
    powers, at_the_point, beside_it : ndarray of shape (t + 1,)
        The norm of the product after 0, 1, ..., t steps: of powers of W_h (may become zero), of the Jacobians
        at the fixed point, and of those of a run that starts beside it.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> t = np.arange(21)
    >>> figure = figures.powers_and_jacobians(np.where(t < 2, 16.0**t, 0), 2.0**t, 2.0 ** (8 - abs(t - 8)))
    >>> figure.axes[0].get_yscale()
    'log'
    """
    powers = style.numbers("powers", powers, "t + 1")
    point = style.numbers("at_the_point", at_the_point, len(powers), positive=True)
    beside = style.numbers("beside_it", beside_it, len(powers), positive=True)
    steps = np.arange(len(point))
    last = np.flatnonzero(powers)[-1]
    floor = min(point.min(), beside.min())
    figure, axes = plt.subplots(figsize=(WIDTH, 3.0))
    style.curve(axes, steps, point, GROWS, "tanh, at the\nfixed point")
    style.curve(axes, steps, beside, SHRINKS, "tanh, started\nbeside it", marker="o", markersize=3)
    style.curve(axes, steps[: last + 1], powers[: last + 1], INK, marker="s", markersize=4)
    style.norm_axis(axes, r"norm $\Vert\cdot\Vert_2$ of the product")
    if last < steps[-1]:
        style.arrow(axes, (last, powers[last]), (last + 1, floor), INK)
        axes.text(last + 1.5, floor, f"powers of $W_h$:\n0 from step {last + 1} on", va="bottom")
    axes.set(xlim=(0, steps[-1]), xlabel="number of factors")
    return figure

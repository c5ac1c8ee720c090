"""Figures of the lecture on eigenvalues."""

import matplotlib.pyplot as plt
import numpy as np

from rnn_notes.figures.style import FAINT, GROWS, INK, PAPER, SHRINKS, STEADY, WIDTH, styled
from rnn_notes.spectrum import classify

DASHES = (0, (4, 3))


@styled
def plane_map(vectors, images):
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
    >>> figure = figures.plane_map(np.eye(2), np.array([[1.0, 1.0], [1.0, 1.0]]))
    >>> figure.axes[0].get_xlabel()
    '$x_1$'
    """
    vectors, images = np.asarray(vectors, float), np.asarray(images, float)
    if vectors.ndim != 2 or len(vectors) != 2 or vectors.shape != images.shape:
        shapes = f"{vectors.shape} and {images.shape}"
        raise ValueError(f"vectors and images must have one shape (2, n), got {shapes}")
    figure, axes = plt.subplots(figsize=(WIDTH, 3.7))
    reach = 1.12 * max(abs(vectors).max(), abs(images).max())
    axes.axhline(0, color=FAINT, linewidth=0.5)
    axes.axvline(0, color=FAINT, linewidth=0.5)
    for x, y in zip(vectors.T, images.T, strict=True):
        keeps_line = abs(x[0] * y[1] - x[1] * y[0]) < 1e-9 * np.dot(x, x)
        longer = np.linalg.norm(y) > np.linalg.norm(x)
        color = FAINT if not keeps_line else GROWS if longer else SHRINKS
        width, above = (2.0, 2) if keeps_line else (0.9, 0)
        if not np.allclose(x, y):
            axes.annotate(
                "",
                y,
                x,
                zorder=3 + above,
                arrowprops={
                    "arrowstyle": "-|>",
                    "color": color,
                    "linewidth": width,
                    "shrinkA": 3,
                    "shrinkB": 2,
                    "mutation_scale": 9,
                },
            )
        axes.plot(
            *x, "o", color=color, markerfacecolor=PAPER, markersize=5.5, markeredgewidth=1.2, zorder=3 + above
        )
        axes.plot(*y, "o", color=color, markersize=4.5, zorder=4 + above)
    handles = [
        axes.plot([], [], "o", color=FAINT, markerfacecolor=PAPER, label="$x$")[0],
        axes.plot([], [], "o", color=FAINT, label="$Ax$")[0],
        axes.plot([], [], color=GROWS, linewidth=2.0, label="keeps its line,\ngets longer")[0],
        axes.plot([], [], color=SHRINKS, linewidth=2.0, label="keeps its line,\ngets shorter")[0],
    ]
    axes.legend(handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.set(aspect="equal", xlim=(-reach, reach), ylim=(-reach, reach), xlabel="$x_1$", ylabel="$x_2$")
    return figure


@styled
def motions(paths, eigenvalues):
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
    >>> figure = figures.motions([path, path[::-1], path], [0.5, 2.0, 0.5j])
    >>> [axes.get_title().splitlines()[0] for axes in figure.axes]
    ['decay', 'growth', 'decay, rotation']
    """
    if not len(paths) or len(paths) != len(eigenvalues):
        counts = f"{len(paths)} and {len(eigenvalues)}"
        raise ValueError(f"paths and eigenvalues must be as many, and at least one, got {counts}")
    rows = -(-len(paths) // 3)
    figure, grid = plt.subplots(rows, 3, figsize=(WIDTH, 2.05 * rows), squeeze=False)
    for axes in grid.flat[len(paths) :]:
        axes.remove()
    for axes, path, eigenvalue in zip(grid.flat, paths, eigenvalues, strict=False):
        path = np.asarray(path, float)
        if path.ndim != 2 or path.shape[1] != 2:
            raise ValueError(f"paths must have shape (t + 1, 2), got {path.shape}")
        motion = classify(eigenvalue)
        color = {"growth": GROWS, "decay": SHRINKS, "steady": STEADY}[motion.size]
        reach = 1.18 * abs(path).max()
        axes.axhline(0, color=FAINT, linewidth=0.5)
        axes.axvline(0, color=FAINT, linewidth=0.5)
        axes.plot(*path.T, color=color, linewidth=0.8)
        axes.plot(*path[1:].T, "o", color=color, markersize=3.2)
        axes.plot(*path[0], "o", color=color, markerfacecolor=PAPER, markersize=7, markeredgewidth=1.6)
        if motion.turn == "rotation":
            size, angle = abs(eigenvalue), np.angle(eigenvalue, deg=True)
            value = rf"$|\lambda| = {size:.3g},\ \pm{abs(angle):.0f}^\circ$"
        else:
            value = rf"$\lambda = {np.real(eigenvalue):.3g}$"
        turn = "" if motion.turn == "none" else f", {motion.turn}"
        axes.set(aspect="equal", xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[])
        axes.set_title(f"{motion.size}{turn}\n{value}", size=9.5, color=color)
        axes.spines[:].set_visible(False)
    return figure


@styled
def norm_ratios(curves, labels):
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
    >>> figure = figures.norm_ratios([1 + 0.5**k, 1 + 0.3 * np.sin(k)], ["settles", "does not"])
    >>> figure.axes[0].get_xlabel()
    'step $k$'
    """
    if not 0 < len(curves) <= 2 or len(curves) != len(labels):
        counts = f"{len(curves)} and {len(labels)}"
        raise ValueError(f"curves must be one or two, with as many labels, got {counts}")
    figure, axes = plt.subplots(figsize=(WIDTH, 2.9))
    axes.axhline(1, color=FAINT, linewidth=0.7, linestyle=DASHES)
    looks = [(STEADY, "o", 2.0), (INK, "s", 1.0)]
    for curve, label, (color, marker, width) in zip(curves, labels, looks, strict=False):
        k = np.arange(len(curve))
        axes.plot(k, curve, color=color, linewidth=width, marker=marker, markersize=3.2, label=label)
    axes.set(
        xlim=(-0.5, len(curve) - 0.5),
        xlabel="step $k$",
        ylabel=r"$\Vert A^{k+1}x\Vert\,/\,(\Vert A^{k}x\Vert\,|\lambda_1|)$",
    )
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return figure


@styled
def three_products(powers, at_the_point, beside_it):
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
    >>> figure = figures.three_products(np.where(t < 2, 16.0**t, 0), 2.0**t, 2.0 ** (8 - abs(t - 8)))
    >>> figure.axes[0].get_yscale()
    'log'
    """
    powers, point, beside = (np.asarray(norms, float) for norms in (powers, at_the_point, beside_it))
    if powers.ndim != 1 or len(powers) < 2 or not powers.shape == point.shape == beside.shape:
        raise ValueError(
            "powers, at_the_point and beside_it must have one shape (t + 1,), "
            f"got {powers.shape}, {point.shape} and {beside.shape}"
        )
    steps = np.arange(len(point))
    last = np.flatnonzero(powers)[-1]
    floor = min(point.min(), beside.min())
    figure, axes = plt.subplots(figsize=(WIDTH, 3.2))
    axes.axhline(1, color=FAINT, linewidth=0.7, linestyle=DASHES)
    axes.plot(steps, point, color=GROWS, linewidth=2.2)
    axes.plot(steps, beside, color=SHRINKS, linewidth=2.2, marker="o", markersize=3)
    axes.plot(steps[: last + 1], powers[: last + 1], color=INK, marker="s", markersize=4)
    if last < steps[-1]:
        axes.annotate(
            "",
            (last + 1, floor),
            (last, powers[last]),
            arrowprops={"arrowstyle": "-|>", "color": INK, "linewidth": 1.6, "shrinkA": 0},
        )
        axes.text(last + 1.5, floor, f"powers of $W_h$:\n0 from step {last + 1} on", color=INK, va="bottom")
    for norms, color, label in [
        (point, GROWS, "tanh, at the\nfixed point"),
        (beside, SHRINKS, "tanh, started\nbeside it"),
    ]:
        axes.annotate(
            label,
            (steps[-1], norms[-1]),
            xytext=(6, 0),
            textcoords="offset points",
            color=color,
            va="center",
            annotation_clip=False,
        )
    axes.set(
        yscale="log",
        xlim=(0, steps[-1]),
        xlabel="number of factors",
        ylabel=r"norm $\Vert\cdot\Vert_2$ of the product",
    )
    return figure

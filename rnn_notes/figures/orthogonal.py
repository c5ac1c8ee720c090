"""Figures of the lecture on orthogonal matrices."""

import matplotlib.pyplot as plt
import numpy as np

from rnn_notes.figures.style import FAINT, GROWS, INK, PAPER, SHRINKS, STEADY, WIDTH, styled


@styled
def mirror_image(shape, image, halfway):
    """Draw a shape, its image under a matrix, and the points halfway between the two.

    Parameters
    ----------
    shape, image, halfway : ndarray of shape (2, n)
        One point in each column: the corners of the shape in order, where each of them goes, and the middle
        of each such pair.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> flag = np.array([[0.5, 0.5, 1.2], [0.3, 1.3, 1.0]])
    >>> down = np.array([[1, 0], [0, -1]]) @ flag
    >>> figure = figures.mirror_image(flag, down, (flag + down) / 2)
    >>> len(figure.axes[0].patches)
    2
    """
    shape = _check_points("shape", shape)
    image, halfway = _check_points("image", image, shape), _check_points("halfway", halfway, shape)
    if not halfway.any():
        raise ValueError("halfway must hold a point other than 0: without one there is no mirror")
    figure, axes = plt.subplots(figsize=(WIDTH, 3.4))
    corners = np.concatenate([shape, image, np.zeros((2, 1))], axis=1)
    low, high = corners.min(axis=1), corners.max(axis=1)
    pad = 0.12 * max(high - low)
    axes.set(
        aspect="equal",
        xlabel="$x_1$",
        ylabel="$x_2$",
        xlim=(low[0] - pad, high[0] + pad),
        ylim=(low[1] - pad, high[1] + pad),
    )
    axes.axhline(0, color=FAINT, linewidth=0.5)
    axes.axvline(0, color=FAINT, linewidth=0.5)
    axes.plot(*np.stack([shape, image], axis=1), color=FAINT, linewidth=0.7, linestyle=(0, (2, 2)))
    axes.fill(*shape, facecolor=PAPER, edgecolor=INK, linewidth=1.6)
    axes.fill(*image, facecolor=PAPER, edgecolor=STEADY, linewidth=1.6)
    along = halfway[:, np.argmax(np.linalg.norm(halfway, axis=0))]
    border = np.where(along > 0, high + pad, low - pad)
    end = along * np.min(np.abs(border) / np.maximum(np.abs(along), 1e-12))
    axes.axline((0, 0), end, color=INK, linewidth=1.2, linestyle=(0, (5, 3)))
    axes.plot(*halfway, "o", color=INK, markersize=4)
    far = np.argmax(np.linalg.norm(shape - image, axis=0))
    for point, label, color in [
        (shape[:, far], "the shape", INK),
        (image[:, far], "its image", STEADY),
        (end, "halfway:\nthe mirror", INK),
    ]:
        axes.annotate(
            label,
            point,
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            color=color,
            annotation_clip=False,
        )
    return figure


@styled
def eigenvalue_circles(spectra, titles):
    """Draw sets of eigenvalues in the complex plane, each with the unit circle, side by side.

    Parameters
    ----------
    spectra : sequence of ndarray of shape (n,)
        For each panel the eigenvalues of one matrix, real or complex.
    titles : sequence of str
        What to write above each panel.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> figure = figures.eigenvalue_circles([np.array([1, -1]), np.array([1j, -1j])], ["a", "b"])
    >>> len(figure.axes)
    2
    """
    if not len(spectra) or len(spectra) != len(titles):
        raise ValueError(
            f"titles must name each of the {len(spectra)} sets in spectra, at least one, got {len(titles)}"
        )
    spectra = [np.asarray(values, complex) for values in spectra]
    if any(values.ndim != 1 or not values.size for values in spectra):
        raise ValueError(f"spectra must have shapes (n,), got {[values.shape for values in spectra]}")
    bound = 1.15 * max(1, *(abs(values).max() for values in spectra))
    circle = np.exp(1j * np.linspace(0, 2 * np.pi, 121))
    panels = len(spectra)
    figure, all_axes = plt.subplots(
        1, panels, figsize=(WIDTH, 0.75 + 0.9 * WIDTH / panels), sharey=True, squeeze=False
    )
    for axes, values, title in zip(all_axes[0], spectra, titles, strict=True):
        axes.axhline(0, color=FAINT, linewidth=0.5)
        axes.axvline(0, color=FAINT, linewidth=0.5)
        axes.plot(circle.real, circle.imag, color=FAINT, linewidth=0.9)
        size = np.round(abs(values), 6)  # an eigenvalue on the circle is on it up to rounding
        kinds = [(size < 1, SHRINKS, "v"), (size > 1, GROWS, "^"), (size == 1, STEADY, "o")]
        for chosen, color, mark in kinds:
            axes.plot(
                values[chosen].real,
                values[chosen].imag,
                mark,
                color=color,
                markersize=6 if len(values) < 10 else 4,
            )
        axes.set(
            aspect="equal",
            xlim=(-bound, bound),
            ylim=(-bound, bound),
            xticks=[-1, 0, 1],
            yticks=[-1, 0, 1],
            xlabel=r"real part of $\lambda$",
        )
        axes.set_title(title, pad=8)
    all_axes[0, 0].set_ylabel(r"imaginary part of $\lambda$")
    return figure


@styled
def product_norms(norms, labels):
    """Draw the norms of products by their number of factors, on a logarithmic axis.

    Parameters
    ----------
    norms : sequence of ndarray of shape (T + 1,)
        For each product its norm after 0, ..., T factors, positive.
    labels : sequence of str
        What to write beside each curve.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> figure = figures.product_norms([np.ones(9), 2.0 ** np.arange(9)], ["stays", "doubles"])
    >>> figure.axes[0].get_yscale()
    'log'
    """
    if len(norms) != len(labels):
        raise ValueError(f"labels must name each of the {len(norms)} products in norms, got {len(labels)}")
    norms = [np.asarray(values, float) for values in norms]
    if any(values.ndim != 1 or len(values) < 2 or not np.all(values > 0) for values in norms):
        raise ValueError("norms must hold arrays of shape (T + 1,), T at least 1, of positive numbers")
    figure, axes = plt.subplots(figsize=(WIDTH, 3.0))
    for values, label in zip(norms, labels, strict=True):
        drift = np.log10(values[-1])
        color = STEADY if abs(drift) < 0.5 else GROWS if drift > 0 else SHRINKS
        factors = np.arange(len(values))
        axes.plot(factors, values, color=color)
        axes.annotate(
            label,
            (factors[-1], values[-1]),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            color=color,
            annotation_clip=False,
        )
    axes.set(
        yscale="log",
        xlim=(0, max(map(len, norms)) - 1),
        xlabel="number of factors $t$",
        ylabel=r"norm of the product, $\Vert\cdot\Vert_2$",
    )
    return figure


def _check_points(name, points, like=None):
    points = np.asarray(points, float)
    if points.ndim != 2 or len(points) != 2 or points.shape[1] < 3:
        raise ValueError(f"{name} must have shape (2, n) with n at least 3, got {points.shape}")
    if like is not None and points.shape != like.shape:
        raise ValueError(f"{name} must have the shape of shape, {like.shape}, got {points.shape}")
    return points

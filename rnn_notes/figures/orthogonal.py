"""Figures of the lecture on orthogonal matrices."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from rnn_notes.figures import style
from rnn_notes.figures.style import DASHED, GUIDE, INK, PAPER, STEADY, WIDTH, styled


@styled
def mirror_image(shape: np.ndarray, image: np.ndarray, halfway: np.ndarray) -> Figure:
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
    shape = style.numbers("shape", shape, 2, "n")
    image = style.numbers("image", image, *shape.shape)
    halfway = style.numbers("halfway", halfway, *shape.shape)
    if not halfway.any():
        raise ValueError("halfway must hold a point other than 0: without one there is no mirror")
    figure, axes = plt.subplots(figsize=(WIDTH, 3.3))
    corners = np.concatenate([shape, image, np.zeros((2, 1))], axis=1)
    low, high = corners.min(axis=1), corners.max(axis=1)
    pad = 0.12 * max(high - low)
    style.plane(axes, 1, xlabel="$x_1$", ylabel="$x_2$")
    axes.set(xlim=(low[0] - pad, high[0] + pad), ylim=(low[1] - pad, high[1] + pad))
    axes.plot(*np.stack([shape, image], axis=1), **GUIDE)
    axes.fill(*shape, facecolor=PAPER, edgecolor=INK, linewidth=1.6)
    axes.fill(*image, facecolor=PAPER, edgecolor=STEADY, linewidth=1.6)
    along = halfway[:, np.argmax(np.linalg.norm(halfway, axis=0))]
    border = np.where(along > 0, high + pad, low - pad)
    end = along * np.min(np.abs(border) / np.maximum(np.abs(along), 1e-12))
    axes.axline((0, 0), end, color=INK, linewidth=1.2, linestyle=DASHED)
    axes.plot(*halfway, "o", color=INK, markersize=4)
    far = np.argmax(np.linalg.norm(shape - image, axis=0))
    style.label_end(axes, "the shape", *shape[:, far])
    outside = "top" if image[1, far] < image[1].mean() else "bottom"
    style.label_end(axes, "its image", *image[:, far], STEADY, va=outside)
    style.label_end(axes, "halfway:\nthe mirror", *end)
    return figure


@styled
def spectrum_panels(spectra: Sequence[np.ndarray], titles: Sequence[str]) -> Figure:
    """Draw sets of eigenvalues in the complex plane, each with the unit circle, side by side.

    An eigenvalue inside the circle is blue and points down, one outside is orange and points up; those on the
    circle, up to rounding, are green.

    Parameters
    ----------
    spectra : sequence of ndarray, of any shape
        For each panel eigenvalues, of one matrix or of many, real or complex.
    titles : sequence of str
        What to write above each panel.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> figure = figures.spectrum_panels([np.array([1, -1]), np.array([1j, -1j])], ["a", "b"])
    >>> len(figure.axes)
    2
    """
    style.check_names("titles", titles, spectra)
    spectra = [np.ravel(values).astype(complex) for values in spectra]
    if not all(values.size and np.isfinite(values).all() for values in spectra):
        raise ValueError("spectra must hold finite eigenvalues, at least one for each panel")
    reach = 1.12 * max(1, *(abs(values).max() for values in spectra))
    figure, row = style.panels(titles, 0.75 + 0.9 * WIDTH / len(titles), sharex=True, sharey=True)
    for axes, values in zip(row, spectra, strict=True):
        style.eigenvalue_plane(axes, values, reach, size=7 if len(values) < 10 else 4.5)
        axes.set(xticks=[-1, 0, 1], yticks=[-1, 0, 1])
        axes.label_outer()
    return figure


@styled
def product_norms(norms: Sequence[np.ndarray], labels: Sequence[str]) -> Figure:
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
    style.check_names("labels", labels, norms)
    figure, axes = plt.subplots(figsize=(WIDTH, 2.9))
    for values, label in zip(norms, labels, strict=True):
        values = style.numbers(f"norms of {label!r}", values, "T + 1", positive=True)
        style.curve(axes, np.arange(len(values)), values, style.trend(values[-1]), label)
    style.norm_axis(axes, r"norm of the product, $\Vert\cdot\Vert_2$")
    axes.set(xlim=(0, max(map(len, norms)) - 1), xlabel="number of factors $t$")
    return figure

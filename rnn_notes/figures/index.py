"""The picture of the front page, which other pages draw with their own networks, and the mark."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from rnn_notes.figures import style
from rnn_notes.figures.style import DASHED, MARK, MARK_START, WIDTH, styled


@styled
def norms_by_distance(
    norms: Sequence[np.ndarray],
    labels: Sequence[str],
    *,
    distance: np.ndarray | None = None,
    dashed: Sequence[str] = (),
    of: str = "h",
    by: str | None = None,
    words: bool = False,
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Draw how much of a gradient is left after so many steps back, for several networks.

    Lines are medians of the draws, bands reach from the smallest to the largest. The color says whether all
    draws vanish, explode, or stay within a factor of ten.

    Parameters
    ----------
    norms : sequence of ndarray of shape (draws, D)
        For each network, ‖∂h⁽ᵗ⁾/∂h⁽ᵏ⁾‖ at each distance, positive, one row per random draw.
    labels : sequence of str
        What to write beside each network's curve.
    distance : ndarray of shape (D,), optional
        The distances t - k; without them 0, 1, ..., D - 1.
    dashed : sequence of str
        The labels of the networks whose lines are dashed.
    of, by : str
        The letter of the state that the norms are of, and of the earlier state, if it is another.
    words : bool
        Whether the axes have words in place of formulas.
    limits : tuple of two floats, optional
        The smallest and the largest norm that is shown; without them, those drawn.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> rows = np.array([[0.8], [0.7]]) ** np.arange(10)
    >>> figure = figures.norms_by_distance([rows, 1 / rows], ["vanishes", "explodes"])
    >>> figure.axes[0].get_xlabel()
    'distance $t-k$ in steps'
    """
    style.check_names("labels", labels, norms)
    if not set(dashed) <= set(labels):
        raise ValueError(f"dashed must be among the labels, got {dashed!r}")
    if distance is None:
        distance = np.arange(np.shape(norms[0])[-1])
    distance = style.numbers("distance", distance, "D")
    figure, axes = plt.subplots(figsize=(WIDTH, 3.2))
    for rows, label in zip(norms, labels, strict=True):
        rows = style.numbers(f"norms of {label!r}", rows, "draws", len(distance), positive=True)
        line = DASHED if label in dashed else "-"
        style.curve(axes, distance, rows, style.trend(rows[:, -1]), label, linestyle=line)
    style.norm_axis(axes, "gradient left" if words else style.jacobian(of, by), limits)
    style.distance_axis(axes, distance)
    if words:
        axes.set_xlabel("steps back in time")
    return figure


def mark(size: int = 64) -> str:
    """Return the site's mark as SVG: a gradient on its way back through five steps, smaller at each.

    The areas are those of λᵏ for k = 0, 1, ..., 4, with λ = 0.68².

    Parameters
    ----------
    size : int
        Width and height in pixels.

    Returns
    -------
    str
        An SVG document, legible on light and dark grounds.

    Examples
    --------
    >>> from rnn_notes import figures
    >>> figures.mark().count("<circle")
    5
    """
    radii, gap = 11 * 0.68 ** np.arange(5), 1
    ends = np.cumsum(2 * radii + gap)  # from the loss to the left
    x = (ends[-1] - gap) / 2 - (ends - gap - radii)
    dots = [
        f'<circle cx="{x:.2f}" cy="0" r="{radius:.2f}" fill="{color}"/>'
        for x, radius, color in zip(x, radii, [MARK_START] + 4 * [MARK], strict=True)
    ]
    size_and_view = f'width="{size}" height="{size}" viewBox="-32 -32 64 64"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size_and_view}>{"".join(dots)}</svg>'

"""The picture on the front page, and the mark."""

import numpy as np

from rnn_notes.figures.style import MARK, MARK_START, norm_curves, styled


@styled
def story(norms, labels):
    """Draw gradient norms by distance for several networks, with the spread over their draws.

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
    >>> rows = np.array([[0.8], [0.7]]) ** np.arange(10)
    >>> figure = figures.story([rows, 1 / rows], ["vanishes", "explodes"])
    >>> len(figure.axes)
    1
    """
    return norm_curves(norms, labels)


def mark(size=64):
    """Return the site's mark as SVG: a state that turns and shrinks, step by step, under a 2×2 matrix.

    The dots are Wᵏh for k = 0, 1, ...: a pair of eigenvalues of modulus below one makes a spiral to zero.

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
    12
    """
    angle, modulus = np.deg2rad(40), 0.85
    W_h = modulus * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    h = np.array([0.0, -26.0])
    dots = []
    for k in range(12):
        color = MARK_START if k == 0 else MARK
        radius = 1 + 4.5 * modulus**k
        dots.append(f'<circle cx="{h[0]:.2f}" cy="{h[1]:.2f}" r="{radius:.2f}" fill="{color}"/>')
        h = W_h @ h
    size_and_view = f'width="{size}" height="{size}" viewBox="-32 -32 64 64"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size_and_view}>{"".join(dots)}</svg>'

"""Figures of the lecture on the GRU."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from rnn_notes._checks import check_integer
from rnn_notes.figures import style
from rnn_notes.figures.style import FAINT, INK, PAPER, SHRINKS, STEADY, WIDTH, styled


@styled
def state_shares(shares: np.ndarray, z: np.ndarray) -> Figure:
    """Draw what one unit of a GRU consists of at every step, and its update gate below.

    A state is a weighted mean of the initial state and of all candidates so far. Each has a band as high as
    its weight. What was more than half of the state at some step has a name.

    Parameters
    ----------
    shares : ndarray of shape (T + 1, T + 1)
        ``shares[k, t]`` is the weight in h⁽ᵗ⁾ of the candidate of step k, and of h⁽⁰⁾ for k = 0. Not
        negative, and of sum 1 in each column.
    z : ndarray of shape (T,)
        The update gate at each step, from 0 to 1.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> figure = figures.state_shares(np.array([[1.0, 0.8], [0.0, 0.2]]), z=[0.8])
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['share of $h^{(t)}$', '$z^{(t)}$']
    """
    z = style.numbers("z", z, "T")
    if np.any((z < 0) | (z > 1)):
        raise ValueError("z must be from 0 to 1")
    steps = np.arange(len(z) + 1)
    shares = style.numbers("shares", shares, len(steps), len(steps))
    if np.any(shares < 0) or not np.allclose(shares.sum(axis=0), 1):
        raise ValueError("shares must not be negative, and each column must have the sum 1")
    figure, (above, below) = plt.subplots(
        2, sharex=True, figsize=(WIDTH, 3.2), gridspec_kw={"height_ratios": [3, 1]}
    )
    main = shares.max(axis=1) > 0.5
    top = np.cumsum(shares, axis=0)
    for k in steps:
        color = FAINT if k == 0 else STEADY if main[k] else PAPER
        seen = slice(max(k - 1, 0), None)  # from no height, half a step before the first
        band = steps[seen], top[k, seen] - shares[k, seen], top[k, seen]
        above.fill_between(*band, step="mid", facecolor=color, edgecolor=FAINT, linewidth=0.3)
    for k in np.flatnonzero(main):
        large = np.flatnonzero(shares[k] > 0.5)
        middle = large[len(large) // 2]
        name = f"$n^{{({k})}}$" if k else "$h^{(0)}$"
        look = {"boxstyle": "round,pad=0.2", "facecolor": PAPER, "edgecolor": FAINT, "linewidth": 0.5}
        above.text(middle, top[k, middle] - shares[k, middle] / 2, name, ha="center", va="center", bbox=look)
    above.set(ylabel="share of $h^{(t)}$", ylim=(0, 1), yticks=[0, 0.5, 1])
    below.step(steps[1:], z, where="mid", color=INK, linewidth=1.5)
    below.set(xlabel="step $t$", ylabel="$z^{(t)}$", ylim=(0, 1), yticks=[0, 1], xlim=(0, len(z)))
    return figure


@styled
def unrolled_gru(steps: int = 3) -> Figure:
    """Draw the unrolled GRU and how the gradient returns: directly, and through gates and candidate.

    Parameters
    ----------
    steps : int
        The number of steps that are drawn, at least 2.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from rnn_notes import figures
    >>> figure = figures.unrolled_gru(steps=2)
    >>> len(figure.axes)
    1
    """
    check_integer("steps", steps, 2)
    figure, axes, add, connect = style.graph(1.7, (-0.4, 1.75 * steps + 2.3), (-0.45, 2.05), radius=0.38)
    for t in range(steps + 1):
        h, made = (1.75 * t, 1.2), (1.75 * t - 0.875, 0)
        h_before = (h[0] - 1.75, h[1])
        add(h, f"$h^{{({t})}}$")
        if t == 0:
            continue
        add(made, "$r, z, n$")
        connect(h_before, h, FAINT)
        connect(h_before, made, FAINT)
        connect(made, h, FAINT)
        connect(h, h_before, STEADY, 2.6, bend=0.45)
        axes.text(made[0], 1.7, f"$z^{{({t})}}$", ha="center", va="bottom", color=STEADY)
        connect(h, made, SHRINKS, bend=-0.3)
        connect(made, h_before, SHRINKS, bend=-0.3)
    loss = (h[0] + 1.3, h[1])
    add(loss, f"$L^{{({steps})}}$")
    connect(h, loss, FAINT)
    connect(loss, h, SHRINKS, bend=0.45)
    words = "through gates and\ncandidate: slopes,\n$W_h$, and $1 - z$"
    axes.text(made[0] + 1.05, 0.2, words, va="center", color=SHRINKS)
    return figure

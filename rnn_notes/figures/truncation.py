"""Figures of the lecture on truncation."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from rnn_notes._checks import check_integer
from rnn_notes.figures import style
from rnn_notes.figures.style import DASHED, FAINT, GROWS, INK, SHRINKS, STEADY, WIDTH, styled


@styled
def norms_by_word(words: Sequence[str], norms: Sequence[np.ndarray], labels: Sequence[str]) -> Figure:
    """Draw how much of a gradient reaches one word from the loss at every later word of a sentence.

    Parameters
    ----------
    words : sequence of str
        The words, beginning with the one that the gradient is for.
    norms : sequence of ndarray of shape (draws, words)
        For each network: ‖∂h⁽ᵗ⁾/∂h⁽ᵏ⁾‖ for that word k and each word t, positive.
    labels : sequence of str
        What each network is. Two networks at most.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> norms = np.array([[1.0, 0.5, 0.2], [1.0, 0.4, 0.1]])
    >>> figure = figures.norms_by_word(["boy", "is", "a"], [norms], ["tanh"])
    >>> figure.axes[0].get_yscale()
    'log'
    """
    style.check_names("labels", labels, norms, most=2)
    place = np.arange(len(words))
    figure, axes = plt.subplots(figsize=(WIDTH, 3.0))
    looks = [(INK, {"marker": "o"}), (SHRINKS, {"marker": "s", "linestyle": DASHED})]
    for rows, label, (color, look) in zip(norms, labels, looks, strict=False):
        rows = style.numbers(f"norms of {label!r}", rows, "draws", len(words), positive=True)
        style.curve(axes, place, rows, color, label, markersize=3.6, **look)
    style.norm_axis(axes, style.jacobian())
    axes.set_xticks(place, words, rotation=60, ha="right", rotation_mode="anchor")
    axes.set(xlabel="word $t$ with the loss")
    return figure


@styled
def truncation_schedules(reached: Sequence[np.ndarray], titles: Sequence[str]) -> Figure:
    """Draw which loss reaches which step, one panel for each way to truncate.

    Parameters
    ----------
    reached : sequence of ndarray of bool, of shape (T, T)
        ``reached[n][t - 1, k - 1]``: whether the loss of step t reaches the use of the weights in step k.
    titles : sequence of str
        One for each.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> full = np.tri(4, dtype=bool)
    >>> figure = figures.truncation_schedules([full, full & ~np.tri(4, k=-2, dtype=bool)], ["full", "window"])
    >>> figure.axes[1].get_title()
    'window'
    """
    style.check_names("titles", titles, reached)
    reached = [np.asarray(panel, bool) for panel in reached]
    T = len(reached[0])
    lower = np.tri(T, dtype=bool)
    for panel in reached:
        if panel.shape != (T, T) or np.any(panel & ~lower):
            raise ValueError(f"reached must have shape ({T}, {T}) and only k <= t, got {panel.shape}")
    figure, grid = style.panels(titles, 2.5, columns=2, sharex=True, sharey=True)
    for axes, panel in zip(grid, reached, strict=True):
        squares = [Rectangle((k + 0.56, t + 0.56), 0.88, 0.88) for t, k in np.argwhere(panel)]
        axes.add_collection(PatchCollection(squares, color=STEADY, linewidth=0))
        for t, k in np.argwhere(lower & ~panel) + 1:
            axes.plot(k, t, ".", color=FAINT, markersize=1.8)
        axes.set(aspect="equal", xticks=(1, T), yticks=(1, T), xlim=(0.5, T + 0.5), ylim=(T + 0.5, 0.5))
        axes.set(xlabel="step $k$", ylabel="loss of step $t$")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        axes.label_outer()
    return figure


@styled
def accuracy_by_window(
    accuracy: np.ndarray,
    windows: Sequence[int],
    needed: Sequence[int],
    titles: Sequence[str],
    chance: float,
) -> Figure:
    """Draw accuracy after training against the window, one panel for each distance.

    Parameters
    ----------
    accuracy : ndarray of shape (distances, windows, seeds)
        The share of right answers, from 0 to 1.
    windows : sequence of int
        The windows K.
    needed : sequence of int
        For each distance, the smallest window that reaches the word in question.
    titles : sequence of str
        One for each distance.
    chance : float
        What guessing gets.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> accuracy = np.array([[[0.3, 0.2], [0.9, 1.0]], [[0.2, 0.3], [0.2, 0.2]]])
    >>> figure = figures.accuracy_by_window(accuracy, [2, 4], [4, 8], ["4 steps", "8 steps"], chance=0.25)
    >>> len(figure.axes)
    2
    """
    accuracy = style.numbers("accuracy", accuracy, "distances", "windows", "seeds")
    if not np.all((accuracy >= 0) & (accuracy <= 1)):
        raise ValueError(f"accuracy must be from 0 to 1, got {accuracy!r}")
    distances, count, seeds = accuracy.shape
    windows, needed = style.numbers("windows", windows, count), style.numbers("needed", needed, distances)
    style.check_names("titles", titles, accuracy)
    place, spread = np.arange(count), np.linspace(-0.09, 0.09, seeds)
    figure, row = style.panels(titles, 2.6, sharey=True)
    for axes, rows, reach in zip(row, accuracy, needed, strict=True):
        enough = windows >= reach
        style.guide(axes, chance, "chance" * (axes is row[-1]))
        axes.plot(place, np.median(rows, axis=1), color=INK, linewidth=1)
        for among, color, marker in ((enough, STEADY, "o"), (~enough, SHRINKS, "v")):
            x = (place[among, None] + spread).T
            axes.plot(x, rows[among].T, marker, color=color, alpha=0.75, markersize=4.2, markeredgewidth=0)
        if np.any(enough) and not np.all(enough):
            axes.axvline(place[enough][0] - 0.5, color=FAINT, linewidth=0.7)
        axes.set(ylim=(0, 1.05), xlim=(-0.5, count - 0.5), xlabel="window $K$", ylabel="share of right nouns")
        axes.set_xticks(place, [f"{window:g}" for window in windows])
        axes.label_outer()
    return figure


@styled
def accuracy_at_window(window: int, distance: int, accuracy: np.ndarray, chance: float) -> Figure:
    """Draw which uses of the weights a window reaches, and the accuracy of networks trained with it.

    Parameters
    ----------
    window : int
        K, the steps that the gradient goes back from the loss: it reaches K + 1 uses of the weights.
    distance : int
        How many steps before the loss the word in question came in.
    accuracy : ndarray of shape (seeds,)
        The share of right answers of each network, from 0 to 1.
    chance : float
        What guessing gets.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from rnn_notes import figures
    >>> figure = figures.accuracy_at_window(4, 12, [0.4, 0.6, 0.5], chance=0.25)
    >>> figure.axes[1].get_xlabel()
    'share of right nouns'
    """
    check_integer("window", window, 0)
    check_integer("distance", distance, 1)
    accuracy = style.numbers("accuracy", accuracy, "seeds")
    if not np.all((accuracy >= 0) & (accuracy <= 1)):
        raise ValueError(f"accuracy must be from 0 to 1, got {accuracy!r}")
    figure, (steps, shares) = plt.subplots(2, 1, figsize=(WIDTH, 2.6))
    color, marker = (STEADY, "o") if window >= distance else (SHRINKS, "v")
    for back in range(distance + 1):
        edge = GROWS if back == distance else FAINT
        face = color if back <= window else "none"
        steps.add_patch(Rectangle((-back - 0.42, -0.42), 0.84, 0.84, facecolor=face, edgecolor=edge))
    steps.set(aspect="equal", xlim=(-distance - 0.6, 0.6), ylim=(-0.6, 0.6), yticks=[])
    every = -(-distance // 12)  # more numbers would meet
    numbered = [*range(0, distance - every + 1, every), distance]
    steps.set_xticks([-back for back in numbered], numbered)
    steps.set_xlabel("steps before the loss")
    look = {"textcoords": "offset points", "va": "bottom"}
    steps.annotate("subject", (-distance - 0.42, 0.42), xytext=(0, 3), ha="left", **look)
    steps.annotate("loss", (0.42, 0.42), xytext=(0, 3), ha="right", **look)
    steps.spines[:].set_visible(False)
    steps.tick_params(length=0)
    shares.plot(accuracy, np.arange(len(accuracy)), marker, color=color, markersize=6, clip_on=False)
    shares.axvline(chance, **style.GUIDE)
    shares.annotate("chance", (chance, 1), xycoords=("data", "axes fraction"), ha="center", va="bottom")
    shares.set(xlim=(0, 1), ylim=(-0.8, len(accuracy) - 0.2), yticks=[], xlabel="share of right nouns")
    shares.spines["left"].set_visible(False)
    return figure


@styled
def derivative_by_window(windows: np.ndarray, derivative: np.ndarray, full: float) -> Figure:
    """Draw a derivative against the window of its truncation, where its sign is right and where it is wrong.

    Parameters
    ----------
    windows : ndarray of shape (W,)
        K, rising.
    derivative : ndarray of shape (W,)
        The truncated derivative for each.
    full : float
        The derivative without truncation, not zero.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> figure = figures.derivative_by_window(np.arange(3), np.array([1.0, 0.5, -2.0]), full=-3.0)
    >>> figure.axes[0].get_xlabel()
    'window $K$ in steps'
    """
    windows = style.numbers("windows", windows, "W")
    derivative = style.numbers("derivative", derivative, len(windows))
    if not np.isfinite(full) or full == 0:
        raise ValueError(f"full must be finite and not zero, got {full!r}")
    figure, axes = plt.subplots(figsize=(WIDTH, 2.6))
    axes.axhline(0, color=INK, linewidth=0.7)
    style.guide(axes, full, "full")
    axes.plot(windows, derivative, color=FAINT, linewidth=0.8)
    wrong = derivative * full < 0
    for at, color, marker, label in [(wrong, GROWS, "^", "wrong sign"), (~wrong, STEADY, "o", "right sign")]:
        axes.plot(
            windows[at], derivative[at], marker, color=color, markersize=3.4, markeredgewidth=0, label=label
        )
    axes.legend(loc="upper right")
    axes.set(xlabel="window $K$ in steps", ylabel=r"$\mathrm{d}h_1/\mathrm{d}\theta$, truncated")
    return figure

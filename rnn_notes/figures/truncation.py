"""Figures of the lecture on truncation."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import PatchCollection
from matplotlib.patches import Rectangle

from rnn_notes.figures.style import FAINT, GROWS, INK, SHRINKS, STEADY, WIDTH, styled


@styled
def norm_by_word(words, norms, labels):
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
    >>> figure = figures.norm_by_word(["boy", "is", "a"], [norms], ["tanh"])
    >>> figure.axes[0].get_yscale()
    'log'
    """
    if len(labels) != len(norms) or not 1 <= len(norms) <= 2:
        raise ValueError(f"labels must be as many as norms, 1 or 2, got {len(labels)} and {len(norms)}")
    place = np.arange(len(words))
    figure, axes = plt.subplots(figsize=(WIDTH, 3.1))
    styles = [("o", "solid", INK), ("s", (0, (5, 2)), SHRINKS)]
    for rows, label, (marker, line, color) in zip(norms, labels, styles, strict=False):
        rows = np.asarray(rows, float)
        if rows.ndim != 2 or rows.shape[1] != len(words) or not np.all(rows > 0):
            raise ValueError(f"norms must be positive, of shape (draws, {len(words)}), got {rows.shape}")
        middle = np.median(rows, axis=0)
        axes.fill_between(place, rows.min(axis=0), rows.max(axis=0), color=color, alpha=0.13, linewidth=0)
        axes.plot(place, middle, color=color, linestyle=line, marker=marker, markersize=3.6)
        axes.annotate(
            label,
            (place[-1], middle[-1]),
            xytext=(0, 22),
            textcoords="offset points",
            ha="right",
            color=color,
        )
    axes.axhline(1, color=FAINT, linewidth=0.7)
    axes.set_xticks(place, words, rotation=60, ha="right", rotation_mode="anchor")
    axes.set(
        yscale="log",
        xlabel="word $t$ with the loss",
        ylabel=r"$\Vert\,\partial h^{(t)}\!/\partial h^{(k)}\,\Vert_2$",
    )
    return figure


@styled
def truncation_schedules(reached, titles):
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
    reached = [np.asarray(panel, bool) for panel in reached]
    if len(reached) != len(titles) or not reached:
        raise ValueError(f"titles must be as many as panels, got {len(titles)} for {len(reached)}")
    T = len(reached[0])
    lower = np.tri(T, dtype=bool)
    for panel in reached:
        if panel.shape != (T, T) or np.any(panel & ~lower):
            raise ValueError(f"reached must have shape ({T}, {T}) and only k <= t, got {panel.shape}")
    high, wide = (len(reached) + 1) // 2, min(len(reached), 2)
    figure, panels = plt.subplots(
        high, wide, figsize=(WIDTH, 0.35 + 2.45 * high), sharex=True, sharey=True, squeeze=False
    )
    for axes in panels.flat[len(reached) :]:
        axes.axis("off")
    for axes, panel, title in zip(panels.flat, reached, titles, strict=False):
        squares = [Rectangle((k + 0.56, t + 0.56), 0.88, 0.88) for t, k in np.argwhere(panel)]
        axes.add_collection(PatchCollection(squares, color=STEADY, linewidth=0))
        for t, k in np.argwhere(lower & ~panel) + 1:
            axes.plot(k, t, ".", color=FAINT, markersize=1.8)
        axes.set_title(title)
        axes.set(aspect="equal", xticks=(1, T), yticks=(1, T), xlim=(0.5, T + 0.5), ylim=(T + 0.5, 0.5))
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
    for axes in panels[-1]:
        axes.set_xlabel("step $k$")
    for axes in panels[:, 0]:
        axes.set_ylabel("loss of step $t$")
    return figure


@styled
def accuracy_by_window(accuracy, windows, needed, titles, chance):
    """Draw accuracy after training against the window, one panel for each distance.

    Parameters
    ----------
    accuracy : ndarray of shape (distances, windows, seeds)
        The share of right answers, from 0 to 1.
    windows : sequence of int
        K.
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
    accuracy = np.asarray(accuracy, float)
    if accuracy.ndim != 3 or not np.all((accuracy >= 0) & (accuracy <= 1)):
        raise ValueError("accuracy must be from 0 to 1, of shape (distances, windows, seeds)")
    distances, count, seeds = accuracy.shape
    if len(windows) != count:
        raise ValueError(f"windows must be {count}, got {len(windows)}")
    if not len(needed) == len(titles) == distances:
        raise ValueError(f"needed and titles must be {distances}, got {len(needed)} and {len(titles)}")
    windows, spread = np.asarray(windows, float), np.linspace(-0.09, 0.09, seeds)
    figure, panels = plt.subplots(1, distances, figsize=(WIDTH, 2.7), sharey=True, squeeze=False)
    place = np.arange(count)
    for axes, rows, reach, title in zip(panels[0], accuracy, needed, titles, strict=True):
        enough = windows >= reach
        axes.axhline(chance, color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.plot(place, np.median(rows, axis=1), color=INK, linewidth=1)
        for good, color, marker in ((True, STEADY, "o"), (False, SHRINKS, "v")):
            at = place[enough == good]
            axes.plot(
                (at[:, None] + spread).T,
                rows[enough == good].T,
                marker,
                color=color,
                alpha=0.75,
                markersize=4.2,
                mew=0,
            )
        if np.any(enough) and not np.all(enough):
            axes.axvline(place[enough][0] - 0.5, color=FAINT, linewidth=0.8)
        axes.set_title(title)
        axes.set(ylim=(0, 1.05), xlim=(-0.5, count - 0.5), xlabel="window $K$")
        axes.set_xticks(place, [f"{window:g}" for window in windows])
    panels[0, 0].set_ylabel("share of right nouns")
    panels[0, 0].text(count - 0.55, chance - 0.02, "chance", ha="right", va="top", color=INK, size=9)
    return figure


@styled
def truncated_derivative(windows, derivative, full):
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
    >>> figure = figures.truncated_derivative(np.arange(3), np.array([1.0, 0.5, -2.0]), full=-3.0)
    >>> figure.axes[0].get_xlabel()
    'window $K$ in steps'
    """
    windows, derivative = np.asarray(windows, float), np.asarray(derivative, float)
    if windows.ndim != 1 or windows.shape != derivative.shape or not windows.size:
        raise ValueError(
            f"windows and derivative must have one shape (W,), got {windows.shape} and {derivative.shape}"
        )
    if not np.isfinite(full) or full == 0:
        raise ValueError(f"full must be finite and not zero, got {full!r}")
    figure, axes = plt.subplots(figsize=(WIDTH, 2.7))
    wrong = derivative * full < 0
    axes.axhline(0, color=INK, linewidth=0.7)
    axes.axhline(full, color=FAINT, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.text(windows[0], full, "full derivative", color=INK, va="bottom", size=9.5)
    axes.plot(windows, derivative, color=FAINT, linewidth=0.8)
    for among, color, marker, label in (
        (wrong, GROWS, "^", "wrong sign"),
        (~wrong, STEADY, "o", "right sign"),
    ):
        axes.plot(windows[among], derivative[among], marker, color=color, markersize=3.4, mew=0, label=label)
    axes.legend(loc="upper right")
    axes.set(xlabel="window $K$ in steps", ylabel=r"$\mathrm{d}h_1/\mathrm{d}\theta$, truncated")
    return figure

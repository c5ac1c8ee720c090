"""Figures of the page that runs published results again."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter

from rnn_notes.figures import style
from rnn_notes.figures.style import DASHED, GROWS, GUIDE, INK, SHRINKS, SIZE, STEADY, WIDTH, styled

SOLVED = 0.05  # the share of the baseline below which `rnn_notes.fit` calls a task solved
WORSE = 1.25  # the share above which a run is drawn as worse than the baseline


@styled
def errors_by_gradient(
    gradients: np.ndarray, shares: np.ndarray, labels: Sequence[str], places: Sequence[str]
) -> Figure:
    """Draw the error of every run after training over what its gradient was before.

    Parameters
    ----------
    gradients : ndarray of shape (networks, runs)
        What is left of the gradient at the far end, at the start of training: a ratio of norms, positive.
    shares : ndarray of shape (networks, runs)
        Error after training over the baseline, positive.
    labels : sequence of str
        The names of the networks.
    places : sequence of {"above", "below", "left", "right"}
        On which side of its marks each name stands.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from rnn_notes import figures
    >>> figure = figures.errors_by_gradient([[1e-9, 1e-8]], [[0.05, 1.0]], ["LSTM"], ["right"])
    >>> figure.axes[0].get_ylabel()
    'error after training / baseline'
    """
    gradients = style.numbers("gradients", gradients, "networks", "runs", positive=True)
    shares = style.numbers("shares", shares, len(gradients), gradients.shape[1], positive=True)
    style.check_names("labels", labels, gradients)
    style.check_names("places", places, gradients)
    sides = {
        "above": {"xytext": (0, 6), "ha": "center", "va": "bottom"},
        "below": {"xytext": (0, -6), "ha": "center", "va": "top"},
        "left": {"xytext": (-7, 0), "ha": "right", "va": "center"},
        "right": {"xytext": (7, 0), "ha": "left", "va": "center"},
    }
    if not sides.keys() >= set(places):
        raise ValueError(f"places must be of {sorted(sides)}, got {sorted(set(places) - sides.keys())}")
    figure, axes = plt.subplots(figsize=(WIDTH, 3.1))
    style.guide(axes, 1)
    axes.axvline(1, **GUIDE)
    for x, y, label, place in zip(gradients, shares, labels, places, strict=True):
        for among, color, marker, face in _outcomes(y):
            axes.plot(x[among], y[among], marker, color=color, markerfacecolor=face, markersize=5)
        far = {"above": y.max(), "below": y.min()}.get(place, np.median(y))
        at = {"left": x.min(), "right": x.max()}.get(place, np.exp(np.log(x).mean()))
        axes.annotate(label, (at, far), textcoords="offset points", **sides[place])
    axes.set(xscale="log", yscale="log", ylabel="error after training / baseline")
    axes.set_xlabel("left of the gradient at the first step, before training")
    axes.yaxis.set_major_locator(FixedLocator([0.05, 0.1, 0.3, 1, 3, 10]))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.18, y=0.16)
    return figure


def _outcomes(shares):
    """Return which of these shares are solved, near the baseline, worse; color, marker and face of each."""
    return [
        (shares < SOLVED, STEADY, "o", STEADY),
        ((shares >= SOLVED) & (shares <= WORSE), INK, "o", "none"),
        (shares > WORSE, GROWS, "^", GROWS),
    ]


@styled
def errors_by_network(shares: np.ndarray, labels: Sequence[str], titles: Sequence[str]) -> Figure:
    """Draw the error of every run as a share of the baseline, one row for each network.

    Parameters
    ----------
    shares : ndarray of shape (panels, networks, runs)
        Error after training over the baseline, positive; NaN for a run that diverged, drawn as a cross at the
        right edge.
    labels : sequence of str
        The names of the networks.
    titles : sequence of str
        The titles of the panels.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from rnn_notes import figures
    >>> figure = figures.errors_by_network([[[0.04, 0.05], [1.0, 1.1]]], ["LSTM", "tanh"], ["T = 50"])
    >>> [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    ['LSTM', 'tanh']
    """
    shares = style.numbers("shares", shares, "panels", "networks", "runs", positive=True, nan=True)
    if np.isnan(shares).all():
        raise ValueError("shares must have a run that did not diverge")
    style.check_names("labels", labels, shares[0])
    style.check_names("titles", titles, shares)
    low, high = min(0.02, 0.7 * np.nanmin(shares)), max(2, 2.5 * np.nanmax(shares))
    figure, row = style.panels(titles, 0.75 + 0.33 * len(labels), sharey=True)
    for axes, rows in zip(row, shares, strict=True):
        axes.axvline(1, **GUIDE)
        across = np.linspace(-0.22, 0.22, shares.shape[2]) if shares.shape[2] > 1 else np.zeros(1)
        x, y = np.sort(rows), np.arange(len(labels))[:, None] + across
        for among, color, marker, face in [*_outcomes(x), (np.isnan(x), GROWS, "x", GROWS)]:
            at = np.where(np.isnan(x), high / 1.3, x)[among]
            axes.plot(at, y[among], marker, color=color, markerfacecolor=face, markersize=4)
        axes.set(xscale="log", xlim=(low, high))
        axes.xaxis.set_major_locator(FixedLocator([0.05, 1, 10] if high > 10 else [0.05, 0.3, 1]))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    row[0].set_yticks(range(len(labels)), labels)
    row[0].invert_yaxis()
    figure.supxlabel("error after training / baseline", size=SIZE)
    return figure


@styled
def errors_by_length(
    lengths: np.ndarray, clipped: np.ndarray, unclipped: np.ndarray, chance: float
) -> Figure:
    """Draw the error rates of several runs over the length of the sequences, with and without clipping.

    Parameters
    ----------
    lengths : ndarray of shape (lengths,)
        Lengths.
    clipped, unclipped : ndarray of shape (lengths, runs)
        Error rates after training.
    chance : float
        The error rate of guessing.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from rnn_notes import figures
    >>> figure = figures.errors_by_length([20, 40], [[0, 0.1], [0, 0]], [[0, 0.7], [0.7, 0.8]], chance=0.75)
    >>> figure.axes[0].get_xlabel()
    'length T of the sequences'
    """
    lengths = style.numbers("lengths", lengths, "lengths")
    clipped = style.numbers("clipped", clipped, len(lengths), "runs")
    unclipped = style.numbers("unclipped", unclipped, len(lengths), "runs")
    figure, axes = plt.subplots(figsize=(WIDTH, 2.8))
    style.guide(axes, chance, "guessing")
    places = np.arange(len(lengths))
    for runs, label, shift, color, marker, face in [
        (clipped, "clipped", -0.16, STEADY, "o", STEADY),
        (unclipped, "not clipped", 0.16, GROWS, "^", "none"),
    ]:
        x = places[:, None] + shift + np.linspace(-0.1, 0.1, runs.shape[1])
        look = {"color": color, "markerfacecolor": face, "markersize": 5, "clip_on": False}
        axes.plot(x.ravel(), np.sort(runs).ravel(), marker, label=label, **look)
    axes.set_xticks(places, [f"{length:g}" for length in lengths])
    axes.set(xlabel="length T of the sequences", ylabel="error rate, last 50 updates", ylim=(0, 1))
    axes.legend(loc="upper left", ncols=2, handletextpad=0.2)
    return figure


@styled
def learning_curves(
    updates: np.ndarray, curves: np.ndarray, baseline: float, labels: Sequence[str]
) -> Figure:
    """Draw learning curves: the median of the runs as a line, from the smallest to the largest as a band.

    Parameters
    ----------
    updates : ndarray of shape (points,)
        The numbers of updates.
    curves : ndarray of shape (networks, runs, points)
        Errors, positive.
    baseline : float
        The error of the best constant answer.
    labels : sequence of str
        The names of the networks, at most three.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> figure = figures.learning_curves([100, 200], np.ones((1, 3, 2)), baseline=1.0, labels=["LSTM"])
    >>> figure.axes[0].get_xlabel()
    'updates'
    """
    curves = style.numbers("curves", curves, "networks", "runs", "points", positive=True)
    updates = style.numbers("updates", updates, curves.shape[2])
    style.check_names("labels", labels, curves, most=3)
    figure, axes = plt.subplots(figsize=(WIDTH, 2.8))
    style.guide(axes, baseline, "baseline")
    looks = [
        (SHRINKS, {"linestyle": ":", "marker": "v"}),
        (INK, {"linestyle": DASHED, "marker": "s"}),
        (STEADY, {"linestyle": "-", "marker": "o"}),
    ]
    for runs, (color, look) in zip(curves, looks, strict=False):
        style.curve(axes, updates, runs, color, markersize=4, **look)
    axes.set(xlabel="updates", ylabel="error", yscale="log")
    axes.legend(
        axes.get_lines()[1:], labels, loc="lower center", ncols=3, bbox_to_anchor=(0.5, 1), columnspacing=1.2
    )
    return figure

"""Figures of the page that runs published results again."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import FixedLocator, NullFormatter

from rnn_notes.figures.style import FAINT, GROWS, INK, SHRINKS, STEADY, WIDTH, styled

SOLVED = 0.05  # the share of the baseline below which `rnn_notes.fit` calls a task solved
WORSE = 1.25  # the share above which a run is drawn as worse than the baseline


@styled
def errors_by_network(shares, labels, titles):
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
    shares = _runs("shares", shares, 3, "(panels, networks, runs)")
    if np.any(shares <= 0) or np.isnan(shares).all():
        raise ValueError("shares must be positive")
    if len(labels) != shares.shape[1]:
        raise ValueError(f"labels must name each of the {shares.shape[1]} networks, got {len(labels)}")
    if len(titles) != len(shares):
        raise ValueError(f"titles must name each of the {len(shares)} panels, got {len(titles)}")
    figure, panels = plt.subplots(
        1, len(shares), figsize=(WIDTH, 0.75 + 0.33 * len(labels)), sharey=True, squeeze=False
    )
    low, high = min(0.02, 0.7 * np.nanmin(shares)), max(2, 2.5 * np.nanmax(shares))
    for axes, rows, title in zip(panels[0], shares, titles, strict=True):
        axes.axvline(1, color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)))
        for place, row in enumerate(rows):
            across = place + 0.22 * (np.linspace(-1, 1, len(row)) if len(row) > 1 else np.zeros(1))
            for share, y in zip(np.sort(row), across, strict=True):
                color, marker, face = (
                    (GROWS, "x", GROWS)
                    if np.isnan(share)
                    else (STEADY, "o", STEADY)
                    if share < SOLVED
                    else (GROWS, "^", GROWS)
                    if share > WORSE
                    else (INK, "o", "none")
                )
                x = high / 1.3 if np.isnan(share) else share
                axes.plot(x, y, marker, color=color, markerfacecolor=face, markersize=4)
        axes.set(xscale="log", title=title, xlim=(low, high))
        axes.xaxis.set_major_locator(FixedLocator([0.05, 1, 10] if high > 10 else [0.05, 0.3, 1]))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    panels[0, 0].set_yticks(range(len(labels)), labels)
    panels[0, 0].invert_yaxis()
    figure.supxlabel("error after training / baseline", fontsize=10.5)
    return figure


@styled
def errors_by_length(lengths, clipped, unclipped, chance):
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
    lengths = np.asarray(lengths, float)
    if lengths.ndim != 1 or not lengths.size:
        raise ValueError(f"lengths must have shape (lengths,), got {lengths.shape}")
    both = [
        _runs(name, runs, 2, "(lengths, runs)")
        for name, runs in (("clipped", clipped), ("unclipped", unclipped))
    ]
    for name, runs in zip(("clipped", "unclipped"), both, strict=True):
        if len(runs) != len(lengths):
            raise ValueError(f"{name} must have {len(lengths)} rows, one for each length, got {len(runs)}")
    figure, axes = plt.subplots(figsize=(WIDTH, 2.9))
    axes.axhline(chance, color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.annotate(
        "guessing",
        (1, chance),
        xycoords=("axes fraction", "data"),
        xytext=(3, 0),
        textcoords="offset points",
        color=FAINT,
        va="center",
    )
    places = np.arange(len(lengths))
    looks = (("clipped", -0.16, STEADY, "o", STEADY), ("not clipped", 0.16, GROWS, "^", "none"))
    for runs, (label, shift, color, marker, face) in zip(both, looks, strict=True):
        x = places[:, None] + shift + np.linspace(-0.1, 0.1, runs.shape[1])
        axes.plot(
            x.ravel(),
            np.sort(runs).ravel(),
            marker,
            color=color,
            markerfacecolor=face,
            markersize=5,
            label=label,
            clip_on=False,
        )
    axes.set_xticks(places, [f"{length:g}" for length in lengths])
    axes.set(xlabel="length T of the sequences", ylabel="error rate, last 50 updates", ylim=(0, 1))
    axes.legend(loc="upper left", ncols=2, handletextpad=0.2)
    return figure


@styled
def learning_curves(updates, curves, baseline, labels):
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
    updates = np.asarray(updates, float)
    curves = _runs("curves", curves, 3, "(networks, runs, points)")
    if not np.all(curves > 0):
        raise ValueError("curves must be positive")
    if updates.shape != curves.shape[2:]:
        raise ValueError(f"updates must have shape {curves.shape[2:]}, got {updates.shape}")
    if len(labels) != len(curves) or len(labels) > 3:
        raise ValueError(f"labels must name each of the {len(curves)} networks, at most 3, got {len(labels)}")
    figure, axes = plt.subplots(figsize=(WIDTH, 2.9))
    axes.axhline(baseline, color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.annotate(
        "baseline",
        (0.995, baseline),
        xycoords=("axes fraction", "data"),
        xytext=(0, 7),
        textcoords="offset points",
        color=FAINT,
        ha="right",
    )
    looks = ((SHRINKS, ":", "v"), (INK, "--", "s"), (STEADY, "-", "o"))
    for runs, label, (color, line, marker) in zip(curves, labels, looks, strict=False):
        axes.fill_between(updates, runs.min(axis=0), runs.max(axis=0), color=color, alpha=0.15, linewidth=0)
        middle = np.median(runs, axis=0)
        axes.plot(updates, middle, line, color=color, marker=marker, markersize=4, label=label)
    axes.set(xlabel="updates", ylabel="error", yscale="log")
    axes.legend(loc="upper center", ncols=len(labels), bbox_to_anchor=(0.5, 1.17), columnspacing=1.2)
    return figure


def _runs(name, value, axes, shape):
    value = np.asarray(value, float)
    if value.ndim != axes or not value.size:
        raise ValueError(f"{name} must have shape {shape}, got {value.shape}")
    return value

"""Figures of the page that leads through one case."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from rnn_notes.figures import style
from rnn_notes.figures.style import SHRINKS, STEADY, WIDTH, styled


@styled
def losses_before_and_after(
    before: Sequence[np.ndarray], after: Sequence[np.ndarray], baseline: float, labels: Sequence[str]
) -> Figure:
    """Draw the loss of every run over the updates, of runs that stay at a baseline and of runs that leave it.

    Parameters
    ----------
    before, after : sequence of ndarray of shape (updates,)
        The losses of each run, of any number of updates.
    baseline : float
        The loss of the best answer that is always the same.
    labels : sequence of str
        What to write at the end of the runs before, and after.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from rnn_notes import figures
    >>> labels = ["as drawn", "a tenth"]
    >>> figure = figures.losses_before_and_after([[1.4, 1.4]], [[1.4, 0.1, 0]], baseline=1.39, labels=labels)
    >>> figure.axes[0].get_ylabel()
    'loss'
    """
    style.check_names("labels", labels, ["before", "after"])
    figure, axes = plt.subplots(figsize=(WIDTH, 2.8))
    looks = {"before": (before, SHRINKS), "after": (after, STEADY)}
    for (name, (runs, color)), label in zip(looks.items(), labels, strict=True):
        runs = [style.numbers(f"{name}[{i}]", run, "updates") for i, run in enumerate(runs)]
        if not runs:
            raise ValueError(f"{name} must have at least one run")
        for run in runs:
            axes.plot(np.arange(1, len(run) + 1), run, color=color, linewidth=1.2)
        longest = max(runs, key=len)
        style.label_end(axes, label, len(longest), longest[-1], color)
    style.guide(axes, baseline, "guessing")
    axes.set(xlabel="updates", ylabel="loss", ylim=(0, None))
    axes.set_xlim(left=1)
    return figure

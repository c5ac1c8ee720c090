"""Figures of the lecture on the LSTM."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from rnn_notes._checks import check_integer
from rnn_notes.figures import style
from rnn_notes.figures.style import DASHED, FAINT, INK, SHRINKS, STEADY, WIDTH, styled


@styled
def lstm_step(c_before: float, i: float, f: float, g: float, o: float) -> Figure:
    """Draw one step of one LSTM unit in three chains, keep, write and show, with the unit's numbers.

    Parameters
    ----------
    c_before : float
        The cell before the step.
    i, f, g, o : float
        The gates of the step: i, f and o from 0 to 1, g from -1 to 1.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from rnn_notes import figures
    >>> figure = figures.lstm_step(c_before=1.0, i=0.5, f=0.5, g=0.2, o=0.5)
    >>> len(figure.axes)
    1
    """
    bounds = {"c_before": (-np.inf, np.inf), "i": (0, 1), "f": (0, 1), "g": (-1, 1), "o": (0, 1)}
    for (name, (low, high)), value in zip(bounds.items(), (c_before, i, f, g, o), strict=True):
        if not (np.isscalar(value) and np.isfinite(value) and low <= value <= high):
            raise ValueError(f"{name} must be a finite number from {low} to {high}, got {value!r}")
    c = np.tanh(f * c_before + i * g)
    chains = [
        ("keep", r"$f \odot c^{(t-1)}$", [("$c^{(t-1)}$", c_before), ("$f$", f), ("$f c$", f * c_before)]),
        ("write", r"$i \odot g$", [("$g$", g), ("$i$", i), ("$i g$", i * g)]),
        ("show", r"$o \odot \tanh c^{(t)}$", [(r"$\tanh$", c), ("$o$", o), ("$h^{(t)}$", o * c)]),
    ]
    figure, axes, add, connect = style.graph(3.5, (-3, 4.6), (-4.7, 0.9), radius=0.46)
    for row, (name, formula, chain) in enumerate(chains):
        y = -1.75 * row
        axes.text(-3, y, f"{name}:\n{formula}", va="center")
        before = (1, y - 0.98)  # arrows begin beside the label
        axes.text(1, y - 0.85, "$h^{(t-1)}$", ha="center", va="center")
        for place, (label, value) in enumerate(chain):
            here = (2 * place, y)
            add(here, label)
            if place:
                connect((2 * place - 2, y), here, INK)
            if label in ("$i$", "$f$", "$g$", "$o$"):
                connect(before, here, FAINT)
            number = f"{value:.2f}".replace("-", "\N{MINUS SIGN}")
            axes.text(2 * place, y + 0.5, number, ha="center", va="bottom")
    return figure


@styled
def cell_memory(left: np.ndarray, memory: float) -> Figure:
    """Draw what a cell keeps after so many steps, and a box as long as its memory, of the same area.

    Parameters
    ----------
    left : ndarray of shape (n,)
        The share fⁿ that is left after 0, 1, ... steps, from 0 to 1.
    memory : float
        The length of the memory in steps, positive.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> figure = figures.cell_memory(0.9 ** np.arange(100), memory=10)
    >>> figure.axes[0].get_xlabel()
    'steps'
    """
    left = style.numbers("left", left, "n")
    if not np.all((left >= 0) & (left <= 1)):
        raise ValueError(f"left must be from 0 to 1, got {left!r}")
    if not memory > 0:
        raise ValueError(f"memory must be positive, got {memory!r}")
    figure, axes = plt.subplots(figsize=(WIDTH, 2.6))
    axes.stairs(left, fill=True, color=STEADY, alpha=0.3)
    axes.stairs(left, color=STEADY, linewidth=1.4, baseline=None)
    axes.add_patch(Rectangle((0, 0), memory, 1, fill=False, edgecolor=INK, linewidth=1, linestyle=DASHED))
    axes.set(xlim=(0, len(left)), ylim=(0, 1.08), xlabel="steps", ylabel="share left", yticks=(0, 0.5, 1))
    return figure


@styled
def unrolled_lstm(steps: int = 3) -> Figure:
    """Draw the unrolled LSTM and how the gradient returns: along the cells, and through states and gates.

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
    >>> figure = figures.unrolled_lstm(steps=2)
    >>> len(figure.axes)
    1
    """
    check_integer("steps", steps, 2)
    figure, axes, add, connect = style.graph(2.35, (-0.3, 1.35 * steps + 1.3), (-0.65, 2.05))
    for t in range(steps + 1):
        h, c = (1.35 * t, 0), (1.35 * t, 1.25)
        h_before, c_before = (h[0] - 1.35, 0), (h[0] - 1.35, 1.25)
        add(c, f"$c^{{({t})}}$")
        add(h, f"$h^{{({t})}}$")
        if t == 0:
            continue
        connect(c_before, c, FAINT)
        connect(h_before, c, FAINT, bend=0.12)
        connect(c, h, FAINT, bend=0.22)
        connect(h_before, h, FAINT)
        connect(c, c_before, STEADY, 2.6, bend=0.45)
        axes.text(h[0] - 0.675, 1.67, rf"$f^{{({t})}}$", ha="center", va="bottom", color=STEADY)
        connect(h, c, SHRINKS, bend=0.22)
        connect(c, h_before, SHRINKS, bend=0.12)
        connect(h, h_before, SHRINKS, bend=-0.42)
    loss = (h[0] + 0.95, 0)
    add(loss, f"$L^{{({steps})}}$")
    connect(h, loss, FAINT)
    connect(loss, h, SHRINKS, bend=-0.42)
    axes.text(c[0] + 0.38, 1.25, "the cell path", color=STEADY, va="center")
    axes.text(c[0] + 0.38, 0.62, "through states:\nslopes and $W_h$", color=SHRINKS, va="center")
    return figure

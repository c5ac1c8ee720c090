"""Figures of the lecture on the LSTM."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Circle, FancyArrowPatch

from rnn_notes.figures.style import FAINT, GROWS, INK, PAPER, SHRINKS, STEADY, WIDTH, styled


@styled
def gate_by_gate(c_before, i, f, g, o):
    """Draw one step of one LSTM unit in three pictures, keep, write and show, with the unit's numbers.

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
    >>> figure = figures.gate_by_gate(c_before=1.0, i=0.5, f=0.5, g=0.2, o=0.5)
    >>> [axes.get_title().split(":")[0] for axes in figure.axes]
    ['keep', 'write', 'show']
    """
    for name, value, low in (
        ("c_before", c_before, -np.inf),
        ("i", i, 0),
        ("f", f, 0),
        ("g", g, -1),
        ("o", o, 0),
    ):
        high = np.inf if name == "c_before" else 1
        if not (np.isscalar(value) and np.isfinite(value) and low <= value <= high):
            raise ValueError(f"{name} must be a finite number from {low} to {high}, got {value!r}")
    c = f * c_before + i * g
    kept, written = ("$f c$", f * c_before), ("$i g$", i * g)
    squashed, shown = (r"$\tanh$", np.tanh(c)), ("$h^{(t)}$", o * np.tanh(c))
    pictures = {
        r"keep: $f \odot c^{(t-1)}$": [("$c^{(t-1)}$", c_before), ("$f$", f), kept],
        r"write: $i \odot g$": [("$g$", g), ("$i$", i), written],
        r"show: $o \odot \tanh c^{(t)}$": [squashed, ("$o$", o), shown],
    }
    figure, panels = plt.subplots(1, 3, figsize=(WIDTH, 1.75))
    for axes, (title, chain) in zip(panels, pictures.items(), strict=True):
        axes.set_title(title)
        axes.set(xlim=(-0.5, 2.9), ylim=(-1.75, 0.95), aspect="equal")
        axes.axis("off")
        _node(axes, 1.2, -1.25, "$h^{(t-1)}$", 0.44)
        for place, (label, value) in enumerate(chain):
            x = 1.2 * place
            _node(axes, x, 0, label, 0.44)
            if place:
                _arrow(axes, (x - 1.2, 0), (x, 0), 0.44, INK, 1.5)
            if label in ("$i$", "$f$", "$g$", "$o$"):
                _arrow(axes, (1.2, -1.25), (x, 0), 0.44, FAINT)
            number = f"{value:.2f}".replace("-", "\N{MINUS SIGN}")
            axes.text(x, 0.52, number, ha="center", va="bottom", size=9.5)
    return figure


@styled
def cell_and_state_paths(steps=3):
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
    >>> figure = figures.cell_and_state_paths(steps=2)
    >>> len(figure.axes)
    1
    """
    if steps < 2:
        raise ValueError(f"steps must be at least 2, got {steps!r}")
    figure, axes = plt.subplots(figsize=(WIDTH, 2.45))
    wide = 1.35
    axes.set(xlim=(-0.35, steps * wide + 1.25), ylim=(-0.65, 2.05), aspect="equal")
    axes.axis("off")
    radius, high = 0.27, 1.25
    for t in range(steps + 1):
        x, before = t * wide, (t - 1) * wide
        _node(axes, x, high, f"$c^{{({t})}}$", radius)
        _node(axes, x, 0, f"$h^{{({t})}}$", radius)
        if t == 0:
            continue
        _arrow(axes, (before, high), (x, high), radius, FAINT)
        _arrow(axes, (before, 0), (x, high), radius, FAINT, bend=0.12)
        _arrow(axes, (x, high), (x, 0), radius, FAINT, bend=0.22)
        _arrow(axes, (before, 0), (x, 0), radius, FAINT)
        _arrow(axes, (x, high), (before, high), radius, STEADY, 2.6, bend=0.45)
        axes.text((x + before) / 2, high + 0.42, rf"$f^{{({t})}}$", ha="center", va="bottom", color=STEADY)
        _arrow(axes, (x, 0), (x, high), radius, SHRINKS, 1.5, bend=0.22)
        _arrow(axes, (x, high), (before, 0), radius, SHRINKS, 1.5, bend=0.12)
        _arrow(axes, (x, 0), (before, 0), radius, SHRINKS, 1.5, bend=-0.42)
    end = steps * wide
    loss = (end + 0.95, 0)
    _node(axes, *loss, f"$L^{{({steps})}}$", radius)
    _arrow(axes, (end, 0), loss, radius, FAINT)
    _arrow(axes, loss, (end, 0), radius, SHRINKS, 1.5, bend=-0.42)
    axes.text(end + 0.38, high, "the cell path", color=STEADY, va="center", size=9.5)
    axes.text(
        end + 0.38, 0.62, "through states:\n" + r"slopes and $W_h$", color=SHRINKS, va="center", size=9.5
    )
    return figure


@styled
def gradients_by_distance(norms, distance, plain=()):
    """Draw gradient norms by distance for several networks, with the spread over their draws.

    Parameters
    ----------
    norms : dict of str to ndarray of shape (draws, D)
        For each network ‖∂s⁽ᵗ⁾/∂s⁽ᵏ⁾‖, s its whole state, positive, one row per random draw. The key is
        written beside the curve.
    distance : ndarray of shape (D,)
        The distances t - k.
    plain : sequence of str
        The keys of the plain networks, whose lines are dashed.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import figures
    >>> distance = np.arange(10)
    >>> rows = np.array([[0.8], [0.7]]) ** distance
    >>> figure = figures.gradients_by_distance({"tanh": rows, "LSTM": rows**0}, distance, plain=["tanh"])
    >>> figure.axes[0].get_xlabel()
    'distance $t-k$ in steps'
    """
    distance = np.asarray(distance, float)
    if distance.ndim != 1 or len(distance) < 2:
        raise ValueError(f"distance must have shape (D,) with D at least 2, got {distance.shape}")
    if not set(plain) <= set(norms):
        raise ValueError(f"plain must be keys of norms, got {plain!r}")
    figure, axes = plt.subplots(figsize=(WIDTH, 3.9))
    axes.axhline(1, color=FAINT, linewidth=0.7, linestyle=(0, (4, 3)))
    for label, rows in norms.items():
        rows = np.asarray(rows, float)
        if rows.ndim != 2 or rows.shape[1] != len(distance) or not np.all(rows > 0):
            raise ValueError(f"norms[{label!r}] must be positive, of shape (draws, {len(distance)})")
        middle = np.median(rows, axis=0)
        drift = np.log10(middle[-1])
        color = STEADY if abs(drift) < 1 else GROWS if drift > 0 else SHRINKS
        dashed = label in plain
        axes.fill_between(
            distance,
            rows.min(axis=0),
            rows.max(axis=0),
            color=color,
            linewidth=0,
            alpha=0.07 if dashed else 0.16,
        )
        axes.plot(
            distance,
            middle,
            color=color,
            linewidth=1.4 if dashed else 2.2,
            linestyle=(0, (5, 2)) if dashed else "solid",
        )
        axes.annotate(
            label,
            (distance[-1], middle[-1]),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=color,
            annotation_clip=False,
        )
    axes.set(
        yscale="log",
        xlim=(distance[0], distance[-1]),
        xlabel="distance $t-k$ in steps",
        ylabel=r"$\Vert\,\partial s^{(t)}\!/\partial s^{(k)}\,\Vert_2$",
    )
    axes.minorticks_off()
    return figure


def _node(axes, x, y, label, radius, color=INK):
    axes.add_patch(Circle((x, y), radius, facecolor=PAPER, edgecolor=color, linewidth=0.9, zorder=2))
    axes.text(x, y, label, ha="center", va="center", color=color, zorder=3, size=9.5)


def _arrow(axes, start, end, radius, color, width=0.9, bend=0.0):
    """Draw from the rim of the node at `start` to the rim of the node at `end`."""
    patches = [Circle(center, radius + 0.03, transform=axes.transData) for center in (start, end)]
    axes.add_patch(
        FancyArrowPatch(
            start,
            end,
            patchA=patches[0],
            patchB=patches[1],
            shrinkA=0,
            shrinkB=0,
            color=color,
            linewidth=width,
            arrowstyle="-|>",
            mutation_scale=8,
            connectionstyle=f"arc3,rad={bend}",
        )
    )

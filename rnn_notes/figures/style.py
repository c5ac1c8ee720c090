"""One look for every figure: the face, the sizes, and what each color means."""

from functools import wraps
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import font_manager
from matplotlib.colors import LinearSegmentedColormap

FACE = "Lecture Serif"
FONT = Path(__file__).with_name("LectureSerif-Regular.otf")

# The same thing has the same color on all pages. tests/test_figures.py holds the colors to be legible in the
# light and the dark theme, and different to every kind of color vision.
INK = "#1c2024"  # text, axes, and what is neither
FAINT = "#80868c"  # guides
PAPER = "#f4f2ec"  # the ground of nodes, and the middle of the scale of norms
SHRINKS = "#2a52be"  # vanishing, and what the activation takes
STEADY = "#00733c"  # norms that last
GROWS = "#b84d00"  # exploding, and what W_h gives
MARK, MARK_START = "#4a8fc4", "#d9732b"  # the mark's blue and orange, for light and dark grounds alike
NORMS = LinearSegmentedColormap.from_list("norms", [SHRINKS, PAPER, GROWS])  # log norms around 0

WIDTH = 5.2  # inches; narrow enough that a phone leaves the labels legible

STYLE = {
    "font.family": [FACE, "DejaVu Serif"],
    "mathtext.fontset": "cm",  # as KaTeX on the pages
    "font.size": 10.5,
    "axes.titlesize": 10.5,
    "axes.labelsize": 10.5,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "lines.linewidth": 1.6,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "figure.constrained_layout.use": True,
    "figure.dpi": 144,
    "svg.fonttype": "path",
}


def styled(draw):
    """Return a drawing function that draws in this style, and leaves the reader's own settings alone."""

    @wraps(draw)
    def wrapper(*args, **kwargs):
        if FACE not in font_manager.get_font_names():
            font_manager.fontManager.addfont(FONT)
        plt.draw_if_interactive()  # load the backend before: Jupyter's changes settings, for good
        with plt.rc_context(STYLE):
            figure = draw(*args, **kwargs)
            figure.draw_without_rendering()  # tick labels are made when drawn: make them in this style
        return figure

    return wrapper


def norm_curves(norms, labels):
    """Draw gradient norms by distance for several networks: the median of the draws, and their range."""
    if len(norms) != len(labels):
        raise ValueError(f"labels must name each of the {len(norms)} networks in norms, got {len(labels)}")
    figure, axes = plt.subplots(figsize=(WIDTH, 3.2))
    axes.axhline(1, color=FAINT, linewidth=0.7, linestyle=(0, (4, 3)))
    for rows, label in zip(norms, labels, strict=True):
        rows = np.asarray(rows, float)
        middle = np.median(rows, axis=0)
        drift = np.log10(middle[-1])
        color = STEADY if abs(drift) < 1 else GROWS if drift > 0 else SHRINKS
        distance = np.arange(rows.shape[1])
        axes.fill_between(distance, rows.min(axis=0), rows.max(axis=0), color=color, alpha=0.18, linewidth=0)
        axes.plot(distance, middle, color=color, linewidth=2.2)
        axes.annotate(
            label,
            (distance[-1], middle[-1]),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            color=color,
            annotation_clip=False,
        )
    axes.set(
        yscale="log",
        xlim=(0, distance[-1]),
        xlabel="distance $t-k$ in steps",
        ylabel=r"$\Vert\,\partial h^{(t)}\!/\partial h^{(k)}\,\Vert_2$",
    )
    return figure

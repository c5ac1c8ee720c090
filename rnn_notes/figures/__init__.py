"""The figures of the pages: one module per page, one function per figure, all in one style.

Every function takes numbers that its page computed, and returns a Matplotlib figure. In a script or at a
prompt, show it with ``matplotlib.pyplot.show()`` or keep it with ``figure.savefig("name.svg")``.
"""

# ruff: noqa: F403

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for editors; at run time a figure's module is loaded when the figure is asked for
    from rnn_notes.figures.chain_rule import *
    from rnn_notes.figures.clipping import *
    from rnn_notes.figures.eigenvalues import *
    from rnn_notes.figures.experiments import *
    from rnn_notes.figures.index import *
    from rnn_notes.figures.initialization import *
    from rnn_notes.figures.lstm import *
    from rnn_notes.figures.orthogonal import *
    from rnn_notes.figures.orthogonal_initialization import *
    from rnn_notes.figures.sigmoid import *
    from rnn_notes.figures.truncation import *

FIGURES = {  # the figures of each page, in its order
    "index": ("mark", "story"),
    "chain_rule": ("unrolled_graph", "jacobian_norm_map", "norm_by_distance"),
    "sigmoid": ("function_and_slope", "slopes_in_use", "growth_window", "tug_of_war"),
    "eigenvalues": ("plane_map", "motions", "norm_ratios", "three_products"),
    "initialization": ("spectrum_disk", "norms_by_draw", "growth_by_scale", "transient_growth"),
    "clipping": ("loss_surface", "steps_from_a_wall", "clipped_directions", "error_by_threshold"),
    "orthogonal": ("mirror_image", "eigenvalue_circles", "product_norms"),
    "orthogonal_initialization": (
        "gram_schmidt_steps",
        "entry_histograms",
        "start_grid",
        "eigenvalues_trained",
    ),
    "truncation": ("norm_by_word", "truncation_schedules", "accuracy_by_window", "truncated_derivative"),
    "lstm": ("gate_by_gate", "cell_and_state_paths", "gradients_by_distance"),
    "experiments": ("errors_by_network", "errors_by_length", "learning_curves"),
}
_PAGES = {name: page for page, names in FIGURES.items() for name in names}

__all__ = [*_PAGES]


def __getattr__(name):
    if name == "style" or name in FIGURES:
        return import_module(f"{__name__}.{name}")
    if name not in _PAGES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PAGES[name]}"), name)


def __dir__():
    return sorted({*globals(), *FIGURES, *_PAGES})

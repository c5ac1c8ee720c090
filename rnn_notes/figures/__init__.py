"""The figures of the pages: one module per page, one function per figure, all in one style.

What several pages draw is in the module of the first; a module is loaded when one of its figures is asked
for. Most take numbers that their page computed, and all but `mark` return a Matplotlib figure. In a script or
at a prompt, show it with ``matplotlib.pyplot.show()`` or keep it with ``figure.savefig("name.svg")``.
"""

# ruff: noqa: F403

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for editors, which do not run __getattr__
    from rnn_notes.figures.case import *
    from rnn_notes.figures.chain_rule import *
    from rnn_notes.figures.clipping import *
    from rnn_notes.figures.eigenvalues import *
    from rnn_notes.figures.experiments import *
    from rnn_notes.figures.gru import *
    from rnn_notes.figures.index import *
    from rnn_notes.figures.initialization import *
    from rnn_notes.figures.lstm import *
    from rnn_notes.figures.orthogonal import *
    from rnn_notes.figures.orthogonal_initialization import *
    from rnn_notes.figures.sigmoid import *
    from rnn_notes.figures.truncation import *

FIGURES = {  # module: its figures, in the order of the page
    "index": ("mark", "norms_by_distance"),
    "chain_rule": ("unrolled_graph", "gradient_walk", "jacobian_norm_map", "factors_by_distance"),
    "sigmoid": ("activation_and_slope", "slopes_in_use", "growth_window", "factors_by_scale"),
    "eigenvalues": (
        "singular_values_of_powers",
        "vectors_and_images",
        "paths_by_eigenvalue",
        "powers_of_a_cloud",
        "eigenvalues_and_norms",
        "power_iteration_ratios",
        "powers_and_jacobians",
    ),
    "initialization": ("spectrum_disk", "growth_by_scale", "transient_growth"),
    "clipping": ("loss_surface", "steps_from_a_wall", "clipped_directions", "errors_by_threshold"),
    "orthogonal": ("spectrum_panels", "mirror_image", "product_norms"),
    "orthogonal_initialization": ("gram_schmidt_steps", "entry_histograms", "norms_by_start"),
    "truncation": (
        "norms_by_word",
        "truncation_schedules",
        "accuracy_by_window",
        "accuracy_at_window",
        "derivative_by_window",
    ),
    "lstm": ("lstm_step", "cell_memory", "unrolled_lstm"),
    "gru": ("state_shares", "unrolled_gru"),
    "case": ("losses_before_and_after",),
    "experiments": ("errors_by_gradient", "errors_by_network", "errors_by_length", "learning_curves"),
}
_MODULES = {name: module for module, names in FIGURES.items() for name in names}

__all__ = [*_MODULES]


def __getattr__(name):
    if name == "style" or name in FIGURES:
        return import_module(f"{__name__}.{name}")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__():
    return sorted({*globals(), *FIGURES, *_MODULES})

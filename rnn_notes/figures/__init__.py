"""The figures of the pages: one module per page, one function per figure, all in one style.

Every function takes numbers that its page computed, and returns a Matplotlib figure. In a script or at a
prompt, show it with ``matplotlib.pyplot.show()`` or keep it with ``figure.savefig("name.svg")``.
"""

from rnn_notes.figures.chain_rule import jacobian_norm_map, norm_by_distance, unrolled_graph
from rnn_notes.figures.clipping import clipped_directions, error_by_threshold, loss_surface, steps_from_a_wall
from rnn_notes.figures.eigenvalues import motions, norm_ratios, plane_map, three_products
from rnn_notes.figures.experiments import errors_by_length, errors_by_network, learning_curves
from rnn_notes.figures.index import mark, story
from rnn_notes.figures.initialization import growth_by_scale, norms_by_draw, spectrum_disk, transient_growth
from rnn_notes.figures.lstm import cell_and_state_paths, gate_by_gate, gradients_by_distance
from rnn_notes.figures.orthogonal import eigenvalue_circles, mirror_image, product_norms
from rnn_notes.figures.orthogonal_initialization import (
    eigenvalues_trained,
    entry_histograms,
    gram_schmidt_steps,
    start_grid,
)
from rnn_notes.figures.sigmoid import function_and_slope, growth_window, slopes_in_use, tug_of_war
from rnn_notes.figures.truncation import (
    accuracy_by_window,
    norm_by_word,
    truncated_derivative,
    truncation_schedules,
)

__all__ = [
    "accuracy_by_window",
    "cell_and_state_paths",
    "clipped_directions",
    "eigenvalue_circles",
    "eigenvalues_trained",
    "entry_histograms",
    "error_by_threshold",
    "errors_by_length",
    "errors_by_network",
    "function_and_slope",
    "gate_by_gate",
    "gradients_by_distance",
    "gram_schmidt_steps",
    "growth_by_scale",
    "growth_window",
    "jacobian_norm_map",
    "learning_curves",
    "loss_surface",
    "mark",
    "mirror_image",
    "motions",
    "norm_by_distance",
    "norm_by_word",
    "norm_ratios",
    "norms_by_draw",
    "plane_map",
    "product_norms",
    "slopes_in_use",
    "spectrum_disk",
    "start_grid",
    "steps_from_a_wall",
    "story",
    "three_products",
    "transient_growth",
    "truncated_derivative",
    "truncation_schedules",
    "tug_of_war",
    "unrolled_graph",
]

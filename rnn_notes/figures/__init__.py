"""The figures of the pages: one module per page, one function per figure, all in one style.

Every function takes numbers that its page computed, and returns a Matplotlib figure. In a script or at a
prompt, show it with ``matplotlib.pyplot.show()`` or keep it with ``figure.savefig("name.svg")``.
"""

from rnn_notes.figures.chain_rule import jacobian_norm_map, norm_by_distance, unrolled_graph
from rnn_notes.figures.clipping import (
    clipped_directions,
    error_by_threshold,
    loss_surface,
    steps_from_a_wall,
)
from rnn_notes.figures.index import mark, story

__all__ = [
    "clipped_directions",
    "error_by_threshold",
    "jacobian_norm_map",
    "loss_surface",
    "mark",
    "norm_by_distance",
    "steps_from_a_wall",
    "story",
    "unrolled_graph",
]

"""The figures of the pages: one module per page, one function per figure, all in one style.

Every function takes numbers that its page computed, and returns a Matplotlib figure. In a script or at a
prompt, show it with ``matplotlib.pyplot.show()`` or keep it with ``figure.savefig("name.svg")``.
"""

from rnn_notes.figures.chain_rule import jacobian_norm_map, norm_by_distance, unrolled_graph
from rnn_notes.figures.index import mark, story
from rnn_notes.figures.orthogonal_initialization import (
    eigenvalues_trained,
    entry_histograms,
    gram_schmidt_steps,
    start_grid,
)

__all__ = [
    "eigenvalues_trained",
    "entry_histograms",
    "gram_schmidt_steps",
    "jacobian_norm_map",
    "mark",
    "norm_by_distance",
    "start_grid",
    "story",
    "unrolled_graph",
]

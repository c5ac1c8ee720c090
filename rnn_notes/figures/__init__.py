"""The figures of the pages: one module per page, one function per figure, all in one style.

Every function takes numbers that its page computed, and returns a Matplotlib figure. In a script or at a
prompt, show it with ``matplotlib.pyplot.show()`` or keep it with ``figure.savefig("name.svg")``.
"""

from rnn_notes.figures.chain_rule import jacobian_norm_map, norm_by_distance, unrolled_graph
from rnn_notes.figures.eigenvalues import motions, norm_ratios, plane_map, three_products
from rnn_notes.figures.index import mark, story

__all__ = [
    "jacobian_norm_map",
    "mark",
    "motions",
    "norm_by_distance",
    "norm_ratios",
    "plane_map",
    "story",
    "three_products",
    "unrolled_graph",
]

"""The figures of the pages: one module per page, one function per figure, all in one style.

Every function takes numbers that its page computed, and returns a Matplotlib figure. In a script or at a
prompt, show it with ``matplotlib.pyplot.show()`` or keep it with ``figure.savefig("name.svg")``.
"""

from rnn_notes.figures.chain_rule import jacobian_norm_map, norm_by_distance, unrolled_graph
from rnn_notes.figures.index import mark, story
from rnn_notes.figures.initialization import (
    growth_by_scale,
    norms_by_draw,
    spectrum_disk,
    transient_growth,
)

__all__ = [
    "growth_by_scale",
    "jacobian_norm_map",
    "mark",
    "norm_by_distance",
    "norms_by_draw",
    "spectrum_disk",
    "story",
    "transient_growth",
    "unrolled_graph",
]

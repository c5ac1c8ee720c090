"""Typeset a computed number such as 4e-11 in the text as a formula."""

import re

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform


class PowersOfTen(SphinxPostTransform):
    default_priority = 20  # after MyST-NB has put the computed numbers in

    def run(self, **kwargs):
        for node in list(self.document.findall(nodes.inline)):
            number = re.fullmatch(r"([\d.]+)e([+-]\d+)", node.astext())
            if "pasted-text" in node["classes"] and number:
                mantissa, exponent = number[1], int(number[2])
                tex = f"10^{{{exponent}}}" if mantissa == "1" else rf"{mantissa}\times 10^{{{exponent}}}"
                node.replace_self(nodes.math(tex, tex))


def setup(app):
    app.add_post_transform(PowersOfTen)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""The figures' palette in both themes and to every eye, and their arguments."""

import itertools
import re
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb

matplotlib.use("Agg")

from rnn_notes import figures
from rnn_notes.figures import style

MEANINGS = {"ink": style.INK, "shrinks": style.SHRINKS, "steady": style.STEADY, "grows": style.GROWS}
CSS = (Path(__file__).parent.parent / "docs" / "_static" / "site.css").read_text(encoding="utf-8")
DARK = "#131416"  # Furo's dark ground

# Linear RGB as seen with full protanopia, deuteranopia, tritanopia: Machado, Oliveira, Fernandes,
# "A physiologically-based model for simulation of color vision deficiency", 2009, doi:10.1109/TVCG.2009.113.
EYES = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
               [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
               [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
               [0.004733, 0.691367, 0.303900]],
}


def linear(rgb):
    rgb = np.clip(rgb, 0, 1)
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def luminance(rgb):
    return linear(rgb) @ [0.2126, 0.7152, 0.0722]


def contrast(one, other):
    """Return the contrast ratio of WCAG 2."""
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def in_the_dark(color):
    """Apply the filter of site.css, invert(1) hue-rotate(180deg), with the matrix of the CSS standard."""
    c, s = np.cos(np.pi), np.sin(np.pi)
    luma = np.array([0.213, 0.715, 0.072])
    turn = np.array([[-0.213, -0.715, 0.928], [0.143, 0.140, -0.283], [-0.787, 0.715, 0.072]])
    return np.clip((luma + c * (np.eye(3) - luma) + s * turn) @ (1 - np.array(to_rgb(color))), 0, 1)


def lab(linear_rgb):
    """Return CIE L*a*b* coordinates, in which distances are differences to the eye."""
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    f = np.cbrt(np.maximum(np.array(to_xyz) @ linear_rgb, 0) / [0.9505, 1, 1.089])
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("color", MEANINGS.values(), ids=MEANINGS)
def test_legible_in_both_themes(color):
    assert contrast(to_rgb(color), (1, 1, 1)) >= 4.5
    assert contrast(in_the_dark(color), to_rgb(DARK)) >= 4.5


def test_the_filter_is_the_one_of_the_site():
    assert re.findall(r"filter: (.*?);", CSS) == ["invert(1) hue-rotate(180deg)"] * 2


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("see", [to_rgb, in_the_dark], ids=["light", "dark"])
def test_colors_differ_to_every_eye(eye, see):
    seen = {name: lab(np.clip(EYES[eye] @ linear(see(color)), 0, 1)) for name, color in MEANINGS.items()}
    for one, other in itertools.combinations(seen, 2):
        assert np.linalg.norm(seen[one] - seen[other]) > 15, (one, other)


def test_settings_of_the_reader_stay():
    before = matplotlib.rcParams.copy()
    figures.norm_by_distance([0.5], [1.5])
    assert matplotlib.rcParams == before


@pytest.mark.parametrize("draw, arguments, named", [
    (figures.unrolled_graph, [1], "steps"),
    (figures.jacobian_norm_map, [np.ones((2, 3))], "norms"),
    (figures.jacobian_norm_map, [np.zeros((3, 3))], "norms"),
    (figures.norm_by_distance, [[0.5], [1.5, 1.5]], "taken"),
    (figures.story, [[np.ones((2, 3))], []], "labels"),
])  # fmt: skip
def test_bad_arguments_are_named(draw, arguments, named):
    with pytest.raises(ValueError, match=named):
        draw(*arguments)

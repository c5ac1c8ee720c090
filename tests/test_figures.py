"""The figures' palette in both themes and to every eye, and their arguments."""

import doctest
import inspect
import itertools
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import CSS4_COLORS, to_rgb
from matplotlib.text import Text
from pages import extension

matplotlib.use("Agg")

from rnn_notes import figures
from rnn_notes.figures import style

MEANINGS = {"ink": style.INK, "shrinks": style.SHRINKS, "steady": style.STEADY, "grows": style.GROWS}
CSS_FILE = Path(__file__).parent.parent / "docs" / "_static" / "site.css"
CSS = CSS_FILE.read_text(encoding="utf-8")
DARK = "#131416"  # Furo's dark ground
INVERSION = float(re.search(r"invert\(([\d.]+)\)", CSS)[1])

# Linear RGB as seen with full protanopia, deuteranopia, tritanopia: Machado, Oliveira, Fernandes,
# "A physiologically-based model for simulation of color vision deficiency", 2009, doi:10.1109/TVCG.2009.113.
EYES = {
    "normal": np.eye(3),
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
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
    """Apply the filter of site.css, invert() and hue-rotate(180deg), with the matrix of the CSS standard."""
    rgb = np.array(to_rgb(color))
    inverted = INVERSION * (1 - rgb) + (1 - INVERSION) * rgb
    c, s = np.cos(np.pi), np.sin(np.pi)
    luma = np.array([0.213, 0.715, 0.072])
    turn = np.array([[-0.213, -0.715, 0.928], [0.143, 0.140, -0.283], [-0.787, 0.715, 0.072]])
    return np.clip((luma + c * (np.eye(3) - luma) + s * turn) @ inverted, 0, 1)


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
    assert re.findall(r"filter: (.*?);", CSS) == [f"invert({INVERSION}) hue-rotate(180deg)"] * 2


def test_what_has_the_color_of_the_page_has_it_in_the_dark():
    """That is GROUND; no figure has a white of its own."""
    assert np.abs(in_the_dark(style.GROUND) - to_rgb(DARK)).max() <= 3 / 255
    for module in Path(style.__file__).parent.glob("*.py"):
        white = re.search(r"""["'](white|#fff|#ffffff)["']""", module.read_text(encoding="utf-8"))
        assert not white or module.name == "style.py", module.name


@pytest.mark.parametrize("color", [*MEANINGS.values(), style.GROUND, style.PAPER, style.SAND])
def test_dark_slides_have_the_colors_of_the_dark_theme(color):
    drawn = extension("gallery").darkened(f'<path id="abcdef" style="fill: {color}"/>')
    turned = re.fullmatch(r'<path id="abcdef" style="fill: (#[0-9a-f]{6})"/>', drawn)[1]
    assert np.abs(in_the_dark(color) - to_rgb(turned)).max() < 1 / 255


def test_colors_of_the_site_are_those_of_the_figures():
    """It names each once, as style.py does, and uses no others."""
    named = dict(re.findall(r"--([\w-]+): (#\w+);", CSS))
    assert {"mark", "mark-start", "steady"} <= named.keys()
    assert named == {name: getattr(style, name.upper().replace("-", "_")) for name in named}
    assert re.findall(r"(?<=[ (])#[0-9a-f]{3,8}\b(?=[ ;,)])", CSS) == list(named.values())
    words = {
        word
        for value in re.findall(r":([^;{}]*);", CSS)
        for word in re.findall(r"(?<![\w-])\w+(?![\w(-])", value)
    }
    assert not words & CSS4_COLORS.keys()


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("see", [to_rgb, in_the_dark], ids=["light", "dark"])
def test_colors_differ_to_every_eye(eye, see):
    seen = {name: lab(np.clip(EYES[eye] @ linear(see(color)), 0, 1)) for name, color in MEANINGS.items()}
    for one, other in itertools.combinations(seen, 2):
        assert np.linalg.norm(seen[one] - seen[other]) > 15, (one, other)


@pytest.mark.parametrize(("see", "page"), [(to_rgb, "white"), (in_the_dark, DARK)], ids=["light", "dark"])
def test_no_norm_on_a_map_has_the_color_of_the_page(see, page):
    for share in np.linspace(0, 1, 101):
        assert contrast(see(style.NORMS(share)[:3]), to_rgb(page)) > 1.5


@pytest.mark.parametrize(("see", "page"), [(to_rgb, "white"), (in_the_dark, DARK)], ids=["light", "dark"])
def test_the_valley_of_a_loss_is_outlined_and_no_part_of_the_page(see, page):
    w, b = np.meshgrid(np.linspace(0, 1, 9), np.linspace(0, 1, 9))
    path = np.array([[0.2, 0.2], [0.4, 0.4]])
    axes = figures.steps_from_a_wall(w, b, w * b, path, path + 0.5, ["a", "b"]).axes[0]
    zones, lines = axes.collections[:2]
    outline = see(lines.get_edgecolor()[0][:3])
    low = [see(color[:3]) for color in zones.get_facecolor()[:2]]
    assert np.allclose(lines.levels, zones.levels)
    assert min(contrast(outline, color) for color in low) >= 3
    assert min(contrast(to_rgb(page), color) for color in low) >= 1.15


def test_settings_of_the_reader_stay():
    before = matplotlib.rcParams.copy()
    figures.factors_by_distance([0.5], [1.5])
    assert matplotlib.rcParams == before


@pytest.mark.parametrize("page", figures.FIGURES)
def test_a_page_loads_its_own_figures_alone(page):
    """So that whoever edits one figure runs one page again, and not all."""
    name = figures.FIGURES[page][0]
    code = f"import sys; from rnn_notes.figures import {name}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"rnn_notes\.figures\.(\w+)", loaded)) == {"style", page}


def test_every_figure_is_where_its_page_says():
    """Every public function of a page's module is listed, and no name is taken twice, or by a module."""
    for page, names in figures.FIGURES.items():
        module = import_module(f"rnn_notes.figures.{page}")
        public = {
            name
            for name, value in inspect.getmembers(module, inspect.isfunction)
            if value.__module__ == module.__name__ and not name.startswith("_")
        }
        assert public == set(names)
    taken = [*figures.__all__, *figures.FIGURES, "style"]
    assert len(taken) == len(set(taken))
    assert set(figures.__all__) <= set(dir(figures))


def test_a_figure_that_is_not_there():
    with pytest.raises(AttributeError, match=r"rnn_notes\.figures.*no attribute 'stroy'"):
        figures.stroy  # noqa: B018


ONE, TWO, THREE = np.ones(1), np.ones(2), np.ones(3)
GRID = np.ones((2, 2))
RISING = np.arange(1.0, 4.0)

BAD_ARGUMENTS = {  # figure: (arguments, the name in the error)
    "norms_by_distance": [
        ([[np.ones((2, 3))], []], "labels"),
        ([[THREE], ["a"]], "norms of 'a' must have shape"),
        ([[0 * np.ones((2, 3))], ["a"]], "norms of 'a' must be positive"),
        ([[np.inf * np.ones((2, 3))], ["a"]], "norms of 'a' must be finite"),
        ({"norms": [GRID], "labels": ["a"], "distance": RISING}, "norms of 'a' must have shape"),
        ({"norms": [GRID], "labels": ["a"], "dashed": ["b"]}, "dashed"),
    ],
    "unrolled_graph": [([1], "steps")],
    "gradient_walk": [
        ([GRID, 0, ("a", "b")], "lengths must have shape"),
        ([np.ones(6), 0, ("a", "b")], "lengths must have shape"),
        ([0 * np.ones(5), 0, ("a", "b")], "lengths must be positive"),
        ([np.ones(5), 5, ("a", "b")], "passed must be at most 4"),
        ([np.ones(5), -1, ("a", "b")], "passed"),
        ([np.ones(5), 0, ("a", "b", "c")], "code must be two lines, got"),
        ([np.ones(5), 0, ()], "code must be two lines, got"),
    ],
    "jacobian_norm_map": [([np.ones((2, 3))], "norms"), ([np.zeros((3, 3))], "norms")],
    "factors_by_distance": [([[0.5], [1.5, 1.5]], "given"), ([[-0.5], [1.5]], "taken")],
    "activation_and_slope": [([-RISING, RISING, RISING], "z"), ([RISING, RISING, TWO], "slope")],
    "slopes_in_use": [
        ([RISING, {"tanh": RISING}, {"tanh": TWO}, {}], "trained"),
        ([RISING, {"tanh": RISING}, {"tanh": TWO}, {"tanh": 9 * TWO}], "trained must have values"),
        ([RISING, {"tanh": TWO}, {"tanh": TWO}, {"tanh": TWO}], r"slopes\['tanh'\]"),
    ],
    "growth_window": [
        ([-RISING[::-1], THREE, THREE], "w must be positive"),
        ([RISING[::-1], THREE, THREE], "w must be at least two increasing"),
        ([RISING, THREE, 0 * THREE], "low"),
    ],
    "factors_by_scale": [([0 * RISING, [THREE], [THREE]], "scales"), ([RISING, [THREE], [TWO]], "given")],
    "singular_values_of_powers": [
        ([[GRID], [TWO], []], "labels"),
        ([[GRID], [], ["a"]], "sizes"),
        ([[TWO], [TWO], ["a"]], "values must have shape"),
        ([[GRID, np.ones((2, 3))], [TWO, TWO], ["a", "b"]], "values must have shape"),
        ([[GRID], [THREE], ["a"]], "sizes must have shape"),
        ([[GRID], [0 * TWO], ["a"]], "sizes must be positive"),
    ],
    "vectors_and_images": [
        ([np.ones((3, 2)), np.ones((3, 2))], "vectors"),
        ([GRID, np.ones((2, 3))], "images"),
    ],
    "paths_by_eigenvalue": [([[], []], "eigenvalues"), ([[THREE], [1.0]], "paths")],
    "powers_of_a_cloud": [
        ([THREE, GRID, TWO, 1.0], "points must have shape"),
        ([GRID, THREE, TWO, 1.0], "eigenvectors must have shape"),
        ([GRID, GRID, THREE, 1.0], "eigenvalues must have shape"),
        ([GRID, np.diag([1.0, 0.0]), TWO, 1.0], "eigenvectors must have no column of zeros, got"),
    ],
    "eigenvalues_and_norms": [
        ([GRID, THREE, 1.0, (0.1, 10)], "values must have shape"),
        ([THREE, GRID, 1.0, (0.1, 10)], "norms must have shape"),
        ([THREE, 0 * THREE, 1.0, (0.1, 10)], "norms must be positive"),
    ],
    "power_iteration_ratios": [([[THREE], []], "labels"), ([[GRID], ["a"]], "curves")],
    "powers_and_jacobians": [([THREE, THREE, TWO], "beside_it")],
    "spectrum_disk": [([GRID, 1.0], "values"), ([THREE, 0.0], "radius")],
    "growth_by_scale": [
        ([THREE, [np.ones((2, 3))], ["a"]], "scales"),
        ([RISING, [np.ones((2, 3))], []], "labels"),
        ([RISING, [np.ones((2, 2))], ["a"]], "rates"),
    ],
    "transient_growth": [([THREE, THREE], "norms"), ([np.ones((2, 3)), TWO], "limit")],
    "loss_surface": [([GRID, GRID, GRID, -GRID], "norms"), ([GRID, GRID, np.ones((2, 3)), GRID], "loss")],
    "steps_from_a_wall": [
        ([GRID, GRID, GRID, THREE, [TWO, TWO], ["a", "b"]], "path"),
        ([GRID, GRID, GRID, [TWO, TWO], [TWO, TWO], ["a"]], "labels"),
        ([GRID, GRID, GRID, [TWO, TWO], [TWO], ["a"]], "landings"),
    ],
    "clipped_directions": [([THREE, TWO, TWO, 1.0], "gradient"), ([TWO, TWO, TWO, 0.0], "threshold")],
    "errors_by_threshold": [
        ([["a"], THREE, 0.5], "errors"),
        ([["a"], np.ones((2, 3)), 0.5], "labels"),
        ([["a"], [THREE], 0.5, 1], "control"),
    ],
    "mirror_image": [
        ([np.ones((3, 3)), np.ones((2, 3)), np.ones((2, 3))], "shape"),
        ([np.ones((2, 3)), -np.ones((2, 3)), np.zeros((2, 3))], "halfway"),
    ],
    "spectrum_panels": [
        ([[TWO], []], "titles"),
        ([[[]], ["a"]], "spectra"),
        ([[[np.nan]], ["a"]], "spectra"),
    ],
    "product_norms": [([[THREE], []], "labels"), ([[0 * THREE], ["a"]], "norms")],
    "gram_schmidt_steps": [
        ([THREE, TWO, GRID], "A"),
        ([GRID, [np.nan, 1], GRID], "along"),
        ([GRID, TWO, TWO], "Q"),
    ],
    "entry_histograms": [
        ([GRID, TWO, TWO, TWO], "raw"),
        ([TWO, 2 * TWO, TWO, TWO], "fixed"),
        ([TWO, TWO, TWO, THREE], "density"),
    ],
    "norms_by_start": [([{}, [0, 10]], "norms"), ([{"a": {"b": GRID}}, [0, 10, 20]], "norms")],
    "norms_by_word": [([["a"], [np.ones((2, 3))], ["b"]], "norms"), ([["a"], [GRID], []], "labels")],
    "truncation_schedules": [([[GRID], ["a"]], "reached"), ([[], []], "titles")],
    "accuracy_by_window": [
        ([2 * np.ones((1, 2, 3)), [1, 2], [1], ["a"], 0.5], "accuracy must be from 0 to 1, got"),
        ([np.ones((1, 2, 3)), [1], [1], ["a"], 0.5], "windows"),
        ([np.ones((1, 2, 3)), [1, 2], [], ["a"], 0.5], "needed"),
        ([np.ones((1, 2, 3)), [1, 2], [1], [], 0.5], "titles"),
    ],
    "accuracy_at_window": [
        ([-1, 12, THREE / 9, 0.25], "window"),
        ([1, 0, THREE / 9, 0.25], "distance"),
        ([1, 12, GRID, 0.25], "accuracy must have shape"),
        ([1, 12, [2.0], 0.25], "accuracy must be from 0 to 1, got"),
    ],
    "derivative_by_window": [([THREE, TWO, 1.0], "derivative"), ([THREE, THREE, 0.0], "full")],
    "lstm_step": [
        ([np.nan, 0.5, 0.5, 0.5, 0.5], "c_before"),
        ([1.0, 0.5, 1.5, 0.5, 0.5], "f"),
        ([1.0, 0.5, 0.5, -2.0, 0.5], "g"),
    ],
    "cell_memory": [
        ([GRID, 1.0], "left must have shape"),
        ([[1.5], 1.0], "left must be from 0 to 1"),
        ([[0.5], 0.0], "memory must be positive"),
    ],
    "unrolled_lstm": [([1], "steps")],
    "state_shares": [
        ([np.eye(2), [1.5]], "z must be from 0 to 1"),
        ([GRID, [0.5, 0.5]], "shares must have shape"),
        ([2 * np.eye(2), [0.5]], "shares must not be negative"),
        ([[[1.0, 1.5], [0.0, -0.5]], [0.5]], "shares must not be negative"),
    ],
    "unrolled_gru": [([1], "steps")],
    "losses_before_and_after": [
        ([[TWO], [THREE], 1.0, ["a"]], "labels"),
        ([[], [TWO], 1.0, ["a", "b"]], "before must have at least one run"),
        ([[TWO], [GRID], 1.0, ["a", "b"]], r"after\[0\] must have shape"),
    ],
    "errors_by_gradient": [
        ([[TWO], [THREE], ["a"], ["left"]], "shares must have shape"),
        ([[0 * TWO], [TWO], ["a"], ["left"]], "gradients must be positive"),
        ([[TWO], [-TWO], ["a"], ["left"]], "shares must be positive"),
        ([[TWO], [TWO], [], ["left"]], "labels"),
        ([[TWO], [TWO], ["a"], []], "places must name"),
        ([[TWO], [TWO], ["a"], ["beside"]], "places must be of"),
    ],
    "errors_by_network": [
        ([GRID, ["a"], ["b"]], "shares must have shape"),
        ([[0 * GRID], ["a", "b"], ["c"]], "shares must be positive"),
        ([[GRID], ["a"], ["c"]], "labels"),
        ([[GRID], ["a", "b"], []], "titles"),
    ],
    "errors_by_length": [
        ([[], GRID, GRID, 0.5], "lengths"),
        ([TWO, TWO, GRID, 0.5], "clipped must have shape"),
        ([TWO, GRID, np.ones((3, 2)), 0.5], "unclipped must have shape"),
    ],
    "learning_curves": [
        ([TWO, GRID, 1.0, ["a"]], "curves must have shape"),
        ([TWO, [-GRID], 1.0, ["a"]], "curves must be positive"),
        ([THREE, [GRID], 1.0, ["a"]], "updates"),
        ([TWO, [GRID], 1.0, []], "labels"),
    ],
}


@pytest.mark.parametrize(
    ("draw", "arguments", "named"),
    [(draw, *case) for draw, cases in BAD_ARGUMENTS.items() for case in cases],
)
def test_bad_arguments_are_named(draw, arguments, named):
    draw = getattr(figures, draw)
    with pytest.raises(ValueError, match=named):
        draw(**arguments) if isinstance(arguments, dict) else draw(*arguments)


def test_every_figure_is_asked_for_bad_arguments():
    assert set(figures.__all__) - {"mark"} == set(BAD_ARGUMENTS)


def example(name):
    """Return the figure of the example in a docstring."""
    found = doctest.DocTestFinder().find(getattr(figures, name), globs={})[0]
    exec("".join(line.source for line in found.examples), found.globs)
    return found.globs["figure"]


@pytest.mark.parametrize("name", sorted(BAD_ARGUMENTS))
def test_text_is_legible_on_a_phone(name):
    """On a screen of 390 px a figure is 358 px wide, and exponents, which are 0.7 of the text, 8 px high."""
    figure = example(name)
    assert figure.get_figwidth() == style.WIDTH
    for text in figure.findobj(Text):
        assert text.get_size() * 358 / (72 * style.WIDTH) >= 8 / 0.7, text


@pytest.mark.parametrize("name", sorted(BAD_ARGUMENTS))
def test_words_are_inside_the_picture(name):
    """All but the numbers of the axes, some of which are kept beyond the ends and not drawn."""
    figure = example(name)
    figure.draw_without_rendering()
    sides = [getattr(axes, f"{side}axis", None) for axes in figure.axes for side in "xyz"]
    numbers = {label for axis in filter(None, sides) for label in axis.get_majorticklabels()}
    for text in set(figure.findobj(Text)) - numbers:
        if text.get_text().strip():
            box = text.get_window_extent()
            assert box.x0 > -2 and box.x1 < figure.bbox.width + 2, text
            assert box.y0 > -2 and box.y1 < figure.bbox.height + 2, text


@pytest.mark.parametrize(
    ("ends", "color"),
    [
        ([0.2, 5.0], style.STEADY),
        ([2.0, 20.0], style.GROWS),
        ([0.9, 0.09], style.SHRINKS),
        ([0.5, 20.0], style.INK),
    ],
)
def test_a_color_says_what_all_draws_do(ends, color):
    figure = figures.norms_by_distance([[[1.0, end] for end in ends]], ["a"])
    assert figure.axes[0].get_lines()[0].get_color() == color


def test_labels_of_curves_that_end_together_stand_apart():
    figure = figures.product_norms([THREE, 1.01 * THREE, 1.02 * THREE, 9 * THREE], list("abcd"))
    labels = sorted(figure.axes[0].texts, key=lambda label: label.get_window_extent().y0)
    assert [label.get_text() for label in labels] == list("abcd")
    for low, high in itertools.pairwise(label.get_window_extent() for label in labels):
        assert low.y1 <= high.y0 + 1

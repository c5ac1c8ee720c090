"""Figures to move: how frames are written, and the sliders of the site, by mouse, keyboard and in words."""

import gzip
import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pages
import pytest
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup
from pages import SITE, extension, first_now
from test_browser import MODES, Visit, base, browser, context, contexts  # noqa: F401

from rnn_notes import figures

FRAMES = SITE / "_static" / "frames"
LIMIT = 150_000  # bytes of a slider, compressed
SLIDERS = {
    cell.metadata["mystnb"]["figure"]["name"].removeprefix("fig-"): (page, cell)
    for page in pages.EXECUTED
    for cell in pages.cells(page)
    if "slider" in cell.metadata
}
HTML = {name: pages.html(page) for name, (page, _) in SLIDERS.items()}
HREF = "{http://www.w3.org/1999/xlink}href"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def frames():
    return extension("frames")


def undo(drawn, frame):
    """Return a frame as SVG, as move.js does."""
    lines = drawn["lines"][: drawn["base"]]
    for low, count, *numbers in drawn["frames"][frame]:
        lines[low : low + count] = [drawn["lines"][number] for number in numbers]
    return "".join(lines)


def kept(name):
    """Return the frames of a slider as the site has them."""
    text = (FRAMES / f"{name}.js").read_text(encoding="utf-8")
    start, _, rest = text.partition(" = ")
    assert start == f'(Run.frames ??= {{}})["{name}"]'
    return json.loads(rest.rstrip(";\n"))


def drawn(values, shown):
    """Return the frames of lines that end at the values; the one shown has `shown`."""
    import matplotlib.pyplot as plt

    def line(value):
        figure, axes = plt.subplots()
        axes.plot([0, 1], [0, value])
        axes.set(ylim=(0, 10), title=f"$x = {value}$")
        return figure

    settings = {"values": repr(values), "says": 'f"to {value}"'}
    return extension("frames").draw_frames(f"fig = line({shown})", settings, {"line": line})


def test_frames_are_the_figures_themselves(frames):
    """What is undone has all that was drawn, in its order, to a tenth of a point."""
    from IPython.core.pylabtools import print_figure
    from matplotlib import pyplot, rc_context

    made = drawn([2, 4, 8], shown=4)
    assert (made["start"], made["words"]) == (1, ["to 2", "to 4", "to 8"])
    assert made["frames"][1] == [] and all(made["frames"][i] for i in (0, 2))
    for number, value in enumerate([2, 4, 8]):
        figure, axes = pyplot.subplots()
        axes.plot([0, 1], [0, value])
        axes.set(ylim=(0, 10), title=f"$x = {value}$")
        with rc_context({"svg.hashsalt": "rnn-notes"}):
            own = ET.fromstring(print_figure(figure, "svg", **frames.PRINT))
        pyplot.close(figure)
        again = ET.fromstring(undo(made, number))
        there = {element.get("id") for element in again.iter()}
        for element in own.iter(f"{SVG}use"):
            assert element.get(HREF)[1:] not in there  # named by what they are
        for element in again.iter(f"{SVG}use"):
            assert element.get(HREF)[1:] in there
        shapes = [
            [one.get("d") for one in tree.iter(f"{SVG}path") if not one.get("id")] for tree in (own, again)
        ]
        assert all(shapes)
        assert len(shapes[0]) == len(shapes[1])
        for before, after in zip(*shapes, strict=True):
            for x, y in zip(re.findall(r"[-\d.]+", before), re.findall(r"[-\d.]+", after), strict=True):
                assert abs(float(x) - float(y)) < 0.0501


@pytest.mark.parametrize(
    "function",
    [
        lambda x: figures.cell_memory((1 - 1 / x) ** np.arange(50), memory=x),
        lambda x: figures.eigenvalues_and_norms([x / 5, x * 0.1j], (x / 5) ** np.arange(9), 3, (1e-9, 1e9)),
        lambda x: figures.gradient_walk(0.8 ** np.arange(11), passed=x, code=("dz = 1", "dh_next = dz")),
        lambda x: figures.norms_by_distance(
            [[(x / 5) ** np.arange(9)], [(x / 4) ** np.arange(9)]],
            ["a", "b"],
            distance=np.arange(9),
            limits=(1e-9, 1e9),
        ),
    ],
)
def test_frames_without_layout_are_the_figures_with_one(frames, function):
    """But for where the axes are, which is where they are in the cell's own figure."""
    from IPython.core.pylabtools import print_figure
    from matplotlib import pyplot, rc_context

    made = frames.draw_frames("fig = draw(3)", {"values": "[2, 3, 9]", "says": "str(x)"}, {"draw": function})
    places = None
    for number, value in [(1, 3), (0, 2), (2, 9)]:
        with rc_context({"svg.hashsalt": "rnn-notes"}):
            figure = function(value)
            if places:
                figure.set_layout_engine("none")
                for axes, place in zip(figure.axes, places, strict=True):
                    axes.set_position(place)
            svg = print_figure(figure, "svg", **frames.PRINT)
        places = places or [axes.get_position(original=True) for axes in figure.axes]
        pyplot.close(figure)
        *_, own = frames.elements(svg)
        assert undo(made, number).partition("</defs>")[2] == "".join(own)


def test_what_does_not_move_is_there_once(frames):
    few, many = (len(json.dumps(drawn(list(range(1, n)), shown=2)["lines"])) for n in (3, 8))
    assert many < 1.25 * few


@pytest.mark.parametrize(
    ("source", "values", "message"),
    [
        ("fig = line(3)", "[1, 2]", "must include 3"),
        ("fig = 3", "[1, 2]", "calls a function of one value"),
        ("fig = line(1, 2)", "[1, 2]", "calls a function of one value"),
    ],
)
def test_cells_that_cannot_move_are_named(frames, source, values, message):
    with pytest.raises(ValueError, match=message):
        frames.draw_frames(source, {"values": values, "says": "''"}, {"line": lambda value: None})


@pytest.mark.parametrize(
    ("words", "said", "shown"),
    [
        ("-1: 3e-12", "−1: 3 times 10 to the power −12", "−1: 3\xa0×\xa010<sup>−12</sup>"),
        ("4e+00 < 2.5e+03", "4 < 2500", "4 &lt; 2500"),
        ("half-life 2-3 > -.5", "half-life 2-3 > −.5", "half-life 2-3 &gt; −.5"),
        ("8e-03 of 1e+9", "0.008 of 1 times 10 to the power 9", "0.008 of 1\xa0×\xa010<sup>9</sup>"),
    ],
)
def test_numbers_can_be_said_and_read(words, said, shown):
    sliders = extension("sliders")
    assert (sliders.said(words), sliders.shown(words)) == (said, shown)


def test_words_that_take_the_most_room_are_text():
    drawn = {"start": 0, "words": ["4e-12 < 1", "5: a"]}
    html = extension("sliders").control("x", "x.js", {"label": "Steps"}, drawn)
    assert BeautifulSoup(html, "html.parser").output["data-longest"] == "4\xa0×\xa010−12 < 1"


@pytest.mark.parametrize("name", SLIDERS)
def test_slider_is_small_and_complete(frames, name):
    text = (FRAMES / f"{name}.js").read_bytes()
    assert len(gzip.compress(text, 9)) < LIMIT
    made = kept(name)
    assert len(made["frames"]) == len(made["said"]) >= 5 and made["frames"][made["start"]] == []
    seen = {undo(made, number) for number in range(len(made["frames"]))}
    assert len(seen) == len(made["frames"])  # each value shows another figure
    for svg in seen:
        ET.fromstring(svg)
    assert len(set(made["said"])) == len(made["said"])
    assert all(re.match(r"[^:]{1,9}: ", words) for words in made["said"])
    for words in made["said"]:
        assert len(words.split()) >= 3 and not re.search(r"\$|\\|nan|inf\b", words)


@pytest.mark.parametrize("name", SLIDERS)
def test_cell_says_which_values_to_try(name):
    """Whoever has the code alone, in a notebook or at a prompt, calls the function with another value."""
    _, cell = SLIDERS[name]
    assert re.search(r"^# other .*\d.* to .*\d", cell.source, re.MULTILINE)


@pytest.mark.parametrize("name", SLIDERS)
def test_caption_follows_its_slider(name):
    """A caption that names the value of the first picture would be false of all others."""
    made, (page, _) = kept(name), SLIDERS[name]
    caption = pages.parsed(pages.html(page)).select_one(f"#fig-{name} figcaption")
    values = [words.split(":")[0] for words in made["said"]]
    now = [span.get_text() for span in caption.select(".now")]
    assert now and set(now) == {values[made["start"]]}
    assert not re.search(r"\bhere \d|\bat its end\b", caption.get_text())


def test_site_has_the_frames_of_its_sliders_and_no_others():
    assert {file.stem for file in FRAMES.iterdir()} == SLIDERS.keys()


def test_handouts_have_no_sliders():
    for file in SITE.glob("*-*.html"):
        assert 'class="slider"' not in file.read_text(encoding="utf-8")


def first(tab, name):
    return tab.locator(f"#move-{name}")


def source(tab, name):
    return tab.locator(f"#fig-{name} img").get_attribute("src")


def waits(tab, name, words):
    tab.wait_for_function(
        "([name, words]) => document.getElementById(name).ariaValueText == words", arg=[f"move-{name}", words]
    )


@pytest.mark.parametrize("scheme", ["http", "file"])
@pytest.mark.parametrize("name", first_now(SLIDERS, HTML.get))
def test_slider_moves_its_figure(context, base, name, scheme):  # noqa: F811
    """Nothing is fetched before the first touch; keys move, are said in words, and lead back."""
    address = base if scheme == "http" else SITE.as_uri() + "/"
    visit, made = Visit(context, address + HTML[name]), kept(name)
    tab, start, asked = visit.tab, made["start"], []
    tab.on("request", lambda request: asked.append(request.url))
    slider, own = first(tab, name), source(tab, name)
    tab.wait_for_load_state("networkidle")
    assert not [url for url in visit.loaded | set(asked) if "frames/" in url or "move.js" in url]
    assert slider.get_attribute("aria-valuetext") == made["said"][start]
    assert tab.evaluate("input => input.labels[0].textContent.length > 5", slider.element_handle())
    page = tab.url
    slider.focus()
    last = len(made["said"]) - 1
    for key, number in [("Home", 0), ("ArrowRight", 1), ("End", last), ("ArrowLeft", last - 1)]:
        tab.keyboard.press(key)
        waits(tab, name, made["said"][number])
        words = tab.locator(f"#fig-{name} output span").inner_html()
        assert words.replace("&nbsp;", "\xa0") == made["shown"][number]
        assert source(tab, name).startswith("data:") != (number == start)
        tab.wait_for_function(
            "image => image.complete && image.naturalWidth > 0",
            arg=tab.locator(f"#fig-{name} img").element_handle(),
        )
    value = made["said"][last - 1].split(":")[0]
    assert set(tab.locator(f"#fig-{name} figcaption .now").all_inner_texts()) == {value}
    assert made["said"][last - 1] in tab.locator(f"#fig-{name} img").get_attribute("alt")
    assert tab.url == page  # arrows turn no page
    for _ in range(abs(last - 1 - start)):
        tab.keyboard.press("ArrowLeft" if start < last else "ArrowRight")
    waits(tab, name, made["said"][start])
    assert source(tab, name) == own
    if scheme == "http":  # of files no request is told
        assert sum("frames/" in url for url in asked) == 1
    assert not visit.wrong
    tab.close()


@pytest.mark.parametrize("name", first_now(SLIDERS, HTML.get))
def test_every_frame_is_the_tested_one(context, base, frames, name):  # noqa: F811
    """move.js makes of the differences what undo does."""
    visit, made = Visit(context, base + HTML[name]), kept(name)
    tab = visit.tab
    first(tab, name).focus()
    tab.wait_for_function("name => Run.frames?.[name]", arg=name)
    for number in range(len(made["frames"])):
        first(tab, name).fill(str(number))
        waits(tab, name, made["said"][number])
        if number != made["start"]:
            shown = tab.evaluate(
                "name => decodeURIComponent(document.querySelector(`#fig-${name} img`).src)", name
            )
            assert shown == "data:image/svg+xml," + undo(made, number)
    tab.close()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", first_now(SLIDERS, HTML.get))
def test_words_of_every_value_take_the_same_room(browser, base, name, width):  # noqa: F811
    """Nothing below a slider moves with what it says."""
    with browser.new_context(viewport={"width": width, "height": 900}) as context:  # noqa: F811
        tab = context.new_page()
        tab.goto(base + HTML[name])
        words = tab.locator(f"#fig-{name} output")
        height = words.bounding_box()["height"]
        for number, said in enumerate(kept(name)["said"]):
            first(tab, name).fill(str(number))
            waits(tab, name, said)
            assert words.bounding_box()["height"] == height


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", first_now(SLIDERS, HTML.get))
def test_moved_figure_can_be_read_by_everyone(contexts, base, name, mode):  # noqa: F811
    visit, made = Visit(contexts[mode], base + HTML[name]), kept(name)
    tab = visit.tab
    first(tab, name).focus()
    tab.keyboard.press("End")
    waits(tab, name, made["said"][-1])
    tab.evaluate(Axe().axe_script)
    found = tab.evaluate(
        """async name => (await axe.run(`#fig-${name}`)).violations
            .map(({id, nodes}) => id + nodes.map(node => node.target))""",
        name,
    )
    found += visit.look()
    box = first(tab, name).bounding_box()
    assert box["height"] >= 24 and box["width"] >= 100  # a finger's
    tab.close()
    assert not found


def test_page_without_scripts_and_on_paper_has_its_figure_and_no_slider(browser, base):  # noqa: F811
    name = next(iter(SLIDERS))
    with browser.new_context(java_script_enabled=False) as context:  # noqa: F811
        tab = context.new_page()
        tab.goto(base + HTML[name])
        assert tab.locator(f"#fig-{name} img").is_visible() and not first(tab, name).is_visible()
    with browser.new_context() as context:
        tab = context.new_page()
        tab.goto(base + HTML[name])
        assert first(tab, name).is_visible()
        first(tab, name).scroll_into_view_if_needed()  # pictures that are far away wait
        tab.wait_for_function("name => document.querySelector(`#fig-${name} img`).complete", arg=name)
        tab.emulate_media(media="print")
        assert tab.locator(f"#fig-{name} img").is_visible() and not first(tab, name).is_visible()
        words = tab.locator(f"#fig-{name} output")
        assert not words.is_visible()
        tab.emulate_media(media="screen")
        other = kept(name)["start"] - 1  # some start at an end
        first(tab, name).fill(str(other))
        waits(tab, name, kept(name)["said"][other])
        tab.emulate_media(media="print")  # as it was moved, and with what that is
        assert words.is_visible() and not first(tab, name).is_visible()


def test_frames_that_cannot_be_loaded_are_said_to_be(context, base):  # noqa: F811
    name = next(iter(SLIDERS))
    context.route("**/frames/*", lambda route: route.abort())
    tab = context.new_page()
    tab.goto(base + HTML[name])
    start = first(tab, name).input_value()
    first(tab, name).press("ArrowLeft")
    tab.locator(f"#fig-{name} output[aria-live=polite]", has_text="cannot be loaded").wait_for()
    assert not source(tab, name).startswith("data:") and first(tab, name).input_value() == start


PLAYED = [name for name, (_, cell) in SLIDERS.items() if cell.metadata["slider"].get("play")]


@pytest.mark.parametrize("name", first_now(PLAYED, HTML.get))
def test_motion_plays_once_when_asked(context, base, name):  # noqa: F811
    visit, made = Visit(context, base + HTML[name]), kept(name)
    tab = visit.tab
    button = tab.locator(f"#fig-{name} button")
    tab.wait_for_timeout(300)
    assert first(tab, name).input_value() == str(made["start"])
    button.press("Enter")
    tab.wait_for_function(
        "name => document.querySelector(`#fig-${name} button`).textContent == 'Stop'", arg=name
    )
    button.press("Enter")
    assert button.inner_text() == "Play"
    stopped = first(tab, name).input_value()
    tab.wait_for_timeout(1000)
    assert first(tab, name).input_value() == stopped != str(len(made["said"]) - 1)
    button.click()
    waits(tab, name, made["said"][-1])
    tab.wait_for_function(
        "name => document.querySelector(`#fig-${name} button`).textContent == 'Play'", arg=name
    )
    tab.wait_for_timeout(1000)
    assert first(tab, name).input_value() == str(len(made["said"]) - 1)  # once
    tab.close()


@pytest.mark.parametrize("name", PLAYED)
def test_nothing_plays_for_whoever_wants_no_motion(browser, base, name):  # noqa: F811
    with browser.new_context(reduced_motion="reduce") as context:  # noqa: F811
        tab = context.new_page()
        tab.goto(base + HTML[name])
        assert not tab.locator(f"#fig-{name} button").is_visible()
        assert first(tab, name).is_visible()

"""Figures to move: a cell whose last line calls a function with one value gets a slider for other values.

The cell says which, in its options:

    slider:
      label: Angle of the pair
      values: range(0, 181, 5)
      says: >-
        f"{degrees} degrees: a turn takes {360 / degrees:.0f} steps"

`values` and `says` are Python, computed in the page; in `says` the function's parameter is known. What it
says begins with the value and a colon. A caption is true of all values: in it, `[40 degrees]{.now}` follows
the slider. With `play: true` there is a button as well, which shows all values once, one after another.

The page has the cell's own figure and the slider, both from the start, and works without. frames.py draws
the frames when the page runs; they are kept with its outputs, and written into _static/frames. The first
touch loads them, and move.js (site.js). They are a script: from a folder a page can fetch nothing else.
"""

import json
import re
from html import escape
from pathlib import Path

import execution
from docutils import nodes
from inputs import digest
from records import write_whole
from sphinx.util import logging

logger = logging.getLogger(__name__)
FOLDER, MINUS = "frames", "\N{MINUS SIGN}"


def numbers_in(text, write):
    """Return a text with minus signs, its numbers such as 4e-11 written out, those near 1 without a power."""

    def written(match):
        exponent = int(match[2])
        if -4 <= exponent <= 4:
            return f"{float(match[0]):.12g}"
        return write(match[1], str(exponent).replace("-", MINUS))

    text = re.sub(r"(\d+(?:\.\d+)?)e([+-]\d+)", written, text)
    return re.sub(r"(?<!\w)-(?=\.?\d)", MINUS, text)


def said(words):
    """Return words as a screen reader says them."""
    return numbers_in(words, lambda number, exponent: f"{number} times 10 to the power {exponent}")


def shown(words):
    """Return words in HTML."""
    return numbers_in(escape(words), lambda number, exponent: f"{number}\xa0×\xa010<sup>{exponent}</sup>")


def plain(words):
    """Return words as they take room on the page."""
    return numbers_in(words, lambda number, exponent: f"{number}\xa0×\xa010{exponent}")


def control(name, address, slider, drawn):
    """Return the slider in HTML."""
    start, words = drawn["start"], drawn["words"]
    button = f'<button type="button" aria-describedby="move-{name}-label">Play</button>'
    return (
        f'<div class="slider" data-frames="{address}">'
        f'<label id="move-{name}-label" for="move-{name}">{escape(str(slider["label"]))}</label>'
        f"{button * bool(slider.get('play'))}"
        f'<input id="move-{name}" type="range" min="0" max="{len(words) - 1}" value="{start}" '
        f'aria-valuetext="{escape(said(words[start]))}" autocomplete="off">'
        f'<output for="move-{name}" aria-live="off" data-longest="{escape(max(map(plain, words), key=len))}">'
        f"<span>{shown(words[start])}</span></output></div>"
    )


def script(name, drawn):
    """Return the frames as a script."""
    kept = {key: drawn[key] for key in ("start", "base", "lines", "frames")}
    kept |= {"said": [said(words) for words in drawn["words"]], "shown": [shown(w) for w in drawn["words"]]}
    text = json.dumps(kept, separators=(",", ":"), ensure_ascii=False)
    return f"(Run.frames ??= {{}})[{json.dumps(name)}] = {text};\n"


def file_of(app, page, name):
    """Return where the frames are until all pages are written; rebuilding.py leaves what a page has there."""
    return Path(app.outdir).parent / "jupyter_execute" / f"{page}.{name}.js"


def place_sliders(app, document):
    """Put a slider below each figure that has frames."""
    page, names = app.env.current_document.docname, []
    drawn = execution.frames.get(Path(app.env.doc2path(page)), {})
    for cell in document.findall(nodes.container):
        if cell.get("nb_element") != "cell_code" or str(cell["cell_index"]) not in drawn:
            continue
        figure = cell.next_node(nodes.figure)
        caption = figure and figure.next_node(nodes.caption)
        if figure is None:
            logger.warning("a cell with a slider has a figure", location=cell)
        if not (caption and figure["ids"]):  # of which gallery.py warns
            continue
        name, of_cell = figure["ids"][0].removeprefix("fig-"), drawn[str(cell["cell_index"])]
        text = script(name, of_cell)
        file = file_of(app, page, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, text)
        html = control(name, f"{name}.js?v={digest(text)[:8]}", cell["cell_metadata"]["slider"], of_cell)
        figure.insert(figure.index(caption), nodes.raw("", html, format="html", slider=True))
        names.append(name)
    app.env.metadata[page]["sliders"] = names


def write_frames(app, exception):
    """Write the frames, and remove those of sliders that are gone."""
    if exception or app.builder.format != "html":
        return
    folder, env = Path(app.outdir, "_static", FOLDER), app.env
    folder.mkdir(exist_ok=True)
    wanted = {
        f"{name}.js": file_of(app, page, name)
        for page in sorted(env.found_docs)
        for name in env.metadata[page].get("sliders", ())
    }
    for file in folder.iterdir():
        if file.name not in wanted:
            file.unlink()
    for file in Path(app.outdir).parent.glob("jupyter_execute/*.js"):
        if file not in wanted.values():
            file.unlink()
    for name, file in wanted.items():
        text = file.read_text(encoding="utf-8")
        if not (folder / name).exists() or (folder / name).read_text(encoding="utf-8") != text:
            write_whole(folder / name, text)


def setup(app):
    app.connect("doctree-read", place_sliders)
    app.connect("build-finished", write_frames)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

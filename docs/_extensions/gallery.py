"""Show every figure of the site: the directive {gallery}, and files in the folder `slides`.

A figure's file has its name, and is drawn for light grounds; with "-dark" for dark ones, in the colors of the
site's dark theme (site.css: invert(1) hue-rotate(180deg)).
"""

import ast
import re
from base64 import b64decode, b64encode
from html import escape
from io import BytesIO
from pathlib import Path

import numpy as np
from docutils import nodes
from docutils.parsers.rst import Directive
from PIL import Image
from records import write_whole
from sphinx.transforms.post_transforms import SphinxPostTransform

FOLDER = "slides"
HUE = np.array([[-0.574, 1.43, 0.144], [0.426, 0.43, 0.144], [0.426, 1.43, -0.856]])  # hue-rotate(180deg)


class gallery(nodes.General, nodes.Element):
    """The place of the figures, until all pages are read."""


class GalleryDirective(Directive):
    def run(self):
        return [gallery()]


def note_figures(app, document):
    """Note the figures of a page, for the gallery; find_outdated of rebuilding.py compares them."""
    figures = []
    for cell in document.findall(nodes.container):
        for figure in cell.findall(nodes.figure) if cell.get("nb_element") == "cell_code" else ():
            image = figure.next_node(nodes.image)
            code = drawn_by(cell.next_node(nodes.literal_block).astext())
            figures.append((figure["ids"][0], image["uri"], image["alt"], code))
    app.env.metadata[app.env.current_document.docname]["figures"] = figures


def drawn_by(source):
    """Return the call that draws the figure, as the cell has it."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    drawing = [call for call in calls if ast.unparse(call.func).startswith("figures.")]
    return ast.get_source_segment(source, drawing[-1]) if drawing else ""


def all_figures(env):
    """Yield (page, id, picture, alternative text, code) in the order of the pages."""
    root = env.config.root_doc
    for page in [root, *env.toctree_includes.get(root, ())]:
        for figure in env.metadata[page].get("figures", ()):
            yield page, *figure


def file_name(id):
    return id.removeprefix("fig-")


class Figures(SphinxPostTransform):
    default_priority = 5  # before pictures get their size

    def run(self, **kwargs):
        for place in list(self.document.findall(gallery)):
            items = [self.item(*figure) for figure in all_figures(self.env)]
            place.replace_self(nodes.bullet_list("", *items, classes=["gallery"]))

    def item(self, page, id, uri, alt, code):
        builder, name = self.app.builder, file_name(id)
        number = ".".join(map(str, self.env.toc_fignumbers[page]["figure"][id]))
        image = nodes.image(uri=uri, candidates={"*": uri}, alt=alt, classes=["no-scaled-link"])
        place = builder.get_relative_uri(self.env.current_document.docname, page) + "#" + id
        light, dark = (
            f'<a href="{FOLDER}/{name}{ground}.svg" download aria-label="{words}: {name}">{words}</a>'
            for words, ground in (("light slides", ""), ("dark slides", "-dark"))
        )
        html = (
            f'<p><a href="{escape(place)}">Figure {number}</a> <code>{name}</code>: {light}, {dark}</p>'
            f"<details><summary>Code and alternative text</summary><pre>{escape(code)}</pre>"
            f"<p>{escape(alt)}</p></details>"
        )
        return nodes.list_item("", image, nodes.raw("", html, format="html"), ids=["slide-" + name])


def darkened(svg):
    """Return an SVG with the colors of the dark theme."""

    def turned(rgb):
        return np.clip((255 - np.asarray(rgb, float)) @ HUE.T, 0, 255).round().astype(np.uint8)

    def color(match):
        return "#" + bytes(turned(list(bytes.fromhex(match[1])))).hex()

    def raster(match):
        pixels = np.asarray(Image.open(BytesIO(b64decode(match[1]))).convert("RGBA"))
        pixels = np.concatenate([turned(pixels[..., :3]), pixels[..., 3:]], axis=-1)
        png = BytesIO()
        Image.fromarray(pixels).save(png, "PNG")
        return "data:image/png;base64," + b64encode(png.getvalue()).decode()

    svg = re.sub(r"#([0-9a-f]{6})\b", color, svg)
    return re.sub(r"data:image/png;base64,([^\"]+)", raster, svg)


def write_slides(app, exception):
    """Write the files, those that changed, and remove what is left of figures that are gone."""
    if exception or app.builder.format != "html":
        return
    folder = Path(app.outdir, FOLDER)
    folder.mkdir(exist_ok=True)
    files = {}
    for _, id, uri, _, _ in all_figures(app.env):
        svg = Path(app.srcdir, uri).read_text(encoding="utf-8")
        files |= {folder / f"{file_name(id)}.svg": svg, folder / f"{file_name(id)}-dark.svg": darkened(svg)}
    for file in folder.iterdir():
        if file not in files:
            file.unlink()
    for file, svg in files.items():
        if not file.exists() or file.read_text(encoding="utf-8") != svg:
            write_whole(file, svg)


def setup(app):
    app.add_node(gallery)
    app.add_directive("gallery", GalleryDirective)
    app.connect("doctree-read", note_figures)
    app.add_post_transform(Figures)
    app.connect("build-finished", write_slides)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""Show every figure of the site, page by page: the directive {gallery}, and files in the folder `slides`.

A figure's file has its name, and is drawn for light grounds; with "-dark" for dark ones, in the colors of the
site's dark theme, by the filter of site.css. Each is an SVG, and a PNG where the site's address is known: 94
of them take 40 seconds of a processor, too long for a build that is looked at by its author.
"""

import ast
import re
from base64 import b64decode, b64encode
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from html import escape
from io import BytesIO
from itertools import groupby
from pathlib import Path

import numpy as np
from docutils import nodes
from docutils.parsers.rst import Directive
from handouts import credit, repeated, topic_of
from PIL import Image
from records import write_whole
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.nodes import make_refnode

logger = logging.getLogger(__name__)
CSS = Path(__file__).parent.parent / "_static" / "site.css"
FOLDER, WIDTH = "slides", 1920  # pixels of a PNG
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
            image, caption = figure.next_node(nodes.image), figure.next_node(nodes.caption)
            if not (figure["ids"] and image.get("alt") and caption):
                logger.warning("a figure has a name, a caption and an `alt`", location=figure)
                continue
            code = drawn_by(cell.next_node(nodes.literal_block).astext())
            figures.append((figure["ids"][0], image["uri"], image["alt"], code, first_sentence(caption)))
    app.env.metadata[app.env.current_document.docname]["figures"] = figures


def first_sentence(caption):
    """Return the first sentence of a caption, links as text, without the mark that ends it."""
    sentence = nodes.inline()
    for node in caption.deepcopy().children:
        if not isinstance(node, nodes.Text):
            sentence += node.children if isinstance(node, addnodes.pending_xref) else node
        elif end := re.search(r"[.:]$|[.:](?=\s)|[?!](?=\s|$)", node):
            sentence += nodes.Text(node[: end.end()].rstrip(".:"))
            break
        else:
            sentence += nodes.Text(node)
    return sentence


def drawn_by(source):
    """Return the call that draws the figure, as the cell has it: of a function of the cell, if that draws."""
    try:
        lines = ast.parse(source).body
    except SyntaxError:  # a line that IPython alone reads
        return ""
    lines = [line for line in lines if not isinstance(line, ast.FunctionDef)]
    calls = [node for line in lines for node in ast.walk(line) if isinstance(node, ast.Call)]
    drawing = [call for call in calls if ast.unparse(call.func).startswith("figures.")]
    last = getattr(lines[-1], "value", None) if lines else None
    drawing = drawing or [last] * isinstance(last, ast.Call)
    return ast.get_source_segment(source, drawing[-1]) if drawing else ""


def all_figures(env):
    """Yield (page, id, picture, alternative text, code, title) in the order of the pages."""
    root = env.config.root_doc
    for page in [root, *env.toctree_includes.get(root, ())]:
        for figure in env.metadata[page].get("figures", ()):
            yield page, *figure


def file_name(id):
    return id.removeprefix("fig-")


def file_links(app, name):
    """Return the links to a figure's files, in HTML; figure_links.py shows them on the pages, too."""
    words = {".svg": "SVG", ".png": f"PNG, {WIDTH} px"}
    return " · ".join(
        f'<a href="{FOLDER}/{name}{ground}{kind}" download aria-label="{text}: {name}">{text}</a>'
        for kind in kinds(app)
        for ground, slides in (("", "light slides"), ("-dark", "dark slides"))
        for text in [f"{words[kind]}, {slides}"]
    )


class Figures(SphinxPostTransform):
    default_priority = 5  # before pictures get their size

    def run(self, **kwargs):
        for place in list(self.document.findall(gallery)):
            parts = [
                self.part(page, [self.item(*figure) for figure in figures])
                for page, figures in groupby(all_figures(self.env), lambda figure: figure[0])
            ]
            ways = nodes.paragraph("", "Figures of ", classes=["ways"])
            for number, part in enumerate(parts):
                link = nodes.reference("", part[0].astext(), refid=part["ids"][0], internal=True)
                ways += [nodes.Text("\N{NO-BREAK SPACE}· "), link][number == 0 :]
            place.replace_self([self.introduction(), repeated(ways), *parts])

    def part(self, page, items):
        """Return the figures of a page under its topic."""
        title = nodes.title("", topic_of(self.env, page))
        figures = nodes.bullet_list("", *items, classes=["gallery"])
        return nodes.section("", title, repeated(figures), ids=[f"{FOLDER}-{page}"])

    def introduction(self):
        png = f"a PNG {WIDTH:,} pixels wide"
        if ".png" in kinds(self.app):
            return nodes.paragraph("", f"Each is there as an SVG and as {png}.")
        name, command = nodes.literal("", "SITE_URL"), nodes.literal("", "make html")
        parts = "Each is there as an SVG; with ", name, " set, ", command, f" draws {png} as well."
        return nodes.paragraph(
            "", "", *(nodes.Text(part) if isinstance(part, str) else part for part in parts)
        )

    def item(self, page, id, uri, alt, code, title):
        name, here = file_name(id), self.env.current_document.docname
        number = "Figure " + ".".join(map(str, self.env.toc_fignumbers[page]["figure"][id]))
        image = nodes.image(uri=uri, candidates={"*": uri}, alt=alt, classes=["no-scaled-link"])
        place = make_refnode(self.app.builder, here, page, id, nodes.Text(number))
        heading = nodes.paragraph("", "", nodes.strong("", "", place), nodes.Text(" "), title.deepcopy())
        html = (
            f'<p class="files">{file_links(self.app, name)}</p>'
            f"<details><summary>Name, code, alternative text, credit</summary>"
            f"<p><code>{name}</code></p><pre>{escape(code)}</pre>"
            f'<p class="alt">{escape(alt)}</p>'
            f"<p>{escape(credit(self.app, number))}</p></details>"
        )
        return nodes.list_item("", image, heading, nodes.raw("", html, format="html"), ids=["slide-" + name])


@cache
def inversion():
    """Return how far the dark theme turns lightness round."""
    return float(re.search(r"invert\(([\d.]+)\)", CSS.read_text(encoding="utf-8"))[1])


def darkened(svg):
    """Return an SVG with the colors of the dark theme."""

    def turned(rgb):
        inverted = inversion() * 255 + (1 - 2 * inversion()) * np.asarray(rgb, float)
        return np.clip(inverted @ HUE.T, 0, 255).round().astype(np.uint8)

    def color(match):
        return match[1] + bytes(turned(list(bytes.fromhex(match[2])))).hex()

    def raster(match):
        pixels = np.asarray(Image.open(BytesIO(b64decode(match[1]))).convert("RGBA"))
        pixels = np.concatenate([turned(pixels[..., :3]), pixels[..., 3:]], axis=-1)
        png = BytesIO()
        Image.fromarray(pixels).save(png, "PNG")
        return "data:image/png;base64," + b64encode(png.getvalue()).decode()

    svg = re.sub(r"((?:fill|stroke|stop-color): #)([0-9a-f]{6})\b", color, svg)
    return re.sub(r"data:image/png;base64,([^\"]+)", raster, svg)


def kinds(app):
    """Return the endings of a figure's files."""
    return [".svg", ".png"] if app.config.html_baseurl else [".svg"]


def raster(svg, width=WIDTH, ground=None):
    """Return an SVG as a PNG, without a ground if none is given."""
    from resvg_py import svg_to_bytes

    svg = svg[svg.index("<svg") :]
    size = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', svg)
    height = round(width * float(size[2]) / float(size[1]))
    svg = svg.replace(size[0], f'width="{width}" height="{height}"', 1)
    return bytes(svg_to_bytes(svg_string=svg, skip_system_fonts=True, background=ground))


def write_slides(app, exception):
    """Write the files, those that changed, and remove what is left of figures that are gone."""
    if exception or app.builder.format != "html":
        return
    folder = Path(app.outdir, FOLDER)
    folder.mkdir(exist_ok=True)
    drawn = {}
    for _, id, uri, *_ in all_figures(app.env):
        svg = Path(app.srcdir, uri).read_text(encoding="utf-8")
        drawn |= {folder / f"{file_name(id)}.svg": svg, folder / f"{file_name(id)}-dark.svg": darkened(svg)}
    for file in folder.iterdir():
        if file.with_suffix(".svg") not in drawn or file.suffix not in kinds(app):
            file.unlink()
    wanted = [file for file, svg in drawn.items() if not stands(file, svg, kinds(app))]
    if ".png" in kinds(app):
        with ThreadPoolExecutor() as pool:
            for file, png in zip(wanted, pool.map(raster, map(drawn.get, wanted)), strict=True):
                file.with_suffix(".png").write_bytes(png)
    for file in wanted:
        write_whole(file, drawn[file])


def stands(file, svg, endings):
    """Is a figure there in all its files, as it is drawn now?"""
    there = all(file.with_suffix(ending).exists() for ending in endings)
    return there and file.read_text(encoding="utf-8") == svg


def setup(app):
    app.add_node(gallery)
    app.add_directive("gallery", GalleryDirective)
    app.connect("doctree-read", note_figures)
    app.add_post_transform(Figures)
    app.connect("build-finished", write_slides)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

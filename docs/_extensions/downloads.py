"""Have each page with cells as a notebook and as a script, and say on the page where they are.

notebooks/PAGE.ipynb has the text, the cells and what they left; notebooks/PAGE.py the cells, each below its
title and the paragraph before it. Both are made of the page's own nodes when it is written, and need the
package alone: cells that the page hides compute numbers for its text, which is filled in, and check it.
A page in a folder of docs/ has none.

Google's Colab opens notebooks from GitHub only, so from a branch of the repository: where the repository is
there, .github/workflows/site.yml puts the notebooks of the published site into BRANCH.
"""

import ast
import json
import textwrap
from base64 import b64encode
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
from docutils import nodes
from gallery import raster
from plain_markdown import Page, is_cell
from plain_markdown import escape as escape_markdown
from records import write_whole
from site_address import address
from sphinx.transforms.post_transforms import SphinxPostTransform

import rnn_notes

FOLDER, BRANCH = "notebooks", "notebooks"
PNG_WIDTH = 1216  # pixels, twice the width of a figure on the page
WHEEL = f"_static/rnn_notes-{rnn_notes.__version__}-py3-none-any.whl"  # written by running.py


def pip_line(app):
    """Return where the package has to be for a command, if that is to be said, and the command."""
    there = address(app, WHEEL)
    where = "" if there else "in the folder where it is saved"
    return where, f"python -m pip install {there or Path(WHEEL).name}"


def colab(app, page):
    """Return where Colab opens a page's notebook, or '' if the repository is not on GitHub."""
    parts = urlsplit(app.config.html_theme_options.get("source_repository", ""))
    if parts.hostname != "github.com":
        return ""
    path = parts.path.strip("/").removesuffix(".git")
    return f"https://colab.research.google.com/github/{path}/blob/{BRANCH}/{page}.ipynb"


def is_taken_along(page, document):
    return "/" not in page and any(map(is_cell, document.findall(nodes.container)))


class TakeAlong(SphinxPostTransform):
    """Say where the files are: in the box that says what a lecture needs, else at the end of the page."""

    default_priority = 900

    def run(self, **kwargs):
        page = self.env.current_document.docname
        if not is_taken_along(page, self.document) or self.app.builder.name != "html":
            return
        links = [
            f'<a href="{FOLDER}/{page}.ipynb" download>notebook</a>',
            f'<a href="{FOLDER}/{page}.py" download>script</a>',
        ]
        if opened := colab(self.app, page):
            links.append(f'<a href="{escape(opened)}">open in Colab</a>')
        links.append(f'<a class="package" href="{WHEEL}" download>package</a>')
        where, command = pip_line(self.app)
        # Where the page is, its scripts know: they write the package's address into the command (site.js).
        html = (
            f'<p class="take"><strong>Take along</strong> {" · ".join(links)}, '
            f'<span class="pip">{where} <code>{escape(command)}</code></span></p>'
        )
        boxes = [box for box in self.document.findall(nodes.admonition) if "goal" in box["classes"]]
        place = boxes[0] if boxes else self.document.next_node(nodes.section)
        place += nodes.raw("", html, format="html")


def credit(app, page):
    """Return where a file comes from, as a line of Markdown and as plain text."""
    name = f"{app.config.html_title}, “{app.env.titles[page].astext()}”"
    uri = address(app, app.builder.get_target_uri(page))
    return (f"[{name}]({uri})", f"{name}, {uri}") if uri else (name, name)


def needs(app):
    where, _ = pip_line(app)
    return (
        f"Needs the package, which stands beside this file on its page; {where}:"
        if where
        else "Needs the package:"
    )


def notebook(app, page, parts, ran):
    """Return the notebook of a page; `ran` has its cells and what they left."""
    from_where = credit(app, page)[0]
    known = bool(app.config.html_baseurl)
    head = (
        f"From {from_where}. © {app.config.copyright}.\n\n{needs(app)}\n\n```shell\n{pip_line(app)[1]}\n```"
    )
    cells, count = [nbformat.v4.new_markdown_cell(head)], 0
    if known:
        install = (
            "try:\n    import rnn_notes\nexcept ModuleNotFoundError:\n"
            f"    %pip install --quiet {address(app, WHEEL)}"
        )
        cells.append(nbformat.v4.new_code_cell(install))
    for part in parts:
        if isinstance(part, str):
            cells.append(nbformat.v4.new_markdown_cell(part))
            continue
        count += 1
        source = ran.cells[part.index]
        cell = nbformat.v4.new_code_cell(
            source.source, execution_count=count, outputs=outputs(source, part, count, known)
        )
        if part.hidden:
            cell.metadata["jupyter"] = {name: True for name in part.hidden}
        cells.append(cell)
        for alt, caption in part.figures:
            in_words = (
                f"<details><summary>The figure in words</summary>\n\n{escape_markdown(alt)}\n\n</details>"
            )
            if below := "\n\n".join(filter(None, [caption, alt and in_words])):
                cells.append(nbformat.v4.new_markdown_cell(below))
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {
        "kernelspec": kernel,
        "language_info": {"name": "python"},
        "title": app.env.titles[page].astext(),
    }
    made = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
    nbformat.validate(made)
    return json.dumps(made, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def outputs(source, part, count, known):
    """Return what a cell left; its figures on white, with their words, if any, where programs look for them.

    Jupyter shows no SVG of a notebook that comes from elsewhere until it runs, but a PNG. As for slides, they
    are drawn where the site's address is known.
    """
    alts = iter([alt for alt, _ in part.figures])
    made = []
    for output in source.outputs:
        output = output.copy()
        if "execution_count" in output:
            output["execution_count"] = count
        pictures = [kind for kind in output.get("data", {}) if kind.startswith("image/")]
        alt = next(alts, "") if pictures else ""
        if "image/svg+xml" in pictures:
            drawn = output.data["image/svg+xml"]
            start, svg, rest = drawn.partition("<svg ")
            svg = f'{start}{svg}role="img" aria-label="{escape(alt)}" style="background: white" {rest}'
            output["data"] = {"image/svg+xml": svg, "text/plain": alt}
            output["metadata"] = {"image/svg+xml": {"alt": alt}}
            if known:
                output["data"]["image/png"] = b64encode(raster(drawn, PNG_WIDTH, "white")).decode()
                output["metadata"]["image/png"] = {"alt": alt, "width": PNG_WIDTH // 2}
        made.append(output)
    return made


def comment(text):
    lines = textwrap.wrap(" ".join(text.split()), 86, break_long_words=False, break_on_hyphens=False)
    return "\n".join(f"# {line}" for line in lines)


def script(app, page, parts, ran):
    """Return the script of a page, in cells as editors know them (# %%)."""
    head = [
        comment(f"From {credit(app, page)[1]}."),
        f"# © {app.config.copyright}.",
        comment(needs(app)),
        f"# {pip_line(app)[1]}",
    ]
    cells = [part for part in parts if not isinstance(part, str)]
    if any(cell.figures for cell in cells):
        head += ["", "import matplotlib.pyplot as plt"]
    blocks = ["\n".join(head)]
    for cell in cells:
        source = ran.cells[cell.index]
        lines = [f"# %% {cell.titles[-1] if cell.titles else ''}".rstrip()]
        if cell.before:
            lines += [comment(cell.before), ""]
        lines.append(printing(source).rstrip())
        if cell.figures:
            lines.append("plt.show()")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def printing(cell):
    """Return the code of a cell, with its last value printed where a notebook shows one."""
    shown = [output for output in cell.outputs if output.output_type == "execute_result"]
    if not shown or "image/svg+xml" in shown[0].data:
        return cell.source
    last, lines = ast.parse(cell.source).body[-1], cell.source.encode().split(b"\n")  # columns are of bytes
    for line, column, part in [
        (last.end_lineno, last.end_col_offset, b")"),
        (last.lineno, last.col_offset, b"print("),
    ]:
        lines[line - 1] = lines[line - 1][:column] + part + lines[line - 1][column:]
    return b"\n".join(lines).decode()


def write_files(app, pagename, templatename, context, doctree):
    """Write the two files with the page that they are made of, in the process that writes it."""
    if doctree is None or app.builder.name != "html":
        return
    files = {ending: Path(app.outdir, FOLDER, pagename + ending) for ending in (".ipynb", ".py")}
    if not is_taken_along(pagename, doctree):
        for file in files.values():
            file.unlink(missing_ok=True)
        return
    page = Page(app, pagename, doctree)
    parts = page.parts
    if page.sources:
        parts.append("**Sources**\n\n" + "\n".join(f"- {escape_markdown(source)}" for source in page.sources))
    ran = Path(app.doctreedir).parent / "jupyter_execute" / f"{pagename}.ipynb"
    ran = nbformat.reads(ran.read_text(encoding="utf-8"), as_version=4)
    Path(app.outdir, FOLDER).mkdir(exist_ok=True)
    for ending, make in ((".ipynb", notebook), (".py", script)):
        write_whole(files[ending], make(app, pagename, parts, ran))


def remove_others(app, exception):
    """Remove what is left of pages that are gone."""
    if exception or app.builder.name != "html":
        return
    for file in filter(
        Path.is_file, Path(app.outdir, FOLDER).glob("*")
    ):  # a notebook's reader may leave folders
        if file.stem not in app.env.found_docs:
            file.unlink()


def setup(app):
    app.add_post_transform(TakeAlong)
    app.connect("html-page-context", write_files, priority=900)
    app.connect("build-finished", remove_others)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

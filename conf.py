"""Sphinx configuration. The pages are in docs/, and their own machinery in docs/_extensions."""

import sys
import tomllib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "docs" / "_extensions"))

from inputs import LEFT_BEHIND

import rnn_notes

project = "rnn-notes"
author = "The rnn-notes authors"
copyright = "2026, " + author + ". Text and figures CC BY 4.0, code BSD-3-Clause"
release = version = rnn_notes.__version__
with open(Path(__file__).with_name("pyproject.toml"), "rb") as file:
    repository = tomllib.load(file)["project"].get("urls", {}).get("Repository", "")

extensions = [
    "execution",  # runs the cells, in parallel, and gives pages their outputs
    "rebuilding",  # a build after another one gives what a build from nothing gives
    "code_links",  # code names in cells link to the reference
    "names",  # {names}`rnn`: what a module documents
    "figure_links",  # figure functions in the reference link to what the pages draw with them
    "reading_time",  # {minutes}`core`
    "path",  # the lectures as cards
    "gallery",  # every figure, and as files for slides
    "quiz",  # questions with answers to choose from
    "handouts",  # a sheet for each lecture, and the solutions of its exercises
    "katex",  # formulas, rendered at build time
    "powers_of_ten",  # computed numbers read as formulas
    "mark",  # the site's mark, drawn by the package
    "site_address",  # taken from the host
    "sharing",  # what other sites show of a page, where the address is known
    "places",  # links to boxes and tables; the search index
    "explanations",  # terms and citations say what they are; the labels of citations
    "downloads",  # each page with cells as a notebook and as a script
    "sliders",  # figures that the reader can move
    "running",  # cells run in the reader's browser; what a page may load
    "html_fixes",  # styles, ids and comments that pages do not need; pictures that wait
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "sphinxcontrib.bibtex",
    "notfound.extension",
]
exclude_patterns = ["_*", *LEFT_BEHIND, *("**/" + pattern for pattern in LEFT_BEHIND)]
root_doc = "index"

# Execution: any warning, error or output on stderr stops the build. MyST-NB has its pages from execution.py.
nb_execution_mode = "off"
nb_custom_formats = {".md": "execution.read_page"}
nb_execution_timeout = 60  # seconds for a cell

myst_enable_extensions = ["dollarmath", "amsmath", "attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 3
math_number_all = False
math_eqref_format = "({number})"
numfig = True
numfig_format = {"figure": "Figure %s", "table": "Table %s", "code-block": "Listing %s"}

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True  # np.float64, not <class ...>
numpydoc_show_class_members = False
autosummary_generate = False  # numpydoc loads it; it would import the package in every build
autodoc_typehints = "none"  # the docstrings say types and shapes
bibtex_bibfiles = ["docs/references.bib"]
bibtex_reference_style = "author_year"
bibtex_default_style = "labeled_author_year"  # the same labels in the bibliography
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "furo"
html_title = "rnn-notes"
html_static_path = ["docs/_static"]
html_css_files = ["site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
templates_path = ["docs/_templates"]
html_copy_source = False
html_domain_indices = False  # genindex has it all
html_theme_options = {
    "top_of_page_buttons": [],
    "navigation_with_keys": True,
    "source_repository": repository,  # page.html links to it
    "source_branch": "main",
    "source_directory": "docs/",
    "light_css_variables": {
        "font-stack": "'Lecture Serif', 'Serif Stand-in', Georgia, serif",
        "font-stack--monospace": "'Lecture Mono', 'Mono Stand-in', Menlo, Consolas, monospace",
    },
}

"""Make a build after another build give what a build from nothing gives.

Sphinx reads again what is younger than its last reading, and writes what it read. Here content decides, not
age, and what pages show of one another counts: titles, numbers, names, their order. The search index keeps
what it has of the pages that are not written; images of earlier states, which stay, are removed. An error in
a process stops the build.
"""

import os
import pickle
import re
import sys
from pathlib import Path

import execution
from handouts import lectures
from inputs import ROOT, check_bytecode, digest, digests, foundation, listing
from places import places, write_script
from progress import count, show
from sphinx.builders.html import StandaloneHTMLBuilder
from sphinx.util.parallel import ParallelTasks
from sphinxcontrib.bibtex.domain import BibtexDomain, get_docnames

FEW = 3  # pages that one process reads and writes sooner: to another one, Sphinx hands all that it knows
depended_on = set()  # the files that all pages depend on, for build.py


def set_foundation(app, config):
    check_bytecode()
    config.foundation = foundation()


def find_changed(app, env, added, changed, removed):
    for page in removed if app.builder.format == "html" else ():  # Sphinx leaves it
        Path(app.builder.get_outfilename(page)).unlink(missing_ok=True)
    digests(listing(app.srcdir, ROOT / "rnn_notes"))  # before anything is read
    if added or removed:  # a link to a page is read in another way than a link to nothing
        return env.found_docs
    return [page for page, inputs in inputs_of(env).items() if digests(inputs) != inputs]


def inputs_of(env):
    """Return {page: {file: hash}}: what each page was read from."""
    return vars(env).setdefault("inputs_of_pages", {})


def forget_inputs(app, env, page):
    inputs_of(env).pop(page, None)


def merge_inputs(app, env, pages, other):
    inputs_of(env).update({page: inputs_of(other)[page] for page in pages})


def note_inputs(app, doctree):
    env, page = app.env, app.env.current_document.docname
    files = {env.doc2path(page), *execution.files_read.get(page, ())}
    files |= {os.path.normpath(Path(app.srcdir, name)) for name in env.dependencies.get(page, ())}
    inputs_of(env)[page] = digests(sorted(path for path in map(Path, files) if path.is_relative_to(ROOT)))


def start_reading(app, env, docnames):
    global jobs
    if docnames:
        show(f"Reading {count(docnames)}")
    jobs, app.parallel = app.parallel, app.parallel if len(docnames) > FEW else 1


def show_writing(app, builder):
    show("Writing the pages")


def find_outdated(app, env):
    """Write all pages again if something changed that they show of one another."""
    shared = digest(
        [(page, str(title)) for page, title in sorted(env.titles.items())],
        [(page, str(env.tocs[page])) for page in sorted(env.toctree_includes)],  # order, captions
        env.toc_secnumbers,
        env.toc_fignumbers,
        [(page, anchors(env.metadata[page])) for page in sorted(env.found_docs)],
        [(page, env.metadata[page].get("picture")) for page in sorted(env.found_docs)],
        [(page, env.metadata[page].get("minutes")) for page in sorted(env.found_docs)],
        [(page, whole(env.metadata[page].get("figures"))) for page in sorted(env.found_docs)],
        [(page, whole(env.metadata[page].get("exercises"))) for page in sorted(env.found_docs)],
        [page for page in sorted(env.found_docs) if env.metadata[page].get("lists_handouts")],
        lectures(env),
        [(page, whole(env.metadata[page].get("definitions"))) for page in sorted(env.found_docs)],
        [sorted(domain.get_objects()) for domain in env.domains.sorted()],
        sorted(env.domains.standard_domain.labels.items()),
        sorted(env.domains.standard_domain.anonlabels.items()),
        sorted(env.domains["math"].equations.items()),
        [(citation.key, str(citation.formatted_entry.label)) for citation in env.domains["cite"].citations],
        [names(file) for file in listing(ROOT / "rnn_notes") if file.suffix == ".py"],
    )
    last, env.shown_by_others = getattr(env, "shown_by_others", None), shared
    if shared == last:
        return []
    app.parallel = jobs
    return sorted(env.found_docs)


def whole(value):
    """Return what has nodes in it with these as text: their repr is short, and the same after a change."""
    if isinstance(value, dict):
        return {key: whole(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [whole(part) for part in value]
    return str(value)


def anchors(metadata):
    return sorted((slug, *where[1:]) for slug, where in metadata.get("myst_slugs", {}).items())


def names(file):
    """Return what the package names in a file and what functions return, which code links know."""
    text = file.read_text(encoding="utf-8")
    return re.findall(
        r"^ *(?:class|def|from|import|@)\b.*|^\w+ = .*|Returns\n *-+\n *\w+", text, re.MULTILINE
    )


terminate = ParallelTasks.terminate


def stop_with_error(self):
    """Stop the other processes, and the build: Sphinx drops an error that comes while it starts more."""
    terminate(self)
    if error := sys.exception():
        raise error


class Builder(StandaloneHTMLBuilder):
    """Writes our own search index (places.py), and keeps the places of pages that are not written."""

    @property
    def kept_places(self):
        return Path(self.doctreedir, "places.pickle")

    def get_outdated_docs(self):
        """Return all pages where the last build was stopped before it had written all their places."""
        return super().get_outdated_docs() if self.kept_places.exists() else self.env.found_docs

    def load_indexer(self, docnames):
        kept = self.env.all_docs.keys() - docnames
        self.places = pickle.loads(self.kept_places.read_bytes()) if kept else {}

    def index_page(self, pagename, doctree, title):
        if pagename != self.config.notfound_pagename:
            numbers = self.env.toc_fignumbers.get(pagename, {}).get("figure", {})
            self.places[pagename] = places(doctree, self.doctreedir, numbers)

    def dump_search_index(self):
        found = {page: self.places[page] for page in sorted(self.env.all_docs) if page in self.places}
        self.kept_places.write_bytes(pickle.dumps(found))
        titles = {page: self.env.titles[page].astext() for page in found}
        write_script(Path(self.outdir, self.searchindex_filename), titles, found)


class Citations(BibtexDomain):
    """Formats the references again only when other works are cited, or in another order."""

    def env_updated(self):
        refs = sorted(self.citation_refs, key=lambda ref: ref.docname)
        cited = [(ref.docname, [target.key for target in ref.targets]) for ref in refs]
        cited = digest(cited, list(get_docnames(self.env)), list(self.bibliographies))
        if self.data.get("formatted") != cited:
            self.data["formatted"] = cited
            return super().env_updated()

    def clear_doc(self, docname):
        if any(bibliography.docname == docname for bibliography in self.bibliographies):
            self.data.pop("formatted", None)
        super().clear_doc(docname)


def sweep(app, exception):
    """Remove the images that no page has any more; tell build.py what the pages depend on."""
    if exception or app.builder.format != "html":
        return
    Path(app.outdir, ".buildinfo.bak").unlink(missing_ok=True)
    images = app.env.images
    for image in Path(app.outdir, "_images").glob("*"):
        if image.name not in images._existing:
            image.unlink()
    written = {Path(app.srcdir, name).resolve() for name in images}
    for file in Path(app.outdir).parent.glob("jupyter_execute/*.*"):
        if file not in written and file.name.split(".")[0] not in app.env.found_docs:
            file.unlink()
    depended_on.update(*inputs_of(app.env).values())


def setup(app):
    ParallelTasks.terminate = stop_with_error
    app.add_config_value("foundation", "", "env", str)  # a change reads and writes all pages
    app.add_builder(Builder, override=True)
    app.setup_extension("sphinxcontrib.bibtex")
    app.add_domain(Citations, override=True)
    app.connect("config-inited", set_foundation)
    app.connect("env-get-outdated", find_changed)
    app.connect("env-before-read-docs", start_reading, priority=900)  # after the cells ran
    app.connect("doctree-read", note_inputs, priority=900)  # after all that a page depends on is noted
    app.connect("env-purge-doc", forget_inputs)
    app.connect("env-merge-info", merge_inputs)
    app.connect("env-get-updated", find_outdated, priority=900)  # after figures got their numbers
    app.connect("write-started", show_writing)
    app.connect("build-finished", sweep)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

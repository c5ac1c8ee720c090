"""Hand out lectures: the directive {handouts}, and two pages for each page with a summary and exercises.

<page>-handout.html has the claim, the picture to remember, the numbered formulas of the core, the summary and
the exercises, on one sheet of A4 (site.css); <page>-solutions.html has the exercises with their solutions.
Both are made of the page's own nodes when it is written, so they change when it does.
"""

from html import escape
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from reading_time import SUMMARY, core
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

EXERCISES = "Exercises"
HANDOUT, SOLUTIONS = "-handout", "-solutions"


class handouts(nodes.General, nodes.Element):
    """The place of the list, until all pages are read."""


class HandoutsDirective(Directive):
    def run(self):
        return [handouts()]


def lectures(env):
    """Return the pages that have handouts, in order; find_outdated of rebuilding.py compares them."""
    root = env.config.root_doc
    titles = {page: {node.astext() for node in env.tocs[page].findall(nodes.reference)} for page in env.tocs}
    return [page for page in env.toctree_includes.get(root, ()) if {SUMMARY, EXERCISES} <= titles[page]]


class Handouts(SphinxPostTransform):
    default_priority = 5

    def run(self, **kwargs):
        for place in list(self.document.findall(handouts)):
            items = [nodes.list_item("", self.links(page)) for page in lectures(self.env)]
            place.replace_self(nodes.bullet_list("", *items, classes=["handouts"]))

    def links(self, page):
        here, builder = self.env.current_document.docname, self.app.builder
        number = number_of(self.env, page)
        sheet = make_refnode(builder, here, page + HANDOUT, "", nodes.Text(self.env.titles[page].astext()))
        answers = make_refnode(builder, here, page + SOLUTIONS, "", nodes.Text(f"solutions {number}".strip()))
        return nodes.paragraph("", number and f"{number}. ", sheet, nodes.Text(", "), answers)


def number_of(env, page):
    return ".".join(map(str, env.toc_secnumbers.get(page, {}).get("", ())))


def sections(document):
    """Return the sections of a page below its title, by their titles."""
    top = document.next_node(nodes.section)
    return {node[0].astext(): node for node in top.children if isinstance(node, nodes.section)}


def formulas(document):
    """Return the numbered formulas of the core, under the titles of their sections, which lead there."""
    found, last = [], None
    for formula in core(document):
        if not (isinstance(formula, nodes.math_block) and formula["number"]):
            continue
        section = formula.parent
        while not isinstance(section, nodes.section):
            section = section.parent
        if section is not last:
            title = [child.deepcopy() for child in section[0].children]
            found.append(nodes.rubric("", "", nodes.reference("", "", *title, refid=section["ids"][0])))
        last = section
        found.append(formula.deepcopy())
    return found


def exercises(document, solved):
    """Return the section of the exercises, each with its solution below it, or without."""
    section = sections(document)[EXERCISES].deepcopy()
    folded = False
    for node in section.children[:]:
        if isinstance(node, nodes.raw) and "<details" in node.astext():
            folded = True
            node.replace_self(nodes.rubric("", "Solution") if solved else [])
        elif isinstance(node, nodes.raw) and "</details" in node.astext():
            folded = False
            section.remove(node)
        elif folded and not solved:
            section.remove(node)
    return section


def handout(document):
    """Return all that is on the sheet."""
    top = document.next_node(nodes.section)
    picture = next((node for node in core(document) if isinstance(node, nodes.figure)), nodes.Text(""))
    claim = top.next_node(nodes.paragraph)
    parts = [
        top[0],
        claim,
        picture,
        *formulas(document),
        sections(document)[SUMMARY],
        exercises(document, False),
    ]
    sheet = nodes.section("", *(part.deepcopy() for part in parts), ids=top["ids"], classes=["handout"])
    for legend in list(sheet.findall(nodes.legend)):
        legend.parent.remove(legend)
    return sheet


def solutions(document):
    """Return the exercises with their solutions, unfolded."""
    top = document.next_node(nodes.section)
    title = nodes.title("", "Solutions: ", *(child.deepcopy() for child in top[0].children))
    return nodes.section("", title, exercises(document, True), ids=top["ids"], classes=["solutions"])


def write_handouts(app, pagename, templatename, context, doctree):
    """Write the two pages with the page that they are made of, in the process that writes it."""
    if doctree is None or app.builder.format != "html" or pagename not in lectures(app.env):
        return
    builder, title = app.builder, escape(app.env.titles[pagename].astext())
    lecture = builder.get_target_uri(pagename)
    number = number_of(app.env, pagename)
    for ending, make, what in ((HANDOUT, handout, "Handout"), (SOLUTIONS, solutions, "Solutions")):
        sheet = make(doctree)
        credit = [
            nodes.Text("From "),
            nodes.reference("", f"lecture {number}".strip(), refuri=lecture, internal=True),
            nodes.Text(f" of {app.config.html_title}, CC BY 4.0."),
        ]
        if ending == HANDOUT:
            uri = builder.get_target_uri(pagename + SOLUTIONS)
            credit += [nodes.Text(" "), nodes.reference("", "Solutions", refuri=uri, internal=True)]
        sheet += nodes.paragraph("", "", *credit, classes=["credit"])
        lead_to(sheet, lecture)
        builder.handle_page(
            pagename + ending,
            {
                "title": f"{what}: {title}",
                "body": builder.render_partial(sheet)["fragment"],
                "metatags": f'<meta name="description" content="{what} of the lecture “{title}”, to print.">',
            },
        )


def lead_to(sheet, lecture):
    """Have links within the lecture lead there from another page, and the first picture not wait."""
    for link in sheet.findall(nodes.reference):
        if "refid" in link:
            link["refuri"] = lecture + "#" + link.attributes.pop("refid")
        elif link.get("refuri", "").startswith("#"):
            link["refuri"] = lecture + link["refuri"]
        link["internal"] = link.get("internal", True)
    for number, image in enumerate(sheet.findall(nodes.image)):
        image.attributes.pop("loading", None)
        if number:
            image["loading"] = "lazy"


def remove_others(app, exception):
    """Remove what is left of pages that are gone, or have no exercises any more."""
    if exception or app.builder.format != "html":
        return
    wanted = {page + ending for page in lectures(app.env) for ending in (HANDOUT, SOLUTIONS)}
    for ending in (HANDOUT, SOLUTIONS):
        for file in Path(app.outdir).glob(f"*{ending}.html"):
            if file.stem not in wanted | app.env.found_docs:
                file.unlink()


def setup(app):
    app.add_node(handouts)
    app.add_directive("handouts", HandoutsDirective)
    app.add_post_transform(Handouts)
    app.connect("html-page-context", write_handouts, priority=900)
    app.connect("build-finished", remove_others)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

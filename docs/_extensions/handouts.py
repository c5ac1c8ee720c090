"""Hand out lectures: two pages for each page with a summary and exercises, and the directives that list them.

{handouts} becomes a table of these pages, {exercises} a list of the exercises. <page>-handout.html has the
claim, the picture to remember, the numbered formulas of the core, the summary and the exercises, on one sheet
of A4 (site.css); <page>-solutions.html has the exercises with their solutions. Both are made of the page's
own nodes when it is written, so they change when it does.
"""

import re
from html import escape
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from reading_time import SUMMARY, core
from sphinx.addnodes import toctree
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

EXERCISES = "Exercises"
LICENSE = "CC BY 4.0 (creativecommons.org/licenses/by/4.0)"
HANDOUT, SOLUTIONS = "-handout", "-solutions"


class handouts(nodes.General, nodes.Element):
    """The place of the table, until all pages are read."""


class exercise_list(nodes.General, nodes.Element):
    """The place of the list, until all pages are read."""


class HandoutsDirective(Directive):
    def run(self):
        return [handouts()]


class ExercisesDirective(Directive):
    def run(self):
        return [exercise_list()]


def note_exercises(app, document):
    """Note what other pages show of this one; find_outdated of rebuilding.py compares it."""
    metadata = app.env.metadata[app.env.current_document.docname]
    metadata["lists_handouts"] = any(document.findall(handouts))
    boxes = document.next_node(nodes.section) and sections(document).get(EXERCISES, nodes.section())
    metadata["exercises"] = [
        (box["ids"][0], *title_of(box[0]))
        for box in (boxes.findall(nodes.Admonition) if boxes else ())
        if "exercise" in box["classes"]
    ]


def title_of(title):
    """Return the title of an exercise without the word, with a capital, and the dots."""
    words = nodes.inline("", "", *title.deepcopy().children)
    if isinstance(words[0], nodes.Text):
        _, dots, first = re.fullmatch(r"(Exercise ?([●○]*): )?(.*)", words[0], re.DOTALL).groups()
        words[0] = nodes.Text(first[:1].upper() + first[1:])
        return words, dots or ""
    return words, ""


def lectures(env):
    """Return the pages that have handouts, in order; find_outdated of rebuilding.py compares them."""
    root = env.config.root_doc
    titles = {page: {node.astext() for node in env.tocs[page].findall(nodes.reference)} for page in env.tocs}
    return [page for page in env.toctree_includes.get(root, ()) if {SUMMARY, EXERCISES} <= titles[page]]


class Handouts(SphinxPostTransform):
    default_priority = 5

    def run(self, **kwargs):
        for place in list(self.document.findall(handouts)):
            place.replace_self(self.table())
        for place in list(self.document.findall(exercise_list)):
            items = [self.exercises(page) for page in lectures(self.env)]
            place.replace_self(repeated(nodes.bullet_list("", *items, classes=["exercises"])))

    def link(self, page, text, anchor=""):
        here = self.env.current_document.docname
        return make_refnode(self.app.builder, here, page, anchor, text)

    def table(self):
        """Return a row for each lecture."""
        rows = [[nodes.Text(text) for text in ("Lecture", "Minutes to read", "Sheet", "Solutions")]]
        for page in lectures(self.env):
            number = number_of(self.env, page)
            rows.append(
                [
                    self.link(page, nodes.Text(topic_of(self.env, page))),
                    nodes.Text(str(self.env.metadata[page].get("minutes", ""))),
                    self.link(page + HANDOUT, nodes.Text(f"Sheet\N{NO-BREAK SPACE}{number}".strip())),
                    self.link(page + SOLUTIONS, nodes.Text(f"Solutions\N{NO-BREAK SPACE}{number}".strip())),
                ]
            )
        head, *body = [
            nodes.row("", *(nodes.entry("", nodes.paragraph("", "", cell)) for cell in row)) for row in rows
        ]
        columns = [nodes.colspec(colwidth=width) for width in (46, 14, 18, 22)]
        parts = [*columns, nodes.thead("", head), nodes.tbody("", *body)]
        return nodes.table("", nodes.tgroup("", *parts, cols=len(columns)), classes=["handouts"])

    def exercises(self, page):
        """Return the titles of a lecture's exercises, each a link to its box."""
        words = nodes.paragraph("", "", nodes.strong("", topic_of(self.env, page)))
        for number, (anchor, title, dots) in enumerate(self.env.metadata[page]["exercises"]):
            words += nodes.Text("\N{NO-BREAK SPACE}· " if number else ": ")
            words += self.link(page, title.deepcopy(), anchor)
            words += nodes.Text(f"\N{NO-BREAK SPACE}{dots}" if dots else "")
        return nodes.list_item("", words)


def repeated(node):
    """Return a node which the search leaves out (places.py): its words are found where they come from."""
    return nodes.compound("", node)


def number_of(env, page):
    return ".".join(map(str, env.toc_secnumbers.get(page, {}).get("", ())))


def topic_of(env, page):
    """Return the name of a page in the sidebar, with its number; of the root the title."""
    trees = env.tocs[env.config.root_doc].findall(toctree)
    topics = {name: topic for tree in trees for topic, name in tree["entries"]}
    number, topic = number_of(env, page), topics.get(page) or env.titles[page].astext()
    return f"{number}. {topic}" if number else topic


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


def part(document, what, kind, *content):
    """Return a page with the title of the lecture, and what it is of it."""
    top = document.next_node(nodes.section)
    title = nodes.title("", f"{what}: ", *(child.deepcopy() for child in top[0].children))
    content = [node.deepcopy() for node in content]
    made = nodes.section("", title, *content, ids=top["ids"], classes=[kind])
    for slider in [raw for raw in made.findall(nodes.raw) if raw.get("slider")]:
        slider.parent.remove(slider)
    return made


def sheet_of(document):
    """Return all that is on the sheet."""
    top = document.next_node(nodes.section)
    picture = next((node for node in core(document) if isinstance(node, nodes.figure)), nodes.Text(""))
    claim = top.next_node(nodes.paragraph)
    summary = sections(document)[SUMMARY]
    sheet = part(
        document, "Sheet", "handout", claim, picture, *formulas(document), summary, exercises(document, False)
    )
    for legend in list(sheet.findall(nodes.legend)):
        legend.parent.remove(legend)
    return sheet


def solutions_of(document):
    """Return the exercises with their solutions, unfolded."""
    return part(document, "Solutions", "solutions", exercises(document, True))


def write_handouts(app, pagename, templatename, context, doctree):
    """Write the two pages with the page that they are made of, in the process that writes it."""
    if doctree is None or app.builder.format != "html" or pagename not in lectures(app.env):
        return
    env, builder = app.env, app.builder
    lecture, number = builder.get_target_uri(pagename), number_of(env, pagename)
    pages = {"Sheet": (HANDOUT, sheet_of), "Solutions": (SOLUTIONS, solutions_of)}
    for what, (ending, make) in pages.items():
        sheet = make(doctree)
        ways = {f"lecture {number}".strip(): lecture}
        ways |= {
            other.lower(): builder.get_target_uri(pagename + pages[other][0])
            for other in pages
            if other != what
        }
        ways |= {
            env.titles[page].astext(): builder.get_target_uri(page)
            for page in sorted(env.found_docs)
            if env.metadata[page].get("lists_handouts")
        }
        line = [
            nodes.raw(
                "", "To print: <kbd>Ctrl</kbd> <kbd>P</kbd> or <kbd>Cmd</kbd> <kbd>P</kbd>", format="html"
            )
        ]
        for text, uri in ways.items():
            line += [nodes.Text(" · "), nodes.reference("", text, refuri=uri, internal=True)]
        sheet.insert(1, nodes.paragraph("", "", *line, classes=["ways"]))
        sheet += nodes.paragraph("", credit(app, f"lecture {number}".strip()), classes=["credit"])
        lead_to(sheet, lecture)
        title = escape(env.titles[pagename].astext())
        builder.handle_page(
            pagename + ending,
            {
                "title": f"{number and number + '. '}{what}: {title}",
                "body": builder.render_partial(sheet)["fragment"],
                "metatags": f'<meta name="description" content="{what} of the lecture “{title}”, to print.">',
            },
        )


def credit(app, what):
    """Return what the license asks for: author, place, license with its address, and the site's address."""
    parts = [app.config.author, f"{what} of {app.config.html_title}", LICENSE, app.config.html_baseurl]
    return ", ".join(filter(None, parts))


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
    app.add_node(exercise_list)
    app.add_directive("handouts", HandoutsDirective)
    app.add_directive("exercises", ExercisesDirective)
    app.connect("doctree-read", note_exercises, priority=600)  # after boxes have names
    app.add_post_transform(Handouts)
    app.connect("html-page-context", write_handouts, priority=900)
    app.connect("build-finished", remove_others)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

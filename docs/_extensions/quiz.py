"""Ask readers: the directive {question}, whose answers say whether they are right, and why.

    :::{question} Title
    What is asked.

    - [ ] An answer, on one line.
      Below it, why it is wrong.
    - [x] The right one.
      It has a reason too.
    :::

The marks are those of Markdown's lists of tasks, so that other programs, too, show the answers as a list.
On a page each is a <details>: it needs no script, and nothing is sent. A question of which not exactly one
answer is right, or which lacks a reason, is a warning.
"""

import re

from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)
ANSWER = re.compile(r"- \[([ x])\] +")
VERDICTS = {True: "Right.", False: "Not this."}


class choice(nodes.General, nodes.Element):
    """An answer: its title, then what it says when it is chosen."""


class choice_title(nodes.General, nodes.TextElement):
    """What one chooses."""


def split(lines):
    """Return the lines of the question; of each answer: is it right, its line, its title, its reason."""
    starts = [number for number, line in enumerate(lines) if ANSWER.match(line)]
    ends = [*starts[1:], len(lines)]
    answers = []
    for start, end in zip(starts, ends, strict=True):
        mark = ANSWER.match(lines[start])
        reason = [line.removeprefix("  ") for line in lines[start + 1 : end]]
        answers.append((mark[1] == "x", start, lines[start][mark.end() :], reason))
    return lines[: starts[0] if starts else len(lines)], answers


class Question(SphinxDirective):
    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self):
        asked, answers = split(list(self.content))
        title, messages = self.parse_inline(self.arguments[0])
        box = nodes.admonition("", nodes.title("", "", *title), *messages, classes=["check"])
        self.set_source_info(box)
        box += self.parsed(asked, 0)
        if len(box) == 1:
            self.complain("asks nothing")
        letters = [chr(ord("A") + number) for number in range(len(answers))]
        box += [self.choice(letter, *answer) for letter, answer in zip(letters, answers, strict=True)]
        right = [letter for letter, answer in zip(letters, answers, strict=True) if answer[0]]
        if len(answers) < 2 or len(right) != 1:
            self.complain(f"has {len(answers)} answers of which {len(right)} are right, not one of several")
        if len({title for _, _, title, _ in answers}) < len(answers):
            self.complain("has the same answer twice")
        key = f'<p class="key">Right: {", ".join(right)}</p>'  # for paper, on which nothing opens
        box += nodes.raw("", key, format="html")
        return [box]

    def parsed(self, lines, start):
        """Return the nodes of some lines of the content, that begin at number `start`."""
        return self.parse_text_to_nodes("\n".join(lines), offset=self.content_offset + start)

    def choice(self, letter, right, start, title, reason):
        words, messages = self.parse_inline(title, lineno=self.line(start))
        parts = self.parsed(reason, start + 1)
        if not parts or not isinstance(parts[0], nodes.paragraph):
            self.complain(f"gives no reason for its answer {letter}", self.line(start))
            parts.insert(0, nodes.paragraph())
        parts[0].insert(0, [nodes.strong("", VERDICTS[right]), nodes.Text(" ")])
        mark = nodes.inline("", letter, classes=["letter"])
        return choice("", choice_title("", "", mark, nodes.Text(" "), *words), *messages, *parts, right=right)

    def line(self, start):
        return self.lineno + self.content_offset + start + 1

    def complain(self, what, line=None):
        place = self.env.current_document.docname, line or self.lineno
        logger.warning("question “%s” %s", self.arguments[0], what, location=place)


def visit_choice(self, node):
    self.body.append(self.starttag(node, "details", CLASS="choice right" if node["right"] else "choice"))


def depart_choice(self, node):
    self.body.append("</details>\n")


def visit_choice_title(self, node):
    self.body.append("<summary>")


def depart_choice_title(self, node):
    self.body.append("</summary>\n")


def setup(app):
    app.add_node(choice, html=(visit_choice, depart_choice))
    app.add_node(choice_title, html=(visit_choice_title, depart_choice_title))
    app.add_directive("question", Question)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""The pages as they are written: their examples run, their lines are short, every figure has its words."""

import ast
import dis
import doctest
import io
import re
import textwrap
import tokenize

import numpy as np
import pytest
from markdown_it import MarkdownIt
from mdit_py_plugins.colon_fence import colon_fence_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.front_matter import front_matter_plugin
from mdit_py_plugins.myst_blocks import myst_block_plugin
from pages import EXECUTED, ROOT, WRITTEN, by_name, cells, shown


@pytest.mark.parametrize("page", [*WRITTEN, ROOT / "README.md"], ids=by_name)
def test_examples(page):
    """Run the >>> examples of the fenced blocks, in order and in one namespace."""
    text = page.read_text(encoding="utf-8")
    blocks = re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    namespace, runner = {}, doctest.DocTestRunner()
    for block in blocks:
        line = text.count("\n", 0, block.start(1))
        test = doctest.DocTestParser().get_doctest(block[1], namespace, page.name, str(page), line)
        runner.run(test, clear_globs=False)
    assert runner.summarize().failed == 0


@pytest.mark.parametrize("page", EXECUTED, ids=by_name)
def test_code_fits_the_column(page):
    """No line of shown code is wider than the text column of the site."""
    lines = [line for cell in shown(page) for line in cell.splitlines()]
    assert max(map(len, lines)) <= 84


@pytest.mark.parametrize("page", EXECUTED, ids=by_name)
def test_figures_have_words(page):
    """Every cell that draws gives its figure a name, a caption and an alternative text."""
    for cell in cells(page):
        if "figures." in cell.source:
            words = cell.metadata.get("mystnb", {})
            caption, alt = words["figure"]["caption"], words["image"]["alt"]
            assert words["figure"]["name"].startswith("fig-")
            assert len(caption.split()) > 10 and len(alt.split()) > 10 and caption != alt


def test_places_have_one_name():
    """No two pages give a place the same name; Sphinx sees that only when one process reads both."""
    pattern = r"^\(([\w-]+)\)=$|^ *:?name: ([\w-]+)$|^:label: ([\w-]+)$"
    named = [
        next(filter(None, match.groups()))
        for page in sorted((ROOT / "docs").glob("*.md"))
        for match in re.finditer(pattern, page.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    named = [name for name in named if name != "python3"]  # the kernel of every page
    assert len(named) > 100
    assert sorted(set(named)) == sorted(named)


MARKDOWN = MarkdownIt("commonmark").enable("table")
for plugin in (colon_fence_plugin, dollarmath_plugin, front_matter_plugin, myst_block_plugin):
    MARKDOWN.use(plugin)
OF_PROSE = {"admonition", "figure", "glossary", "important", "note", "question", "seealso", "tip", "warning"}


def paragraphs(text, first=1):
    """Yield the number of the first line, and the text, of each paragraph of Markdown."""
    for token in MARKDOWN.parse(text):
        name = re.match(r"\{(\w+)\}", token.info)
        if token.type == "inline":
            yield first + token.map[0], token.content
        elif name and name[1] in OF_PROSE:
            inside = re.sub(r"^:\w+:.*$", "", token.content, flags=re.MULTILINE)  # the directive's options
            if name[1] == "glossary":
                inside = re.sub(r"^\S.*$", "", inside, flags=re.MULTILINE)  # its terms
            yield from paragraphs(textwrap.dedent(inside), first + token.map[0] + 1)


@pytest.mark.parametrize("page", [*WRITTEN, ROOT / "README.md"], ids=by_name)
def test_one_sentence_a_line(page):
    """A line of prose ends where its sentence ends, so that a change shows the sentence and nothing else."""
    faults = []
    for first, text in paragraphs(page.read_text(encoding="utf-8")):
        lines = text.split("\n")
        for number, line in enumerate(lines, first):
            is_title = re.match(r"\[[ x]\] ", line)  # of an answer, whose reason goes on
            if number < first + len(lines) - 1 and not (is_title or re.search(r"[.?!:;]\W*$", line)):
                faults.append(
                    f"{page.name}:{number}: the sentence goes on in the next line: ... {line[-40:]}"
                )
            plain = re.sub(
                r"`[^`]*`|\$[^$]*\$|\([^()]*\)", "xx", line
            )  # what is in brackets may have sentences
            if two := re.search(r"\w{2}[.?!][^\w\s]* +[^\w\s]*[A-Z]", plain):
                faults.append(f"{page.name}:{number}: a second sentence starts: {plain[two.start() :][:40]}")
    if faults:
        pytest.fail("\n".join(["one sentence a line:", *faults]), pytrace=False)


@pytest.mark.parametrize("page", EXECUTED, ids=by_name)
def test_long_comments_stand_above_their_line(page):
    """On a phone, what stands behind a line of more than 60 characters is not on the screen."""
    for cell in shown(page):
        lines = cell.split("\n")
        for token in tokenize.generate_tokens(io.StringIO(cell).readline):
            row, column = token.start
            if token.type == tokenize.COMMENT and lines[row - 1][:column].strip():
                assert len(lines[row - 1]) <= 60, lines[row - 1]


LECTURES = [page for page in EXECUTED if "\n## Exercises\n" in page.read_text(encoding="utf-8")]
NUMBER = re.compile(r"(?<![\w^])\d+(?:[.,]\d+)*")


def words(text):
    """Count words; what stands between dollars, or is computed, is one."""
    return len(re.sub(r"\$[^$]*\$|\{[\w:]+\}`[^`]*`", "x", text).split())


def questions(page):
    """Return (title, question, [(whether it is right, answer, reason), ...]) of what follows the core."""
    text = page.read_text(encoding="utf-8")
    part = re.search(r"^## In three lines$.*?^(## .*?)^## Exercises$", text, re.MULTILINE | re.DOTALL)[1]
    assert part.startswith("## Check yourself\n")
    found = []
    for title, content in re.findall(r"^:::\{question\} (.*?)\n(.*?)^:::$", part, re.MULTILINE | re.DOTALL):
        asked, *answers = re.split(r"^- \[([ x])\] (.*)\n", content, flags=re.MULTILINE)
        rows = zip(answers[0::3], answers[1::3], answers[2::3], strict=True)
        found.append((title, asked, [(mark == "x", answer, reason) for mark, answer, reason in rows]))
    return found


def test_all_lectures_ask():
    """No page but a lecture has questions; those of docs/experiments.md are the eleventh's."""
    asking = [page for page in WRITTEN if ":::{question}" in page.read_text(encoding="utf-8")]
    assert asking == LECTURES and len(LECTURES) == 11


@pytest.mark.parametrize("page", LECTURES, ids=by_name)
def test_three_questions_follow_the_core(page):
    """Each has three answers with short reasons, and one of them is right, not always the first."""
    asked = questions(page)
    assert len(asked) == 3
    places = [[right for right, *_ in answers].index(True) for *_, answers in asked]
    assert all(sum(right for right, *_ in answers) == 1 for *_, answers in asked)
    assert len(set(places)) > 1
    for title, question, answers in asked:
        assert len(answers) == 3
        assert words(question) <= 30, title
        assert all(answer.strip() and 3 <= words(reason) <= 40 for _, answer, reason in answers), title


@pytest.mark.parametrize("page", LECTURES, ids=by_name)
def test_answers_are_computed(page):
    """A number typed in an answer is a small whole one, or a setting that the question or a cell has."""
    code = "\n".join(cell.source for cell in cells(page))
    for title, question, answers in questions(page):
        known = set(NUMBER.findall(question + code)) | set(map(str, range(10)))
        for _, answer, reason in answers:
            plain = re.sub(r"\{[\w:]+\}`[^`]*`|\]\([^)]*\)", "", f"{answer}\n{reason}")
            typed = re.sub(r"\$[^$]*\$", "", plain)
            assert set(NUMBER.findall(typed)) <= known, (title, typed)
            if not re.search(r"[A-Za-z]{3}|\$", answer):
                assert "{glue:text}" in answer or answer == "0", (title, answer)


ASKED = [asked for page in LECTURES for asked in questions(page)]


def test_right_answers_stand_anywhere():
    """Nor do those of a lecture, as a rule, each stand elsewhere: two would give away the third."""
    places = [[right for right, *_ in answers].index(True) for *_, answers in ASKED]
    assert min(places.count(place) for place in range(3)) > len(places) / 5
    assert sum(len(set(places[start : start + 3])) == 3 for start in range(0, len(places), 3)) <= 7


REASON = re.compile(r"\bbecause\b|\bsince\b|\bso that\b|:")


def test_form_tells_no_answer():
    """A right answer is not the one that argues or does not, and not as a rule the longest or shortest."""
    ranks = []
    for title, _, answers in ASKED:
        texts = [re.sub(r"\$[^$]*\$|\{[\w:]+\}`[^`]*`", "x", answer) for _, answer, _ in answers]
        assert len({bool(REASON.search(text)) for text in texts}) == 1, title
        right = len(texts.pop([is_right for is_right, *_ in answers].index(True)))
        others = [len(text) for text in texts]
        ranks.append((right > max(others)) - (right < min(others)))
        assert right <= 1.5 * max(others), title
    assert max(ranks.count(1), ranks.count(-1)) < len(ranks) / 2


def stored(source):
    """Return the names of variables that a cell leaves, and of its functions."""
    made = {step.argval for step in dis.get_instructions(source) if step.opname == "STORE_NAME"}
    functions = {node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    return made - functions, functions


@pytest.mark.parametrize("page", EXECUTED, ids=by_name)
def test_functions_stay_functions(page):
    """No later cell has a number of a function's name: readers call it again, with another value."""
    known = set()
    for cell in cells(page):
        variables, functions = stored(cell.source)
        assert not variables & known, variables & known
        known |= functions


def test_statements():
    """The table of the lecture's statements lists all 24, in order."""
    text = (ROOT / "docs" / "lecture.md").read_text(encoding="utf-8")
    assert re.findall(r"^\* - (N\d+)$", text, re.MULTILINE) == [f"N{n}" for n in range(1, 25)]


def rows_of_claims():
    """Return where the opening table of docs/textbooks.md links to, and the page's sections by name."""
    text = (ROOT / "docs" / "textbooks.md").read_text(encoding="utf-8")
    table = re.search(r":name: table-textbooks\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[1]
    _, *rows = re.split(r"^\* - ", table, flags=re.MULTILINE)[1:]
    places = [re.search(r"\]\(#([\w-]+)\)\n+$", row)[1] for row in rows]
    parts = re.split(r"^\(([\w-]+)\)=\n#", text, flags=re.MULTILINE)
    return places, dict(zip(parts[1::2], parts[2::2], strict=True))


def test_claims_have_sections():
    """The opening table lists every section, in order."""
    places, sections = rows_of_claims()
    assert places == list(sections)


@pytest.mark.parametrize("place", rows_of_claims()[0])
def test_claims_are_shown(place, capsys):
    """A claim has a cell that runs alone and prints numbers, a check of it, and a link to a lecture."""
    section = rows_of_claims()[1][place]
    cell, check, *_ = re.findall(r"^```\{code-cell\}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert re.findall(r"^(?:import|from) .*", cell, re.MULTILINE) == ["import numpy as np"]
    namespace = {}
    exec(cell, namespace)
    assert re.search(r"\d", capsys.readouterr().out)
    options, code = check.split("---\n")[1:]
    assert "hide-input" in options and "assert" in code
    exec(code, namespace)
    links = re.findall(r"\]\(#([\w-]+)\)", section)
    assert set(links) - set(rows_of_claims()[0])


def test_readme_picture_is_current(monkeypatch):
    """The README's picture is the front page's figure; hosts show a README before any site is built."""
    monkeypatch.setenv("MPLBACKEND", "Agg")
    namespace = {}
    exec("\n".join(shown(ROOT / "docs" / "index.md")), namespace)
    drawn = ROOT / "_build" / "story.svg"
    drawn.parent.mkdir(exist_ok=True)
    with namespace["figures"].style.plt.rc_context({"svg.hashsalt": "rnn-notes"}):
        namespace["fig"].savefig(drawn, facecolor="white", metadata={"Date": None, "Creator": None})
    texts = [path.read_text(encoding="utf-8") for path in (drawn, ROOT / ".github" / "story.svg")]
    words, numbers = zip(*(split_numbers(text) for text in texts), strict=True)
    advice = "copy _build/story.svg to .github/story.svg"
    assert words[0] == words[1], advice
    np.testing.assert_allclose(numbers[0], numbers[1], atol=0.5, err_msg=advice)


def split_numbers(svg):
    """Return an SVG's text without its coordinates and ids, and the coordinates."""
    svg = re.sub(r'(id="|url\(#|href="#)[\w-]+', "", svg)
    number = r"-?\d+\.\d+"
    return re.sub(number, "", svg), [float(n) for n in re.findall(number, svg)]

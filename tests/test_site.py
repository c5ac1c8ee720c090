"""The built site as files: links and what a page loads lead somewhere, and pages are complete."""

import functools
import json
import os
import posixpath
import re
from base64 import b64decode
from io import BytesIO
from urllib.parse import unquote, urlsplit

import numpy as np
import pages
import pytest
from pages import SITE, parsed
from PIL import Image

from rnn_notes import report

FILES = {file.relative_to(SITE).as_posix() for file in SITE.rglob("*") if file.is_file()}
PAGES = sorted(name for name in FILES if name.endswith(".html")) or ["index.html"]
WRITTEN = {pages.html(page) for page in pages.WRITTEN}
STYLES = sorted(name for name in FILES if name.endswith(".css")) or ["_static/site.css"]

# 404.html is shown at any depth, so it links from the address of the site (site_address.py).
ADDRESS = os.environ.get("SITE_URL") or os.environ.get("READTHEDOCS_CANONICAL_URL", "")
PREFIX = urlsplit(ADDRESS).path.rstrip("/") + "/"

LINKS = {"a": "href", "area": "href", "link": "href", "form": "action", "use": "href"}
LOADS = ["script", "img", "source", "iframe", "embed", "audio", "video", "track", "input"]
LOADING = {"stylesheet", "icon", "preload", "prefetch", "modulepreload", "preconnect", "manifest"}  # link rel
RAW_TEX = re.compile(r"\$\$|\$[^\s$][^$]*\$|\\[(\[]|\\[A-Za-z]+")
LEFTOVER = re.compile(RAW_TEX.pattern + r"|\{[\w:]+\}`|:\w+:`|\]\(|\*\*|<no title>")


@pytest.fixture(autouse=True)
def built():
    if "index.html" not in FILES:
        pytest.fail(pages.NOT_BUILT, pytrace=False)


@functools.cache
def anchors(page):
    return {tag["id"] for tag in parsed(page).find_all(id=True)}


def outside(url):
    parts = urlsplit(url)
    return bool(parts.scheme or parts.netloc)


def target(page, url):
    """Return the name of the file that a local url on a page leads to."""
    path = unquote(urlsplit(url).path)
    if not path:
        return page
    if page == "404.html":
        return posixpath.join("/any/depth", path).removeprefix(PREFIX)
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), path))


def in_styles(text):
    """Return the urls in a style sheet; of a font's alternatives the first, the one that browsers take."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    text = re.sub(r"(src:\s*url\([^)]*\))[^;}]*", r"\1", text)
    found = re.findall(r"""url\(\s*(?:"([^"]*)"|'([^']*)'|([^)"'\s]*))|@import\s+["']([^"']+)""", text)
    return ["".join(groups) for groups in found]


def missing(page, urls):
    """Return the urls that a browser would not get from the site itself."""
    urls = [url for url in urls if url and not url.startswith(("data:", "#"))]
    return [url for url in urls if outside(url) or target(page, url) not in FILES]


def alternative(image):
    """Return what is wrong with the words that stand for an image, or None."""
    words = image.get("alt") or image.get("aria-label") or ""
    if len(words.split()) < 3 or re.search(r"\.\w{3,4}$", words) or LEFTOVER.search(words):
        return f"no real alternative text: {str(image)[:200]}"
    return None


def texts(soup):
    """Return the texts of a page, without code and without formulas."""
    unread = ["code", "pre", "script", "style", "annotation", "math"]
    return [text for text in soup.body.find_all(string=True) if not text.find_parent(unread)]


@pytest.mark.parametrize("page", PAGES)
def test_links(page):
    """Every link inside the site leads to a file, and to an anchor in it."""
    broken = []
    for tag in parsed(page).find_all(list(LINKS)):
        url = tag.get(LINKS[tag.name])
        if url is None or outside(url):
            continue
        name, fragment = target(page, url), unquote(urlsplit(url).fragment)
        if name not in FILES or (fragment and fragment not in anchors(name)):
            broken.append(url)
    assert not broken


def test_links_of_a_diagnosis():
    for link in report.LINKS.values():
        page, _, anchor = link.partition("#")
        assert anchor in anchors(page), link
    ((page, said),) = [
        (page, p) for page in PAGES for p in parsed(page).find_all("p") if "Proof: " in p.text and p.strong
    ]
    assert page == "case.html"
    assert said.a["href"] in report.SECTIONS  # in a notebook elsewhere it is no link


@pytest.mark.parametrize("page", PAGES)
def test_everything_loaded_is_in_the_site(page):
    soup = parsed(page)
    urls = [tag.get(name) for tag in soup.find_all(LOADS) for name in ("src", "poster")]
    urls += [tag["data"] for tag in soup.find_all("object", data=True)]
    urls += [part.split()[0] for tag in soup.find_all(srcset=True) for part in tag["srcset"].split(",")]
    urls += [tag["href"] for tag in soup.find_all("link", rel=True) if LOADING & set(tag["rel"])]
    for style in [*(tag.text for tag in soup("style")), *(tag["style"] for tag in soup.find_all(style=True))]:
        urls += in_styles(style)
    assert not missing(page, urls)


@pytest.mark.parametrize("sheet", STYLES)
def test_everything_a_style_sheet_loads_is_in_the_site(sheet):
    assert not missing(sheet, in_styles((SITE / sheet).read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", sorted(file.name for file in (pages.ROOT / "docs" / "_static").glob("*.js")))
def test_scripts_lose_their_comments_and_nothing_else(name):
    """Of our own scripts each line that begins with // and is not in a text of several lines."""
    written = (pages.ROOT / "docs" / "_static" / name).read_text(encoding="utf-8")
    kept, before = [], ""
    for line in written.splitlines():
        comment = line.lstrip().startswith("//") and before.count("`") % 2 == 0
        kept += [] if comment else [line]
        before += "" if comment else line
    served = (SITE / "_static" / name).read_text(encoding="utf-8")
    assert list(filter(None, served.splitlines())) == list(filter(None, kept)) != list(written.splitlines())


@pytest.mark.parametrize("page", PAGES)
def test_head(page):
    """A page says its language and its title; a written page describes itself to search engines."""
    soup = parsed(page)
    assert soup.html.get("lang") == "en"
    title = soup.head.title.text.strip()
    assert title and not LEFTOVER.search(title)
    if page in WRITTEN:
        description = soup.head.find("meta", attrs={"name": "description"})
        assert description, "no description (myst: html_meta:)"
        assert len(description["content"].split()) >= 5


@pytest.mark.parametrize("page", PAGES)
def test_ids_are_unique(page):
    ids = [tag["id"] for tag in parsed(page).find_all(id=True)]
    assert len(ids) == len(set(ids)), sorted({name for name in ids if ids.count(name) > 1})


@pytest.mark.parametrize("page", PAGES)
def test_figures(page):
    """What a cell draws is a figure; a figure has a number, a caption and words for who cannot see it.

    The picture in a report needs no caption: it stands between the verdict and the table of its numbers. A
    card of the path is a link with words beside its picture.
    """
    soup = parsed(page)
    faults = [alternative(image) for image in soup.select("img:not(.sidebar-logo, .path img)")]
    for image in soup.select(".cell_output img:not(.report), .cell_output svg"):
        if not image.find_parent("figure"):
            faults.append(f"no figure around: {str(image)[:200]}")
    for figure in soup.find_all("figure"):
        number = figure.select_one("figcaption .caption-number")
        words = figure.select_one("figcaption .caption-text")
        if not (number and re.fullmatch(r"Figure [\d.]+", number.text.strip())):
            faults.append(f"no number: figure {figure.get('id')}")
        if not (words and len(words.text.split()) >= 3):
            faults.append(f"no caption: figure {figure.get('id')}")
        if not figure.find(["img", "svg"]):
            faults.append(f"no image: figure {figure.get('id')}")
        faults += [alternative(image) for image in figure.find_all("svg")]
    assert not list(filter(None, faults))


@pytest.mark.parametrize("page", PAGES)
def test_pictures_take_their_place_before_they_load(page):
    """The first is fetched with the page, and the others when they come near."""
    for number, image in enumerate(parsed(page).select("article img")):
        assert {"width", "height"} <= image.attrs.keys()
        assert image.get("loading") == ("lazy" if number else None)


@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_left_unrendered(page):
    """No markup, no empty value and no error message is left in the text."""
    soup = parsed(page)
    assert not [text.strip() for text in texts(soup) if LEFTOVER.search(text)]
    assert not soup.select(".problematic, .system-message, .katex-error, li:empty")
    numbers = [tag.text for tag in soup.select(".pasted-text")]
    assert not [number for number in numbers if re.search(r"^\W*$|nan|inf|None|['\"]", number)]


def test_each_figure_function_leads_to_what_it_draws():
    entries = parsed("reference_figures.html").select('dt[id^="rnn_notes.figures."]')
    names = {entry["id"].rpartition(".")[2]: entry.find_next_sibling("dd") for entry in entries}
    assert len(names) > 30
    for name, entry in names.items():
        figures = [link["href"] for link in entry.select('a.internal[href*="#fig-"]')]
        assert bool(figures) == (name != "mark"), name
        for url in figures:
            cell = (
                parsed(target("reference_figures.html", url))
                .find(id=urlsplit(url).fragment)
                .find_parent(class_="cell")
            )
            assert f"figures.{name}(" in cell.text


def test_path_shows_every_lecture():
    """Each numbered page has a card: its topic, title and minutes, and its first picture without texts."""
    cards = parsed("index.html").select("ul.path a")
    sidebar = [link for link in parsed("index.html").select(".sidebar-tree a") if link.text[0].isdigit()]
    assert [(card["href"], card.strong.text) for card in cards] == [
        (link["href"], link.text) for link in sidebar
    ]
    for card in cards:
        lecture = parsed(card["href"])
        assert card.select_one(".claim").text == re.match(r"[\d. ]*(.*?)¶?$", lecture.h1.text)[1] + "."
        picture = lecture.select_one("article img")["src"]
        assert card.img["src"] == picture + "#bare"
        svg = (SITE / picture).read_text(encoding="utf-8")
        assert '<svg id="bare"' in svg and '#bare:target [id^="text_"]{display: none}</style>' in svg
        assert card.select_one(".minutes").text in lecture.select_one(".admonition.goal").text


def topic(page):
    """Return a page's name in the sidebar; of the first page, its title."""
    links = parsed(page).select(".sidebar-tree a[href='#']")
    return (links[0] if links else parsed(page).h1).text.removesuffix("¶")


LICENSE = "CC BY 4.0 (creativecommons.org/licenses/by/4.0)"


def files_for_slides(name):
    kinds = ("svg", "png") if ADDRESS else ("svg",)
    return [f"slides/{name}{ground}.{kind}" for kind in kinds for ground in ("", "-dark")]


def test_gallery_shows_every_figure():
    """Under its page's topic, with its caption's first sentence, name, code, alternative text, credit."""
    figures = {
        figure["id"].removeprefix("fig-"): (page, figure)
        for page in WRITTEN
        for figure in parsed(page).select(".cell figure[id]")
    }
    items = {
        item["id"].removeprefix("slide-"): item for item in parsed("teaching.html").select(".gallery li")
    }
    assert items.keys() == figures.keys()
    files = {name: files_for_slides(name) for name in items}
    assert {file for part in files.values() for file in part} == {
        file for file in FILES if file.startswith("slides/")
    }
    for name, item in items.items():
        page, figure = figures[name]
        assert [link["href"] for link in item.select("a")] == [f"{page}#fig-{name}", *files[name]]
        assert topic(page) == re.sub("¶$", "", item.find_parent("section").h3.text)
        assert item.select_one("details p code").text == name
        assert "".join(item.pre.text.split()) in "".join(
            parsed(page).select_one(f"#fig-{name}").find_parent(class_="cell").text.split()
        )
        assert item.select_one("p.alt").text == item.img["alt"] == figure.img["alt"]
        number = figure.select_one(".caption-number").text.strip()
        assert item.a.text == number
        title = " ".join(item.p.text.removeprefix(number).split())
        caption = " ".join(figure.select_one(".caption-text").text.split())
        assert caption.startswith(title) and re.match(r"[.:?!]?( |¶|$)", caption[len(title) :])
        assert len(title) > 15 and not re.search(r"[.:?!](?= |$)", title.rstrip("?!")), title
        assert item.select("p")[-1].text == f"The rnn-notes authors, {number} of rnn-notes, {LICENSE}"


def test_figures_that_move_are_listed_for_lecturers():
    moving = {
        f"{page}#{slider.find_parent('figure')['id']}"
        for page in PAGES
        for slider in parsed(page).select("figure .slider")
    }
    (line,) = [line for line in parsed("teaching.html").select("li") if "Figures to move" in line.text]
    assert {link["href"] for link in line.select("a")} == moving != set()


def test_each_lecture_has_a_sheet_and_solutions():
    """The sheet has what the core has, under the same numbers, and no solution; all are in a table."""
    lectures = [page for page in sorted(WRITTEN) if parsed(page).select("section#exercises")]
    assert len(lectures) > 10
    rows = {row.a["href"]: row for row in parsed("teaching.html").select("#handouts tbody tr")}
    assert sorted(rows) == lectures
    for page in lectures:
        names = [page.replace(".html", ending) for ending in ("-handout.html", "-solutions.html")]
        lecture, sheet, solutions = map(parsed, (page, *names))
        assert [link["href"] for link in rows[page].select("a")] == [page, *names]
        assert rows[page].a.text == topic(page)
        assert f"{rows[page].select('td')[1].text} minutes" in lecture.select_one(".admonition.goal").text
        core = lecture.select_one("section#in-three-lines").find_all_previous("div", class_="math")
        numbered = [formula["id"] for formula in core[::-1] if formula.select(".eqno")]
        assert [formula["id"] for formula in sheet.select(".math:has(.eqno)")] == numbered
        assert [formula.text for formula in sheet.select(".eqno")] == [
            lecture.find(id=name).select_one(".eqno").text for name in numbered
        ]
        number, claim = re.fullmatch(r"(\d+\. )(.*)¶", lecture.h1.text).groups()
        for part, what, other in ((sheet, "Sheet", names[1]), (solutions, "Solutions", names[0])):
            assert part.h1.text == f"{number}{what}: {claim}¶"
            assert part.title.text == f"{number}{what}: {claim} - rnn-notes"
            ways = [link["href"] for link in part.select("h1 + p.ways a")]
            assert ways == [page, other, "teaching.html"]
        assert sheet.figure["id"] == lecture.figure["id"]
        assert sheet.select_one("#in-three-lines ul").text == lecture.select_one("#in-three-lines ul").text
        exercises = [box.text for box in lecture.select("#exercises .exercise")]
        for part in (sheet, solutions):
            assert [box.text for box in part.select("#exercises .exercise")] == exercises
        assert not sheet.select(".cell, details")
        assert len(solutions.select("#exercises > .rubric")) == len(exercises)
        cells = lecture.select("#exercises .cell")
        assert len(solutions.select("#exercises .cell")) == len(cells) > 0


def test_exercises_are_listed_by_title():
    """Those of each sheet, in order, under the lecture's topic, each a link to its box."""
    items = parsed("teaching.html").select("ul.exercises > li")
    pages = [item.a["href"].partition("#")[0] for item in items]
    assert sorted(pages) == [page for page in sorted(WRITTEN) if parsed(page).select("section#exercises")]
    for page, item in zip(pages, items, strict=True):
        assert item.strong.text == topic(page)
        boxes = parsed(page).select("#exercises .exercise")
        assert [link["href"] for link in item.select("a")] == [f"{page}#{box['id']}" for box in boxes]
        listed = " ".join(item.text.removeprefix(item.strong.text + ": ").split())
        titles = [box.p.text.removeprefix("Exercise ").removesuffix("¶").split(": ", 1) for box in boxes]
        assert listed.lower() == " · ".join(f"{title} {dots}" for dots, title in titles).lower()
        assert not any(next(link.children).text[0].islower() for link in item.select("a") if not link.code)


def test_each_lecture_asks_three_questions_after_its_core():
    """Each answer opens without a script, says in words what it is, and a key is there for paper."""
    lectures = [page for page in sorted(WRITTEN) if parsed(page).select("section#exercises")]
    for page in lectures:
        section = parsed(page).select_one("section#in-three-lines + section")
        assert section["id"] == "check-yourself"
        boxes = section.select(".admonition.check")
        assert len(boxes) == len(parsed(page).select(".check")) == 3
        for box in boxes:
            said = [
                (answer.summary.select_one(".letter").text, answer.select_one("summary + p").strong.text)
                for answer in box.select("details.choice")
            ]
            assert [letter for letter, _ in said] == ["A", "B", "C"]
            assert sorted(verdict for _, verdict in said) == ["Not this.", "Not this.", "Right."]
            (right,) = [letter for letter, verdict in said if verdict == "Right."]
            assert box.select_one(".key").text == f"Right: {right}"
            assert not box.select("summary a, script, form, input")
        assert section.select(".cell details.hide .cell_input")  # what computes the answers
        for made in ("-handout.html", "-solutions.html"):
            assert not parsed(page.replace(".html", made)).select(".check")


def test_search_finds_questions_and_tells_no_answer():
    for page, _, places in search_index():
        found = {place[1]: place for place in places if place[0] == "check"}
        boxes = {box["id"]: box for box in parsed(f"{page}.html").select(".check")}
        assert found.keys() == boxes.keys()
        text = "\n".join(place[5] for place in places)
        for name, box in boxes.items():
            assert found[name][5]
            for answer in box.select("details > p"):
                reason = " ".join(answer.text.split())
                assert "Right:" not in found[name][5] and reason not in text


# What is on the lecture's page only: on a handout it points at nothing.
ON_THE_PAGE = re.compile(
    r"\b(?:this page|of the page|(?<!far )(?:above|below)[.?!)]|(?:shown|seen|as|see) (?:above|below)\b"
    r"|the (?:first|last|next|previous) (?:figure|table|cell|section|panel)\b|the panel for"
    r"|these (?:\w+ )?(?:networks|inputs|runs)\b|(?:networks|runs|ones|table|figure|panel|cell) here\b)",
    re.IGNORECASE,
)


@pytest.mark.parametrize("page", [page for page in PAGES if page.endswith("-handout.html")])
def test_sheet_speaks_of_what_is_on_it(page):
    """Or of the lecture: no "above", no figure without its number, no function of a cell as if known."""
    sheet, lecture = parsed(page).select_one(".handout"), parsed(page.replace("-handout", ""))
    cells = [cell for cell in lecture.select(".cell_input pre") if not cell.find_parent(id="exercises")]
    own = {name for cell in cells for name in re.findall(r"^def (\w+)", cell.text, re.MULTILINE)}
    for block in sheet.select("p, li"):
        text = " ".join(block.text.split())
        assert not ON_THE_PAGE.search(text), text
        if own & {code.text.partition("(")[0] for code in block.select("code")}:
            assert "the lecture’s" in text, text


def test_syllabus_leads_to_places():
    """Each of the 24 statements, in order, has a link to a place on a page, not to its top only."""
    rows = parsed("lecture.html").select("tbody tr")
    assert [row.td.text.strip() for row in rows] == [f"No. N{number}" for number in range(1, 25)]
    for row in rows:
        links = [link["href"] for link in row.select("td:last-child a") if "#" in link["href"]]
        assert links, row.td.text
        for link in links:
            page, _, place = link.partition("#")
            assert unquote(place) in anchors(page), link


def test_slides_for_dark_grounds_are_light():
    """Ink and what is in a map turn from dark to light, and only colors differ."""
    light, dark = ((SITE / f"slides/map{ground}.svg").read_text() for ground in ("", "-dark"))
    assert "#1c2024" in light and "#1c2024" not in dark and "#ced2d5" in dark
    colors = r"#[0-9a-f]{6}\b|base64,[^\"]+"
    assert re.sub(colors, "", light) == re.sub(colors, "", dark)
    maps = [
        np.asarray(Image.open(BytesIO(b64decode(re.search(r"base64,([^\"]+)", svg)[1]))))
        for svg in (light, dark)
    ]
    assert np.array_equal(maps[0][..., 3], maps[1][..., 3])
    shown = maps[0][..., 3] > 0
    brightness = [image[shown][:, :3].mean(axis=1) for image in maps]
    assert np.corrcoef(*brightness)[0, 1] < -0.9


def test_figures_lead_to_the_function_that_drew_them():
    for page in map(pages.html, pages.EXECUTED):
        for cell in parsed(page).select(".cell:has(figure)"):
            drawn = set(re.findall(r"figures\.(\w+)\(", cell.select_one(".cell_input").text))
            links = {
                link["href"].rpartition(".")[2]
                for link in cell.select("figcaption .legend a:not([download])")
            }
            assert links <= drawn, page
            assert bool(links) == bool(drawn), page


@pytest.mark.parametrize("page", sorted(WRITTEN))
def test_every_place_can_be_linked(page):
    """Headings, boxes, figures, tables and terms have a link to themselves."""
    boxes = [box for box in parsed(page).select(".admonition") if box.name != "details"]
    tables = parsed(page).select("article table")
    assert all(table.find_parent(id=True) or table.get("id") for table in tables)
    places = [*boxes, *parsed(page).select("article section > :is(h1, h2, h3), figure, .glossary dt")]
    for place in [*places, *(table.find_parent(class_="cell_output") or table for table in tables)]:
        names = {place.get("id"), place.parent.get("id")} - {None}
        links = {
            link["href"][1:]
            for link in (place.parent if place.name == "table" else place).select("a.headerlink")
        }
        assert names & links, str(place)[:200]


def search_index():
    text = (SITE / "searchindex.js").read_text(encoding="utf-8")
    return json.loads(text.removeprefix("const PAGES = ").removesuffix(";\n"))


def test_search_index_has_the_places_of_all_pages():
    found = {f"{page}.html": places for page, _, places in search_index()}
    assert found.keys() == WRITTEN - {"404.html"}
    for page, places in found.items():
        assert {place[1] for place in places} <= anchors(page)
        assert all(place[2] for place in places), page  # a title
        assert not [place for place in places if re.search(r"\\(partial|frac|top|sigma)", place[5])], page
    terms = [place for place in found["glossary.html"] if place[0] == "term"]
    assert len(terms) == len(parsed("glossary.html").select("dl.glossary > dd"))
    boxes = [place for places in found.values() for place in places if place[0] == "exercise"]
    assert len(boxes) == sum(len(parsed(page).select(".admonition.exercise")) for page in found)
    for page in found:
        figures = {place[1]: place[2] for place in found[page] if place[0] == "figure"}
        captions = {
            figure["id"]: figure.select_one(".caption-number").text.strip()
            for figure in parsed(page).select("figure[id]")
        }
        assert figures.keys() == captions.keys()
        assert all(figures[id].startswith(f"{captions[id]} · ") for id in figures)


def test_an_exercise_is_found_by_its_solution_and_no_frame_is():
    """A section that has no words of its own is no place; so its places come before it."""
    found = {page: {place[1]: place for place in places} for page, _, places in search_index()}
    assert "a half-life of" in found["lstm"]["exercise-half-lives-by-hand"][5]
    for page, places in found.items():
        exercises = next((place for place in places.values() if place[2] == "Exercises"), None)
        assert not exercises or len(exercises[5]) < 300, page


def test_each_figure_leads_to_its_files_for_slides():
    figures = [figure for page in sorted(WRITTEN) for figure in parsed(page).select("figure[id]")]
    assert len(figures) == len(parsed("teaching.html").select(".gallery > li"))
    for figure in figures:
        links = [link["href"] for link in figure.select(".files a[download]")]
        name = figure["id"].removeprefix("fig-")
        assert links == files_for_slides(name)
        assert all((SITE / link).is_file() for link in links)


def test_bars_are_signs_that_stand_in_faces_know():
    """U+2223 is as wide as it likes where KaTeX's face is not there yet, and lines broke elsewhere."""
    formulas = [formula for page in WRITTEN for formula in parsed(page).select(".katex-html")]
    signs = {sign for formula in formulas for sign in formula.text}
    assert "|" in signs and "\N{DIVIDES}" not in signs


# What stands on two lines on a page, on one; what a line cannot hold is left out. Nothing else would be true.
ON_A_LINE = {
    r"\sigma\sqrt n": "σ√n",
    r"2^{1/n} - 1 \approx \ln 2/n": "2^(1/n) − 1 ≈ ln 2/n",
    r"10^{-5}": "10^−5",
    r"2^{nk}x": "2^(nk) x",
    r"\sqrt{2n}\,x": "√(2n) x",
    r"\sqrt2^{\,500}": "(√2)^500",
    r"\frac{a+b}{2}c": "((a + b)/2) c",
    r"\frac{\partial h^{(t)}}{\partial h^{(k)}}": "∂h^(t)/∂h^(k)",
    r"\frac{1}{2n}": "1/(2n)",
    r"\tfrac12 x^2": "(1/2) x^2",
    r"W_h^\top": "W_h^⊤",
    r"(A^\top)^2": "(A^⊤)^2",
    r"\lVert W_h\rVert_2 \le |\lambda|": "∥W_h∥_2 ≤ |λ|",
    r"W = \begin{pmatrix} 2 & -3 \\ 0 & 1 \end{pmatrix}": "W = (2, −3; 0, 1)",
    r"\cos\theta\; v": "cos θ v",
    r"\varphi'(z)^2 < \bar z": "φ′(z)^2 < z\u0304",
    r"\sum_{k=1}^t \prod_s a_s": "∑_(k = 1)^t ∏_s a_s",
    r"x = -y,\; -1": "x = −y, −1",
    r"\frac{a/b}{c}": "(a/b)/c",
    r"\boxed{a = b}": "a = b",
    r"\begin{align} a &= b \\ c &= d \end{align}": "a = b; c = d",
    r"\binom{n}{k}": "…",
    r"\cancel{x} + 1": "…",
    r"x \overset{!}{=} y": "…",
    r"\underline{x}": "…",
    r"\nonsense": "…",
    r"\overline{AB}": "…",
    "+".join("x" * 60): "…",
}


@pytest.mark.parametrize("tex", ON_A_LINE)
def test_formulas_on_a_line(tex, tmp_path):
    text = pages.extension("plain_math").plain(tex, "align" in tex, str(tmp_path))
    assert text.replace("\N{NO-BREAK SPACE}", " ") == ON_A_LINE[tex]


def test_search_index_flattens_no_formula():
    """What was above, below or under a root is not beside: σ√n is not σn."""
    texts = {page: "\n".join(place[5] for place in places) for page, _, places in search_index()}
    for page, text in texts.items():
        for formula in parsed(f"{page}.html").select("article section math:has(msup, msqrt, mfrac)"):
            flat = formula.text.strip().replace("\u2061", "")
            if len(flat) > 4 and re.search(r"[=+−]", flat):
                assert flat not in text, (page, flat)


@pytest.mark.parametrize("page", sorted(WRITTEN))
def test_each_term_that_is_linked_is_explained_below(page):
    soup = parsed(page)
    linked = {urlsplit(link.parent["href"]).fragment for link in soup.select("a > .xref.std-term")}
    texts = {box["id"].removeprefix("explain-glossary-"): box for box in soup.select(".explanations > div")}
    assert texts.keys() == linked
    for text in texts.values():
        assert text.text.strip().endswith((".", ":")), text.text
        assert not text.select("a")


def test_citations_and_bibliography_have_one_style_of_label():
    labels = [label.text.strip("[]") for label in parsed("bibliography.html").select(".citation > .label")]
    assert len(labels) == len(set(labels)) > 50
    for page in map(pages.html, pages.EXECUTED):
        for link in parsed(page).select(".bibtex-citation a"):
            assert link["title"]
            assert any(label.endswith(link.text) for label in labels), link.text

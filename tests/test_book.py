"""The book that `make pdf` printed of the site: what stands on which sheet, and where its links lead.

Without it, or where the site is newer, these tests are skipped; they print nothing themselves.
"""

import bisect
import functools
import os
import re
import subprocess
import sys

import numpy as np
import pages
import pikepdf
import pypdfium2
import pytest
from pages import ROOT, SITE, parsed

BOOK = SITE.parent / "rnn-notes.pdf"
PRINTS = ROOT / "docs" / "_extensions" / "book.py"
MILLIMETER = 72 / 25.4


def squeezed(text):
    """Return a text without white space, which a PDF has where a line ends and where letters are apart."""
    return re.sub(r"\s|\xad|\u200b|\ufffe|\ufffd", "", text)


@functools.cache
def order():
    """Return the pages of the book in the order of the sidebar."""
    links = parsed("index.html").select(".sidebar-tree a.reference")
    return ["index", *(link["href"].removesuffix(".html") for link in links)]


def headings():
    """Yield what the contents list: (place, text) of each page and each of its sections."""
    for page in order():
        for heading in parsed(f"{page}.html").select("article > section > h1, section > section > h2"):
            if page != "index" or heading.name == "h2":
                for link in heading.select(".headerlink"):
                    link.extract()
                for mathml in heading.select(".katex-mathml"):
                    mathml.extract()
                yield f"{page}/{heading.parent['id']}", squeezed(heading.get_text())


@pytest.fixture(scope="module")
def book():
    newest = max((page.stat().st_mtime for page in SITE.glob("*.html")), default=0)
    if not BOOK.exists() or BOOK.stat().st_mtime < newest:
        pytest.skip("the book is not printed, or older than the site: run `make pdf`")
    with pikepdf.open(BOOK) as book:
        yield book


@pytest.fixture(scope="module")
def sheets(book):
    return pypdfium2.PdfDocument(BOOK)


@pytest.fixture(scope="module")
def texts(sheets):
    return [squeezed(sheet.get_textpage().get_text_range()) for sheet in sheets]


@pytest.fixture(scope="module")
def places(book):
    """Return the index of the sheet of each place that a link in the book leads to."""
    numbers = {page.objgen: number for number, page in enumerate(book.pages)}
    return {str(name)[1:]: numbers[place[0].objgen] for name, place in book.Root.Dests.items()}


@pytest.fixture(scope="module")
def starts(places):
    """Return on which sheet each page starts; the front page is the first."""
    listed = dict(headings())
    first = {}
    for place in listed:
        first.setdefault(place.partition("/")[0], places[place])
    return first


@pytest.mark.deep
def test_every_page_is_there_in_order(texts, starts, places):
    assert list(starts) == order()
    assert list(starts.values()) == sorted(set(starts.values()))
    assert squeezed(parsed("index.html").h1.contents[0]) in texts[0]
    for place, text in headings():
        assert text in texts[places[place]], place
    assert set("∂φσ∥√∑∏×−") <= set("".join(texts))  # formulas are text


@pytest.mark.deep
def test_contents_have_the_numbers_of_sheets(book, sheets, starts, places):
    """So does the outline, in the same order."""
    expected = list(headings())
    found = []
    for number in range(1, starts["index"]):
        text = sheets[number].get_textpage()
        for link in book.pages[number].Annots:
            left, bottom, right, top = map(float, link.Rect)
            line = text.get_text_bounded(left=left - 1, bottom=bottom + 1, right=right + 1, top=top - 1)
            found.append((str(link.Dest)[1:], squeezed(line)))
    assert dict(found).keys() == dict(expected).keys()
    for place, text in expected:
        lines = "".join(line for other, line in found if other == place)
        assert lines.replace("…", "") == f"{text}{places[place] + 1}", place
    outline = [(squeezed(item.get_title()), item.get_dest().get_index()) for item in sheets.get_toc()]
    parts = {squeezed(part.get_text()) for part in parsed("index.html").select(".sidebar-tree .caption")}
    wanted = [(text, places[place]) for place, text in expected]
    assert [item for item in outline if item in wanted or item[0] not in parts] == wanted
    assert parts <= {title for title, _ in outline}


@pytest.mark.deep
def test_links_lead_into_the_book_or_out_of_the_site(book, starts, places):
    first, pages_of_book = [*starts.values()], [*starts]
    outside, inside = set(), set()
    for sheet in book.pages:
        for link in sheet.get("/Annots", []):
            if "/Dest" in link:
                inside.add(str(link.Dest)[1:])
            else:
                outside.add(str(link.A.URI))
    assert {link for link in outside if not link.startswith(("https://", "http://"))} == set()
    assert inside <= places.keys() and len(inside) > 500
    for place in inside:
        page = place.partition("/")[0]
        assert page == pages_of_book[max(0, bisect.bisect_right(first, places[place]) - 1)], place
    for page in order():  # every link of a page that is printed is one in the book
        for link in parsed(f"{page}.html").select("article p > a.reference.internal[href*='#']"):
            file, _, name = link["href"].partition("#")
            target = file.removesuffix(".html") or page
            if target not in starts or link.find_parent(class_=["legend", "hide", "files", "ways"]):
                continue
            place = parsed(f"{target}.html").find(id=name)
            if place.name == "span" and place.parent.name == "section":  # another name of the section
                name = place.parent["id"]
            assert f"{target}/{name}" in inside, f"{page}: {link}"


@pytest.mark.deep
def test_sheets_are_numbered_full_and_whole(sheets):
    """Each but the first has its number at its foot, none is nearly empty, nothing is cut at the right."""
    for number, sheet in enumerate(sheets, 1):
        width, _ = sheet.get_size()
        foot = sheet.get_textpage().get_text_bounded(left=0, bottom=0, right=width, top=13 * MILLIMETER)
        assert foot.strip() == str(number) * (number > 1)
        ink = np.asarray(sheet.render(grayscale=True).to_pil()) < 200
        assert not ink[:, int((210 - 14) * MILLIMETER) :].any(), number
        used = np.flatnonzero(ink.mean(axis=1) > 0.005) / len(ink) * 297
        used = used[(used > 14) & (used < 297 - 14)]
        assert np.ptp(used) > 5, number  # two lines, where a page ends


@pytest.mark.deep
@pytest.mark.parametrize("page", [page.stem for page in pages.EXECUTED])
def test_ends_of_pages_are_there(texts, starts, page):
    """The last words of each section, and its solutions; code that is folded is not."""
    following = [start for start in starts.values() if start > starts[page]]
    text = "".join(texts[starts[page] : min(following, default=len(texts))])
    folded = ["hide", "take", "legend", "explanations", "katex", "choice", "files", "gallery", "source"]
    folded += ["key"]  # of questions: it stands on its head, and is extracted so
    for section in parsed(f"{page}.html").select("article section section"):
        last = [
            words
            for words in section.select("p, li")
            if not words.find_parent(class_=folded)
            and not words.select(".katex, p, li, .headerlink")
            and not set(words.get("class", [])) & set(folded)
        ]
        if last:
            assert squeezed(last[-1].get_text())[-30:] in text, section["id"]


@pytest.mark.deep
def test_book_says_what_it_is(book):
    """Its title and its language; it can be read aloud, and has no time of its own."""
    assert str(book.docinfo.Title) == parsed("index.html").h1.contents[0]
    assert not {"/CreationDate", "/ModDate"} & set(book.docinfo.keys())
    assert str(book.Root.Lang) == "en"
    assert book.Root.MarkInfo.Marked
    assert "/StructTreeRoot" in book.Root


@pytest.mark.skipif(os.name == "nt", reason="has a shell script for a browser")
@pytest.mark.parametrize(("user", "sandbox"), [(0, False), (1000, True)])
def test_the_browser_has_its_sandbox_but_for_root(user, sandbox, tmp_path):
    said, browser = tmp_path / "said", tmp_path / "chromium"
    browser.write_text(f'#!/bin/sh\necho "$@" > {said}\n')
    browser.chmod(0o755)
    code = f"import os, book; os.geteuid = lambda: {user}; book.BROWSERS = [{str(browser)!r}]; book.main()"
    subprocess.run([sys.executable, "-c", code], cwd=PRINTS.parent, capture_output=True)  # it shows nothing
    assert ("--no-sandbox" not in said.read_text()) == sandbox


@pytest.mark.skipif(
    os.name == "nt" or sys.platform == "darwin", reason="Chrome is not looked for in PATH alone"
)
def test_without_a_browser_one_line_says_so(tmp_path):
    command = [sys.executable, "-I", "-X", "utf8", str(PRINTS)]
    done = subprocess.run(command, env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode == 1
    assert re.fullmatch(r"rnn-notes: .*Chromium.*\n", done.stderr) and not done.stdout

"""The book: all pages as one PDF, printed by Chromium: `make pdf`.

It has the pages that `make html` built, in the order of the sidebar, so no cell runs again, and a page looks
as when it is printed alone (site.css). What they show is put one after another into _build/book.html, and the
rest is done there, in Chromium: ids get the name of their page, links between pages lead within the book, the
contents are made of the headings. It prints twice: the first time to learn on which sheets they stand.
"""

import os
import re
import shutil
import sys
import tempfile
from html import escape, unescape
from pathlib import Path

import pikepdf
from playwright.sync_api import Error, sync_playwright

import rnn_notes

sys.path.insert(0, str(Path(__file__).parent))

from inputs import BUILD

SITE, PAGE, BOOK = BUILD / "html", BUILD / "book.html", BUILD / "rnn-notes.pdf"
OLDEST = 131  # the first Chromium that writes in the margins of a sheet
BROWSERS = [
    *["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"],
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    *(
        os.path.expandvars(rf"%{folder}%\Google\Chrome\Application\chrome.exe")
        for folder in ["ProgramFiles", "ProgramFiles(x86)", "LocalAppData"]
    ),
]

# Beside the print rules of site.css. Each page of the site has its name at the head of its sheets.
STYLES = """
@page { size: A4; @bottom-center { content: counter(page); font: 9pt "Lecture Serif"; color: #1c2024; } }
@page title { @bottom-center { content: none; } }
article { break-before: page; }
article > section > h1 { margin-top: 0; }
.place { display: inline-block; vertical-align: top; height: 2px; margin-top: 2px; }
#title { page: title; text-align: center; }
#title h1 { font-size: 26pt; margin: 45mm auto 8mm; }
#title :is(h1, p) { max-width: 34rem; margin-inline: auto; }
#title > p { font-size: 13pt; text-wrap: balance; }
#title .cell { margin: 15mm 0; }
#title .cell_output img { max-height: 90mm; margin: 0 auto; }
#title footer { margin-top: 15mm; font-size: 10pt; line-height: 1.6; }
#contents { columns: 2; column-gap: 10mm; font-size: 9.5pt; line-height: 1.3; }
#contents h1 { column-span: all; margin-block: 0 5mm; }
#contents ol { list-style: none; padding: 0; margin: 0; }
#contents li { margin: 0; }
#contents .part { font-weight: 600; margin: 1.1em 0 0.2em; break-after: avoid; }
#contents .page { margin-top: 0.35em; break-after: avoid; }
#contents .section { padding-left: 1.4em; font-size: 8.5pt; }
#contents a { display: flex; align-items: last baseline; color: inherit; text-decoration: none; }
#contents i { flex: 1; min-width: 1em; margin-left: 0.5em; border-bottom: 1px dotted; }
#contents a::after { content: attr(data-sheet); width: 2.5em; text-align: right; }
"""

# The front page's head is the title sheet, and what stands below it follows the contents.
ARRANGE = r"""([address, credits]) => {
    const articles = [...document.querySelectorAll("article")];
    const dropped =  // what does not print, or is of use on the site only
        ".headerlink, .take, .explanations, .slider, .files, .gallery details, details.hide";
    for (const box of document.querySelectorAll(dropped)) box.remove();

    const other = {}, place = (page, id) => id ? page + "/" + id : page;
    for (const article of articles) {
        for (const box of article.querySelectorAll("[id]")) box.id = place(article.id, box.id);
        // A section may begin at the foot of the sheet before its heading, and Chromium misses some elements:
        // what a link leads to is a box in the first line of these.
        for (const box of article.querySelectorAll("section[id], dt[id]")) {
            const head = box.querySelector(":scope > :is(h1, h2, h3, h4)") ?? box;
            for (const alias of box.querySelectorAll(":scope > span[id]:empty")) other[alias.id] = box.id;
            head.prepend(Object.assign(document.createElement("span"), {id: box.id, className: "place"}));
            box.removeAttribute("id");
        }
        for (const box of article.querySelectorAll("[aria-labelledby], [aria-describedby], [for]"))
            for (const name of ["aria-labelledby", "aria-describedby", "for"]) box.removeAttribute(name);
        for (const image of article.querySelectorAll("img")) image.loading = "eager";
    }
    for (const article of articles)
        for (const link of article.querySelectorAll("a[href]")) {
            const href = link.getAttribute("href");
            if (/^[a-z]+:/.test(href)) continue;
            const [, file, id] = href.match(/^([^#]*)#?(.*)$/);
            const page = file ? file.replace(/\.html$/, "") : article.id;
            const name = place(page, decodeURIComponent(id));
            if (articles.some(article => article.id == page))
                link.setAttribute("href", "#" + (other[name] ?? name));
            else if (address) link.href = new URL(href, address);
            else link.replaceWith(...link.childNodes);
        }

    const make = (name, properties, ...children) => {
        const box = Object.assign(document.createElement(name), properties);
        box.append(...children);
        return box;
    };
    const front = articles[0], section = front.firstElementChild;
    const title = make("article", {id: "title"});
    while (!section.firstElementChild.matches(".doors")) title.append(section.firstElementChild);
    title.append(make("footer", {}, ...credits.map(line => make("div", {}, line))));

    const lines = make("ol"), styles = make("style"), outline = [];
    const entry = (className, heading) => {
        const place = heading.querySelector(".place").id;
        const copy = heading.cloneNode(true), link = make("a", {href: "#" + place});
        for (const box of copy.querySelectorAll("[id]")) box.removeAttribute("id");
        const text = copy.textContent.replaceAll(/\s+/g, " ").trim();
        link.append(make("span", {}, ...copy.childNodes), make("i"));
        lines.append(make("li", {className}, link));
        outline.push([className, text, place]);
    };
    for (const article of articles) {
        const {part, name} = article.dataset;
        if (part) {
            lines.append(make("li", {className: "part"}, part));
            outline.push(["part", part, article.querySelector(".place").id]);
        }
        for (const heading of article.querySelectorAll("h1, section > section > h2")) {
            const alone = article == front ? "page" : "section";
            entry(heading.matches("h1") ? "page" : alone, heading);
        }
        if (name) {
            const sheet = article.id.replaceAll("_", "-");
            article.style.page = sheet;
            styles.append(`@page ${sheet} { @top-right { content: ${JSON.stringify(name)};
                font: 9pt "Lecture Serif"; color: #5a5c63; } }\n`);
        }
    }
    document.head.append(styles);
    const contents = make("article", {id: "contents"}, make("h1", {}, "Contents"), lines);
    front.before(title, contents);
    return document.fonts.ready
        .then(() => Promise.all([...document.images].map(image => image.decode()))).then(() => outline);
}"""
NUMBER = """sheets => {
    for (const link of document.querySelectorAll("#contents a"))
        link.dataset.sheet = sheets[decodeURIComponent(link.hash.slice(1))];
}"""


def find_browser():
    """Return the path of the Chromium or Chrome on this machine, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def article(file, name="", part=""):
    """Return what a page shows between its sidebars, as a part of _build/book.html.

    A PDF has no MathML; so that a formula is read aloud at all, its signs are.
    """
    html = (SITE / file).read_text(encoding="utf-8")
    shown = re.search(r"<article[^>]*>(.*?)</article>", html, re.DOTALL)[1]
    shown = re.sub(r'<span class="katex-mathml">.*?</math></span>', "", shown, flags=re.DOTALL)
    shown = shown.replace('class="katex-html" aria-hidden="true"', 'class="katex-html"')
    shown = shown.replace(' src="_', ' src="html/_')
    name, part = (escape(unescape(text)) for text in (name, part))
    start = f'<article role="main" id="{Path(file).stem}" data-name="{name}" data-part="{part}">'
    return f"{start}{shown}</article>\n"


def assemble():
    """Write _build/book.html; return the site's address, if it is known, and the lines below the title."""
    index = (SITE / "index.html").read_text(encoding="utf-8")
    sidebar = re.search(r'<div class="sidebar-tree">(.*?)</div>', index, re.DOTALL)[1]
    articles, part = [article("index.html")], ""
    for caption, file, name in re.findall(
        r'caption-text">(.*?)</span>|<a class="reference internal" href="(\w+\.html)">(.*?)</a>', sidebar
    ):
        if not caption:
            articles.append(article(file, name, part))
        part = caption
    styles = re.findall(r'<link rel="stylesheet"[^>]*>|<style>.*?</style>', index, re.DOTALL)
    title = re.search(r"<h1>(.*?)<", index)[1]
    PAGE.write_text(
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        + "\n".join(styles).replace(' href="_', ' href="html/_')
        + f'<style>{STYLES}</style></head>\n<body><div class="page"><div class="main"><div class="content">\n'
        + "".join(articles)
        + "</div></div></div></body></html>\n",
        encoding="utf-8",
    )
    address = re.search(r'<link rel="canonical" href="(.*?)index\.html"', index)
    copyright = re.search(r'class="copyright">\s*(.*?)\s*</div>', index, re.DOTALL)[1]
    return address and address[1], [f"Version {rnn_notes.__version__}", unescape(copyright)]


def sheets(file):
    """Return the number of the sheet on which each place is that a link within the book leads to."""
    with pikepdf.open(file) as pdf:
        numbers = {page.objgen: number for number, page in enumerate(pdf.pages, 1)}
        return {str(name)[1:]: numbers[place[0].objgen] for name, place in pdf.Root.Dests.items()}


def finish(file, entries):
    """Write the book from what was printed: with an outline, packed to a third, the time left out.

    So a book that is printed again is the same. Chromium's own outline loses the space where a line ends.
    """
    with pikepdf.open(file) as pdf:
        for name in ("/CreationDate", "/ModDate"):
            del pdf.docinfo[name]
        with pdf.open_outline() as outline:
            above = [(-1, outline.root)]
            for kind, title, place in entries:
                level = ["part", "page", "section"].index(kind)
                while above[-1][0] >= level:
                    above.pop()
                item = pikepdf.OutlineItem(title, pdf.Root.Dests["/" + place])
                item.is_closed = True
                above[-1][1].append(item)
                above.append((level, item.children))
        pdf.save(BOOK, object_stream_mode=pikepdf.ObjectStreamMode.generate, deterministic_id=True)


def print_book(browser, arrangement):
    tab = browser.new_page()
    tab.set_default_timeout(0)  # a slow machine takes minutes
    tab.emulate_media(media="print")
    tab.goto(PAGE.as_uri())
    entries = tab.evaluate(ARRANGE, arrangement)
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder, "first.pdf"), Path(folder, "second.pdf")
        options = {"prefer_css_page_size": True, "print_background": True}
        tab.pdf(path=first, **options)
        tab.evaluate(NUMBER, sheets(first))
        tab.pdf(path=second, tagged=True, **options)  # tagged, it can be read aloud, and takes longer
        if sheets(first) != sheets(second):
            sys.exit("rnn-notes: the numbers in the contents moved what they count")
        finish(second, entries)


def main():
    path = find_browser()
    if path is None:
        sys.exit("rnn-notes: `make pdf` prints with Chromium or Chrome, and there is none on this machine")
    with sync_playwright() as playwright:
        # Chromium has no sandbox for root; without being asked, Playwright has none for anybody.
        root = os.name != "nt" and os.geteuid() == 0
        try:
            browser = playwright.chromium.launch(executable_path=path, chromium_sandbox=not root)
        except (
            Error
        ) as error:  # with all that Chromium said, such as that the machine lets it have no sandbox
            sys.exit(f"rnn-notes: `make pdf` cannot start {path}: {error}")
        if int(browser.version.partition(".")[0]) < OLDEST:
            sys.exit(f"rnn-notes: `make pdf` needs Chromium {OLDEST} or newer, and this is {browser.version}")
        BOOK.unlink(missing_ok=True)
        print_book(browser, assemble())
        browser.close()
    print("The book:", BOOK.as_uri())


if __name__ == "__main__":
    main()

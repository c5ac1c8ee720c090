"""The built site in headless Chromium: every page in light, in dark and on a narrow screen.

Without a browser these tests are skipped; RNN_NOTES_REQUIRE_BROWSER=1 makes that a failure.
"""

import functools
import gzip
import itertools
import os
import re
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pages
import pypdfium2
import pytest
from axe_playwright_python.sync_playwright import Axe
from pages import SITE, copied, first_now, html, parsed
from playwright.sync_api import sync_playwright

HTML = {page.relative_to(SITE).as_posix(): page.read_text(encoding="utf-8") for page in SITE.rglob("*.html")}
PAGES = sorted(HTML) or ["index.html"]
EXECUTED = [html(page) for page in pages.EXECUTED]
SHEETS = [page for page in PAGES if page.endswith(("-handout.html", "-solutions.html"))]
WITH_BUTTONS = [page for page in PAGES if 'class="highlight"' in HTML.get(page, "")]
MODES = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "narrow": {"viewport": {"width": 390, "height": 844}},
}
PREFIX = urlsplit(os.environ.get("SITE_URL", "")).path or "/"
LIMIT = 200_000  # bytes of a lecture's first visit, compressed as a web server does
COMPRESSED_IN_TRANSIT = {".html", ".css", ".js", ".svg", ".json"}
RAW_TEX = re.compile(r"\$\$|\$[^\s$][^$]*\$|\\[(\[]|\\[A-Za-z]+")

ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # the outside is blocked
]

# Solutions are opened, so that they are tested too; what fades in is at its end.
OPEN = """async () => {
    const style = document.createElement("style");  // what is far from the screen is looked at, too
    style.textContent = "* { content-visibility: visible !important; }";
    document.head.append(style);
    for (const box of document.querySelectorAll("details")) box.open = true;
    for (const motion of document.getAnimations()) motion.cancel();
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""
LOOK = """async () => {
    await document.fonts.ready;
    const family = name => name.replaceAll(/["']/g, "");
    await Promise.all([...document.images].map(image => {
        image.loading = "eager";
        return image.decode().catch(() => {});  // a picture that is none stays without a width
    }));
    const texts = [document.title], article = document.querySelector("article");
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode())
        if (!walker.currentNode.parentElement.closest("code, pre, script, style, annotation"))
            texts.push(walker.currentNode.data);
    let beyond = 0;  // the theme hides what is too wide for <html>, and scrolls a box around the article
    for (let box = article; box; box = box.parentElement)
        if (getComputedStyle(box).overflowX != "visible")
            beyond = Math.max(beyond, box.scrollWidth - box.clientWidth);
    return {
        texts, beyond,
        badTex: document.querySelectorAll(".katex-error").length,
        images: [...document.images].map(image => ({
            alt: image.getAttribute("alt"), html: image.outerHTML, empty: !image.naturalWidth,
            words: image.matches(".path img") ? 0 : image.matches(".sidebar-logo") ? 1 : 3})),
        face: family(getComputedStyle(article).fontFamily.split(",")[0]),
        loaded: [...document.fonts].filter(font => font.status == "loaded").map(font => family(font.family)),
    };
}"""
# All rules that axe-core has on, its best practices among them. Measuring a contrast takes milliseconds, and
# a page has ten thousand words of code, signs of formulas and entries of lists in some dozens of styles. Of
# those that look alike and stand in alike boxes, one keeps its text. Words of code merge into their lines
# before the other rules, which miss nothing there.
AUDIT = """async () => {
    const places = new Map();
    function place(box) {
        if (!box) return "";
        if (!places.has(box)) {
            const {backgroundColor, backgroundImage, opacity} = getComputedStyle(box);
            const kind = box.closest(".katex-html") ? [] : [box.tagName, box.className];
            const own = [...kind, backgroundColor, backgroundImage, opacity];
            places.set(box, [...own, place(box.parentElement)].join());
        }
        return places.get(box);
    }
    function alike(boxes) {
        const looks = new Set();
        return [...boxes].filter(box => {
            const {color, fontSize, fontWeight, textShadow} = getComputedStyle(box);
            return looks.size == looks.add([color, fontSize, fontWeight, textShadow, place(box)].join()).size;
        });
    }
    const isText = node => node.nodeType == Node.TEXT_NODE && node.data.trim();
    const words = [...document.querySelectorAll("pre span")].filter(word => !word.childElementCount);
    for (const word of alike(words)) word.replaceWith(word.textContent);
    document.body.normalize();
    const contrast = "color-contrast", resultTypes = ["violations"];
    const rules = {[contrast]: {enabled: false}, "target-size": {enabled: true}};
    const found = [await axe.run({resultTypes, rules})];
    const texts = [...document.body.querySelectorAll("*")].filter(box => [...box.childNodes].some(isText));
    for (const box of alike(texts))
        for (const text of [...box.childNodes].filter(isText)) text.remove();
    found.push(await axe.run({resultTypes, runOnly: [contrast]}));
    return found.flatMap(({violations}) => violations).flatMap(rule => rule.nodes.map(node => {
        const [check] = [...node.any, ...node.all, ...node.none];
        return `${rule.id}: ${node.target}: ${check.message}`;
    }));
}"""


class Visit:
    """One page in a tab of its own, with the requests it made and what went wrong."""

    def __init__(self, context, url, until="load"):
        self.wrong, self.loaded = [], set()
        self.home = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}/"
        self.tab = context.new_page()
        self.tab.on("request", self.on_request)
        self.tab.on("requestfailed", self.on_failure)
        self.tab.on("response", self.on_response)
        self.tab.on("console", self.on_console)
        self.tab.on("pageerror", lambda error: self.wrong.append(f"page error: {error}"))
        self.tab.goto(url, wait_until=until)

    def on_request(self, request):
        if not request.url.startswith(self.home):
            self.wrong.append(f"third-party request: {request.url}")

    def on_failure(self, request):
        if request.failure != "net::ERR_ABORTED":  # as when the next page is opened
            self.wrong.append(f"failed request: {request.url}")

    def on_response(self, response):
        self.loaded.add(response.url)
        if response.status >= 400:
            self.wrong.append(f"status {response.status}: {response.url}")

    def on_console(self, message):
        if message.type == "error":
            self.wrong.append(f"console: {message.text}")

    def look(self):
        """Return what the reader would see and should not."""
        seen = self.tab.evaluate(LOOK)
        tex = [f"raw TeX: {text.strip()[:80]}" for text in seen["texts"] if RAW_TEX.search(text)]
        tex += ["a formula that KaTeX could not render"] * seen["badTex"]
        images = []
        for image in seen["images"]:
            alt = image["alt"] or ""
            if len(alt.split()) < image["words"] or re.search(r"\.\w{3,4}$", alt) or RAW_TEX.search(alt):
                images.append(f"no real alternative text: {image['html'][:200]}")
            if image["empty"]:
                images.append(f"nothing drawn: {image['html'][:200]}")
        wide = [f"scrolls sideways, by {seen['beyond']} px"] * (seen["beyond"] > 0)
        face = [f"{seen['face']} is not loaded"] * (seen["face"] not in seen["loaded"])
        return [*self.wrong, *tex, *images, *wide, *face]


class Quiet(SimpleHTTPRequestHandler):
    """Serve the site at / and, as its host would, at the path of SITE_URL, from which 404.html links."""

    def translate_path(self, path):
        return super().translate_path(path.replace(PREFIX, "/", 1))

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def browser():
    """Start Chromium; for this module only, because Playwright's event loop runs in the main thread."""
    if not HTML:
        pytest.fail(pages.NOT_BUILT, pytrace=False)
    path = pages.extension("book").find_browser()
    if path is None:
        say = pytest.fail if os.environ.get("RNN_NOTES_REQUIRE_BROWSER") == "1" else pytest.skip
        say("no Chromium or Chrome on this machine: the pages are not tested in a browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def base():
    """Serve the site on this machine and return its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=SITE)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def contexts(browser):
    return {mode: browser.new_context(**options) for mode, options in MODES.items()}


@pytest.fixture
def context(browser):
    with browser.new_context(permissions=["clipboard-read", "clipboard-write"]) as context:
        yield context


@pytest.mark.parametrize(
    "mode", ["light", *(pytest.param(mode, marks=pytest.mark.deep) for mode in MODES if mode != "light")]
)
@pytest.mark.parametrize("page", [*(page for page in PAGES if page not in SHEETS), *first_now(SHEETS)])
def test_page(contexts, base, page, mode):
    """Nothing fails, nothing comes from outside, all can be read, by everyone, without scrolling sideways."""
    visit = Visit(contexts[mode], base + page)
    visit.tab.evaluate(OPEN)
    visit.tab.evaluate(Axe().axe_script)
    faults = [f"axe: {finding}" for finding in visit.tab.evaluate(AUDIT)] + visit.look()
    visit.tab.close()
    assert not faults, "\n".join(["", *dict.fromkeys(faults)])


@pytest.mark.parametrize("page", first_now(EXECUTED))
def test_page_from_disk(context, page):
    """A page opens without a server."""
    faults = Visit(context, (SITE / page).as_uri()).look()
    assert not faults, "\n".join(["", *faults])


ALONE = """() => [...document.querySelectorAll("article .katex")].flatMap(formula => {
    const bases = formula.querySelectorAll(".katex-base");
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    if (!bases.length || formula.closest(".katex-display") || !formula.checkVisibility()) return [];
    walker.currentNode = [...formula.querySelectorAll("*")].at(-1);
    let after = walker.nextNode();
    while (after && formula.contains(after)) after = walker.nextNode();
    const text = formula.closest("p, li, dd, td, summary");
    if (!/^[^\\w\\s]/.test(after?.data) || !text.contains(after)) return [];
    const range = document.createRange();
    range.setStart(after, 0);
    range.setEnd(after, 1);
    const alone = range.getBoundingClientRect().right < [...bases].at(-1).getBoundingClientRect().left;
    return alone ? [formula.textContent + " | " + after.data] : [];
})"""


@pytest.mark.parametrize("page", ["chain_rule.html", "lstm.html", "truncation.html"])
def test_punctuation_stays_with_its_formula(context, base, page):
    visit = Visit(context, base + page)
    visit.tab.evaluate(OPEN)
    for width in range(360, 1300, 90):
        visit.tab.set_viewport_size({"width": width, "height": 800})
        assert not visit.tab.evaluate(ALONE), width


SMALLER = """() => {
    const size = formula => parseFloat(getComputedStyle(formula).fontSize);
    const all = place => [...document.querySelectorAll(place)].map(size);
    return Math.min(...all(".katex-display .katex")) < Math.max(...all("article p > .math > .katex"));
}"""
WITHOUT_CUE = """() => [...document.querySelectorAll("article *")].filter(box =>
    box.scrollWidth > box.clientWidth && /auto|scroll/.test(getComputedStyle(box).overflowX)
    && !getComputedStyle(box).backgroundAttachment.includes("local")
).map(box => box.className + box.textContent.slice(0, 40))"""
# What covers a shade is of the color that the box would show without it.
STANDS_OUT = """() => [...document.querySelectorAll("article *")].filter(box => {
    const style = getComputedStyle(box), clear = "rgba(0, 0, 0, 0)";
    if (!style.backgroundAttachment.includes("local")) return false;
    let behind = box.parentElement;
    while (behind && getComputedStyle(behind).backgroundColor == clear) behind = behind.parentElement;
    const ground = getComputedStyle(behind ?? document.body).backgroundColor;
    return style.backgroundColor != ground
        || !style.backgroundImage.includes(`${ground} 50%`);
}).map(box => box.className + box.textContent.slice(0, 40))"""
NARROWED = """() => [...document.querySelectorAll(".cell_output > :is(.output, figure)")].filter(box =>
    box.checkVisibility() && [box, ...box.querySelectorAll("pre")].some(part =>
        part.getBoundingClientRect().width < box.parentElement.clientWidth - 4)
).map(box => box.textContent.slice(0, 40))"""
OFF_CENTER = """() => [...document.querySelectorAll("section > .math-wrapper")].filter(box => {
    const parts = [...box.querySelectorAll(".katex-html .katex-base")].map(b => b.getBoundingClientRect());
    const left = Math.min(...parts.map(b => b.left)), right = Math.max(...parts.map(b => b.right));
    const text = box.closest("section").querySelector(":scope > p").getBoundingClientRect();
    return right - left < text.width - 110 && Math.abs(left + right - text.left - text.right) > 4;
}).map(box => box.textContent.slice(0, 40))"""
CENTERED = """() => [...document.querySelectorAll("article table:has(> caption)")].filter(table =>
    [...table.querySelectorAll(":scope > caption, th")].some(
        cell => !["left", "start"].includes(getComputedStyle(cell).textAlign))
    || getComputedStyle(table.querySelector(".caption-number")).fontWeight < 600
    || Math.abs(table.getBoundingClientRect().left - table.parentElement.getBoundingClientRect().left) > 1
).map(table => table.id)"""
BROKEN = """() => [...document.querySelectorAll("article span.math > .katex")].filter(formula => {
    const rects = [...formula.querySelectorAll(".katex-base")].map(base => base.getBoundingClientRect());
    const width = rects.reduce((sum, rect) => sum + rect.width, 0);
    return width < 5 * parseFloat(getComputedStyle(formula).fontSize)
        && rects.some((rect, at) => at && rect.left < rects[at - 1].left);
}).map(formula => formula.textContent)"""


@pytest.mark.parametrize("mode", ["light", "narrow"])
@pytest.mark.parametrize("page", first_now(EXECUTED))
def test_displayed_formulas_are_as_large_as_those_in_the_text(contexts, base, page, mode):
    visit = Visit(contexts[mode], base + page)
    assert not visit.tab.evaluate(SMALLER)
    visit.tab.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", first_now([*EXECUTED, "reference_mathematics.html"]))
def test_on_a_phone_what_scrolls_shows_it(browser, base, page, scheme):
    with browser.new_context(**MODES["narrow"], color_scheme=scheme) as context:
        visit = Visit(context, base + page)
        visit.tab.evaluate(OPEN)
        assert not visit.tab.evaluate(WITHOUT_CUE)
        assert not visit.tab.evaluate(STANDS_OUT)


@pytest.mark.parametrize("mode", ["light", "narrow"])
@pytest.mark.parametrize("page", first_now(EXECUTED))
def test_boxes_and_formulas_stand_where_the_text_does(contexts, base, page, mode):
    """Outputs fill their cell, displayed formulas are in the middle, short ones in a text do not break."""
    visit = Visit(contexts[mode], base + page)
    visit.tab.evaluate(OPEN)
    assert not visit.tab.evaluate(NARROWED)
    assert not visit.tab.evaluate(OFF_CENTER)
    assert not visit.tab.evaluate(BROKEN)
    visit.tab.close()


@pytest.mark.parametrize("page", [page for page in PAGES if "<caption" in HTML.get(page, "")])
def test_tables_begin_at_the_left_with_a_bold_number(contexts, base, page):
    visit = Visit(contexts["light"], base + page)
    faults = visit.tab.evaluate(CENTERED)
    visit.tab.close()
    assert not faults


def test_what_a_finger_touches_in_the_header_is_large_and_apart(contexts, base):
    visit = Visit(contexts["narrow"], base + "index.html")
    boxes = [target.bounding_box() for target in visit.tab.locator(".mobile-header :is(label, button)").all()]
    header = visit.tab.locator(".mobile-header").bounding_box()
    visit.tab.close()
    assert len(boxes) == 3 and all(min(box["width"], box["height"]) >= 44 for box in boxes)
    assert all(box["y"] + box["height"] <= header["y"] + header["height"] for box in boxes)
    boxes.sort(key=lambda box: box["x"])
    assert all(one["x"] + one["width"] + 4 <= other["x"] for one, other in itertools.pairwise(boxes))


def test_tables_that_are_read_row_by_row_fit_a_phone(contexts, base):
    for page in (
        "lecture.html",
        "notation.html",
        "recipes.html",
        "reference.html",
        "textbooks.html",
        "wont_train.html",
    ):
        visit = Visit(contexts["narrow"], base + page)
        tables = visit.tab.locator("table.stacked")
        assert tables.count()
        for table in tables.all():
            assert (
                table.locator("tbody td").first.evaluate("cell => getComputedStyle(cell).display") == "block"
            )
            assert table.locator("..").evaluate("box => box.scrollWidth <= box.clientWidth")
            heads = table.locator("thead th").all_text_contents()
            for cells in [row.locator("td").all_inner_texts() for row in table.locator("tbody tr").all()]:
                for head, text in zip(heads, cells, strict=True):
                    assert text.strip().startswith(head) or not text.strip()
        visit.tab.close()


@pytest.mark.parametrize("page", first_now([*EXECUTED, "reference_networks.html", "notation.html"]))
def test_code_is_in_the_face_of_the_site(context, base, page):
    """All its characters, also the mathematical; and 84 of them fit in a line beside both sidebars."""
    visit = Visit(context, base + page)
    visit.tab.set_viewport_size({"width": 1280, "height": 800})
    visit.tab.evaluate(OPEN)
    session = context.new_cdp_session(visit.tab)
    for domain in ("DOM", "CSS"):
        session.send(f"{domain}.enable")
    root = session.send("DOM.getDocument")["root"]["nodeId"]
    for node in session.send("DOM.querySelectorAll", {"nodeId": root, "selector": "article :is(pre, code)"})[
        "nodeIds"
    ]:
        fonts = session.send("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]
        others = [font["familyName"] for font in fonts if font["familyName"] != "Lecture Mono"]
        assert not others, session.send("DOM.getOuterHTML", {"nodeId": node})["outerHTML"]
    assert not visit.tab.evaluate("""[...document.querySelectorAll(".cell_input pre")].filter(code =>
        code.checkVisibility() && code.scrollWidth > code.clientWidth
        && Math.max(...code.textContent.split("\\n").map(line => line.length)) <= 84
    ).map(code => code.textContent)""")


@pytest.mark.parametrize("page", first_now(EXECUTED))
def test_transfer(context, base, page):
    """The first visit to a lecture costs little."""
    visit = Visit(context, base + page)
    visit.tab.evaluate("document.fonts.ready.then(() => null)")
    sizes = {}
    for url in visit.loaded:
        file = SITE / unquote(urlsplit(url).path)[1:]
        data = file.read_bytes()
        sizes[file.name] = len(gzip.compress(data, 9) if file.suffix in COMPRESSED_IN_TRANSIT else data)
    biggest = sorted(sizes, key=sizes.get, reverse=True)[:10]
    total = sum(sizes.values())
    assert total < LIMIT, f"{total} bytes: " + ", ".join(f"{name} {sizes[name]}" for name in biggest)


SHIFTS = """window.shifts = [];
new PerformanceObserver(list => window.shifts.push(...list.getEntries().map(shift =>
    [shift.value, ...shift.sources.map(({node}) => node?.textContent.trim().slice(0, 40))]
))).observe({type: "layout-shift", buffered: true});"""


def test_styles_lose_their_comments_and_nothing_else(context, base):
    files = (folder / "_static" / "site.css" for folder in (pages.ROOT / "docs", SITE))
    written, served = (file.read_text(encoding="utf-8") for file in files)
    rules = """text => {
        const sheet = new CSSStyleSheet();
        sheet.replaceSync(text);
        return [...sheet.cssRules].map(rule => rule.cssText);
    }"""
    tab = context.new_page()
    tab.goto(base)
    assert tab.evaluate(rules, served) == tab.evaluate(rules, written) != []
    assert "/*" in written and "/*" not in served


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("page", first_now([*EXECUTED, "reference.html"]))
def test_nothing_jumps_when_faces_arrive(context, base, page, width):
    """The stand-ins are as wide and high as the faces, which come last: at most a line breaks elsewhere."""
    tab, held, late = context.new_page(), [], []
    tab.set_viewport_size({"width": width, "height": 800})
    tab.route("**/*.woff2", lambda route: route.continue_() if late else held.append(route))
    tab.add_init_script(SHIFTS)
    tab.goto(base + page, wait_until="domcontentloaded")
    tab.wait_for_timeout(300)  # the page is drawn without its faces
    late.append(True)
    for route in held:
        route.continue_()
    tab.evaluate("document.fonts.ready.then(() => null)")
    tab.wait_for_timeout(200)
    assert len(held) >= 2
    shifts = tab.evaluate("window.shifts")
    assert sum(value for value, *_ in shifts) < 0.075, shifts


# What readers type, and the places that answer it.
ASKED = {
    "vanishing gradient": {"glossary#term-vanishing-gradient"},
    "detach": {"glossary#term-detach", "truncation#why-detach"},
    "my loss is NaN": {"wont_train#see-nan"},
    "gradient norm 0": {"wont_train#see-zero"},
    "forget gate bias": {"lstm#forget-slice", "recipes#torch-forget"},
    "clip": {"glossary#term-gradient-clipping"},
    "orthogonal init pytorch": {"recipes#torch-orthogonal", "orthogonal_initialization#gate-blocks"},
    "singular value": {"glossary#term-singular-value"},
    "batch_first": {"wont_train#check-axes"},
    "truncated bptt window": {
        "truncation#three-ways",
        "glossary#term-truncated-backpropagation-through-time",
    },
    "eigenvalues orthogonal matrix proof": {"orthogonal#always-one"},
    "eigenvalue disk figure": {"initialization#fig-disk"},
    "eigenvalue disk slides": {"initialization#fig-disk"},
    "half-life exercise": {"lstm#exercise-half-lives-by-hand"},
    "half-lives": {"lstm#exercise-half-lives-by-hand"},
    "loss NaN": {"wont_train#see-nan"},
    "pytorch orthogonal": {"recipes#torch-orthogonal", "orthogonal_initialization#gate-blocks"},
}
# The place is at the top of the screen, or the page at its end, and no button lies on it. A found word may be
# asked for, too.
ON_SCREEN = """words => {
    const place = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const {top} = place.getBoundingClientRect(), button = document.querySelector(".back-to-top");
    const seen = range => {
        const {top, bottom, height} = range.getBoundingClientRect();
        return height > 0 && bottom > 0 && top < innerHeight;
    };
    const {scrollHeight, scrollTop, clientHeight} = document.documentElement;
    const high = top < 120 || (top < innerHeight && scrollHeight - scrollTop - clientHeight < 2);
    return top >= 0 && high && !button?.checkVisibility()
        && (!words || [...CSS.highlights.get("found")].some(seen));
}"""


def results(visit):
    """Return the places that the search shows, as page#anchor."""
    visit.tab.locator("#search-results a").first.wait_for()
    links = visit.tab.locator("#search-results a").evaluate_all("all => all.map(a => a.href)")
    return [f"{Path(urlsplit(link).path).stem}#{urlsplit(link).fragment}" for link in links]


@pytest.mark.parametrize(
    ("scheme", "mode"),
    [
        ("http", "light"),
        pytest.param("http", "narrow", marks=pytest.mark.deep),
        pytest.param("file", "light", marks=pytest.mark.deep),
        pytest.param("file", "narrow", marks=pytest.mark.deep),
    ],
)
def test_search(contexts, base, scheme, mode):
    """The place that answers is among the first two, and on the screen after the click."""
    home = base if scheme == "http" else SITE.as_uri() + "/"
    visit = Visit(contexts[mode], home + "search.html")
    for query, places in ASKED.items():
        visit.tab.goto(home + "search.html")
        visit.tab.locator("#search").fill(query)
        first = results(visit)[:2]
        assert places & set(first), (query, first)
        number = min(first.index(place) for place in places & set(first))
        visit.tab.locator("#search-results a").nth(number).click()
        visit.tab.wait_for_url("**?found=*")  # and its load
        visit.tab.wait_for_function(ON_SCREEN, arg=True)
    visit.tab.close()
    assert not visit.wrong


# Pages of many screens, whose places have most of the words screens below their headings.
FAR = {
    "teaching.html": ("slides", "eigenvalue slides figure code"),
    "orthogonal.html": ("always-one", "eigenvector complex proof"),
    "experiments.html": ("adding-problem", "seeds median lstm"),
    "wont_train.html": ("see-zero", "gradient norm sigmoid layer"),
    "reference.html": ("rnn_notes.diagnosis.diagnose", "batch first keras returns"),
}


@pytest.mark.parametrize("mode", ["light", "narrow"])
@pytest.mark.parametrize("page", first_now(list(FAR)))
def test_a_result_leads_to_its_place(contexts, base, page, mode):
    """Wherever the words stand. Only a reader who scrolls up is shown the way to the top."""
    anchor, words = FAR[page]
    visit = Visit(contexts[mode], f"{base}{page}?found={words.replace(' ', '+')}#{anchor}")
    visit.tab.wait_for_function(ON_SCREEN)
    frames = "new Promise(go => requestAnimationFrame(() => requestAnimationFrame(go)))"
    visit.tab.evaluate(f"scrollBy({{top: -30, behavior: 'instant'}}), {frames}")
    assert visit.tab.evaluate(f"({ON_SCREEN})()")
    visit.tab.mouse.move(200, 400)
    visit.tab.mouse.wheel(0, -200)
    visit.tab.wait_for_function("() => document.querySelector('.back-to-top').checkVisibility()")
    visit.tab.close()
    assert not visit.wrong


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_marked_words_are_read_and_are_not_loud(contexts, base, mode):
    """Text on the mark has the contrast of text, and the mark keeps to the theme."""
    visit = Visit(contexts[mode], base + "orthogonal.html?found=proof#always-one")
    text, mark, ground = visit.tab.evaluate("""() => {
        const canvas = new OffscreenCanvas(1, 1).getContext("2d");
        const word = getComputedStyle(document.querySelector("figcaption"), "::highlight(found)");
        const {backgroundColor} = getComputedStyle(document.body);
        return [word.color, word.backgroundColor, backgroundColor].map(color => {
            canvas.fillStyle = color;
            canvas.fillRect(0, 0, 1, 1);
            return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
        });
    }""")
    linear = lambda c: c / 3294.6 if c < 10.31 else ((c / 255 + 0.055) / 1.055) ** 2.4  # noqa: E731
    light = lambda rgb: 0.2126 * linear(rgb[0]) + 0.7152 * linear(rgb[1]) + 0.0722 * linear(rgb[2])  # noqa: E731
    contrast = lambda a, b: (max(light(a), light(b)) + 0.05) / (min(light(a), light(b)) + 0.05)  # noqa: E731
    assert contrast(text, mark) > 4.5
    assert mark != ground
    assert contrast(mark, ground) < 3
    visit.tab.close()


@pytest.mark.parametrize("drawer", ["toc", "sidebar"])
def test_a_drawer_closes_behind_its_link(contexts, base, drawer):
    """On a phone, a tap on an entry shows the place, not the list."""
    visit = Visit(contexts["narrow"], base + "orthogonal.html")
    visit.tab.locator(f".mobile-header label[for={'__toc' if drawer == 'toc' else '__navigation'}]").click()
    link = visit.tab.locator(f".{drawer}-drawer a[href^='#']").nth(2 if drawer == "toc" else 0)
    link.click()
    closed = """box => {
        const {left, right} = document.querySelector(box).getBoundingClientRect();
        return right <= 0 || left >= innerWidth;
    }"""
    visit.tab.wait_for_function(closed, arg=f".{drawer}-drawer")
    if drawer == "toc":
        visit.tab.wait_for_function(ON_SCREEN)
    visit.tab.close()
    assert not visit.wrong


AT_THE_TOP = "id => Math.abs(document.getElementById(id)?.getBoundingClientRect().top - 100) < 100"


@pytest.mark.parametrize("mode", ["light", "narrow"])
def test_links_into_the_reference_arrive(contexts, base, mode):
    """What is far from the screen is laid out on the way, and the place stays where it is read."""
    for page, name in (
        ("networks", "lstm.LSTM.backward"),
        ("training", "training.fit"),
        ("diagnosis", "report.Report"),
        ("figures", "figures.unrolled_graph"),
    ):
        visit = Visit(contexts[mode], f"{base}reference_{page}.html#rnn_notes.{name}")
        visit.tab.wait_for_timeout(300)
        visit.tab.wait_for_function(AT_THE_TOP, arg=f"rnn_notes.{name}", timeout=10_000)
        visit.tab.close()


@pytest.mark.parametrize("page", first_now(EXECUTED))
def test_links_of_the_contents_arrive(contexts, base, page):
    """Also from far away, where nothing between is laid out yet."""
    visit = Visit(contexts["narrow"], base + page)
    sections = visit.tab.locator("article section section[id]").evaluate_all("all => all.map(box => box.id)")
    for name in [sections[-1], sections[len(sections) // 2], sections[0], sections[-2]]:
        visit.tab.evaluate("name => { location.hash = name; }", name)
        visit.tab.wait_for_timeout(300)
        end = "innerHeight + scrollY > document.documentElement.scrollHeight - 5"
        assert visit.tab.evaluate(AT_THE_TOP, name) or visit.tab.evaluate(end), name
    visit.tab.close()


# The signs on each full line of a page's own paragraphs.
ON_LINES = """() => {
  const found = [];
  for (const text of document.querySelectorAll("article section > p")) {
    if (text.querySelector(".katex, code")) continue;
    const range = document.createRange(), lines = new Map();
    const walker = document.createTreeWalker(text, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) for (let at = 0; at < walker.currentNode.length; at++) {
      range.setStart(walker.currentNode, at);
      range.setEnd(walker.currentNode, at + 1);
      const { width, bottom } = range.getBoundingClientRect();
      if (width) lines.set(Math.round(bottom / 8), (lines.get(Math.round(bottom / 8)) ?? 0) + 1);
    }
    found.push(...[...lines.values()].slice(0, -1));
  }
  return found;
}"""


@pytest.mark.parametrize("page", ["chain_rule.html", "clipping.html", "textbooks.html", "lstm.html"])
def test_lines_of_text_hold_66_to_72_signs(context, base, page):
    visit = Visit(context, base + page)
    visit.tab.evaluate("document.fonts.ready")
    assert 66 <= np.median(visit.tab.evaluate(ON_LINES)) <= 72
    visit.tab.close()


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_old_links_into_the_reference_are_forwarded(context, base, scheme):
    home = base if scheme == "http" else SITE.as_uri() + "/"
    for page, place in (
        ("networks", "rnn_notes.lstm.LSTM.backward"),
        ("figures", "rnn_notes.figures.unrolled_graph"),
        ("mathematics", "module-rnn_notes.spectrum"),
        ("mathematics", "eigenvalues-and-growth"),
        ("diagnosis", "tables"),
    ):
        visit = Visit(context, f"{home}reference.html#{place}")
        visit.tab.wait_for_url(f"**/reference_{page}.html#{place}")
        visit.tab.wait_for_function(AT_THE_TOP, arg=place, timeout=10_000)


def marks(visit):
    results(visit)
    return [mark.lower() for mark in visit.tab.locator("#search-results mark").all_inner_texts()]


def test_search_finds_words_where_they_begin_and_numbers_whole(context, base):
    """On the search page and behind it, by one rule."""
    visit = Visit(context, base + "search.html?q=nan")
    assert marks(visit) and all(mark.startswith("nan") for mark in marks(visit))
    texts = visit.tab.evaluate(
        "PAGES.flatMap(([name, title, all]) => all.map(([kind, anchor, ...texts]) =>"
        " [`${name}#${kind == 'page' ? '' : anchor}`, [title, ...texts].join(' ')]))"
    )
    having = {place for place, text in texts if re.search(r"\bnan", text, re.IGNORECASE)}
    assert having < {place for place, _ in texts}
    assert set(results(visit)) <= having
    for number in ("1", "10", "0.5", "4.1"):
        visit.tab.goto(f"{base}search.html?q={number}")
        assert set(marks(visit)) == {number}
        visit.tab.locator("#search-results a").first.click()
        visit.tab.wait_for_url("**?found=*")
        assert set(visit.tab.evaluate("[...CSS.highlights.get('found')].map(String)")) == {number}
    visit.tab.close()
    assert not visit.wrong


@pytest.mark.parametrize(
    ("one", "many"),
    [
        *[("half-life", "half-lives"), ("matrix", "matrices"), ("bias", "biases"), ("loss", "losses")],
        *[("singular value", "singular values"), ("half", "halves"), ("gate", "gates")],
    ],
)
def test_search_takes_singular_and_plural_alike(context, base, one, many):
    visit = Visit(context, f"{base}search.html?q={one}")
    first = results(visit)
    visit.tab.goto(f"{base}search.html?q={many}")
    assert set(first[:3]) & set(results(visit)[:3])
    assert len(set(first) & set(results(visit))) > 0.7 * min(len(first), len(results(visit)))
    visit.tab.close()


TEXTS = "PAGES.flatMap(([, , all]) => all.map(place => place[5]))"


def test_search_shows_whole_formulas_and_where_a_title_repeats(context, base):
    """An excerpt ends between words, not in a formula; a title that a page repeats has the one above it."""
    visit = Visit(context, base + "search.html?q=vanishing gradient")
    texts = [text.replace("\xa0", "\0") for text in visit.tab.evaluate(TEXTS)]
    for query in ("eigenvalues", "norm", "product", "orthogonal"):
        visit.tab.goto(f"{base}search.html?q={query}")
        results(visit)
        for shown in visit.tab.locator("#search-results p:not(.where)").all_inner_texts():
            ends = shown.strip("… ")
            at = [text for text in texts if ends in text.replace("\0", " ")]
            assert at, shown
            place = at[0].replace("\0", " ").index(ends)
            assert "\0" not in at[0][max(place - 1, 0) : place] + at[0][place + len(ends) :][:1], shown
    for name in ("An orthogonal matrix in each gate", "Clip, and record the norm"):
        visit.tab.goto(f"{base}search.html?q={name}")
        results(visit)
        titles = visit.tab.locator("#search-results a").all_inner_texts()
        found = [title for title in titles if title.endswith(name)]
        assert len(set(found)) == len(found) > 1, found
    visit.tab.close()


@pytest.mark.parametrize("mode", MODES)
def test_search_page(contexts, base, mode):
    """It has an input, on a phone too; its results can be read by everyone; what was typed is a text."""
    visit = Visit(contexts[mode], base + "search.html")
    field = visit.tab.get_by_role("searchbox", name="What to look for")
    assert field.is_visible()
    assert field.evaluate("field => field == document.activeElement")
    visit.tab.keyboard.type("<img src=x> jacobian")
    assert len(results(visit)) > 5
    assert visit.tab.get_by_role("status").inner_text().endswith("places")
    visit.tab.evaluate(Axe().axe_script)
    faults = [f"axe: {finding}" for finding in visit.tab.evaluate(AUDIT)] + visit.look()
    visit.tab.close()
    assert not faults, "\n".join(["", *dict.fromkeys(faults)])


def test_the_first_printed_sheet_is_a_checklist(context, base):
    """All up to the end of the tables by symptom fills one sheet of A4, and what follows starts the next."""
    visit = Visit(context, base + "wont_train.html")
    count = lambda: len(re.findall(rb"/Type /Page\b", visit.tab.pdf(format="A4")))  # noqa: E731
    assert count() > 1
    visit.tab.emulate_media(media="print")
    after = "getComputedStyle(document.querySelector('.checklist')).breakAfter"
    assert visit.tab.evaluate(after) == "page"
    visit.tab.evaluate("""() => {
        for (let node = document.querySelector(".checklist"); node !== document.body; node = node.parentNode)
            while (node.nextSibling) node.nextSibling.remove();
    }""")
    assert count() == 1
    size = visit.tab.evaluate(
        "parseFloat(getComputedStyle(document.querySelector('.checklist td')).fontSize)"
    )
    assert size >= 10  # CSS pixels, 7.5 points


@pytest.mark.parametrize("page", first_now([page for page in SHEETS if "-handout" in page]))
def test_handout_is_one_sheet(context, base, page):
    """It fills a page of A4 by more than half, fits Letter, can be read, and no formula is cut."""
    visit = Visit(context, base + page)
    for paper in ("A4", "Letter"):
        assert len(re.findall(rb"/Type /Page\b", visit.tab.pdf(format=paper))) == 1, paper
    visit.tab.emulate_media(media="print")
    visit.tab.set_viewport_size({"width": 710, "height": 1054})  # A4 within its margins
    height, smallest, cut = visit.tab.evaluate("""() => {
        const sheet = document.querySelector(".handout"), texts = sheet.querySelectorAll("p, li");
        return [
            sheet.getBoundingClientRect().height,
            Math.min(...[...texts].map(text => parseFloat(getComputedStyle(text).fontSize))),
            [...sheet.querySelectorAll(".katex-display")].filter(box => box.scrollWidth > box.clientWidth + 1)
                .map(box => box.textContent),
        ];
    }""")
    assert 1054 / 2 < height < 1054
    assert smallest >= 12  # CSS pixels, 9 points
    assert not cut


@pytest.mark.parametrize(
    "page", first_now(["chain_rule-handout.html", "index.html", "teaching.html", "lstm.html"])
)
def test_figures_are_dark_in_the_dark_theme(contexts, base, page):
    """Wherever they stand: their ink is dark, and has no ground."""
    visit = Visit(contexts["dark"], base + page)
    filters = visit.tab.locator("img[src*='_images/']").evaluate_all(
        "all => all.map(image => getComputedStyle(image).filter)"
    )
    assert filters and "none" not in filters


def test_table_of_sheets_fits_a_phone(contexts, base):
    visit = Visit(contexts["narrow"], base + "teaching.html")
    beyond = "box => box.scrollWidth - box.clientWidth"
    assert visit.tab.locator(".table-wrapper:has(.handouts)").evaluate(beyond) == 0


def empty(pdf, margin=14):
    """Return the share that is empty at the foot of each sheet, within margins in mm, borders left out."""
    shares = []
    for sheet in pypdfium2.PdfDocument(pdf):
        ink = (np.asarray(sheet.render(grayscale=True).to_pil()) < 200).mean(axis=1)
        last = np.flatnonzero((ink > 0.01) & (ink < 0.5)).max(initial=0) / len(ink) * 297
        shares.append((297 - margin - last) / (297 - 2 * margin))
    return shares


PRINTED = [
    page for page in PAGES if not re.search(r"404|search|genindex|reference|-(handout|solutions)", page)
]


MISSING_FACES = """() => {
  const there = new Set([...document.fonts].filter(face => face.status == "loaded").map(face => face.family));
  const signs = [...document.querySelectorAll(".katex-html *")].filter(sign => sign.firstChild?.data?.trim());
  const faces = new Set(signs.map(sign => getComputedStyle(sign).fontFamily.split(",")[0]));
  return [...faces].filter(face => !there.has(face));
}"""


@pytest.mark.parametrize("page", first_now(PRINTED))
def test_faces_of_all_formulas_are_there_to_print(context, base, page):
    """Those that are far from the screen, too: a sum on paper had no sign."""
    visit = Visit(context, base + page)
    visit.tab.wait_for_load_state("networkidle")
    assert visit.tab.evaluate(MISSING_FACES) == []
    visit.tab.close()


# Furo's own rules left two thirds of a sheet empty on each of these.
@pytest.mark.parametrize(
    "page",
    [
        page
        if page in ("initialization.html", "textbooks.html")
        else pytest.param(page, marks=pytest.mark.deep)
        for page in PRINTED
    ],
)
def test_printed_page_has_no_half_empty_sheets(context, base, page):
    """All sheets but the last are full to 60 % at least; solutions are unfolded; no ways around the site."""
    visit = Visit(context, base + page)
    *before, _ = empty(visit.tab.pdf(format="A4"))
    assert max(before, default=0) < 0.4, [round(share, 2) for share in before]
    visit.tab.emulate_media(media="print")
    shown, folded = visit.tab.evaluate("""() => [
        ".sidebar-drawer, .toc-drawer, .keys, .related-pages, .mobile-header",
        "details.solution > *, details.answer > *",
    ].map(query => [...document.querySelectorAll(query)].map(box => box.checkVisibility()))""")
    assert not any(shown)
    assert all(folded)


def test_sidebar(context, base):
    """All entries have one line; the last of them, too, are in sight on a small laptop."""
    visit = Visit(context, base + "lstm.html")
    visit.tab.set_viewport_size({"width": 1280, "height": 800})
    entries = visit.tab.locator(".sidebar-tree a:visible")
    for entry in entries.all():
        box = entry.bounding_box()
        assert 24 <= box["height"] < 36, entry.inner_text()
        assert box["y"] + box["height"] <= 800, entry.inner_text()
    assert {"It won't train", "Glossary", "Reference"} <= set(entries.all_inner_texts())


def explanation(visit):
    """Return what the bubble says, or None."""
    bubble = visit.tab.locator("#explanation")
    return bubble.inner_text() if bubble.is_visible() else None


def tab_to(visit, link):
    """Have the keyboard reach a link, as a reader would."""
    link.focus()
    visit.tab.keyboard.press("Shift+Tab")
    visit.tab.keyboard.press("Tab")


def test_terms_explain_themselves(context, base):
    """With the keyboard, with the mouse, and to a screen reader; Escape closes; a formula is one."""
    visit = Visit(context, base + "chain_rule.html")
    link = visit.tab.locator('article a[href="glossary.html#term-Jacobian"]').first
    words = "The matrix of all partial derivatives of a vector with respect to a vector"
    described = link.get_attribute("aria-describedby")
    assert words in visit.tab.locator(f'[id="{described}"]').text_content()
    tab_to(visit, link)
    assert explanation(visit).startswith(words)
    assert visit.tab.locator("#explanation .katex").count()
    visit.tab.keyboard.press("Escape")
    assert explanation(visit) is None
    assert link.evaluate("link => link == document.activeElement")
    link.hover()
    visit.tab.locator("#explanation").wait_for(state="visible")
    visit.tab.locator("#explanation").hover()  # it stays while one reads it
    visit.tab.wait_for_timeout(500)
    assert explanation(visit).startswith(words)
    visit.tab.mouse.move(1, 1)
    visit.tab.locator("#explanation").wait_for(state="hidden")
    assert not visit.wrong


def test_citations_explain_themselves(context, base):
    visit = Visit(context, base + "lstm.html")
    link = visit.tab.locator(".bibtex-citation a").first
    title = link.get_attribute("title")
    tab_to(visit, link)
    assert explanation(visit) == title
    assert link.get_attribute("title") is None  # the browser does not show it as well
    assert link.get_attribute("aria-describedby") == "explanation"
    visit.tab.keyboard.press("Escape")
    assert link.get_attribute("title") == title
    assert not visit.wrong


def test_touch_explains_first_and_follows_then(browser, base):
    with browser.new_context(has_touch=True, viewport={"width": 390, "height": 844}) as context:
        visit = Visit(context, base + "chain_rule.html")
        link = visit.tab.locator('article a[href="glossary.html#term-Jacobian"]').first
        link.tap()
        assert explanation(visit)
        box = visit.tab.locator("#explanation").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
        link.tap()
        visit.tab.wait_for_url("**/glossary.html#term-Jacobian")


def test_keys(context, base):
    """Arrows turn pages, except in what scrolls, in inputs, and with other keys; a slash searches."""
    visit = Visit(context, base + "chain_rule.html")
    for key in ("Control+ArrowRight", "Shift+ArrowRight"):
        visit.tab.keyboard.press(key)
    visit.tab.set_viewport_size(MODES["narrow"]["viewport"])
    visit.tab.reload()
    visit.tab.locator("pre[tabindex]:visible").first.focus()
    visit.tab.keyboard.press("ArrowRight")
    visit.tab.set_viewport_size({"width": 1280, "height": 800})
    visit.tab.keyboard.press("/")
    assert visit.tab.evaluate("document.activeElement.name") == "q"
    visit.tab.keyboard.type("/")
    visit.tab.keyboard.press("ArrowLeft")
    assert visit.tab.locator(".sidebar-search").input_value() == "/"
    assert visit.tab.url == base + "chain_rule.html"
    assert visit.tab.locator(".keys").is_visible()
    visit.tab.evaluate("document.activeElement.blur()")
    visit.tab.keyboard.press("ArrowRight")
    visit.tab.wait_for_url("**/sigmoid.html")
    visit.tab.keyboard.press("ArrowLeft")
    visit.tab.wait_for_url("**/chain_rule.html")
    visit.tab.set_viewport_size(MODES["narrow"]["viewport"])
    visit.tab.keyboard.press("/")
    visit.tab.wait_for_timeout(500)  # the drawer opens
    assert visit.tab.locator(".sidebar-search").bounding_box()["x"] >= 0
    assert not visit.wrong


def press(visit, buttons, number):
    """Press a copy button; return what is on the clipboard then."""
    visit.tab.evaluate("navigator.clipboard.writeText('nothing was copied')")
    buttons.nth(number).click()
    visit.tab.wait_for_function("async () => await navigator.clipboard.readText() != 'nothing was copied'")
    return visit.tab.evaluate("navigator.clipboard.readText()").replace("\r\n", "\n")


@pytest.mark.parametrize("page", first_now(WITH_BUTTONS))
def test_copy_buttons(context, base, page):
    """A copy button gives the code of its block, as test_code.py pastes it: without prompts and outputs."""
    visit = Visit(context, base + page)
    visit.tab.evaluate(OPEN)
    blocks, buttons = parsed(page).select(".highlight pre"), visit.tab.locator(".highlight button.copybtn")
    assert buttons.count() == len(blocks)
    for number in sorted({0, len(blocks) // 3, 2 * len(blocks) // 3, len(blocks) - 1}):
        assert press(visit, buttons, number) == copied(blocks[number])


ASKING = [html(page) for page in pages.EXECUTED if "# Check yourself" in page.read_text(encoding="utf-8")]


@pytest.mark.parametrize("page", first_now(ASKING))
def test_questions_need_no_script(browser, base, page):
    """By keyboard an answer opens and closes; on paper all are closed, with a key; nothing is sent."""
    with browser.new_context(java_script_enabled=False) as context:
        visit = Visit(context, base + page)
        sent = []
        visit.tab.on("request", lambda request: sent.append((request.method, urlsplit(request.url).query)))
        boxes = visit.tab.locator(".check")
        assert boxes.count() == 3
        for box in boxes.all():
            for answer in box.locator("details").all():
                title, reason = answer.locator("summary"), answer.locator("p").first
                assert not reason.is_visible()
                title.focus()
                visit.tab.keyboard.press("Enter")
                assert reason.is_visible()
                assert re.match(r"Right\.|Not this\.", reason.inner_text())
                title.press("Space")
                assert not reason.is_visible()
            assert not box.locator(".key").is_visible()
        boxes.first.locator("summary").first.press("Enter")
        visit.tab.emulate_media(media="print")
        assert not boxes.first.locator("p").nth(2).is_visible()
        assert all(key.is_visible() for key in boxes.locator(".key").all())
        assert set(sent) <= {("GET", "")} and not visit.wrong  # faces and pictures, from here


def test_theme_toggle(context, base):
    """The button goes through the themes, and the next page keeps the choice."""
    visit = Visit(context, base + "index.html")
    button = visit.tab.locator("button.theme-toggle:visible")
    colors = {}
    for _ in range(3):
        button.click()
        theme, color = visit.tab.evaluate(
            "[document.body.dataset.theme, getComputedStyle(document.body).backgroundColor]"
        )
        colors[theme] = color
        visit.tab.goto(base + "search.html")
        assert visit.tab.evaluate("document.body.dataset.theme") == theme
    assert set(colors) == {"light", "dark", "auto"}
    assert colors["light"] == colors["auto"] != colors["dark"]
    assert not visit.wrong

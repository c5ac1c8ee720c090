// What every page does beyond being read; without it, nothing is missing but comfort.
"use strict";

const Words = {
  // A text's words: a number is one, `batch_first` is one that has two more, and h_1 has an h.
  WORD: /\p{N}+(?:\.\p{N}+)*(?![\p{L}\p{N}_])|[\p{L}\p{N}_]+/gu,
  plain: text => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase(),
  parts: word => word.includes("_") ? [word, ...word.split("_").filter(part => /^\p{L}/u.test(part))] : [word],

  // A number or a letter is found as it is, a word where words begin: `nan` is not in `determinant`, 1 not in 1.6.
  whole: word => word.length == 1 || /^\p{N}/u.test(word),
  in(text, found) {
    const fits = part => found.some(word => Words.whole(word) ? part == word : part.startsWith(word));
    return [...text.matchAll(Words.WORD)].filter(([word]) => Words.parts(Words.plain(word)).some(fits));
  },
};

// What scrolls sideways must be reachable by keyboard, and its arrow keys turn no page. A formula has its width
// when its faces are there.
{
  const sized = new ResizeObserver(all => all.forEach(({ target: box }) => {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }));
  document.fonts.ready.then(() => {
    for (const box of document.querySelectorAll(".katex-display")) { sized.unobserve(box); sized.observe(box); }
  });
  for (const box of document.querySelectorAll("pre, .katex-display, .table-wrapper, .output.text_html")) {
    sized.observe(box);
    box.addEventListener("keydown", event => {
      if (event.key.startsWith("Arrow") && box.tabIndex == 0) event.stopPropagation();
    });
  }
}

// What a link leads to on this page; nothing where a % in it means nothing.
const placed = hash => {
  try { return document.getElementById(decodeURIComponent(hash.slice(1))); } catch { return null; }
};

// A formula that is not laid out yet asks for no face, and paper waits for none.
addEventListener("load", () => {
  const faces = {
    mord: "1em KaTeX_Main", mathnormal: "italic 1em KaTeX_Math", "small-op": "1em KaTeX_Size1", "large-op": "1em KaTeX_Size2",
    size1: "1em KaTeX_Size1", size2: "1em KaTeX_Size2", size3: "1em KaTeX_Size3", size4: "1em KaTeX_Size4",
  };
  for (const [name, face] of Object.entries(faces))
    if (document.querySelector(`.katex .${name}`)) document.fonts.load(face);
});

// The reference was one page: a link to a name that is no longer here goes where this page links that name.
if (location.hash && !placed(location.hash)) {
  const asked = location.hash.replace("#module-", "#") + ".";
  const moved = [...document.querySelectorAll("#table-names a")]
    .find(({ hash }) => hash && (asked.startsWith(hash + ".") || hash.startsWith(asked)));
  if (moved) location.replace(moved.href.replace(moved.hash, location.hash));
}

// The keys are Sphinx's (doctools.js). On a phone the search stands in a drawer, which opens.
Documentation.focusSearchBar = () => {
  const input = document.querySelector("article input[name=q]") ?? document.querySelector("input[name=q]");
  const drawer = document.getElementById("__navigation");
  if (!input.closest("article") && input.getBoundingClientRect().right <= 0) drawer.checked = true;
  input.focus();
};

// On a phone a drawer closes behind a link that leads to a place of the same page.
for (const [drawer, box] of [["__navigation", ".sidebar-drawer"], ["__toc", ".toc-drawer"]])
  document.querySelector(box)?.addEventListener("click", event => {
    if (event.target.closest("a")) document.getElementById(drawer).checked = false;
  });

// The theme offers the way back to the top when one scrolls up. Arriving at a place is not scrolling.
{
  const root = document.documentElement, moves = ["wheel", "touchmove", "keydown", "pointerdown"];
  const moved = () => {
    root.classList.remove("arrived", "show-back-to-top");
    for (const move of moves) removeEventListener(move, moved, true);
  };
  const arrived = () => {
    root.classList.add("arrived");
    for (const move of moves) addEventListener(move, moved, { capture: true, passive: true });
  };
  if (location.hash) arrived();
  addEventListener("hashchange", arrived);
}

// From a search result: the place is at the top of the screen, and the words that were found in it are marked.
{
  const found = new URL(location).searchParams.get("found")?.split(" ");
  const anchor = placed(location.hash);
  const place = anchor ? anchor.closest("section, figure, .admonition, dl") : document.querySelector("article section");
  if (found && place) {
    document.documentElement.classList.add("whole");
    const within = "p, li, dt, tr, pre, figcaption, summary, h1, h2, h3, h4";
    const own = block => !place.matches("section") || block.closest("section, figure, .admonition") == place;
    const solution = place.nextElementSibling?.closest("details.solution");
    const blocks = anchor?.matches("dt") ? [anchor, ...anchor.nextElementSibling.querySelectorAll(within)]
      : [place, solution].flatMap(box => [...box?.querySelectorAll(within) ?? []]).filter(own);
    const ranges = blocks.flatMap(block => {
      const walker = document.createTreeWalker(block, NodeFilter.SHOW_TEXT), all = [];
      while (walker.nextNode()) {
        if (walker.currentNode.parentElement.closest(".katex")) continue;
        for (const match of Words.in(walker.currentNode.data, found)) {
          const range = new Range();
          range.setStart(walker.currentNode, match.index);
          range.setEnd(walker.currentNode, match.index + match[0].length);
          all.push(range);
        }
      }
      return all;
    });
    globalThis.CSS?.highlights?.set("found", new Highlight(...ranges));
    const folds = box => box?.closest("details:not([open])");
    const fold = range => folds(range.startContainer.parentElement);
    if (ranges.length && ranges.every(fold))  // what is folded stays so, unless all that was found is there
      for (let box = fold(ranges[0]); box; box = folds(box.parentElement)) box.open = true;
    for (let box = folds(anchor); box; box = folds(box.parentElement)) box.open = true;
    addEventListener("load", () => anchor?.scrollIntoView({ behavior: "instant" }));
  }
}

// A term explains itself: its definition stands at the end of the page (docs/_extensions/explanations.py). A
// citation does with its title, which a browser shows to the mouse alone.
if (HTMLElement.prototype.showPopover) {
  const WAIT = 250;
  const bubble = document.createElement("div");
  bubble.id = "explanation";
  bubble.popover = "manual";
  bubble.setAttribute("role", "tooltip");
  document.querySelector("article").append(bubble);
  let shown = null, timer = null;

  function explanation(link) {
    const { pathname, hash } = new URL(link.href), page = pathname.split("/").pop().replace(/\.html$/, "");
    return hash && placed(`#explain-${page}-${hash.slice(1)}`);
  }

  function hide() {
    clearTimeout(timer);
    if (!shown) return;
    bubble.hidePopover();
    if (shown.dataset.title) {
      shown.title = shown.dataset.title;
      shown.removeAttribute("aria-describedby");
    }
    shown = null;
  }

  function show(link) {
    if (shown == link) return clearTimeout(timer);
    hide();
    const text = explanation(link);
    if (text) bubble.replaceChildren(...[...text.cloneNode(true).childNodes]);
    else {
      bubble.textContent = link.dataset.title = link.title;
      link.removeAttribute("title");
      link.setAttribute("aria-describedby", bubble.id);
    }
    bubble.showPopover();
    shown = link;
    stand();
  }

  function stand() {  // below the link, or above it
    if (!shown) return;
    const at = shown.getClientRects()[0], { width, height } = bubble.getBoundingClientRect();
    bubble.style.left = `${Math.max(8, Math.min(at.left, document.documentElement.clientWidth - width - 8))}px`;
    bubble.style.top = `${at.bottom + height + 8 < innerHeight ? at.bottom + 4 : at.top - height - 4}px`;
  }

  const later = act => { clearTimeout(timer); timer = setTimeout(act, WAIT); };
  for (const link of document.querySelectorAll("article a.reference.internal")) {
    const text = explanation(link);
    if (text) link.setAttribute("aria-describedby", text.id);
    else if (!link.title || !link.closest(".bibtex-citation")) continue;
    link.addEventListener("mouseenter", () => later(() => show(link)));
    link.addEventListener("mouseleave", () => later(hide));
    link.addEventListener("focus", () => { if (link.matches(":focus-visible")) show(link); });
    link.addEventListener("blur", hide);
    link.addEventListener("click", event => {  // a finger cannot hover: its first touch explains, its second follows
      if (event.pointerType == "touch" && shown != link) {
        event.preventDefault();
        show(link);
      }
    });
  }
  bubble.addEventListener("mouseenter", () => clearTimeout(timer));
  bubble.addEventListener("mouseleave", () => later(hide));
  addEventListener("scroll", stand, { passive: true });
  document.addEventListener("keydown", event => { if (event.key == "Escape") hide(); });
  document.addEventListener("pointerdown", event => { if (shown && !event.target.closest("#explanation, a")) hide(); });
}

// The package installs from where the page is: a server, a folder, after a move as well.
for (const line of document.querySelectorAll(".take .pip")) {
  const code = line.querySelector("code"), { href } = line.parentNode.querySelector(".package");
  code.textContent = `python -m pip install ${href}`;
  line.replaceChildren(code);
}

// Code that runs here: each cell gets buttons, and the first press of one loads what they do (run.js).
const Run = { folder: new URL(".", document.currentScript.src).href, cells: [] };
{
  const load = name => new Promise((resolve, reject) => {
    const script = document.createElement("script");
    Object.assign(script, { src: Run.folder + name, onload: resolve, onerror: () => reject(new Error(name)) });
    document.head.append(script);
  });
  Run.load = name => Run[name] ??= load(name).catch(error => { delete Run[name]; throw error; });

  // A sheet of solutions has the last cells of a page only, which need the others.
  if (!document.querySelector(".handout, .solutions"))
    for (const box of document.querySelectorAll("article .cell_input")) {
      const cell = { box, number: Run.cells.length + 1, bar: document.createElement("div") };
      cell.bar.className = "bar";
      cell.button = (text, act, label = text) => {
        const button = document.createElement("button");
        Object.assign(button, { type: "button", textContent: text, onclick: act });
        button.setAttribute("aria-label", `${label} cell ${cell.number}`);
        cell.bar.append(button);
        return button;
      };
      const first = act => () => Run.load("run.js").then(() => Run[act](cell), () => {
        cell.missing ??= cell.bar.appendChild(new Text(" The buttons’ script cannot be loaded."));
      });
      cell.run = cell.button("Run", first("run"));
      if (cell.number > 1) cell.above = cell.button("Run all above", first("above"), "Run all above, and");
      cell.edit = cell.button("Edit", first("edit"));
      box.append(cell.bar);
      Run.cells.push(cell);
    }
}

// A figure that moves: the first touch of its slider loads how (move.js), and what it shows (sliders.py).
for (const box of document.querySelectorAll(".slider")) {
  const touched = event => Run.load("move.js").then(() => Run.move(box, event))
    .catch(() => {
      const range = box.querySelector("input"), output = box.querySelector("output");
      range.value = range.defaultValue;  // where its words and the picture are
      output.ariaLive = "polite";
      output.firstElementChild.textContent = "What this figure shows elsewhere cannot be loaded.";
    });
  for (const touch of ["pointerdown", "focusin", "input", "click"]) box.addEventListener(touch, touched);
}

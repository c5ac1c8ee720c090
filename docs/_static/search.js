// The search page. searchindex.js has the places of all pages (docs/_extensions/places.py), MiniSearch ranks them,
// language_data.js (Sphinx's own) has the stop words and the stemmer.
"use strict";
{
  const FIELDS = ["title", "entries", "kinds", "above", "page", "text", "code"];
  const BOOST = { title: 6, entries: 6, kinds: 5, above: 2, page: 2, text: 1, code: 0.5 };
  const KINDS = {  // the name, what else it is called, its weight
    term: ["Glossary", "definition", 2.5], question: ["Question", "", 1.5], page: ["Page", "", 1],
    section: ["Section", "", 1], exactly: ["Exactly", "", 0.8], box: ["Box", "", 1],
    figure: ["Figure", "plot picture slide SVG", 0.8], exercise: ["Exercise", "solution", 0.8],
    name: ["Reference", "API", 0.4], goal: ["Goal", "", 0.5], check: ["Check yourself", "quiz test", 0.5],
  };
  const PLURALS = [  // that no stemmer knows
    ["life", "lives"], ["half", "halves"], ["matrix", "matrices"], ["index", "indices"], ["vertex", "vertices"],
    ["basis", "bases"], ["analysis", "analyses"], ["criterion", "criteria"], ["datum", "data"],
  ];
  const SHOWN = 30, AROUND = 90;

  const stemmer = new Stemmer();
  const words = text => Words.plain(text).match(Words.WORD) ?? [];
  const forms = word => [...new Set([word, stemmer.stemWord(word), ...PLURALS.find(pair => pair.includes(word)) ?? []])];

  const index = new MiniSearch({
    fields: FIELDS,
    tokenize: text => words(text).flatMap(Words.parts),
    processTerm: word => [...new Set([word, stemmer.stemWord(word)])],
    searchOptions: { tokenize: text => [text], processTerm: word => word, boost: BOOST },
  });
  const places = PAGES.flatMap(([name, page, all]) =>
    all.map(([kind, anchor, title, above, entries, text, code]) => ({
      name, page: kind == "page" ? "" : page, kind, kinds: KINDS[kind].slice(0, 2).join(" "),
      anchor, title, above, entries, text, code,
    })));
  places.forEach((place, id) => { place.id = id; });
  index.addAll(places);
  const titles = new Map();  // how often a page has each
  const named = ({ name, title }) => `${name} ${title}`;
  for (const place of places) titles.set(named(place), (titles.get(named(place)) ?? 0) + 1);

  function find(query) {
    const asked = words(query), telling = asked.filter(word => !stopwords.has(word));
    const exact = word => ({  // a place that has the word has its stem too, so the word itself counts half
      queries: [word], prefix: true, fuzzy: word.length > 5 && 0.2, boostTerm: () => stemmer.stemWord(word) == word ? 1 : 0.5,
    });
    const queries = (telling.length ? telling : asked).map(word => ({
      combineWith: "OR",
      queries: Words.whole(word) ? [word] : [exact(word), ...forms(word).slice(1)],
    }));
    const options = { boostDocument: id => KINDS[places[id].kind][2] };
    const all = index.search({ combineWith: "AND", queries }, options);
    const some = all.length < 5 ? index.search({ combineWith: "OR", queries }, options) : [];
    const known = new Set(all.map(({ id }) => id));
    return [...all, ...some.filter(({ id }) => !known.has(id))].slice(0, SHOWN);
  }

  // A text with the words that were found in <mark>, as nodes: nothing of it is read as HTML.
  function marked(line, found) {
    const text = line.replaceAll("\u00a0", " ");  // of formulas, which no excerpt cuts and a screen may
    const box = document.createElement("span");
    let end = 0;
    for (const match of Words.in(text, found)) {
      const mark = document.createElement("mark");
      mark.textContent = match[0];
      box.append(text.slice(end, match.index), mark);
      end = match.index + match[0].length;
    }
    box.append(text.slice(end));
    return box;
  }

  function excerpt({ text }, found) {
    const at = Words.in(text, found)[0]?.index ?? 0;
    const from = at < AROUND ? 0 : text.lastIndexOf(" ", at - AROUND) + 1;
    const cut = text.indexOf(" ", Math.max(at + AROUND, from + 2 * AROUND));
    const to = cut < 0 ? text.length : cut;
    return (from ? "… " : "") + text.slice(from, to) + (to < text.length ? " …" : "");
  }

  function show(query) {
    const results = query.trim() ? find(query) : [];
    status.textContent = !query.trim() ? ""
      : results.length ? `${results.length}${results.length == SHOWN ? " or more" : ""} place${results.length > 1 ? "s" : ""}`
      : "Nothing found. Try a word less, or the glossary and the index.";
    const said = words(query), telling = said.filter(word => !stopwords.has(word));
    const asked = [...new Set((telling.length ? telling : said).flatMap(forms))];
    list.replaceChildren(...results.map(({ id, terms: all }) => {
      const place = places[id], item = document.createElement("li");
      const known = term => asked.some(word => !Words.whole(word) && term.startsWith(word) || term == word);
      const terms = [...asked, ...all.filter(term => !known(term))];
      const link = document.createElement("a"), where = document.createElement("p");
      link.href = `${document.documentElement.dataset.content_root}${place.name}.html`
        + `?found=${encodeURIComponent(terms.join(" "))}`
        + (place.kind == "page" ? "" : `#${encodeURIComponent(place.anchor)}`);
      const above = place.above.split(" › "), again = titles.get(named(place)) > 1;
      link.append(marked([...again ? above.slice(-1) : [], place.title].filter(Boolean).join(" › "), terms));
      where.className = "where";
      const [kind] = KINDS[place.kind], path = [place.page, place.above].filter(Boolean).join(" › ");
      where.textContent = path && path != kind ? `${kind} in ${path}` : kind;
      item.append(link, where);
      if (place.text) {
        const text = document.createElement("p");
        text.append(marked(excerpt(place, terms), terms));
        item.append(text);
      }
      return item;
    }));
  }

  const input = document.getElementById("search"), list = document.getElementById("search-results");
  const status = document.getElementById("search-status");
  input.value = new URL(location).searchParams.get("q") ?? "";
  input.addEventListener("input", () => {
    show(input.value);
    history.replaceState(null, "", `?q=${encodeURIComponent(input.value)}`);  // to come back to, and to link
  });
  show(input.value);
  if (!input.value) input.focus();
}

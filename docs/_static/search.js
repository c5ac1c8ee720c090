// The search page. searchindex.js has the places of all pages (docs/_extensions/places.py), MiniSearch ranks them,
// language_data.js (Sphinx's own) has the stop words and the stemmer.
"use strict";
{
  const FIELDS = ["title", "entries", "above", "page", "text", "code"];
  const BOOST = { title: 6, entries: 6, above: 2, page: 2, text: 1, code: 0.5 };
  const KINDS = {
    term: ["Glossary", 2.5], question: ["Question", 1.5], page: ["Page", 1], section: ["Section", 1],
    exactly: ["Exactly", 0.8], box: ["Question", 1.5], name: ["Reference", 0.6], goal: ["Goal", 0.5],
    exercise: ["Exercise", 0.5],
  };
  const SHOWN = 30, AROUND = 90;

  const stemmer = new Stemmer();
  const plain = text => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const words = text => plain(text).match(/[\p{L}\p{N}_]+/gu) ?? [];
  const parts = word => word.includes("_") ? [word, ...word.split("_").filter(Boolean)] : [word];

  const index = new MiniSearch({
    fields: FIELDS,
    tokenize: text => words(text).flatMap(parts),
    processTerm: word => [...new Set([word, stemmer.stemWord(word)])],
    searchOptions: { tokenize: text => [text], processTerm: word => word, boost: BOOST },
  });
  const places = PAGES.flatMap(([name, page, all]) =>
    all.map(([kind, anchor, title, above, entries, text, code]) =>
      ({ name, page: kind == "page" ? "" : page, kind, anchor, title, above, entries, text, code })));
  places.forEach((place, id) => { place.id = id; });
  index.addAll(places);

  function find(query) {
    const asked = words(query), telling = asked.filter(word => !stopwords.has(word));
    const queries = (telling.length ? telling : asked).map(word => ({
      combineWith: "OR",
      queries: [{ queries: [word], prefix: true, fuzzy: word.length > 5 && 0.2 }, stemmer.stemWord(word)],
    }));
    const options = { boostDocument: id => KINDS[places[id].kind][1] };
    const all = index.search({ combineWith: "AND", queries }, options);
    const some = all.length < 5 ? index.search({ combineWith: "OR", queries }, options) : [];
    const known = new Set(all.map(({ id }) => id));
    return [...all, ...some.filter(({ id }) => !known.has(id))].slice(0, SHOWN);
  }

  // A text with the words that were found in <mark>, as nodes: nothing of it is read as HTML.
  function marked(text, found) {
    const box = document.createElement("span");
    let end = 0;
    for (const match of text.matchAll(Places.pattern(found))) {
      const mark = document.createElement("mark");
      mark.textContent = match[0];
      box.append(text.slice(end, match.index), mark);
      end = match.index + match[0].length;
    }
    box.append(text.slice(end));
    return box;
  }

  function excerpt({ text }, found) {
    const at = Math.max(text.search(Places.pattern(found)), 0);
    const from = at < AROUND ? 0 : text.indexOf(" ", at - AROUND) + 1;
    const cut = text.indexOf(" ", Math.max(at + AROUND, from + 2 * AROUND));
    const to = cut < 0 ? text.length : cut;
    return (from ? "… " : "") + text.slice(from, to) + (to < text.length ? " …" : "");
  }

  function show(query) {
    const results = query.trim() ? find(query) : [];
    status.textContent = !query.trim() ? ""
      : results.length ? `${results.length}${results.length == SHOWN ? " or more" : ""} places`
      : "Nothing found. Try a word less, or the glossary and the index.";
    const stems = words(query).map(word => stemmer.stemWord(word));
    list.replaceChildren(...results.map(({ id, terms: all }) => {
      const place = places[id], item = document.createElement("li");
      const asked = [...new Set([...words(query), ...stems])].filter(word => !stopwords.has(word));
      const terms = [...asked, ...all.filter(term => !asked.some(word => term.startsWith(word)))];
      const link = document.createElement("a"), where = document.createElement("p");
      link.href = `${document.documentElement.dataset.content_root}${place.name}.html`
        + `?found=${encodeURIComponent(terms.join(" "))}`
        + (place.kind == "page" ? "" : `#${encodeURIComponent(place.anchor)}`);
      link.append(marked(place.title, terms));
      where.className = "where";
      where.textContent = [...new Set([KINDS[place.kind][0], place.page, place.above])].filter(Boolean).join(" · ");
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
  input.addEventListener("input", () => show(input.value));
  show(input.value);
  if (!input.value) input.focus();
}

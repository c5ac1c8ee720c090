// The buttons of a page's cells: run, edit, stop, reset. Python lives in a worker (worker.js), one for all
// cells, from the first run to a stop. A press while another cell runs waits for its turn.
"use strict";

{
  const MEGA = 1e6, size = bytes => bytes < MEGA / 10 ? `${Math.ceil(bytes / 1000)} KB` : `${(bytes / MEGA).toFixed(1)} MB`;
  let python = null;  // the worker, what of its files is fetched, whether code was edited, the cells that ran
  let queue = [], running = null;  // cells, each with the one whose button was pressed

  const element = (name, className, text = "") => {
    const made = document.createElement(name);
    Object.assign(made, { className, textContent: text });
    return made;
  };
  const written = fragment => {  // browsers end lines that are typed with an element
    for (const end of fragment.querySelectorAll("br")) end.replaceWith("\n");
    return fragment.textContent;
  };
  const code = cell => written(cell.pre.cloneNode(true)).replace(/\n+$/, "");
  const edited = cell => code(cell) != cell.code;
  const label = cell => `cell ${cell.number}`;

  for (const cell of Run.cells) {
    cell.pre = cell.box.querySelector("pre");
    cell.html = cell.pre.innerHTML;
    cell.code = code(cell);
    cell.picture = cell.box.closest(".cell").querySelector(".cell_output img")?.alt;
    if (cell.number > 1) cell.above = cell.button("Run all above", () => Run.above(cell), "Run all above, and");
    cell.stop = cell.button("Stop", () => stop(cell));
    cell.reset = cell.button("Reset", () => reset(cell));
    cell.above?.remove();
    if (cell.above) cell.run.after(cell.above);
    cell.stop.hidden = cell.reset.hidden = true;
    cell.pre.addEventListener("input", () => touch(cell));
    cell.pre.addEventListener("keydown", event => typed(cell, event));
  }

  // What a cell left: below its code, above what the page says it leaves.
  function panel(cell) {
    if (!cell.panel) {
      cell.panel = element("div", "cell_output ran");
      cell.status = element("p", "status");
      cell.status.setAttribute("role", "status");
      cell.panel.append(cell.status);
      cell.box.after(cell.panel);
    }
    touch(cell);
    return cell.panel;
  }

  function say(cell, text) {
    panel(cell);
    if (cell.status.textContent != text) cell.status.textContent = text;
  }

  function clear(cell) {
    panel(cell).replaceChildren(cell.status);
    cell.printed = null;
  }

  function add(cell, made) {
    panel(cell).append(made);
    for (const box of [made, ...made.querySelectorAll("pre")])
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }

  function text(cell, more, kind = "") {
    const pre = element("pre", "", more), box = element("div", `output stream ${kind}`);
    box.append(pre);
    add(cell, box);
    return pre;
  }

  function leave(cell, { text: value, html, figures, error, name }) {
    if (value != undefined) text(cell, value);
    if (html != undefined) {
      const box = element("div", "output text_html");
      box.innerHTML = html;
      add(cell, box);
    }
    for (const svg of figures) {
      const image = element("img");
      image.src = `data:image/svg+xml,${encodeURIComponent(svg)}`;
      const page = cell.picture ?? "A figure.";
      image.alt = python.edited ? `Drawn by code that was edited. Before the edit: ${page}` : page;
      add(cell, image);
    }
    if (error == undefined) return;
    text(cell, error, "error");
    const missing = Run.cells.some(other => other.number < cell.number && !python.ran.has(other));
    if (name == "NameError" && missing) say(cell, "A name is missing: cells above have not run. Run all above makes them.");
  }

  // Python.
  function start() {
    const { address, ...settings } = Run.python;
    const source = URL.createObjectURL(new Blob([`"use strict";(${Run.worker})()`], { type: "text/javascript" }));
    const worker = new Worker(source);
    URL.revokeObjectURL(source);
    python = { worker, ran: new Set(), edited: false, waiting: new Map(), got: 0 };
    const from = data => { if (python?.worker == worker) hear(data); };  // not from one that was stopped
    worker.onmessage = ({ data }) => from(data);
    worker.onerror = event => from({ kind: "dead", reason: event.message ?? "the worker does not start" });
    worker.postMessage({ ...settings, address: new URL(address, Run.folder + "../").href });
  }

  function hear(data) {
    const { cell } = running ?? {};
    if (data.kind == "fetching") python.waiting.set(data.name, data.size);
    if (data.kind == "fetched") { python.waiting.delete(data.name); python.got += data.size; }
    if (data.kind == "unreachable") python.unreachable = data.name;
    if (data.kind == "dead") return end(python.unreachable
      ? `Python cannot be loaded: ${python.unreachable} cannot be fetched${location.protocol == "file:" && Run.python.address.startsWith("_") ? " from a folder, only from a server" : ""}, or is not the file it should be. The page is whole without it.`
      : `Python has stopped: ${data.reason}. The next run starts it again.`);
    if (!cell) return;
    if (data.kind == "fetching" || data.kind == "fetched") fetching(cell);
    if (data.kind == "running") {
      running.since = Date.now();
      say(running.asked, `Running ${label(cell)}${cell == running.asked ? "" : ", above"}`);
    }
    if (data.kind == "text" && running.asked == cell) {
      cell.printed ??= text(cell, "");
      const all = data.text.includes("\r") ? cell.printed.textContent + data.text : "";
      if (all) cell.printed.textContent = all.replace(/[^\n]*\r(?!\n|$)/g, "");  // a bar: its last state
      else cell.printed.append(data.text);
    }
    if (data.kind == "done") done(cell, data);
  }

  function fetching(cell) {
    const all = [...python.waiting.values()].reduce((sum, bytes) => sum + bytes, python.got);
    const names = [...python.waiting].map(([name, bytes]) => `${name.split("-")[0]} (${size(bytes)})`);
    const what = names.length ? `Fetching Python: ${names.join(", ")}. ` : "Starting Python. ";
    say(running.asked, `${what}${size(python.got)} of ${size(all)} so far.`);
  }

  function done(cell, left) {
    const { asked, since } = running;
    running = null;
    python.ran.add(cell);
    if (left.error != undefined) queue = queue.filter(job => job.asked != asked);
    if (cell == asked || left.error != undefined) {
      const after = `${((Date.now() - since) / 1000).toFixed(1)} s`;
      if (left.error == undefined) say(asked, `Done in ${after}`);
      else say(asked, cell == asked ? `An error after ${after}` : `An error in ${label(cell)}, above`);
      leave(asked, left);
    }
    show();
    next();
  }

  async function next() {
    if (running || !queue.length) return;
    const job = running = queue.shift(), { cell, asked } = job;
    show();
    if (!python) {
      say(asked, "Loading the package");
      const missing = await Promise.all([Run.load("worker.js"), Run.load("python.js")]).then(() => "", error => error.message);
      if (running != job) return;  // stopped meanwhile
      if (missing) return end(`Python cannot be loaded: ${missing} is missing. The page is whole without it.`);
      start();
    }
    python.edited ||= edited(cell);
    python.worker.postMessage({ code: code(cell), label: label(cell) });
  }

  function end(reason) {
    python?.worker.terminate();
    for (const cell of Run.cells.filter(busy)) say(cell, reason);
    python = running = null;
    queue = [];
    show();
  }

  const busy = cell => [running, ...queue].some(job => job?.asked == cell);

  // Stop stands there while a cell runs or waits, then Reset.
  function show() {
    for (const cell of Run.cells) {
      if (!busy(cell) && document.activeElement == cell.stop) cell.run.focus();
      cell.stop.hidden = !busy(cell);
      cell.reset.hidden = busy(cell) || !cell.touched;
    }
  }

  function touch(cell) {
    cell.touched = true;
    cell.reset.hidden = busy(cell);
  }

  function stop(cell) {
    if (running?.asked == cell)
      return end(`Stopped.${python?.ran.size ? " What the cells computed is gone: Run all above computes it again." : ""}`);
    queue = queue.filter(job => job.asked != cell);
    say(cell, "Stopped before it began");
    show();
  }

  function ask(cell, cells) {
    if (busy(cell)) return;  // the second press of a double click
    clear(cell);
    queue.push(...cells.map(other => ({ cell: other, asked: cell })));
    say(cell, running ? "Waiting for the cell that runs" : "");
    show();
    next();
  }

  Run.run = cell => ask(cell, [cell]);
  Run.above = cell => ask(cell, Run.cells.slice(0, cell.number));
  for (const cell of Run.cells) {
    cell.run.onclick = () => Run.run(cell);
    cell.edit.onclick = () => Run.edit(cell);
  }

  // Editing keeps the colors of what stays. Tab leaves; Enter keeps the indentation.
  Run.edit = cell => {
    const { pre } = cell;
    for (const link of pre.querySelectorAll("a")) link.replaceWith(...link.childNodes);
    try { pre.contentEditable = "plaintext-only"; } catch { pre.contentEditable = "true"; }
    for (const [name, value] of Object.entries({ role: "textbox", "aria-multiline": "true", "aria-label": `Code of ${label(cell)}. Control and Enter run it, Escape ends editing.`, spellcheck: "false", autocapitalize: "off" }))
      pre.setAttribute(name, value);
    touch(cell);
    pre.focus();
  };

  function typed(cell, event) {
    if (!cell.pre.isContentEditable) return;
    event.stopPropagation();  // arrows turn no page, a slash searches nothing
    if (event.key == "Escape") {
      close(cell);
      cell.edit.focus();
    } else if (event.key == "Enter" && !event.isComposing) {
      event.preventDefault();
      if (event.ctrlKey || event.metaKey || event.shiftKey) return Run.run(cell);
      const range = getSelection().getRangeAt(0).cloneRange();
      range.setStart(cell.pre, 0);
      const line = written(range.cloneContents()).split("\n").pop();
      document.execCommand("insertText", false, "\n" + line.match(/^ */)[0] + (/:\s*(#.*)?$/.test(line) ? "    " : ""));
    }
  }

  function close(cell) {
    for (const name of ["contenteditable", "role", "aria-multiline", "aria-label", "spellcheck", "autocapitalize"])
      cell.pre.removeAttribute(name);
  }

  function reset(cell) {
    close(cell);
    cell.pre.innerHTML = cell.html;
    cell.panel?.remove();
    cell.panel = cell.status = null;
    cell.run.focus();
    cell.touched = false;
    show();
  }
}

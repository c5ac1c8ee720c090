// The buttons of a page's cells: run, edit, stop, reset. Python lives in a worker (worker.js), one for all
// cells, from the first run to a stop. A press while another cell runs waits for its turn.
"use strict";

{
  const MEGA = 1e6, size = bytes => bytes < MEGA / 10 ? `${Math.ceil(bytes / 1000)} KB` : `${(bytes / MEGA).toFixed(1)} MB`;
  let python = null;  // the worker, what of its files is fetched, the cells that ran, each with whether its code, or that of one above, was edited
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
    cell.stop = cell.button("Stop", () => stop(cell));
    cell.reset = cell.button("Reset", () => reset(cell));
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
    panel(cell).replaceChildren(...[cell.hint, cell.status].filter(Boolean));
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

  // What the cell that was asked for shows: its own, or the error of one above.
  function leave(cell, { text: value, html, figures, error }, { cell: ran, edited }) {
    if (value != undefined) text(cell, value);
    if (html != undefined) {
      const box = element("div", "output text_html");
      box.innerHTML = html;
      add(cell, box);
    }
    for (const svg of figures) {
      const image = element("img"), box = element("div", "output picture");
      image.src = `data:image/svg+xml,${encodeURIComponent(svg)}`;
      const page = cell.picture ?? "A figure.";
      image.alt = edited ? `Drawn by code that was edited. Before the edit: ${page}` : page;
      box.append(image);
      add(cell, box);
    }
    if (error == undefined) return;
    text(cell, error, "error");
    const name = error.match(/name '(.+?)' is not defined/)?.[1];
    const makes = other => new RegExp(`(?<![\\p{L}\\p{N}_])${name}(?![\\p{L}\\p{N}_])`, "u").test(code(other));
    if (name && Run.cells.some(other => other.number < ran.number && !python.ran.has(other) && makes(other)))
      say(cell, `The name ${name} is missing, and a cell above that has not run has it. Run all above runs that, too.`);
  }

  // Python.
  function start() {
    const { address, ...settings } = Run.python;
    const source = URL.createObjectURL(new Blob([`"use strict";(${Run.worker})()`], { type: "text/javascript" }));
    const worker = new Worker(source);
    URL.revokeObjectURL(source);
    const { files, lock: { packages: { numpy, ...others } } } = settings;
    python = { worker, ran: new Map(), waiting: new Map(), got: 0, all: Object.values(files).reduce((sum, [bytes]) => sum + bytes, 0) };
    python.later = new Set(Object.values(others).map(other => other.file_name));  // what Matplotlib needs
    python.first = python.all - [...python.later].reduce((sum, name) => sum + files[name][0], 0);
    const from = data => { if (python?.worker == worker) hear(data); };  // not from one that was stopped
    worker.onmessage = ({ data }) => from(data);
    worker.onerror = event => from({ kind: "dead", reason: event.message ?? "the worker does not start" });
    worker.postMessage({ ...settings, address: new URL(address, Run.folder + "../").href });
  }

  function hear(data) {
    const { cell } = running ?? {};
    if (data.kind == "fetching") python.waiting.set(data.name, data.size);
    if (data.kind == "fetched" || data.kind == "unreachable") python.waiting.delete(data.name);
    if (data.kind == "fetched") python.got += data.size;
    if (data.kind == "unreachable") python.unreachable = data.name;
    if (data.kind == "running") python.started = true;
    if (data.kind == "dead") return end(!python.started && python.unreachable
      ? `Python cannot be loaded: ${python.unreachable} cannot be fetched${location.protocol == "file:" && Run.python.address.startsWith("_") ? " from a folder, only from a server" : ""}, or is not the file it should be. The page is whole without it.`
      : `Python has stopped: ${data.reason}. The next run starts it again.`, python.started && "Not run: Python has stopped");
    if (!cell) return;
    python.drawing ||= python.later.has(data.name);
    if (data.kind == "fetching" || data.kind == "fetched") fetching();
    if (data.kind == "running") {
      running.since = Date.now();
      say(running.asked, `Running ${label(cell)}${cell == running.asked ? "" : ", above"}`);
    }
    if (data.kind == "text" && running.asked == cell) {
      cell.printed ??= text(cell, "");
      if (data.text[0] == "\r") {  // the last line becomes another: a bar
        const before = cell.printed.textContent;
        cell.printed.textContent = before.slice(0, before.lastIndexOf("\n") + 1) + data.text.slice(1);
      } else cell.printed.append(data.text);
    }
    if (data.kind == "done") done(cell, data);
  }

  function fetching() {
    const names = [...python.waiting].map(([name, bytes]) => `${name.split("-")[0]} (${size(bytes)})`);
    const what = names.length ? `Fetching Python: ${names.join(", ")}.` : python.drawing ? "Unpacking Matplotlib." : "Starting Python.";
    say(running.asked, `${what} ${size(python.got)} of ${size(python.drawing ? python.all : python.first)} so far.`);
  }

  function done(cell, left) {
    const job = running, { asked, since, edited } = job;
    running = null;
    python.ran.set(cell, edited);
    if (left.error != undefined) queue = queue.filter(job => job.asked != asked);
    if (cell == asked || left.error != undefined) {
      const after = `${((Date.now() - since) / 1000).toFixed(1)} s${edited ? ", with edited code" : ""}`;
      if (left.error == undefined) say(asked, `Done in ${after}`);
      else say(asked, cell == asked ? `An error after ${after}` : `An error in ${label(cell)}, above`);
      leave(asked, left, job);
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
    job.edited = edited(cell) || [...python.ran].some(([other, was]) => was && other.number < cell.number);
    python.worker.postMessage({ code: code(cell), label: label(cell) });
  }

  function end(reason, others = reason) {
    python?.worker.terminate();
    for (const cell of Run.cells) {
      if (busy(cell)) say(cell, cell == running?.asked ? reason : others);
      else if (python?.ran.has(cell) && /^(Done|An error)/.test(cell.status?.textContent))
        say(cell, `${cell.status.textContent}, before Python stopped`);
    }
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
      return end(`Stopped.${python?.ran.size ? " What the cells computed is gone: Run all above computes it again." : ""}`, "Not run: Python was stopped");
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
    if (cell.above) cell.above.onclick = () => Run.above(cell);
  }

  // Editing keeps the colors of what stays. Tab leaves; Enter keeps the indentation.
  Run.edit = cell => {
    const { pre } = cell;
    for (const link of pre.querySelectorAll("a")) link.replaceWith(...link.childNodes);
    try { pre.contentEditable = "plaintext-only"; } catch { pre.contentEditable = "true"; }
    for (const [name, value] of Object.entries({ role: "textbox", "aria-multiline": "true", "aria-label": `Code of ${label(cell)}`, "aria-describedby": `hint-${cell.number}`, spellcheck: "false", autocapitalize: "off" }))
      pre.setAttribute(name, value);
    cell.hint ??= element("p", "status", "Control and Enter run the cell, Escape ends editing, Reset brings the page’s code back.");
    cell.hint.id = `hint-${cell.number}`;
    panel(cell).prepend(cell.hint);
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
    for (const name of ["contenteditable", "role", "aria-multiline", "aria-label", "aria-describedby", "spellcheck", "autocapitalize"])
      cell.pre.removeAttribute(name);
    cell.hint?.remove();
    cell.hint = null;
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

  addEventListener("beforeunload", event => { if (Run.cells.some(edited)) event.preventDefault(); });
}

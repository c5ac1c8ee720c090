// Python for the cells of one page. run.js starts this function from a blob: so it works from a folder, and
// what it may fetch is what the page's policy allows (docs/_extensions/running.py).
"use strict";

Run.worker = function () {
  let python, runCell, draws, packages, drawing = false, fail;
  const broken = new Promise((_, reject) => { fail = reject; });  // Pyodide waits for ever for what cannot be fetched

  async function start({ address, files, lock, wheels, script }) {
    const plain = self.fetch, sources = [];
    packages = lock.packages;
    // All that Pyodide loads comes through here: nothing without a known hash, and none that differs.
    self.fetch = async url => {
      const name = new URL(url, address).href.slice(address.length);
      if (name == "pyodide-lock.json") return new Response(JSON.stringify(lock));
      if (!(name in files)) throw new TypeError(`no hash of ${url} is known`);
      const [size, hash] = files[name];
      postMessage({ kind: "fetching", name, size });
      try {
        const response = await plain(url, { integrity: `sha256-${hash}` });
        if (!response.ok) throw new TypeError(`status ${response.status}`);
        postMessage({ kind: "fetched", name, size });
        return response;
      } catch (error) {
        postMessage({ kind: "unreachable", name });
        fail(error);
        throw error;
      }
    };
    for (const name of ["pyodide.js", "pyodide.asm.js"]) sources.push(fetch(address + name).then(found => found.blob()));
    for (const source of await Promise.all(sources)) {
      const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
      importScripts(url);
      URL.revokeObjectURL(url);
    }
    const env = { MPLBACKEND: "svg", HOME: "/home/pyodide" };
    python = await Promise.race([broken, loadPyodide({ indexURL: address, env, packages: ["numpy"] })]);
    for (const wheel of wheels)
      python.unpackArchive(Uint8Array.from(atob(wheel), letter => letter.charCodeAt(0)), "wheel");
    const part = python.toPy({ __name__: "cells" });
    python.runPython(script, { globals: part, filename: "cells.py" });
    runCell = part.get("run");
    draws = part.get("draws");
  }

  async function run({ code, label }) {
    if (!drawing && draws(code)) {
      await python.loadPackage(Object.keys(packages), { messageCallback() {}, errorCallback() {} });
      drawing = Object.values(packages).every(({ name }) => name in python.loadedPackages);
    }
    postMessage({ kind: "running" });
    if (!drawing && draws(code)) {
      const error = "Matplotlib cannot be fetched, or is not the file it should be. What the cells computed is still there.\n";
      return postMessage({ kind: "done", error, figures: [] });
    }
    const result = runCell(code, label, text => postMessage({ kind: "text", text }));
    const left = result.toJs({ dict_converter: Object.fromEntries });
    result.destroy();
    postMessage({ kind: "done", ...left });
  }

  let last = Promise.resolve();
  onmessage = ({ data }) => {
    last = last.then(() => data.code == undefined ? start(data) : run(data)).catch(error => {
      // No error of a cell: Python cannot be loaded, or cannot go on.
      postMessage({ kind: "dead", reason: String(error.message ?? error).trim().split("\n").pop() });
    });
  };
};

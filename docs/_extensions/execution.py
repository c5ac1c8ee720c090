"""Run the pages' cells: in parallel, once, and again only when something they depend on changes.

MyST-NB takes a page's outputs from jupyter-cache, which knows a page by its cells only. Two things are
added here. The cache's folder is named after all that the cells run on: the package's sources, the
installed versions, and this file. Sphinx sees the new name and reads every page again. And the pages
that are missing from the cache run before Sphinx reads them, several at a time, with this process as the
only writer, because jupyter-cache's database breaks when parallel readers create it.
"""

import logging
import os
import re
import shutil
import sys
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor, as_completed
from hashlib import sha256
from pathlib import Path

from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from myst_nb.core.execute import cache as mystnb_cache
from myst_nb.core.execute import direct as mystnb_direct
from myst_nb.core.read import create_nb_reader
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from sphinx.errors import ExtensionError
from sphinx.util.display import status_iterator

ROOT = Path(__file__).resolve().parents[2]
# A warning in a cell is an error; what Jupyter's own code deprecates is not the page's concern.
WARNINGS = (
    "import warnings; warnings.simplefilter('error'); "
    "warnings.filterwarnings('ignore', category=DeprecationWarning); "
    "warnings.filterwarnings('error', category=DeprecationWarning, module='__main__|rnn_notes')"
)
KERNEL_ARGUMENTS = [
    "--InlineBackend.figure_formats={'svg'}",
    "--InlineBackend.rc={'svg.hashsalt': 'rnn-notes'}",
    "--InlineBackend.print_figure_kwargs={'bbox_inches': None, 'metadata': {'Date': None}}",
    f"--IPKernelApp.exec_lines={WARNINGS}",
    "--HistoryManager.enabled=False",
    "--IPKernelApp.log_level=ERROR",  # no word about TCP on every start
]
# One numerical thread per page; the same bytes in every build; nothing taken from the user's own settings.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONPATH": str(ROOT),  # this copy of the package, wherever another one is installed
    "PYTHONSTARTUP": "",
    "MATPLOTLIBRC": os.devnull,
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}


def fingerprint():
    """Return a short hash of everything but the cells that a page's outputs depend on."""
    digest = sha256(sys.version.encode())
    package = [file for file in ROOT.glob("rnn_notes/**/*") if file.is_file() and file.suffix != ".pyc"]
    for source in sorted([*package, Path(__file__)]):
        digest.update(source.relative_to(ROOT).as_posix().encode() + b"\0" + source.read_bytes())
    for installed in sorted({info.name for path in sys.path for info in Path(path).glob("*.dist-info")}):
        digest.update(installed.encode())
    return digest.hexdigest()[:16]


def choose_cache(app, config):
    os.environ.update(ENVIRONMENT, IPYTHONDIR=str(Path(app.doctreedir, "ipython")))
    config.nb_execution_cache_path = str(Path(app.outdir).parent / "executed" / fingerprint())


def name(page, line, message):
    """Return 'docs/page.md:line: message', the form in which editors find the place."""
    return f"{page.relative_to(ROOT).as_posix()}:{line}: {message}"


def describe(error, cell, page, line):
    """Return the line of a page at which a cell stopped, and why; the cell's fence is at `line`."""
    if isinstance(error, CellTimeoutError):
        return line, "the cell runs longer than its time limit (nb_execution_timeout in conf.py)"
    if not isinstance(error, CellExecutionError):
        return line, f"the kernel died: {error}"
    # The innermost line of this cell, as IPython's traceback marks it; <tokenize> is the cell as well.
    here = rf"^ *(?:Cell In\[{cell.execution_count}\], line |File <tokenize>:)(\d+)"
    frames = re.findall(here, re.sub(r"\x1b\[[0-9;]*m", "", error.traceback), re.MULTILINE)
    # The code starts below the fence and the cell's options.
    lines, code = page.read_text(encoding="utf-8-sig").splitlines(), cell.source.splitlines()
    starts = [i for i in range(line, len(lines)) if lines[i : i + len(code)] == code]
    if frames and starts:
        line = starts[0] + int(frames[-1])
    # A syntax error's message ends with a line number that counts in the cell.
    return line, re.sub(r" \(\S+, line \d+\)$", "", f"{error.ename}: {error.evalue}".rstrip(": "))


def run(notebook, page, timeout, folder):
    """Execute a notebook in place; return None, or what stopped it and where."""
    client = NotebookClient(
        notebook,
        timeout=timeout,
        resources={"metadata": {"path": str(page.parent)}},
        extra_arguments=KERNEL_ARGUMENTS,
        shutdown_kernel="immediate",
        coalesce_streams=True,  # the kernel sends what is printed in pieces, not always the same
        record_timing=False,  # times would be other bytes in every build, and another key in the cache
    )
    if os.name == "posix":  # sockets in a folder of our own: kernels that start together race for TCP ports
        manager = client.create_kernel_manager()
        manager.transport, manager.ip = "ipc", str(Path(folder, page.stem[:20]))
    running = []
    client.on_cell_execute = lambda cell, cell_index: running.append(cell_index)
    try:
        client.execute()
    except Exception as error:
        if not running:
            return name(page, 1, f"the kernel does not start: {error}")
        index, cells = running[-1], notebook.cells
        number = sum(cell.cell_type == "code" for cell in cells[: index + 1])
        line, reason = describe(error, cells[index], page, notebook.metadata.source_map[index])
        return name(page, line, f"cell {number}: {reason}")
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if svg := output.get("data", {}).get("image/svg+xml"):
                output.data["image/svg+xml"] = shrink(svg)
    return None


def shrink(svg):
    """Return an SVG without its metadata, and with coordinates to a hundredth of a point."""
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    return re.sub(r"(?<![\d.])([1-9]\d*\.\d\d)\d+", r"\1", svg)


def execute_pages(app, env, docnames):
    """Fill the cache with every page that is about to be read and is not in it yet."""
    cache = get_cache(app.config.nb_execution_cache_path)
    waiting, failures = [], []
    for page in (Path(env.doc2path(docname)) for docname in docnames):
        text = page.read_text(encoding="utf-8-sig")  # as Sphinx reads it
        reader = create_nb_reader(str(page), env.myst_config, env.mystnb_config, text)
        if reader is None:
            continue
        try:
            notebook = reader.read(text)
        except Exception as error:  # the options of a cell are no YAML; the message does not say which cell
            failures.append(name(page, 1, error))
            continue
        try:
            cache.match_cache_notebook(notebook)
        except KeyError:
            waiting.append((notebook, page, app.config.nb_execution_timeout))
    if waiting:
        for old in cache.path.parent.iterdir():
            if old != cache.path:
                shutil.rmtree(old, ignore_errors=True)
    for talkative in ("traitlets", "asyncio"):  # run() says what happened
        logging.getLogger(talkative).setLevel(logging.CRITICAL)
    if os.name == "nt":  # pyzmq manages, with a thread of its own, and says so
        warnings.filterwarnings("ignore", message="Proactor event loop")
    pool = ThreadPoolExecutor(max(1, app.parallel))
    sockets = tempfile.mkdtemp(prefix="rnn")  # not in _build: the path of a socket must be short
    jobs = {pool.submit(run, *page, sockets): page for page in waiting}
    try:
        for job in status_iterator(
            as_completed(jobs),
            "running the cells of... ",
            "green",
            len(jobs),
            stringify_func=lambda job: jobs[job][1].stem,
        ):
            notebook, page, _ = jobs[job]
            if failure := job.result():
                failures.append(failure)
            else:
                cache.cache_notebook_bundle(CacheBundleIn(notebook, str(page)), overwrite=True)
    except KeyboardInterrupt:
        shutil.rmtree(sockets, ignore_errors=True)
        os._exit(130)  # at once: waiting for the threads would wait for their cells; kernels miss us and end
    finally:
        shutil.rmtree(sockets, ignore_errors=True)
    if failures:
        sys.exit("\n".join(sorted(failures)))  # any other exception Sphinx would take for a bug, and report


def refuse(notebook, **settings):
    """Stand in for MyST-NB's own execution, which has neither the settings nor the checks of this one."""
    raise ExtensionError("the page is missing in the cache, or sets another execution_mode for itself")


def setup(app):
    app.connect("config-inited", choose_cache)
    app.connect("env-before-read-docs", execute_pages)
    mystnb_cache.single_nb_execution = mystnb_direct.single_nb_execution = refuse
    return {"parallel_read_safe": True, "parallel_write_safe": True}

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
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from myst_nb.core.read import create_nb_reader
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from sphinx.errors import SphinxError
from sphinx.util.display import status_iterator

ROOT = Path(__file__).parents[2]
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
    "MATPLOTLIBRC": os.devnull,
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}


class PageError(SphinxError):
    category = "Page does not run"


def fingerprint():
    """Return a short hash of everything but the cells that a page's outputs depend on."""
    digest = sha256(sys.version.encode())
    for source in sorted([*ROOT.glob("rnn_notes/**/*.py"), Path(__file__)]):
        digest.update(source.relative_to(ROOT).as_posix().encode() + source.read_bytes())
    for installed in sorted(Path(sysconfig.get_path("purelib")).glob("*.dist-info")):
        digest.update(installed.name.encode())
    return digest.hexdigest()[:16]


def choose_cache(app, config):
    os.environ.update(ENVIRONMENT, IPYTHONDIR=str(Path(app.doctreedir, "ipython")))
    config.nb_execution_cache_path = str(Path(app.outdir).parent / "executed" / fingerprint())


def describe(error, page, notebook):
    """Return 'page:line: what happened' for the cell at which the page stopped."""
    codes = [(i, cell) for i, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    number, (index, cell) = next(
        (n, pair) for n, pair in enumerate(codes, 1) if pair[1].metadata.pop("stopped_here", False)
    )
    line = notebook.metadata.source_map[index]
    if isinstance(error, CellExecutionError):
        # The innermost line of the cell itself, as IPython's traceback marks it.
        text = re.sub(r"\x1b\[[0-9;]*m", "", error.traceback)
        frames = re.findall(r"^Cell In\[\d+\], line (\d+)", text, re.MULTILINE)
        body = next(i for i, text in enumerate(page.read_text(encoding="utf-8").splitlines()[line:])
                    if text == cell.source.splitlines()[0])
        line += body + int(frames[-1] if frames else 1)
        reason = f"{error.ename}: {error.evalue}"
    elif isinstance(error, CellTimeoutError):
        reason = "the cell runs longer than its time limit (nb_execution_timeout in conf.py)"
    else:
        reason = f"the kernel died: {error}"
    return f"{page.relative_to(ROOT)}:{line}: cell {number}: {reason}"


def run(notebook, page, timeout):
    """Execute a notebook in place; return None, or the description of what stopped it."""
    client = NotebookClient(
        notebook,
        timeout=timeout,
        resources={"metadata": {"path": str(page.parent)}},
        extra_arguments=KERNEL_ARGUMENTS,
        shutdown_kernel="immediate",
        record_timing=False,  # times would be other bytes in every build, and another key in the cache
    )
    logging.getLogger("traitlets").setLevel(logging.WARNING)
    running = []
    client.on_cell_execute = lambda cell, cell_index: running.append(cell)
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        running[-1].metadata["stopped_here"] = True
        return describe(error, page, notebook)
    return None


def execute_pages(app, env, added, changed, removed):
    """Fill the cache with every page that is about to be read and is not in it yet."""
    cache = get_cache(app.config.nb_execution_cache_path)
    waiting = []
    for page in sorted(Path(env.doc2path(name)) for name in added | changed):
        text = page.read_text(encoding="utf-8")
        reader = create_nb_reader(str(page), env.myst_config, env.mystnb_config, text)
        if reader is None:
            continue
        notebook = reader.read(text)
        try:
            cache.match_cache_notebook(notebook)
        except KeyError:
            waiting.append((notebook, page, app.config.nb_execution_timeout))
    if not waiting:
        return []
    for old in cache.path.parent.iterdir():
        if old != cache.path:
            shutil.rmtree(old)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda arguments: run(*arguments), waiting)
        progress = status_iterator(
            zip(waiting, results, strict=True), "running the cells of... ", "green", len(waiting),
            stringify_func=lambda done: done[0][1].stem,
        )
        failures = []
        for (notebook, page, _), failure in progress:
            if failure:
                failures.append(failure)
            else:
                cache.cache_notebook_bundle(CacheBundleIn(notebook, str(page)), overwrite=True)
    if failures:
        raise PageError("\n".join(failures))
    return []


def setup(app):
    app.connect("config-inited", choose_cache)
    app.connect("env-get-outdated", execute_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""Run the pages' cells: in parallel, once, and again only when something they depend on changes.

MyST-NB executes nothing here. It reads pages through `read_page`, which returns them with their outputs.
These come from _build/executed/PAGE, one file per state of the page, named by all that the state depends on:
the cells, Python and the installed versions, and the files that the cells really read (kernel.py notes them).
What is missing runs before Sphinx reads. A result is written aside and renamed, so none is ever half.
"""

import itertools
import json
import logging
import os
import re
import shutil
import sys
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

from frames import identity
from inputs import BUILD, ROOT, digest, digest_now, digest_of, digests, environment, versions
from progress import clear, count, show
from records import read_record, write_record
from sphinx.errors import ExtensionError

# MyST-NB's own ways to execute, which nobody takes here: they import a whole database.
for way in ("cache", "direct", "inline"):
    sys.modules[f"myst_nb.core.execute.{way}"] = SimpleNamespace(**{f"NotebookClient{way.title()}": None})

from myst_nb.core.read import is_myst_markdown_notebook, read_myst_markdown_notebook  # noqa: E402

EXECUTED = BUILD / "executed"
KEPT = 5  # states of each page
KERNEL = Path(__file__).with_name("kernel.py")
FRAMES = Path(__file__).with_name("frames.py")
SOCKET_LENGTH = 100  # bytes; the systems allow 103 to 107

pages = {}  # page -> its text and its notebook with outputs, for every page that is about to be read
files_read = {}  # page -> what its cells read
frames = {}  # path of a page -> {number of a cell: the frames of its figure} (sliders.py)
reading = None  # the page that Sphinx reads


def name(page, line, message):
    """Return 'docs/page.md:line: message', the form in which editors find the place."""
    return f"{page.relative_to(ROOT).as_posix()}:{line}: {' '.join(str(message).split())}"


def read_text(page):
    """Return a page's text, or raise ValueError that names the place where it is no UTF-8."""
    content = page.read_bytes()
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")  # as Sphinx reads it
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        shown = ascii(content.split(b"\n")[line - 1].rstrip().decode("latin-1"))
        raise ValueError(name(page, line, f"not UTF-8: {shown}")) from None


def parse(page, text, config):
    """Return a page as a notebook without outputs, or raise ValueError that names what cannot be read."""
    if not text.strip():
        raise ValueError(name(page, 1, "the page is empty"))
    # Cells are for pages that say so at their top; in others MyST-NB warns of them.
    directives = {} if is_myst_markdown_notebook(text) else {"code_directive": "{}", "raw_directive": "{}"}
    try:
        notebook = read_myst_markdown_notebook(text, config, add_source_map=True, path=page, **directives)
    except Exception as error:
        place = re.search(r"cell \d+ at line (\d+) could not be read: (.*)", str(error), re.DOTALL)
        if place:
            line, reason = int(place[1]), place[2]
            above = "\n".join(text.split("\n")[:line])
            number = len(re.findall(r"^```+ *\{code-cell\}", above, re.MULTILINE))
            raise ValueError(name(page, line, f"cell {number}: {reason}")) from None
        loads = [n for n, line in enumerate(text.split("\n"), 1) if re.match(r":?load: ", line)]
        line = loads[0] if loads and ":load:" in str(error) else 1
        raise ValueError(name(page, line, error)) from None
    settings = notebook.metadata.get("mystnb") or {}
    if not isinstance(settings, dict):
        line = next((n for n, line in enumerate(text.split("\n"), 1) if line.startswith("mystnb")), 1)
        raise ValueError(name(page, line, f"mystnb is a table of settings, not {settings!r}"))
    for setting in settings:
        if setting.startswith("execution_"):
            line = next((n for n, line in enumerate(text.split("\n"), 1) if setting in line), 1)
            raise ValueError(name(page, line, f"{setting} is for conf.py; a page does not set its own"))
    return notebook


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def state(notebook):
    """Return the hash of a page's cells and what every page runs on."""
    cells = [
        (cell.source, cell.metadata.get("tags"), cell.metadata.get("slider")) for cell in code_cells(notebook)
    ]
    machinery = [
        digest_of(Path(__file__).with_name(f"{file}.py")) for file in ("execution", "inputs", "kernel")
    ]
    return digest(cells, str(notebook.metadata.get("kernelspec")), str(ROOT), versions(), machinery)


def folder_of(page):
    return EXECUTED / page.relative_to(ROOT / "docs").with_suffix("")


def recall(page, notebook):
    """Fill in the outputs of an earlier run; return the files that were read, or None if it has to run."""
    folder, base = folder_of(page), state(notebook)
    for file in sorted(folder.glob(f"{base}-*.json")):
        record = read_record(file)
        if record and digests(record["read"]) == record["read"]:
            fill_in(notebook, record)
            frames[page] = record["frames"]
            with suppress(OSError):
                os.utime(file)  # the least recently used go first
            return [ROOT / path for path in record["read"]]
    return None


def fill_in(notebook, record):
    from nbformat import from_dict

    for cell, (execution_count, outputs) in zip(code_cells(notebook), record["outputs"], strict=True):
        cell.execution_count, cell.outputs = execution_count, from_dict(outputs)
    notebook.metadata["language_info"] = from_dict(record["language_info"])


def keep(page, notebook, read):
    """Write a result, and remove those that were not used for long."""
    folder, read = folder_of(page), digests(read)
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "read": read,
        "frames": frames[page],
        "outputs": [(cell.get("execution_count"), cell.outputs) for cell in code_cells(notebook)],
        "language_info": notebook.metadata.get("language_info", {}),
    }
    write_record(folder / f"{state(notebook)}-{digest(read)}.json", record)
    kept = sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime, reverse=True)
    for old in kept[KEPT:] + list(folder.glob("*.part")):
        old.unlink(missing_ok=True)


def line_of(cell, page, line, number):
    """Return the line of a page that has a line of a cell, which starts below the fence and the options."""
    lines, code = read_text(page).splitlines(), cell.source.splitlines()
    starts = [i for i in range(line, len(lines)) if lines[i : i + len(code)] == code]
    return starts[0] + number if starts else line


def describe(error, cell, page, line):
    """Return the line of a page at which a cell stopped, and why; the cell's fence is at `line`."""
    from nbclient.exceptions import CellExecutionError, CellTimeoutError

    if isinstance(error, CellTimeoutError):
        return line, "the cell runs longer than its time limit (nb_execution_timeout in conf.py)"
    if not isinstance(error, CellExecutionError):
        return line, f"the kernel died: {error}"
    # The innermost line of this cell, as IPython's traceback marks it; <tokenize> is the cell as well.
    here = rf"^ *(?:Cell In\[{cell.execution_count}\], line |File <tokenize>:)(\d+)"
    frames = re.findall(here, re.sub(r"\x1b\[[0-9;]*m", "", error.traceback), re.MULTILINE)
    if frames:
        line = line_of(cell, page, line, int(frames[-1]))
    # A syntax error's message ends with a line number that counts in the cell.
    return line, re.sub(r" \(\S+, line \d+\)$", "", f"{error.ename}: {error.evalue}".rstrip(": "))


def run(notebook, page, timeout, scratch):
    """Execute a notebook in place; return the files its cells read, or say in a ValueError what failed."""
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel
    from nbclient import NotebookClient

    class OurKernel(KernelSpecManager):
        """Not what the user has registered as python3."""

        def get_kernel_spec(self, kernel_name):
            if kernel_name != "python3":
                raise NoSuchKernel(kernel_name)
            command = [sys.executable, str(KERNEL), str(ROOT), str(scratch / "read"), "-f"]
            return KernelSpec(argv=[*command, "{connection_file}"], display_name="Python", language="python")

    client = NotebookClient(
        notebook,
        timeout=timeout,
        resources={"metadata": {"path": str(page.parent)}},
        shutdown_kernel="immediate",
        coalesce_streams=True,  # the kernel sends what is printed in pieces, not always the same
        record_timing=False,  # times would be other bytes in every build
    )
    manager = client.create_kernel_manager()
    manager.kernel_spec_manager = OurKernel()
    manager.connection_file = str(scratch / "connection.json")
    if os.name == "posix":  # sockets in a folder of our own: kernels that start together race for TCP ports
        manager.transport, manager.ip = "ipc", str(scratch / "k")
    running = []
    client.on_cell_execute = lambda cell, cell_index: running.append(cell_index)
    cells, lines, drawing = notebook.cells, notebook.metadata.source_map, []
    for index in reversed([i for i, cell in enumerate(cells) if "slider" in cell.metadata]):
        drawing.append(drawing_cell(cells[index]))
        cells.insert(index + 1, drawing[-1])
        lines.insert(index + 1, lines[index])

    def stopped(index, line, reason):
        number = sum(cell.cell_type == "code" and cell not in drawing for cell in cells[: index + 1])
        return ValueError(name(page, line, f"cell {number}: {reason}"))

    def last(index):
        return line_of(cells[index], page, lines[index], len(cells[index].source.splitlines()))

    try:
        client.execute(env=environment())
    except Exception as error:
        if not running:
            raise ValueError(name(page, 1, f"the kernel does not start: {error}")) from None
        index = running[-1]
        line, reason = describe(error, cells[index], page, lines[index])
        raise stopped(index, line if cells[index] not in drawing else last(index - 1), reason) from None
    for index, cell in enumerate(cells):
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                raise stopped(index, lines[index], f"writes to stderr: {output.text.strip()!r}")
    frames[page] = {}
    for cell in reversed(drawing):  # the first one first
        index = cells.index(cell) - 1
        drawn = cell.outputs[0].data["application/json"]
        own = [output.get("data", {}).get("image/svg+xml") for output in cells[index].outputs]
        if drawn["drawn"] not in map(identity, filter(None, own)):
            raise stopped(index, last(index), "its last line, run again, draws another figure")
        frames[page][str(index)] = drawn
        del cells[index + 1], lines[index + 1]
    for cell in code_cells(notebook):
        for output in cell.outputs:
            if svg := output.get("data", {}).get("image/svg+xml"):
                output.data["image/svg+xml"] = shrink(svg)
    return {Path(json.loads(line)) for line in (scratch / "read").read_text(encoding="ascii").splitlines()}


BARE = '#bare:target [id^="text_"]{display: none}'


def shrink(svg):
    """Return an SVG without its metadata, and with coordinates to a hundredth of a point.

    As `….svg#bare` it shows no text, for where that would be too small to read (path.py).
    """
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = svg.replace("<svg ", '<svg id="bare" ', 1).replace("</style>", f"{BARE}</style>", 1)
    return re.sub(r"(?<![\d.])([1-9]\d*\.\d\d)\d+", r"\1", svg)


def drawing_cell(cell):
    """Return a cell that draws the figure of another one for all values of its slider."""
    from nbformat.v4 import new_code_cell

    leave = f'__import__("runpy").run_path({str(FRAMES)!r})["leave"]'
    return new_code_cell(f"{leave}({cell.source!r}, {dict(cell.metadata.slider)!r}, globals())")


def run_and_keep(notebook, page, timeout, scratch):
    scratch.mkdir()
    try:
        read = run(notebook, page, timeout, scratch)
        if all(digest_now(path) == digest_of(path) for path in read):  # nothing changed in the meantime
            keep(page, notebook, read)
        return read
    except OSError as error:  # the disk is full, say
        raise ValueError(name(page, 1, f"the result cannot be kept: {error}")) from None


def scratch_folder():
    """Return a new folder for sockets, whose paths have to be short."""
    for parent in [tempfile.gettempdir(), "/tmp", "/var/tmp"]:
        if os.name != "posix" or len(os.fsencode(parent)) + len("/rnn12345678/1234/k-1") <= SOCKET_LENGTH:
            try:
                return Path(tempfile.mkdtemp(prefix="rnn", dir=parent))
            except OSError:
                continue
    sys.exit(f"TMPDIR is too long for a socket, or cannot be written: {tempfile.gettempdir()}")


def execute_pages(app, env, docnames):
    """Have the outputs of every page that is about to be read."""
    waiting, failures = [], []
    for docname in docnames:
        page = Path(env.doc2path(docname))
        try:
            digest_of(page)  # before it is read
            text = read_text(page)
            notebook = parse(page, text, env.myst_config)
        except ValueError as error:
            failures.append(str(error))
            continue
        cells = code_cells(notebook)
        loaded = [page.parent / cell.metadata["load"] for cell in cells if "load" in cell.metadata]
        read = recall(page, notebook) if cells else []
        if read is None:
            waiting.append((notebook, page))
        pages[docname], files_read[docname] = (text, notebook), loaded + (read or [])
    failures += run_all(waiting, app)
    if failures:
        sys.exit("\n".join(sorted(failures)))  # any other exception Sphinx would take for a bug, and report


def run_all(waiting, app):
    if not waiting:
        return []
    failures, stage, numbers = [], f"Running the cells of {count(waiting)}", itertools.count(1)
    for talkative in ("traitlets", "asyncio"):  # run() says what happened
        logging.getLogger(talkative).setLevel(logging.CRITICAL)
    if os.name == "nt":  # pyzmq manages, with a thread of its own, and says so
        warnings.filterwarnings("ignore", message="Proactor event loop")
    show(stage)
    scratch = scratch_folder()
    pool = ThreadPoolExecutor(max(1, app.parallel))
    timeout = app.config.nb_execution_timeout
    jobs = {
        pool.submit(run_and_keep, notebook, page, timeout, scratch / str(number)): page
        for number, (notebook, page) in enumerate(waiting)
    }
    try:
        for job in as_completed(jobs):
            show(stage, f": {next(numbers)} of {len(waiting)}, {jobs[job].stem}")
            try:
                files_read[app.env.path2doc(jobs[job])] += job.result()
            except ValueError as error:
                failures.append(str(error))
        pool.shutdown()  # Sphinx forks: better without threads
    except KeyboardInterrupt:
        shutil.rmtree(scratch, ignore_errors=True)
        clear()
        os._exit(130)  # at once: waiting for the threads would wait for their cells; kernels miss us and end
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return failures


def note_reading(app, docname, source):
    global reading
    reading = docname


def read_page(text):
    """Return the page that is being read, as MyST-NB wants it from the reader of a format of its own."""
    then, notebook = pages[reading]
    if text != then:
        raise ExtensionError(f"{reading} changed while the site was built; build again")
    return notebook


def setup(app):
    app.connect("env-before-read-docs", execute_pages)
    app.connect("source-read", note_reading)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

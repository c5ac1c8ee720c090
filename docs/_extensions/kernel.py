"""Start a kernel for the cells of one page, which notes what they read in the repository.

python kernel.py REPOSITORY NOTES -f CONNECTION: the name of each file under REPOSITORY that is opened for
reading, and of each folder that is listed, becomes a line in NOTES. A source file whose compiled code is read
counts as read. What another program reads that a cell starts, or whether a file is
there, is not seen.
"""

import os
import sys

sys.path.pop(0)  # this folder

from importlib.util import source_from_cache
from json import dumps

ROOT, NOTES = os.path.realpath(sys.argv.pop(1)), sys.argv.pop(1)
# The package and the data that cells read; the environment and what was built are known otherwise.
NOT_HERE = (os.path.realpath(sys.prefix) + os.sep, os.path.join(ROOT, "_build") + os.sep)

# A warning in a cell is an error; what Jupyter's own code deprecates is not the page's concern.
WARNINGS = """
import warnings
warnings.simplefilter("error")
warnings.filterwarnings("ignore", category=DeprecationWarning)
warnings.filterwarnings("error", category=DeprecationWarning, module="__main__|rnn_notes")
del warnings
"""

notes = os.open(NOTES, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
noted = set()


def note(event, arguments):
    if event == "open":
        path, _, flags = arguments
        written = flags & (os.O_WRONLY | os.O_TRUNC)
    elif event == "os.rename":
        path, written = arguments[1], True
    elif event in ("os.listdir", "os.scandir"):
        path, written = "." if arguments[0] is None else arguments[0], False
        if "importlib" in sys._getframe(1).f_code.co_filename:  # looks for modules, and reads those it finds
            return
    else:
        return
    if isinstance(path, int):  # a file that is open already
        return
    path = os.path.abspath(os.fsdecode(path))
    if not path.startswith(ROOT + os.sep):
        path = os.path.realpath(path)
    if path in noted or not path.startswith(ROOT + os.sep) or path.startswith(NOT_HERE):
        return
    noted.add(path)
    if written:  # by the page itself, which may read it later
        return
    if os.path.basename(os.path.dirname(path)) == "__pycache__" and path.endswith(".pyc"):
        path = source_from_cache(path)
    os.write(notes, dumps(path).encode() + b"\n")


sys.addaudithook(note)

from ipykernel.kernelapp import IPKernelApp  # noqa: E402
from traitlets.config import Config  # noqa: E402

config = Config()
config.InlineBackend.figure_formats = {"svg"}
config.InlineBackend.rc = {"svg.hashsalt": "rnn-notes"}
config.InlineBackend.print_figure_kwargs = {"bbox_inches": None, "metadata": {"Date": None}}
config.IPKernelApp.exec_lines = [WARNINGS]
config.IPKernelApp.log_level = "ERROR"
config.HistoryManager.enabled = False


class Kernel(IPKernelApp):
    def load_config_file(self, *args, **kwargs):
        """Read no settings of the user or the machine."""


Kernel.launch_instance(config=config)

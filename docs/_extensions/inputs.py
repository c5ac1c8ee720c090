"""What goes into the site: its files, the installed versions, and little of the user's environment."""

import os
import sys
from fnmatch import fnmatch
from functools import cache
from hashlib import blake2b
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path
from py_compile import PycInvalidationMode, PyCompileError
from py_compile import compile as compile_file

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "_build"

# Left behind by editors, systems and Python. conf.py keeps Sphinx from them as well.
LEFT_BEHIND = [".*", "*~", "#*#", "*.swp", "*.py[co]", "__pycache__", "[Tt]humbs.db", "[Dd]esktop.ini"]

# What a host may set: where the site is, and where the Python is that readers run cells with.
SETTINGS = ["SITE_URL", "READTHEDOCS_CANONICAL_URL", "PYODIDE"]

# Everything else (PYTHONOPTIMIZE, IPYTHONDIR, LC_ALL, SOURCE_DATE_EPOCH, ...) stays out.
FROM_THE_USER = [
    *("PATH", "TMPDIR", "TEMP", "TMP", "TERM", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
    *("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT"),  # without which Windows does not work
    *SETTINGS,
]


def is_left_behind(name):
    return any(fnmatch(name, pattern) for pattern in LEFT_BEHIND)


def listing(*folders):
    """Return the files in some folders, sorted, without what was left behind."""
    found = []
    for folder in folders:
        for path, folders_in_it, files in os.walk(folder):
            folders_in_it[:] = [name for name in folders_in_it if not is_left_behind(name)]
            found += [Path(path, name) for name in files if not is_left_behind(name)]
    return sorted(found)


def digest(*parts):
    return blake2b(repr(parts).encode(), digest_size=12).hexdigest()


def digest_now(path):
    """Return the hash of a file, or of a folder's list, and '' for what is missing."""
    try:
        if Path(path).is_dir():
            return digest(sorted(name for name in os.listdir(path) if not is_left_behind(name)))
        return blake2b(Path(path).read_bytes(), digest_size=12).hexdigest()
    except OSError:
        return ""


# As the file was when this build first asked. What changes later is a matter for the next build.
digest_of = cache(digest_now)


def digests(paths):
    """Return the hashes of files, paths or names in the repository, by their names there."""
    paths = [ROOT / path for path in paths]
    return {path.relative_to(ROOT).as_posix(): digest_of(path) for path in paths}


@cache
def versions():
    """Return the names of the installed versions, and Python's own."""
    installed = {info.name for path in sys.path for info in Path(path).glob("*.dist-info")}
    return [sys.version, *sorted(installed)]


def foundation():
    """Return a hash of what every page stands on; the rest is known for each page (rebuilding.py)."""
    everywhere = [
        ROOT / "conf.py",
        ROOT / "pyproject.toml",
        *listing(*(ROOT / "docs").glob("_*")),
        *(ROOT / "docs").glob("*.bib"),
    ]
    settings = [os.environ.get(name) for name in SETTINGS]
    return digest(str(ROOT), versions(), digests(everywhere), settings)


def environment():
    """Return the variables with which pages run: the same on every machine, one numerical thread each."""
    home = BUILD / "home"
    home.mkdir(parents=True, exist_ok=True)
    return {name: os.environ[name] for name in FROM_THE_USER if name in os.environ} | {
        "HOME": str(home),
        "USERPROFILE": str(home),
        "MPLCONFIGDIR": str(home),
        "MATPLOTLIBRC": os.devnull,
        "IPYTHONDIR": str(home),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONUTF8": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONNOUSERSITE": "1",
        "PYTHONPATH": str(ROOT),  # this copy of the package, wherever another one is installed
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "VECLIB_MAXIMUM_THREADS": "1",
    }


def check_bytecode():
    """Have Python compare our modules with their compiled code by content, not by second and size."""
    checked = MAGIC_NUMBER + (3).to_bytes(4, "little")
    for source in listing(ROOT / "docs", ROOT / "rnn_notes"):
        try:
            if (
                source.suffix == ".py"
                and Path(cache_from_source(source)).read_bytes()[: len(checked)] != checked
            ):
                compile_file(source, doraise=True, invalidation_mode=PycInvalidationMode.CHECKED_HASH)
        except (OSError, PyCompileError):  # never compiled, or wrong
            continue

"""Let readers run the cells in their browser: what Python there is made from, and what a page may load.

Pyodide comes from a public host, or from where the setting PYODIDE of `make html` says: an address that has
the same version, or a folder, which is copied into the site. pyodide.json names its files, their sizes and
hashes, and what of its own lock file NumPy and Matplotlib need. A file that differs is not loaded, wherever
it comes from. To take another version: python docs/_extensions/running.py FOLDER, with that of a whole one.

_static/python.js, which the first press of a button loads, has these settings, the wheels of this package and
of tqdm, and cells.py. The wheel of the package is in _static for pip, too.
"""

import base64
import hashlib
import io
import json
import logging
import os
import re
import shutil
import sys
import tomllib
import zipfile
from importlib.metadata import distribution
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch
from urllib.parse import urlsplit

from inputs import ROOT, listing

PINNED = Path(__file__).with_name("pyodide.json")
CORE = ["pyodide.js", "pyodide.asm.js", "pyodide.asm.wasm", "python_stdlib.zip"]
PACKAGES = ["numpy", "matplotlib"]
OF_THIS_MACHINE = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")  # files that pip adds to a package
DEFAULT = "https://cdn.jsdelivr.net/pyodide/v{version}/full/"


def pinned():
    return json.loads(PINNED.read_text(encoding="utf-8"))


def sha256(content):
    """Return the hash as browsers take it."""
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def describe(folder):
    """Return what pyodide.json has of a folder with a whole Pyodide."""
    lock = json.loads(Path(folder, "pyodide-lock.json").read_text(encoding="utf-8"))
    waiting, needed = [*PACKAGES], {}
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed[name] = lock["packages"][name]
            waiting += needed[name]["depends"]
    needed = dict(sorted(needed.items()))
    files = {}
    for name in [*CORE, *(package["file_name"] for package in needed.values())]:
        content = Path(folder, name).read_bytes()
        files[name] = [len(content), sha256(content)]
    return {"files": files, "lock": {"info": lock["info"], "packages": needed}}


def set_pyodide(app, config):
    """Take the setting, and stop where it is neither a folder with the pinned files nor an address."""
    place, known = os.environ.get("PYODIDE", ""), pinned()
    version = known["lock"]["info"]["version"]
    config.pyodide_folder = ""
    if not place:
        config.pyodide = DEFAULT.format(version=version)
    elif re.fullmatch(r"https?://[\w.:-]+(/[\w.~%@+-]*)*", place, re.ASCII | re.IGNORECASE):
        config.pyodide = place.rstrip("/") + "/"
    else:
        config.pyodide, config.pyodide_folder = "", place
        for name, (_, expected) in known["files"].items():
            try:
                content = Path(ROOT, place, name).read_bytes()
            except OSError:
                sys.exit(f"PYODIDE is an address or a folder with Pyodide {version}; {place!r} has no {name}")
            if sha256(content) != expected:
                sys.exit(f"PYODIDE={place}: {name} is not that of Pyodide {version}")


def inline_scripts():
    """Return the scripts that the theme and our template write into every page."""
    import furo

    templates = [
        Path(furo.__file__).parent / "theme" / "furo" / "base.html",
        ROOT / "docs" / "_templates" / "page.html",
    ]
    found = (
        re.findall(r"<script(?: data-[^>]*)?>(.*?)</script>", file.read_text(encoding="utf-8"), re.DOTALL)
        for file in templates
    )
    return [script for scripts in found for script in scripts]


def policy(address):
    """Return the content security policy: all from the site itself, and Pyodide."""
    hashes = [sha256(text.encode()) for text in inline_scripts()]
    parts = urlsplit(address)
    pyodide = f"{parts.scheme}://{parts.netloc}{parts.path}" if address else ""
    rules = {
        "default-src": "'none'",
        # Scripts and the worker come from this site, or its scripts make them (blob:); Python is WebAssembly.
        "script-src": " ".join(
            ["'self'", "blob:", "'wasm-unsafe-eval'", *(f"'sha256-{value}'" for value in hashes)]
        ),
        "worker-src": "blob:",
        "connect-src": f"'self' {pyodide}".strip(),
        "style-src": "'self' 'unsafe-inline'",  # KaTeX places its boxes so
        "img-src": "'self' data:",
        "font-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def add_policy(app, pagename, templatename, context, doctree):
    if app.config.content_security_policy:
        tag = f'<meta http-equiv="Content-Security-Policy" content="{policy(app.config.pyodide)}">'
        context["metatags"] = "\n".join([tag, context.get("metatags") or ""])


def write_wheel(folder):
    """Write the wheel of this package into a folder, and return its path.

    It depends on the package alone: not on the times of its files, nor on what editors left beside them.
    """
    from flit_core.wheel import make_wheel_in

    logging.getLogger("flit_core").setLevel(logging.WARNING)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [ROOT / name for name in ("pyproject.toml", project["readme"], *project["license-files"])]
    with TemporaryDirectory() as copied:
        for file in [*needed, *listing(ROOT / "rnn_notes")]:
            copy = Path(copied, file.relative_to(ROOT))
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        with patch.dict(os.environ, SOURCE_DATE_EPOCH="0"):
            return make_wheel_in(Path(copied, "pyproject.toml"), folder).file


def wheel_of(name):
    """Return an installed package of Python alone as a wheel: the same bytes for the same version."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as wheel:
        for file in sorted(distribution(name).files, key=str):
            if file.parts[0] != ".." and file.suffix != ".pyc" and file.name not in OF_THIS_MACHINE:
                entry = zipfile.ZipInfo(file.as_posix(), (1980, 1, 1, 0, 0, 0))
                wheel.writestr(entry, file.locate().read_bytes(), zipfile.ZIP_DEFLATED)
    return content.getvalue()


def write_python(app, exception):
    """Write what a press of a button loads."""
    if exception or app.builder.format != "html":
        return
    static, known = Path(app.outdir, "_static"), pinned()
    for old in static.glob("rnn_notes-*.whl"):
        old.unlink()
    wheels = [write_wheel(static).read_bytes(), wheel_of("tqdm")]
    shutil.rmtree(static / "pyodide", ignore_errors=True)
    if app.config.pyodide_folder:
        (static / "pyodide").mkdir()
        for name in known["files"]:
            shutil.copyfile(Path(ROOT, app.config.pyodide_folder, name), static / "pyodide" / name)
    settings = {
        "address": app.config.pyodide or "_static/pyodide/",
        **known,
        "wheels": [base64.b64encode(wheel).decode() for wheel in wheels],
        "script": Path(__file__).with_name("cells.py").read_text(encoding="utf-8"),
    }
    text = f"Run.python = {json.dumps(settings, separators=(',', ':'))};\n"
    (static / "python.js").write_text(text, encoding="utf-8", newline="\n")


def setup(app):
    app.add_config_value("pyodide", "", "html", str)
    app.add_config_value("pyodide_folder", "", "", str)
    app.add_config_value("content_security_policy", True, "html", bool)  # the Makefile's `live` has none
    app.connect("config-inited", set_pyodide)
    app.connect("html-page-context", add_policy, priority=950)  # after the other tags
    app.connect("build-finished", write_python)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    PINNED.write_text(json.dumps(describe(sys.argv[1]), indent=1) + "\n", encoding="utf-8", newline="\n")

"""Draw the site's mark with the package, and again only when what it is drawn with changes."""

import json
import os
import re
import subprocess
import sys

from inputs import BUILD, ROOT, digests, environment, versions
from records import read_record, write_record, write_whole

# In another process, as it imports Matplotlib, and to see which of the package's files it takes.
DRAW = """
import sys
from json import dumps
from rnn_notes import figures
svg = figures.mark()
files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
print(dumps([svg, [file for file in files if file]]))
"""


def draw():
    command = [sys.executable, "-P", "-c", DRAW]
    result = subprocess.run(command, env=environment(), capture_output=True, encoding="utf-8")
    if result.returncode:
        places = re.findall(rf'File "{re.escape(str(ROOT))}/(.*)", line (\d+)', result.stderr) or [
            ("rnn_notes", 1)
        ]
        sys.exit("{}:{}: {}".format(*places[-1], result.stderr.splitlines()[-1]))
    svg, files = json.loads(result.stdout)
    package = str(ROOT / "rnn_notes")
    return {"svg": svg, "by": versions(), "with": digests(f for f in sorted(files) if f.startswith(package))}


def set_mark(app, config):
    BUILD.mkdir(exist_ok=True)
    mark, drawn = BUILD / "mark.svg", BUILD / "mark.json"
    record = read_record(drawn)
    if record.get("by") != versions() or digests(record["with"]) != record["with"]:
        record = draw()
        write_record(drawn, record)
    write_whole(mark, record["svg"])
    config.html_logo = config.html_favicon = os.path.relpath(mark, app.confdir)


def setup(app):
    app.connect("config-inited", set_mark)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""Keep what was found out in files that are whole or missing, whoever stops the build or writes into them."""

import json
import os
from contextlib import suppress

from inputs import digest


def write_whole(file, text):
    """Write a text, aside at first."""
    part = file.with_name(f"{os.getpid()}.part")
    with part.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(file)


def write_record(file, record):
    """Write a dictionary, and its hash before it."""
    text = json.dumps(record)
    write_whole(file, f"{digest(text)}\n{text}")


def read_record(file):
    """Return the dictionary in a file, or {} if the file is not there as it was written."""
    with suppress(OSError, ValueError):
        then, _, text = file.read_text(encoding="utf-8").partition("\n")
        if digest(text) == then:
            return json.loads(text)
    return {}

"""Say what a build does: on one line in a terminal, a line per stage in a log."""

import os
import shutil
import sys

TERMINAL = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
last = None


def count(pages):
    return f"{len(pages)} page{'s' * (len(pages) != 1)}"


def show(stage, detail=""):
    """Show a stage; in a terminal with a detail, which may come again and again."""
    global last
    if TERMINAL:
        width = shutil.get_terminal_size().columns - 1
        # The cursor returns, so that an error or a warning is written over this.
        print("\r" + (stage + detail)[:width].ljust(width), end="\r", flush=True)
    elif stage != last:
        print(stage, flush=True)
    last = stage


def clear():
    """Make the terminal's line free for what comes."""
    if TERMINAL and last:
        print(" " * (shutil.get_terminal_size().columns - 1), end="\r", flush=True)

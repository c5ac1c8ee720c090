"""The command `python -m rnn_notes diagnose FILE`."""

import argparse
import json
import os
import sys
from pathlib import Path

from rnn_notes._weights import load_array
from rnn_notes.diagnosis import diagnose

TROUBLE, WRONG = 1, 2  # the exit codes beside 0, for healthy; argparse has 2, too


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message):
        self.exit(WRONG, f"error: {message}; --help lists what there is\n")


def main(arguments=None) -> int:
    """Run a command; return 0 for healthy, 1 for any other verdict, and 2 if nothing could be diagnosed."""
    parser = Parser(prog="python -m rnn_notes", description="Recurrent networks and their gradients.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser(
        "diagnose",
        help="measure what the weights in a file do to gradients",
        description="Measure what the weights in a file do to gradients, and name the trouble.",
        epilog="exit code: 0 healthy, 1 another verdict, 2 the file could not be read",
    )
    command.add_argument(
        "file", type=Path, help="weights: .npz, .safetensors, or .pt if PyTorch is installed"
    )
    command.add_argument("--input", type=Path, metavar="x.npy", help="input of shape (T, B, I)")
    command.add_argument("--json", action="store_true", help="print JSON in place of tables")
    given = parser.parse_args(arguments)
    try:
        report = diagnose(given.file, None if given.input is None else load_array(given.input))
    except (OSError, TypeError, ValueError) as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        return WRONG
    try:
        print(json.dumps(report.as_dict(), allow_nan=False) if given.json else report, flush=True)
    except BrokenPipeError:  # of `| head`, which has read enough; Python would complain again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0 if report.verdict == "healthy" else TROUBLE


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")  # the tables have Greek letters, which not every console has
    sys.exit(main())

"""Results in rows: a table in a notebook and on the site, aligned text at a prompt."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape

from rnn_notes._checks import shown


@dataclass(frozen=True)
class Table:
    """What `table` returns. A notebook shows it as a table; `print` and a prompt show aligned text.

    Attributes
    ----------
    headings : tuple of str
        One for each column.
    rows : tuple of tuple of str
        The entries, formatted.
    numeric : tuple of bool
        Which columns hold numbers. They are aligned at the right, texts at the left.
    """

    headings: tuple
    rows: tuple
    numeric: tuple

    def __repr__(self) -> str:
        lines = (self.headings, *self.rows)
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(
                entry.rjust(width) if number else entry.ljust(width)
                for entry, width, number in zip(line, widths, self.numeric, strict=True)
            ).rstrip()
            for line in lines
        )

    def _repr_html_(self) -> str:
        kinds = [' class="number"' if number else "" for number in self.numeric]

        def line(start, end, entries):
            cells = (f"<{start}{kind}>{escape(e)}</{end}>" for e, kind in zip(entries, kinds, strict=True))
            return f"<tr>{''.join(cells)}</tr>"

        head = line('th scope="col"', "th", self.headings)
        body = "\n".join(line("td", "td", row) for row in self.rows)
        return f'<table class="results">\n<thead>{head}</thead>\n<tbody>\n{body}\n</tbody>\n</table>'


def table(columns: Mapping[str, str], rows: Iterable) -> Table:
    """Return rows of results as a table.

    Parameters
    ----------
    columns : dict of str to str
        For each heading the format of its column, as `format` takes it: ``".2f"``, ``".0%"``, ``""``.
    rows : iterable of sequences
        The values of each row, as many as there are columns. Where all values of a column are strings, it is
        aligned at the left.

    Returns
    -------
    Table
        Shown as a table in a notebook, and as aligned text at a prompt.

    Raises
    ------
    TypeError
        If `columns` is not a dict of strings, or `rows` is no iterable of sequences.
    ValueError
        If there is no column or no row, a row has another length, or a format does not fit its value.

    Examples
    --------
    >>> from rnn_notes import table
    >>> table({"network": "", "updates": "d", "solved": ".0%"}, [("LSTM", 812, 1.0), ("tanh", 2000, 0.2)])
    network  updates  solved
    LSTM         812    100%
    tanh        2000     20%
    """
    if not isinstance(columns, Mapping) or not all(
        isinstance(s, str) for pair in columns.items() for s in pair
    ):
        raise TypeError(f"columns must be a dict of headings to formats, both strings, got {shown(columns)}")
    try:
        rows = [tuple(row) for row in rows]
    except TypeError:
        raise TypeError(f"rows must be an iterable of sequences, got {shown(rows)}") from None
    if not columns or not rows:
        raise ValueError(f"a table needs a column and a row, got {len(columns)} columns and {len(rows)} rows")
    for number, row in enumerate(rows):
        if len(row) != len(columns):
            raise ValueError(f"rows[{number}] must have {len(columns)} values, got {len(row)}: {shown(row)}")
    entries = tuple(tuple(map(_entry, columns, columns.values(), row)) for row in rows)
    numeric = tuple(not all(isinstance(value, str) for value in column) for column in zip(*rows, strict=True))
    return Table(tuple(columns), entries, numeric)


def _entry(heading, form, value):
    try:
        return format(value, form)
    except (OverflowError, TypeError, ValueError) as error:
        raise ValueError(
            f"column {heading!r}: the format {form!r} does not fit {shown(value)}: {error}"
        ) from None

"""Tables: the same rows as HTML and as text."""

import numpy as np
import pytest
from bs4 import BeautifulSoup

from rnn_notes import table

COLUMNS = {"network": "", "σ√n": ".1f", "share <": ".0%"}
ROWS = [("LSTM & co", np.float32(1.25), 0.5), ("tanh", 10, 1)]


def test_text_is_aligned():
    assert str(table(COLUMNS, ROWS)).splitlines() == [
        "network     σ√n  share <",
        "LSTM & co   1.2      50%",
        "tanh       10.0     100%",
    ]


def test_html_has_the_same_entries_and_says_which_are_numbers():
    shown = table(COLUMNS, iter(ROWS))
    soup = BeautifulSoup(shown._repr_html_(), "html.parser")
    headings = soup.thead.find_all("th", scope="col")
    assert tuple(cell.text for cell in headings) == shown.headings == tuple(COLUMNS)
    entries = tuple(tuple(cell.text for cell in row.find_all("td")) for row in soup.tbody.find_all("tr"))
    assert entries == shown.rows == (("LSTM & co", "1.2", "50%"), ("tanh", "10.0", "100%"))
    for row in soup.find_all("tr"):
        assert [cell.get("class") for cell in row.find_all(["td", "th"])] == [None, ["number"], ["number"]]


def test_html_word_by_word():
    assert table({"a<b": "", "n": "d"}, [("x & y", 1), ("z", 2)])._repr_html_().splitlines() == [
        '<table class="results">',
        '<thead><tr><th scope="col">a&lt;b</th><th scope="col" class="number">n</th></tr></thead>',
        "<tbody>",
        '<tr><td>x &amp; y</td><td class="number">1</td></tr>',
        '<tr><td>z</td><td class="number">2</td></tr>',
        "</tbody>",
        "</table>",
    ]


def test_a_text_without_last_column_leaves_no_blanks():
    assert str(table({"a": "", "b": ""}, [("x", ""), ("long", "y")])).splitlines() == [
        "a     b",
        "x",
        "long  y",
    ]


@pytest.mark.parametrize(
    ("columns", "rows", "error", "message"),
    [
        (["a"], [(1,)], TypeError, r"columns must be a dict .* got \['a'\]"),
        ({"a": 2}, [(1,)], TypeError, "columns must be a dict"),
        ({}, [()], ValueError, "0 columns and 1 rows"),
        ({"a": ""}, [], ValueError, "1 columns and 0 rows"),
        ({"a": ""}, [(1,), (1, 2)], ValueError, r"rows\[1\] must have 1 values, got 2: \(1, 2\)"),
        ({"a": ""}, 3, TypeError, "rows must be an iterable of sequences, got 3"),
        ({"a": ""}, [3], TypeError, "rows must be an iterable of sequences, got "),
        ({"a": ".2f"}, [("x",)], ValueError, "column 'a': the format '.2f' does not fit 'x'"),
        ({"a": "d"}, [(1.5,)], ValueError, "column 'a': the format 'd' does not fit 1.5"),
        ({"a": ".1f"}, [(10**400,)], ValueError, "column 'a': the format '.1f' does not fit 10000"),
        (
            {"a": "d"},
            [(10**5000,)],
            ValueError,
            "column 'a': the format 'd' does not fit int too long to show: ",
        ),
        ({"a": ".1f"}, [(None,)], ValueError, "column 'a': the format '.1f' does not fit None"),
    ],
)
def test_what_is_no_table_is_refused(columns, rows, error, message):
    with pytest.raises(error, match=message):
        table(columns, rows)

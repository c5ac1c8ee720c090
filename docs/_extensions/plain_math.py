"""Write a formula on one line of plain text, for the search: σ√n, 2^(1/n), ∂h_t/∂h_k.

What a line cannot hold becomes "…", and so does what KaTeX refuses: katex.py names it where it is shown.
The MathML that KaTeX makes of the TeX source has the structure.
"""

import re
from xml.etree import ElementTree

import katex
import quickjs

LONGEST = 80  # characters that an excerpt has room for
BARS = {"|", "∥"}
ACCENTS = {"^": "\u0302", "ˉ": "\u0304", "~": "\u0303", "⃗": "\u20d7"}
KINDS = {
    **dict.fromkeys("([{⟨⌊⌈", "open"),
    **dict.fromkeys(")]}⟩⌋⌉", "close"),
    **dict.fromkeys(",;:.", "punctuation"),
    **dict.fromkeys("∑∏∫", "sum"),
    "/": "slash",
    **dict.fromkeys("′!", "close"),
    **dict.fromkeys("⋯…", "atom"),
    "\u2061": "space",  # behind the name of a function
}
BEGINS = {
    None,
    "operator",
    "sign",
    "open",
    "punctuation",
    "slash",
    "sum",
}  # behind it, a minus is a sign, a bar opens
FACTORS = {
    "atom",
    "fraction",
    "root",
    "power",
    "name",
    "sum",
    "slash",
}  # beside them, a fraction has parentheses
GROUPS = {"math", "semantics", "mrow", "mstyle", "mpadded", "mtd"}


class Unwritable(Exception):
    """A formula that one line of text cannot hold."""


def plain(tex, display, folder):
    """Return a formula as text; a line does not break in it."""
    try:
        mathml = re.search(r"<math.*?</math>", katex.render(tex, display, folder), re.DOTALL)[0]
        text = line(ElementTree.fromstring(re.sub(r' xmlns="[^"]*"', "", mathml)))
    except (Unwritable, quickjs.JSException):
        return "…"
    return text.replace(" ", "\N{NO-BREAK SPACE}") if len(text) <= LONGEST else "…"


def line(element):
    return join(items(element))


def items(element):
    """Yield the parts of a formula from left to right: (text, kind) each."""
    tag = element.tag
    if tag in GROUPS or element.get("notation") == "box":
        for child in element:
            yield from items(child)
    elif tag == "mphantom":
        return
    elif tag in ("mspace", "mtext"):
        text = (element.text or "").replace("\N{NO-BREAK SPACE}", " ").strip()
        yield (text, "text") if text else ("", "space")
    elif tag in ("mi", "mn"):
        text = element.text.replace("∣", "|")
        several = tag == "mi" and len(text) > 1
        yield text, "bar" if text in BARS else KINDS.get(text, "name" if several else "atom")
    elif tag == "mo" and not len(element):
        text = (element.text or "").replace("∣", "|").replace("∗", "*")
        if text:
            yield text, "bar" if text in BARS else KINDS.get(text, "operator")
    elif tag == "mfrac" and element.get("linethickness") is None:
        yield fraction(*element), "fraction"
    elif tag == "msqrt":
        inside = [part for child in element for part in items(child) if part[1] != "space"]
        alone = len(inside) == 1 and inside[0][1] == "atom"
        yield "√" + (inside[0][0] if alone else closed(join(inside))), "root"
    elif tag in ("msub", "msup", "msubsup", "munder", "mover", "munderover"):
        yield from scripts(tag, *element)
    elif tag == "mtable":
        yield table(element), "atom"
    else:
        raise Unwritable(tag)


def scripts(tag, base, *others):
    ends = [line(other) for other in others]
    if "⏟" in ends or (base.tag == "munder" and base[1].text == "⏟"):
        yield from items(base)  # what is under a brace is a remark
        return
    text, kind = whole(base)
    if tag == "mover":
        if len(text) > 1 or ends[0] not in ACCENTS:
            raise Unwritable(tag)
        yield text + ACCENTS[ends[0]], kind
        return
    if tag in ("munder", "munderover") and kind not in ("sum", "name"):
        raise Unwritable(tag)
    below = ends[0] if tag in ("msub", "munder", "msubsup", "munderover") else ""
    above = ends[-1] if tag in ("msup", "msubsup", "munderover") else ""
    primes = re.match("′*", above)[0]
    above = above.removeprefix(primes)
    # W_hh has two letters below, 2^(nk) a product above.
    below = below and "_" + (below if re.fullmatch(r"\w+", below) else closed(below))
    above = above and "^" + (above if re.fullmatch(r".|[−+]?\d+(\.\d+)?", above) else closed(above))
    yield text + below + primes + above, "power" if above and kind == "atom" else kind


def whole(element):
    """Return a base with its kind, in parentheses if it is more than a letter."""
    parts = [part for part in items(element) if part[1] != "space"]
    if len(parts) == 1 and parts[0][1] not in ("fraction", "root", "power"):
        return parts[0]
    return (closed(join(parts)) if parts else ""), "atom"


def closed(text):
    """Return a text in parentheses, its own if one pair spans it."""
    depth = [text[: end + 1].count("(") - text[: end + 1].count(")") for end in range(len(text))]
    own = text.startswith("(") and text.endswith(")") and 0 not in depth[:-1]
    return text if own else f"({text})"


def fraction(above, below):
    parts = [[part for part in items(half) if part[1] != "space"] for half in (above, below)]
    derivative = below[0].text in ("∂", "d") if len(below) else False
    derivative = derivative or parts[1][0][0].startswith("∂")
    halves = line(above), line(below)
    many = [{kind for _, kind in half} & {"operator", "name", "fraction", "slash"} for half in parts]
    top = closed(halves[0]) if many[0] and len(parts[0]) > 1 else halves[0]
    simple = len(parts[1]) == 1 and parts[1][0][1] != "fraction"
    bottom = halves[1] if simple or (derivative and not many[1]) else closed(halves[1])
    return f"{top}/{bottom}"


def table(element):
    """Return the rows of a matrix, a case each, or the lines of a derivation."""
    if element.get("columnalign", "").startswith("right"):
        text = ""
        for row in element:
            parts = list(part for cell in row for part in items(cell))
            new = parts and parts[0][1] != "operator" and text and text[-1] not in ",;.:"
            text += (";" if new else "") + " " + join(parts)
        return text.strip()
    return "; ".join(", ".join(line(cell) for cell in row) for row in element)


def join(parts):
    """Return the parts on one line, with spaces where they tell parts from each other."""
    parts = list(parts)
    kinds = [kind for _, kind in parts if kind != "space"]
    text, before, last, opened, number, gap = "", "", None, [], 0, False
    for part, kind in parts:
        if kind == "space":
            gap = True
            continue
        number += 1
        following = kinds[number] if number < len(kinds) else None
        bar = kind == "bar"
        if bar:
            closes = bool(opened) and opened[-1] == part[0] and last not in BEGINS
            opened.pop() if closes else opened.append(part[0])
            kind = "close" if closes else "open"
        if part in "+−±∓" and last in BEGINS:
            kind = "sign"
        if kind == "fraction" and (last in FACTORS | {"close"} or following in FACTORS | {"open", "bar"}):
            part = f"({part})"
        if "slash" in (kind, last) or last in (None, "sign", "open") or kind in ("close", "punctuation"):
            space = False
        elif {kind, last} & {"operator", "text", "punctuation", "sum"}:
            space = True
        elif kind == "open":
            space = last in ("power", "fraction", "root") or (bar and last == "close")
        elif before in ("∂", "d") and kind != "name":
            space = False
        else:
            space = gap or not (short(before) and short(part)) or (before[-1] + part[0]).isdigit()
        text += " " * space + part
        before, last, gap = part, kind, False
    return text


def short(part):
    """Whether a part is a letter, a number, or the root of one: two of them are read as a product."""
    return bool(re.fullmatch(r"√?(\w[\u0302-\u0304\u20d7]?|\d+(\.\d+)?)|∂", part)) and part != "…"

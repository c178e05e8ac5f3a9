"""What the YAML library says about a text that it cannot read, in words for whoever wrote the text."""

from __future__ import annotations

import re

from ruamel.yaml.error import MarkedYAMLError

_INSIDE = {
    "while parsing a flow mapping": "in the { } that begins at",
    "while parsing a flow sequence": "in the [ ] that begins at",
    "while parsing a block mapping": "in the mapping that begins at",
    "while parsing a block collection": "in the list that begins at",
    "while scanning a quoted scalar": "in the quoted text that begins at",
    "while scanning a double-quoted scalar": "in the quoted text that begins at",
    "while scanning a block scalar": "in the text block that begins at",
}
_PROBLEMS = (
    (r"expected ',' or '([\]}])', but got '<stream end>'", r"the file ends, but '\1' is missing", ""),
    (r"expected ',' or '([\]}])', but got '?(.*?)'?", r"a ',' or '\1' is missing before '\2'", ""),
    (r"found unexpected end of stream", "the file ends, but the closing quote is missing", ""),
    (r"expected <block end>, but found '<block mapping start>'", "this line is indented by another depth", ""),
    (r"expected <block end>, but found .*", "this does not belong here", "look at quotes and indentation just above"),
    (r"mapping values are not allowed here", "there is a second ':'", "put quotes around a text that holds ': '"),
    (r"could not find expected ':'", "a key without a ':'", ""),
    (r"found character '\\t' that cannot start any token", "a tab cannot stand here", ""),
    (r"found character '(.)' that cannot start any token", r"no text begins with '\1'", "put quotes around the text"),
    (r"expected the node content, but found '(.*)'", r"a value is missing before '\1'", ""),
    (r"expected '<document start>', but found \('(.*?)',?\)", r"'\1' is too much: the flow has ended before it", ""),
    (
        r"expected alphabetic or numeric character, .*",
        "a name is missing behind '&' or '*'",
        "put quotes around the text",
    ),
    (r"sequence entries are not allowed here", "a list cannot begin here", "begin it on a line of its own"),
    (
        r"found unknown escape character '(.)'",
        r"there is no escape '\\\1'",
        "in single quotes a backslash is a backslash",
    ),
)


def explain(error: MarkedYAMLError) -> tuple[str, str]:
    """A message and a hint."""
    said = (error.problem or "").strip()
    problem, hint = said or "this is not YAML", ""
    for pattern, words, what_to_do in _PROBLEMS:
        match = re.fullmatch(pattern, said, re.DOTALL)
        if match is not None:
            problem, hint = match.expand(words), what_to_do
            break
    inside = _INSIDE.get((error.context or "").strip())
    begins = error.context_mark
    if inside is None or begins is None:
        return problem, hint
    return f"{inside} {begins.line + 1}:{begins.column + 1}: {problem}", hint

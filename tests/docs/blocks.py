"""The fenced code blocks of a Markdown page, and the commands inside them. Pure text work."""

import re
import textwrap
from dataclasses import dataclass

_OPENING = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<language>[^\s`]*)[^`]*$")
_FILE = re.compile(r"^# file: (?P<name>\S+)$")
_EXIT = re.compile(r"\s+# exit (?P<code>\d+)$")


@dataclass(frozen=True)
class Block:
    """One fenced block. `line` is the 1-based line of its first line of text."""

    language: str
    line: int
    text: str

    @property
    def file(self) -> str | None:
        """The name in a first line `# file: NAME`: the block is written to that file."""
        match = _FILE.match(self.text.split("\n", 1)[0])
        return match["name"] if match else None


@dataclass(frozen=True)
class Command:
    """One shell command of a `console` or `sh` block, and how it must end."""

    line: int
    text: str
    exit_code: int = 0


def blocks_of(markdown: str) -> list[Block]:
    """All fenced blocks in order. Raises ValueError for a fence that is never closed."""
    blocks, lines, index = [], markdown.splitlines(), 0
    while index < len(lines):
        opening = _OPENING.match(lines[index])
        index += 1
        if opening is None:
            continue
        start, closing = index, re.compile(rf"^ *{opening['fence'][0]}{{{len(opening['fence'])},}} *$")
        while index < len(lines) and not closing.match(lines[index]):
            index += 1
        if index == len(lines):
            raise ValueError(f"line {start}: this fence is never closed")
        text = textwrap.dedent("\n".join(lines[start:index])) + "\n"
        blocks.append(Block(opening["language"], start + 1, text))
        index += 1
    return blocks


def commands_of(block: Block) -> list[Command]:
    """The commands of a block: in `console` the lines after `$ `, in `sh` every line that is no comment.

    A backslash at the end of a line continues it. Other lines of a `console` block show output and are not compared.
    """
    commands, lines, index = [], block.text.splitlines(), 0
    while index < len(lines):
        start, line = index, lines[index]
        index += 1
        if block.language == "console" and not line.startswith("$ "):
            continue
        text = line.removeprefix("$ ").strip()
        while text.endswith("\\") and index < len(lines):
            text = text[:-1] + lines[index].removeprefix("> ").strip()
            index += 1
        if text and not text.startswith("#"):
            commands.append(_command(block.line + start, text))
    return commands


def _command(line: int, text: str) -> Command:
    match = _EXIT.search(text)
    return Command(line, text[: match.start()], int(match["code"])) if match else Command(line, text)

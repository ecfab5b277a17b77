"""The sections of the runbook, docs/operations.md, as pages: what its few forms of Markdown become in HTML."""

import functools
import re
from collections.abc import Iterable
from pathlib import Path

from markupsafe import Markup, escape

RUNBOOK = Path(__file__).parents[1] / "docs" / "operations.md"
_SECTION = re.compile(r"^### (\w+)\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`]+)`")
_EMPHASIS = re.compile(r"\*([^*]+)\*")
_LINK = re.compile(r"\[([^]]+)\]\((?:[^)#]*)#?([^)]*)\)")


def section(name: str) -> tuple[str, Markup] | None:
    """The title and content of a section, whose name may be written in small letters; None for an unknown one."""
    return _sections().get(name.lower())


@functools.cache
def _sections() -> dict[str, tuple[str, Markup]]:
    found = _SECTION.findall(RUNBOOK.read_text(encoding="utf-8"))
    return {title.lower(): (title, _html(text, {name.lower() for name, _ in found})) for title, text in found}


def _html(text: str, sections: set[str]) -> Markup:
    blocks = []
    for number, block in enumerate(re.split(r"^```\w*\n", text, flags=re.MULTILINE)):
        if number % 2:  # between two fences
            blocks.append(Markup("<pre>{}</pre>").format(block))
        else:
            blocks += [_block(part, sections) for part in block.strip().split("\n\n") if part]
    return Markup("\n").join(blocks)


def _block(block: str, sections: set[str]) -> Markup:
    if block.startswith("|"):
        head, _, *rows = [line.strip("|").split("|") for line in block.splitlines()]
        return Markup(
            '<div class="scroll" role="region" aria-label="Table" tabindex="0"><table>{}{}</table></div>'
        ).format(_row(head, "th", sections), Markup("").join(_row(row, "td", sections) for row in rows))
    if block.startswith("- "):
        items = [Markup("<li>{}</li>").format(_inline(item, sections)) for item in block[2:].split("\n- ")]
        return Markup("<ul>{}</ul>").format(Markup("").join(items))
    return Markup("<p>{}</p>").format(_inline(block, sections))


def _row(cells: Iterable[str], cell: str, sections: set[str]) -> Markup:
    made = Markup("").join(Markup(f"<{cell}>{{}}</{cell}>").format(_inline(text.strip(), sections)) for text in cells)  # noqa: S704 - "th" or "td"
    return Markup("<tr>{}</tr>").format(made)


def _inline(text: str, sections: set[str]) -> Markup:
    def link(found: re.Match[str]) -> str:
        known = found[2] in sections
        return f'<a href="/console/runbook/{found[2]}">{found[1]}</a>' if known else found[1]

    html = _LINK.sub(link, _EMPHASIS.sub(r"<em>\1</em>", str(escape(text))))
    return Markup(_CODE.sub(r"<code>\1</code>", html))  # noqa: S704 - escaped above

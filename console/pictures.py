"""The picture of a workflow, with the states of one execution coloured."""

import functools
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

FOLDER = Path(__file__).parents[1] / "statemachines"
# What the page says once for all of the picture, or has no use for.
_NEEDLESS = re.compile(
    r'<\?xml.*?<svg|<!--.*?-->|<title>.*?</title>| xml:space="preserve"| xmlns:xlink="[^"]*"| font-family="[^"]*"'
    r'| font-size="[^"]*"| fill="[^"]*"| stroke="[^"]*"|\n',
    re.DOTALL,
)
_SIZE = re.compile(r'<svg width="(\d+)pt" height="(\d+)pt"')
_GROUP = re.compile(r'<g id="([^"]+)" class="(node|edge)"')
_FAILED = frozenset({"FAILED", "ABORTED", "TIMED_OUT"})

type Json = dict[str, Any]


def picture(execution: Json, *, prefix: str = "") -> Markup:
    """The SVG; ids get the prefix, since a page can hold several pictures with states of the same names."""
    states = state_classes(execution)
    taken = {f"{before}->{after}" for before, after in pairwise(visit["state"] for visit in execution["states"])}

    def classes(group: re.Match[str]) -> str:
        id_, kind = group[1].replace("&#45;", "-").replace("&gt;", ">"), group[2]
        more = states.get(id_, "not-reached") if kind == "node" else "taken" if id_ in taken else ""
        return f'<g id="{escape(prefix + id_)}" class="{kind} {more}"'

    label = f"Workflow {execution['workflow']}, execution {execution['name']}: {summary(execution)}"
    svg = _GROUP.sub(classes, _drawn(execution["workflow"]))
    return Markup(svg.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1))  # noqa: S704 - escaped above


def state_classes(execution: Json) -> Mapping[str, str]:
    """`done`, `here` or `failed` for each state that the execution has visited; the last one is also `last`."""
    classes = {visit["state"]: "done" for visit in execution["states"]}
    if execution["states"]:
        last = execution["states"][-1]
        runs = execution["status"] == "RUNNING" and "exited_at" not in last
        classes[last["state"]] = (
            "here last" if runs else "failed last" if execution["status"] in _FAILED else "done last"
        )
    return classes


def summary(execution: Json) -> str:
    """Where it stands, in a few words."""
    last = execution["states"][-1]["state"] if execution["states"] else "its start"
    match execution["status"]:
        case "RUNNING":
            return f"running, in {last}"
        case "SUCCEEDED":
            return f"finished in {last}"
        case "ABORTED":
            return f"stopped in {last}"
        case "TIMED_OUT":
            return f"timed out in {last}"
        case _:
            return f"failed in {last}"


@functools.cache
def _drawn(workflow: str) -> str:
    svg = (FOLDER / f"{workflow}.svg").read_text(encoding="utf-8")
    return _SIZE.sub("<svg", _NEEDLESS.sub(lambda cut: "<svg" if cut[0].endswith("<svg") else "", svg), count=1)

"""Faults that nobody chose: a seeded sample of small changes to the syntax tree of a module."""

import ast
import copy
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add}
# What a test should not have to notice: logging, and what only the type checker reads.
_SKIPPED_CALLS = ("logger.", "log_failure(", "bind(")


@dataclass(frozen=True)
class Fault:
    """A change of one file, at a line."""

    kind: str
    file: str
    before: str
    after: str
    line: int = 0

    @property
    def name(self) -> str:
        return f"{self.file}:{self.line} {self.kind}: {_one_line(self.before)} -> {_one_line(self.after)}"


def _one_line(text: str) -> str:
    return " ".join(text.split())[:90]


def sample(root: Path, folders: list[str], number: int, seed: int) -> list[tuple[Fault, str]]:
    """So many faults in the modules of these folders, each with the text of its file."""
    files = sorted(path for folder in folders for path in (root / folder).rglob("*.py"))
    every = [fault for path in files for fault in _faults(path.relative_to(root).as_posix(), path.read_text())]
    return random.Random(seed).sample(every, min(number, len(every)))  # noqa: S311 - the same sample for a seed


def _faults(file: str, source: str) -> Iterator[tuple[Fault, str]]:
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line.encode()))
    code = source.encode()
    for node in _executable(ast.parse(source)):
        begin = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        before = code[begin:end].decode()
        for kind, after in _changes(node):
            text = (code[:begin] + after.encode() + code[end:]).decode()
            yield Fault(kind, file, before, after, node.lineno), text


def _executable(node: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    """Every statement and expression that runs: no annotation, no docstring, no log line."""
    for name, field in ast.iter_fields(node):
        if name in {"annotation", "returns", "type_params", "decorator_list"}:
            continue
        for child in field if isinstance(field, list) else [field]:
            if not isinstance(child, ast.AST) or _skipped(child):
                continue
            if isinstance(child, ast.expr | ast.stmt):
                yield child
            yield from _executable(child)


def _skipped(node: ast.AST) -> bool:
    match node:
        case ast.Expr(value=ast.Constant()) | ast.Import() | ast.ImportFrom() | ast.JoinedStr() | ast.TypeAlias():
            return True
        case ast.Expr(value=ast.Call()):
            return ast.unparse(node).startswith(_SKIPPED_CALLS)
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
    return False


def _changes(node: ast.expr | ast.stmt) -> Iterator[tuple[str, str]]:  # noqa: C901 - a case for each kind
    """The kind and the text of each change to this node."""
    match node:
        case ast.Compare(ops=[op]) if type(op) in _COMPARISONS:
            changed = copy.deepcopy(node)
            changed.ops = [_COMPARISONS[type(op)]()]
            yield "comparison", f"({ast.unparse(changed)})"
        case ast.BoolOp():
            changed_op = copy.deepcopy(node)
            changed_op.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield "and or", f"({ast.unparse(changed_op)})"
            for left_out in range(len(node.values)):
                rest = [value for number, value in enumerate(node.values) if number != left_out]
                fewer: ast.expr = rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
                yield "condition left out", f"({ast.unparse(fewer)})"
        case ast.UnaryOp(op=ast.Not()):
            yield "not left out", f"({ast.unparse(node.operand)})"
        case ast.BinOp() if type(node.op) in _ARITHMETIC:
            changed_bin = copy.deepcopy(node)
            changed_bin.op = _ARITHMETIC[type(node.op)]()
            yield "arithmetic", f"({ast.unparse(changed_bin)})"
        case ast.Constant(value=bool()):
            yield "constant", str(not node.value)
        case ast.Constant(value=int() as number):
            yield "constant", str(number + 1)
        case ast.IfExp():
            yield "always", f"({ast.unparse(node.body)})"
            yield "never", f"({ast.unparse(node.orelse)})"
        case ast.If():
            yield from _without_branch(node)
        case ast.Call(func=ast.Attribute(value=ast.Call() as inner)) if ast.unparse(inner).startswith("UpdateBuilder"):
            yield "part of a write left out", ast.unparse(inner)
        case ast.Expr(value=ast.Call() | ast.Yield()) | ast.Raise() | ast.AugAssign():
            yield "statement left out", "pass"
        case ast.Return(value=ast.expr() as value) if ast.unparse(value) != "None":
            yield "nothing returned", "return None"


def _without_branch(node: ast.If) -> Iterator[tuple[str, str]]:
    indent = " " * node.col_offset
    for kind, condition in (("always", "True"), ("never", "False")):
        changed = copy.copy(node)
        changed.test = ast.parse(condition, mode="eval").body
        yield kind, ast.unparse(changed).replace("\n", f"\n{indent}")

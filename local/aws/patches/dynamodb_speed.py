"""Gap of moto: its DynamoDB parses every expression anew, and walks through the tree ten times to validate it.

It also copies and measures every attribute again and again: each value for each level that it is in.

Here a text is parsed once. The tree of an update is copied for each validation by pickle, which is written in C, and a
walk asks once for each kind of node whether it is of interest. The values of a condition are put in afterwards. A query
sorts and compares the items of its hash key alone, not those of the whole table.
"""

import functools
import pickle
from typing import Any

from moto.dynamodb.comparisons import AttributeValue, ConditionExpressionParser
from moto.dynamodb.models.dynamo_type import DDBType, DynamoType
from moto.dynamodb.models.table import Table
from moto.dynamodb.models.utilities import bytesize
from moto.dynamodb.parsing import validators
from moto.dynamodb.parsing.ast_nodes import DepthFirstTraverser, Expression, Node, UpdateExpressionFunction
from moto.dynamodb.parsing.expressions import UpdateExpressionParser

from local.aws.patches.patching import replace, replaces

replace(UpdateExpressionParser, "make", staticmethod(functools.lru_cache(maxsize=1024)(UpdateExpressionParser.make)))


def _copy(tree: Any) -> Any:
    """A copy of a parsed expression, which nobody changes, or of a value."""
    pickled = getattr(tree, "pickled", None)
    if pickled is None:
        pickled = pickle.dumps(tree)
        if isinstance(tree, Node):
            tree.pickled = pickled
    return pickle.loads(pickled)  # noqa: S301 - pickled above


replace(validators, "deepcopy", _copy)


@functools.cache
def _is_node(kind: Any) -> bool:
    return issubclass(kind, Node)


@functools.cache
def _of_interest(kind: Any, kinds: tuple[type, ...]) -> type | None:
    return next((one for one in kinds if issubclass(kind, one)), None)


@replaces(DepthFirstTraverser, "traverse")
def _traverse(self: Any, root: Any) -> Any:
    process = self._processing_map()
    kinds = tuple(process)

    def visit(node: Any, child_id: int) -> Any:
        kind: Any = type(node)
        if not _is_node(kind):
            return node
        parent = node.parent
        for number, child in enumerate(node.children or ()):
            self.pre_processing_of_child(node, number)
            visit(child, number)
        of_interest = _of_interest(kind, kinds)
        if of_interest is not None:
            node = process[of_interest](node)
            node.parent = parent
            if parent:
                parent.children[child_id] = node
        return node

    return visit(root, -1)


_SCALARS = {DDBType.STRING, DDBType.NUMBER, DDBType.BOOLEAN, DDBType.NULL}


@functools.cache
def _has_clauses(kind: Any) -> bool:
    return issubclass(kind, (Expression, UpdateExpressionFunction))


@replaces(Node, "find_clauses")
def _find_clauses(self: Any, clause_types: Any) -> list[Any]:
    clauses = []
    for child in self.children or ():
        kind: Any = type(child)
        if kind in clause_types:
            clauses.append(child)
        elif _has_clauses(kind):
            clauses.extend(_find_clauses(child, clause_types))
    return clauses


@replaces(DynamoType, "size")
def _size(self: Any) -> int:
    value = self.value
    if self.type == DDBType.MAP:
        return sum(bytesize(name) + _size(one) for name, one in value.items())
    return sum(map(_size, value)) if self.type == DDBType.LIST else int(_size.original(self))


@replaces(DynamoType, "to_regular_json")
def _to_regular_json(self: Any) -> dict[str, Any]:
    value = self.value
    if self.type == DDBType.MAP:
        return {self.type: {name: _to_regular_json(one) for name, one in value.items()}}
    if self.type == DDBType.LIST:
        return {self.type: [_to_regular_json(one) for one in value]}
    json: dict[str, Any] = {self.type: value} if self.type in _SCALARS else _to_regular_json.original(self)
    return json


class _TreeParser(ConditionExpressionParser):  # type: ignore[misc]
    """Parses a condition without its values, up to its tree."""

    def _lookup_expression_attribute_value(self, name: str) -> Any:
        return name

    def _make_op_condition(self, node: Any) -> Any:
        return node


@functools.lru_cache(maxsize=1024)
def _tree(expression: str, names: tuple[tuple[str, str], ...]) -> tuple[Any, list[str], list[str]]:
    """The tree of the condition, and the placeholders for names and values that it has."""
    parser = _TreeParser(expression, dict(names), {})
    tree = _parse_condition.original(parser)
    return tree, parser.expr_attr_names_found, parser.expr_attr_values_found


@replaces(ConditionExpressionParser, "parse")
def _parse_condition(self: Any) -> Any:
    if not self.condition_expression:
        return _parse_condition.original(self)
    tree, names, values = _tree(self.condition_expression, tuple((self.expression_attribute_names or {}).items()))
    self.expr_attr_names_found.extend(names)
    self.expr_attr_values_found.extend(values)
    return self._make_op_condition(tree)


@replaces(ConditionExpressionParser, "_make_operand")
def _make_operand(self: Any, node: Any) -> Any:
    if node.kind == self.Kind.EXPRESSION_ATTRIBUTE_VALUE:
        return AttributeValue(self._lookup_expression_attribute_value(node.text))
    return _make_operand.original(self, node)


@replaces(Table, "query")
def _query(self: Any, *given: Any, hash_key_conditions: Any, **named: Any) -> Any:
    (name, wanted), *_ = hash_key_conditions or [("", None)]
    few = self
    if name == self.hash_key_attr:
        few = _with_items(self, {wanted: self.items[wanted]} if wanted in self.items else {})
    elif not self.range_key_attr and wanted and wanted.type == DDBType.STRING:  # equal numbers may be other texts
        text = wanted.value
        found = {key: item for key, item in self.items.items() if name in item.attrs and item.attrs[name].value == text}
        few = _with_items(self, found)
    return _query.original(few, *given, hash_key_conditions=hash_key_conditions, **named)


def _with_items(table: Any, items: dict[Any, Any]) -> Any:
    """The table with these items alone. moto keeps each table that is made, so that this one must not be."""
    few = object.__new__(Table)
    few.__dict__.update(table.__dict__, items=items)
    return few

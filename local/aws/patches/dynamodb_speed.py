"""Gap of moto: its DynamoDB parses every expression anew, and walks through the tree ten times to validate it.

Here a text is parsed once, its tree is copied for each validation by pickle, which is written in C, and a walk asks
once for each kind of node whether it is of interest.
"""

import functools
import pickle
from typing import Any

from moto.dynamodb.parsing import validators
from moto.dynamodb.parsing.ast_nodes import DepthFirstTraverser, Node
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
def _of_interest(kind: type, kinds: tuple[type, ...]) -> type | None:
    return next((one for one in kinds if issubclass(kind, one)), None)


@replaces(DepthFirstTraverser, "traverse")
def _traverse(self: Any, root: Any) -> Any:
    process = self._processing_map()
    kinds = tuple(process)

    def visit(node: Any, child_id: int) -> Any:
        if not isinstance(node, Node):
            return node
        parent = node.parent
        for number, child in enumerate(node.children or ()):
            self.pre_processing_of_child(node, number)
            visit(child, number)
        kind = _of_interest(type(node), kinds)
        if kind is not None:
            node = process[kind](node)
            node.parent = parent
            if parent:
                parent.children[child_id] = node
        return node

    return visit(root, -1)

"""YAML that can make nothing but plain values, says each thing once, and is no larger than it looks."""

from collections.abc import Hashable
from typing import Any

import yaml

MOST_CHARACTERS = 1_000_000
"""In one document; the parser takes a second for each hundred thousand or so."""

MOST_VALUES = 100_000
"""Values in one document, those that an alias stands for counted each time: 500 bytes can stand for a thousand million."""


def load_yaml(text: str) -> Any:
    """Reads a document.

    Raises:
        yaml.YAMLError: It is none, has a tag that makes an object, gives a key twice, contains itself, or is larger than
            `MOST_CHARACTERS` and `MOST_VALUES`.
        ValueError: A value is none of its kind, such as the 41st of a month.
    """
    if len(text) > MOST_CHARACTERS:
        raise yaml.YAMLError(f"more than {MOST_CHARACTERS} characters")
    return yaml.load(text, Loader=_StrictLoader)  # noqa: S506  # a SafeLoader


class _StrictLoader(yaml.SafeLoader):
    """YAML's safe loader, which also refuses a key given twice: the second would silently win."""

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None:
            _count(node, {})
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                continue  # the safe loader refuses it
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} is given twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _count(node: yaml.Node, known: dict[yaml.Node, int | None]) -> int:
    """Counts the values below a node, with those of its aliases each time that they are named."""
    if node in known:
        values = known[node]
        if values is None:
            raise yaml.composer.ComposerError(None, None, "an alias stands for what it is a part of", node.start_mark)
        return values
    known[node] = None
    if isinstance(node, yaml.MappingNode):
        below = [part for pair in node.value for part in pair]
    else:
        below = node.value if isinstance(node, yaml.SequenceNode) else []
    values = 1
    for part in below:
        values += _count(part, known)
        if values > MOST_VALUES:
            raise yaml.composer.ComposerError(None, None, f"more than {MOST_VALUES} values", node.start_mark)
    known[node] = values
    return values

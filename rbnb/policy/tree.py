"""What must hold of a decision tree before it may decide anything.

- It starts somewhere, every answer leads to a node that exists, and every path ends at a leaf.
- Every node can be reached: one that cannot is a rule somebody believes in and nobody keeps.
- A question whose answer may be unknown says where that leads, or the tree says it for all.
- **From "unknown" no path leads to a healthy verdict.** Healthy has to be earned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rbnb.errors import ConfigError
from rbnb.policy.conditions import can_be_unknown
from rbnb.policy.grammar import Leaf, Question
from rbnb.policy.texts import close_to

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["check_tree"]


def check_tree(path: Path, start: str, unknown: str | None, nodes: Mapping[str, Question | Leaf]) -> None:
    """Refuse a tree that breaks one of the rules above.

    Raises
    ------
    ConfigError
        Naming the file, the node and the answer.
    """
    _check_targets(path, start, unknown, nodes)
    _check_default(path, unknown, nodes)
    _check_ends(path, start, nodes)
    for name, node in nodes.items():
        if isinstance(node, Question):
            _check_unknown(path, name, node, nodes)
    unreached = [name for name in nodes if name not in _reachable(start, nodes)]
    if unreached:
        raise ConfigError(path, f"tree.nodes.{unreached[0]}", f"no path from {start} leads here")


def _ways(node: Question | Leaf) -> dict[str, str]:
    """Return where each answer that can be given leads."""
    if isinstance(node, Leaf):
        return {}
    ways = {"yes": node.yes, "no": node.no}
    return ways | {"unknown": node.unknown} if can_be_unknown(node.when) else ways


def _check_targets(path: Path, start: str, unknown: str | None, nodes: Mapping[str, Question | Leaf]) -> None:
    targets = {"tree.start": start} | ({"tree.unknown": unknown} if unknown is not None else {})
    for name, node in nodes.items():
        key = f"tree.nodes.{name}"
        for way, target in _ways(node).items():
            if not target:
                problem = "is required: the question reads findings that may not have been measured"
                raise ConfigError(path, f"{key}.{way}", problem, hint="or name an inconclusive leaf in tree.unknown")
            targets[f"{key}.{way}"] = target
    for key, target in targets.items():
        if target not in nodes:
            raise ConfigError(path, key, f"there is no node {target!r}", hint=close_to(target, nodes))


def _check_default(path: Path, unknown: str | None, nodes: Mapping[str, Question | Leaf]) -> None:
    default = None if unknown is None else nodes[unknown]
    if default is not None and not (isinstance(default, Leaf) and default.verdict == "inconclusive"):
        raise ConfigError(path, "tree.unknown", f"must be a leaf whose verdict is inconclusive, and {unknown} is not")


def _check_unknown(path: Path, name: str, node: Question, nodes: Mapping[str, Question | Leaf]) -> None:
    if not can_be_unknown(node.when):
        return
    for target in sorted(_reachable(node.unknown, nodes)):
        leaf = nodes[target]
        if isinstance(leaf, Leaf) and leaf.verdict == "healthy":
            problem = f"leads to {target}, which says healthy; what is not known is never an all-clear"
            raise ConfigError(path, f"tree.nodes.{name}.unknown", problem)


def _reachable(start: str, nodes: Mapping[str, Question | Leaf]) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(_ways(nodes[name]).values())
    return seen


def _check_ends(path: Path, start: str, nodes: Mapping[str, Question | Leaf]) -> None:
    """Refuse a circle, by taking away leaves, then what leads only to them, until nothing is left."""
    left = {name: set(_ways(node).values()) for name, node in nodes.items()}
    while done := {name for name, ways in left.items() if not ways}:
        left = {name: ways - done for name, ways in left.items() if name not in done}
    if left:
        first = start if start in left else next(iter(left))
        circle = _circle(first, left)
        raise ConfigError(path, f"tree.nodes.{circle[0]}", f"goes round in a circle: {' → '.join(circle)}")


def _circle(first: str, left: Mapping[str, set[str]]) -> list[str]:
    walked = [first]
    while True:
        # every node left has a way to another node left, so the walk must come back to itself
        following = min(left[walked[-1]])
        if following in walked:
            return [*walked[walked.index(following) :], following]
        walked.append(following)

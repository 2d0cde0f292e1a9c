"""Where a forgiving parser lets pass what the language does not: where the layout says something.

``@aligned``   a block whose statements stand under each other, each on a line of its own
``@clause``    begins its line where the statement that it is a part of does
``@continued`` must have a part that ``@continues`` it
"""

from __future__ import annotations

from tree_sitter import Node

from enrichd.index.regions import Captures

Stretch = tuple[int, int]


def misplaced(captures: Captures) -> list[Stretch]:
    """The space before each statement that stands where none can; bytes from and to, sorted."""
    found = {stretch for block in captures.get("aligned", ()) for stretch in _in_block(block)}
    for clause in captures.get("clause", ()):
        statement = clause.parent
        if statement is None or statement.start_point.row == clause.start_point.row:
            continue
        if statement.start_point.column != clause.start_point.column:
            found.add(_space_before(clause))
    parents = [node.parent for node in captures.get("continues", ())]
    continued = {parent.start_byte for parent in parents if parent is not None}
    for statement in captures.get("continued", ()):
        if statement.start_byte not in continued:
            found.add(statement.byte_range)
    return sorted(found)


def _in_block(block: Node) -> list[Stretch]:
    around, children = block.parent, [child for child in block.children if not child.is_extra]
    column = 0
    if around is not None:
        if not children:
            return [(block.start_byte, block.start_byte + 1)]
        first, head = children[0].start_point, around.start_point
        column = first.column
        if first.row > head.row and column <= head.column:
            return [_space_before(children[0])]
    found = []
    row, separated = -1, True
    for child in children:
        if not child.is_named:
            separated = True
            continue
        start = child.start_point
        if start.row != row:
            if start.column != column:
                found.append(_space_before(child))
        elif not separated:
            found.append((child.start_byte, child.start_byte + 1))
        row, separated = child.end_point.row, False
    return found


def _space_before(node: Node) -> Stretch:
    return node.start_byte - node.start_point.column, node.start_byte

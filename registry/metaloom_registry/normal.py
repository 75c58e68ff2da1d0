"""The normal form of a term, by which programs that are written differently are known as one.

`((lam B) v)` and `(let v B)` become B with v in the place of `$0`; references stay opaque.  With de
Bruijn indices, terms that differ in the names of variables are equal already.  Where a term has a
value, its normal form has the same; and it has the same type or a more general one.
"""

from __future__ import annotations

from metaloom_registry.canonical import dump_canonical
from metaloom_registry.digest import Digest
from metaloom_registry.errors import ParseError
from metaloom_registry.sexpr import term_to_json
from metaloom_registry.terms import (
    MAX_NODES,
    Apply,
    Bound,
    Lambda,
    Let,
    Term,
    apply,
    node_count,
    spine,
    substituted,
    subterms,
)


def normal_form(term: Term) -> Term:
    """The term with every function on the spot and every `let` written out.

    Raises ParseError where it grows beyond `MAX_NODES` nodes, takes more than as many steps (an
    untypable term need not have a normal form), or nests too deeply.
    """
    if not any(_is_redex(part) for part in subterms(term)):
        return term
    try:
        return _Normaliser().normal(term)
    except RecursionError:
        raise ParseError("a term nests too deeply to be written out in full") from None


def term_digest(term: Term) -> Digest:
    """The digest of the normal form's canonical JSON. Raises ParseError as `normal_form` does."""
    return Digest.of(dump_canonical(term_to_json(normal_form(term))))


def _is_redex(term: Term) -> bool:
    return isinstance(term, Let) or (isinstance(term, Apply) and isinstance(term.function, Lambda))


class _Normaliser:
    """One run, with what is left of its budget of nodes written."""

    def __init__(self) -> None:
        self.left = MAX_NODES

    def spend(self, nodes: int) -> None:
        self.left -= nodes
        if self.left < 0:
            raise ParseError(
                f"a term written out in full has more than {MAX_NODES} nodes; "
                "publish its shared parts as blocks of their own"
            )

    def normal(self, term: Term) -> Term:
        """Normal order: the outermost redex first, so that what is not used is not computed."""
        self.spend(1)
        if isinstance(term, Lambda):
            return Lambda(self.normal(term.body))
        if isinstance(term, Let):
            return self.normal(self.inlined(term.body, term.value))
        if not isinstance(term, Apply):
            return term
        head, given = spine(term)
        arguments = list(given)
        while True:
            if isinstance(head, Lambda) and arguments:
                head = self.inlined(head.body, arguments.pop(0))
            elif isinstance(head, Let):
                head = self.inlined(head.body, head.value)
            elif isinstance(head, Apply):
                head, more = spine(head)
                arguments[:0] = more
            else:
                break
        if not arguments:
            return self.normal(head)
        self.spend(len(arguments))
        return apply(self.normal(head), *map(self.normal, arguments))

    def inlined(self, body: Term, value: Term) -> Term:
        """The body with the value in place of `$0`, once it is known to be small enough."""
        uses = _uses(body)
        self.spend(1 if isinstance(value, Bound) else uses * node_count(value) + 1)
        return substituted(body, value)


def _uses(body: Term) -> int:
    """How often a body uses its `$0`."""
    count = 0
    waiting = [(body, 0)]
    while waiting:
        part, index = waiting.pop()
        if isinstance(part, Bound):
            count += part.index == index
        elif isinstance(part, Lambda):
            waiting.append((part.body, index + 1))
        elif isinstance(part, Let):
            waiting += [(part.value, index), (part.body, index + 1)]
        elif isinstance(part, Apply):
            waiting += [(part.function, index), (part.argument, index)]
    return count

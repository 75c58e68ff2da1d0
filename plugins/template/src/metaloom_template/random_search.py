"""Random search: programs drawn as likely as their cost says, whatever is told of them."""

from collections.abc import Sequence

from metaloom_metalearn import Candidate, Scored, Space, Strategy


class RandomSearch:
    """Draws programs of at most so many nats; a `Search`."""

    def __init__(self, space: Space, nats: float) -> None:
        self.space, self.nats = space, nats

    def ask(self, n: int) -> Sequence[Candidate]:
        """At most `n` programs that were not proposed before; none when the time is over."""
        found: list[Candidate] = []
        if self.space.expired():
            return found
        for _ in range(100 * n):
            node = self.space.drawn(self.nats)
            candidate = None if node is None else self.space.propose(node)
            if candidate is not None:
                found.append(candidate)
            if len(found) == n:
                break
        return found

    def tell(self, scored: Sequence[Scored]) -> None:
        """A better search would learn from these."""


def random_search(nats: float = 25.0) -> Strategy:
    """What the entry point names: settings to an arm."""
    return Strategy("random", lambda space: RandomSearch(space, nats))

"""Which documents stand when some take the place of others, or take them back (S7)."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from vmi_domain.values import dataclass

Name = bytes
"""Of a document, in whatever revision: the same for all who speak of it."""

ALL_REVISIONS: Final = 2_147_483_647
"""Higher than any revision."""


class Target(NamedTuple):
    """What a document supersedes: another one, or itself as it was before, in its revisions up to ``through``."""

    name: Name
    through: int = ALL_REVISIONS

    def holds(self, name: Name, revision: int) -> bool:
        """Return whether it is this revision of this document that is superseded."""
        return name == self.name and revision <= self.through


@dataclass(frozen=True, slots=True)
class Version:
    """One revision of a document, and what it supersedes."""

    name: Name
    revision: int = 0
    supersedes: Sequence[Target] = ()


def targets(
    name: Name, revision: int, others: Iterable[tuple[Name, int | None]], *, revises: bool = True
) -> tuple[Target, ...]:
    """Return what a revision of a document supersedes, which refers to ``others`` (each through a revision, or whole).

    A higher revision takes the place of the lower ones, unless revisions are changes that go on from each other, as
    those of an order are (``revises``). No version supersedes itself.
    """
    found = {name: revision - 1} if revises and revision else {}
    for other, through in others:
        last = ALL_REVISIONS if through is None else through
        if other == name:
            last = min(last, revision - 1)
        if last >= 0:
            found[other] = max(last, found.get(other, -1))
    return tuple(Target(other, last) for other, last in found.items())


def standing(versions: Iterable[Version]) -> list[Version]:
    """Return the versions that no other one supersedes.

    It depends on the set of documents alone, not on the order in which they came: what is superseded stays so, even
    where that which superseded it is superseded in turn. Who was right after all sends it again under a new name.
    """
    known = list(versions)
    gone = [target for version in known for target in version.supersedes]
    return [one for one in known if not any(target.holds(one.name, one.revision) for target in gone)]

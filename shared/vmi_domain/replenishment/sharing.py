"""Short supply shared out among those who need it (S27, formulas.md §5.10): exact, and the same in any order."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from itertools import groupby
from math import floor
from typing import Any, Generic, TypeVar

from vmi_domain.values import dataclass

NOTHING = Decimal(0)


class Rule(StrEnum):
    """What a share is measured by, once firm commitments are served."""

    PROPORTIONAL = "proportional"
    """To the need, the same share of it for everybody."""
    EQUAL_SHARE_OF_TARGET = "equal_share_of_target"
    """Everybody reaches the same percentage of the target level, as far as the supply goes."""
    QUOTA = "quota"
    """By agreed quotas; what somebody does not need goes to the others by theirs."""
    PRIORITY = "priority"
    """First priorities first; within one by need."""


Name = TypeVar("Name", bound=str | tuple[Any, ...])
"""What claims are known by, and ordered by."""


@dataclass(frozen=True, slots=True)
class Claim(Generic[Name]):
    """What somebody needs of a supply; base units. On *need*, target less position: who asks for more gets no more."""

    name: Name
    need: Decimal
    firm: Decimal = NOTHING
    """What of the need is promised already."""
    target: Decimal = NOTHING
    """The level that the need leads up to."""
    position: Decimal = NOTHING
    quota: Decimal = Decimal(1)
    """Against the others' quotas."""
    priority: int = 1
    """Lower goes before."""
    pack: Decimal = Decimal(1)
    """A share is a whole number of packs."""


def share_out(available: Decimal, claims: Iterable[Claim[Name]], rule: Rule = Rule.PROPORTIONAL) -> dict[Name, Decimal]:
    """Return what each claim gets of ``available``, never more than its need, in whole packs.

    Firm commitments go first; the rest is shared by the rule, clipped at the need, and what is clipped is shared
    again; then come the packs: down, and what is left pack by pack to the largest remainders (of equal ones to the
    first name). The order of the claims does not matter.
    """
    ordered = sorted(claims, key=lambda claim: claim.name)
    supply = max(Fraction(available), Fraction(0))
    promised = [_clip(claim.firm, claim.need) for claim in ordered]
    firm = _filled(supply, promised, promised)
    rest = [max(Fraction(claim.need), Fraction(0)) - part for claim, part in zip(ordered, firm, strict=True)]
    more = _by_rule(supply - sum(firm), ordered, rest, firm, rule)
    exact = [first + then for first, then in zip(firm, more, strict=True)]
    return _in_packs(supply, ordered, exact)


def _clip(quantity: Decimal, most: Decimal) -> Fraction:
    return max(min(Fraction(quantity), Fraction(most)), Fraction(0))


def _by_rule(
    supply: Fraction,
    claims: Sequence[Claim[Name]],
    needs: Sequence[Fraction],
    firm: Sequence[Fraction],
    rule: Rule,
) -> list[Fraction]:
    match rule:
        case Rule.PROPORTIONAL:
            return _filled(supply, needs, needs)
        case Rule.QUOTA:
            return _filled(supply, needs, [Fraction(claim.quota) for claim in claims])
        case Rule.EQUAL_SHARE_OF_TARGET:
            starts = [Fraction(claim.position) + part for claim, part in zip(claims, firm, strict=True)]
            return _filled(supply, needs, [Fraction(claim.target) for claim in claims], starts)
        case Rule.PRIORITY:
            shares = [Fraction(0)] * len(claims)
            places = sorted(range(len(claims)), key=lambda place: claims[place].priority)
            for _, group in groupby(places, key=lambda place: claims[place].priority):
                these = list(group)
                wanted = [needs[place] for place in these]
                for place, share in zip(these, _filled(supply, wanted, wanted), strict=True):
                    shares[place] = share
                    supply -= share
            return shares


def _filled(
    supply: Fraction, needs: Sequence[Fraction], weights: Sequence[Fraction], starts: Sequence[Fraction] = ()
) -> list[Fraction]:
    """Return shares ``clip(level · weight − start, 0, need)`` with the level at which they use up the supply.

    The shares grow with the level in straight lines between the levels at which one of them begins or is full.
    """
    if sum(needs) <= supply:
        return list(needs)
    starts = starts or [Fraction(0)] * len(needs)

    def at(level: Fraction) -> list[Fraction]:
        shares = zip(needs, weights, starts, strict=True)
        return [min(max(level * weight - start, Fraction(0)), need) for need, weight, start in shares]

    lines = [one for one in zip(needs, weights, starts, strict=True) if one[1] > 0]
    levels = sorted({level for need, weight, start in lines for level in (start / weight, (start + need) / weight)})
    below = Fraction(0)
    for level in levels:
        if sum(at(level)) >= supply:
            low, high = sum(at(below)), sum(at(level))
            return at(below + (level - below) * (supply - low) / (high - low)) if high > low else at(level)
        below = level
    return at(below)


def _in_packs(supply: Fraction, claims: Sequence[Claim[Name]], exact: Sequence[Fraction]) -> dict[Name, Decimal]:
    packs = [Fraction(claim.pack) for claim in claims]
    whole = [floor(share / pack) for share, pack in zip(exact, packs, strict=True)]
    remainders = [share / pack - count for share, pack, count in zip(exact, packs, whole, strict=True)]
    left = min(supply, sum(exact, Fraction(0))) - sum(
        (count * pack for count, pack in zip(whole, packs, strict=True)), Fraction(0)
    )
    for place in sorted(range(len(claims)), key=lambda place: -remainders[place]):
        fits = (whole[place] + 1) * packs[place] <= Fraction(claims[place].need)
        if remainders[place] > 0 and packs[place] <= left and fits:
            whole[place] += 1
            left -= packs[place]
    return {claim.name: count * claim.pack for claim, count in zip(claims, whole, strict=True)}


@dataclass(frozen=True, slots=True)
class Source:
    """A supplier of one item at one location, among others."""

    supplier_id: str
    share: Decimal = Decimal(1)
    """Against the others' shares."""
    priority: int = 1
    """Lower goes before; the shares count among the first ones alone."""


PROPOSALS_COUNTED = 10
"""Over so many proposals in a row the shares are kept."""


def next_source(sources: Sequence[Source], given: Mapping[str, Decimal]) -> Source:
    """Return whose turn it is: of the first priority, who got least of its share so far (F62).

    ``given`` is what each got in the proposals before this one, in units or in proposals. A share of nothing is asked
    only where nobody else is there.
    """
    first = min(source.priority for source in sources)
    among = [source for source in sources if source.priority == first]
    some = [source for source in among if source.share > 0] or among

    def owed(source: Source) -> tuple[Fraction, Fraction, str]:
        got = Fraction(given.get(source.supplier_id, NOTHING))
        share = Fraction(source.share)
        return (got / share if share else got, -share, source.supplier_id)

    return min(some, key=owed)

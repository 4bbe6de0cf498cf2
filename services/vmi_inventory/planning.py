"""Documents about demand to come: as lines that stand for keys, told to those who decide by them."""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from vmi_contracts.plans import (
    BookedLine,
    DayLine,
    DemandBooked,
    DemandPlan,
    DemandPlanned,
    DemandSurveyed,
    ForecastOverridden,
    HistoryAdjusted,
    PromotionPlanned,
    RangeChanged,
)
from vmi_domain.forecasting.plans import PlanKind
from vmi_domain.stock.position import Key
from vmi_domain.values import dataclass
from vmi_inventory.documents import Told
from vmi_inventory.rejecting import rejected
from vmi_runtime.rejections import Reason
from vmi_store import plans, positions
from vmi_store.engine import Connection
from vmi_store.folding import Changed
from vmi_store.plans import PlanName, Stated, StatedLine
from vmi_store.quarantine import Rejected

BEGIN: Final = date(1900, 1, 1)
"""A successor inherits all of its predecessor's history: it is learned from its begin."""
DAY: Final = timedelta(days=1)
DOUBTED: Final = frozenset({PlanKind.ADJUSTMENT, PlanKind.EXCLUSION, PlanKind.PROMOTION})
"""What changes from some day on what is learned."""


@dataclass(slots=True)
class Draft:
    """A plan whose lines are being read."""

    told: Told
    lines: list[StatedLine] = field(default_factory=list)


def stated_lines(body: DemandPlan, line: Any, number: int, base: Mapping[str, Decimal]) -> list[StatedLine]:
    """Return what one line states. ``base`` has its quantities in base units, by their names."""
    if isinstance(body, RangeChanged):
        return _range(line, number)
    if isinstance(line, BookedLine):
        return [StatedLine(line.item_id, number, PlanKind.BOOKED, line.due_on, line.due_on, base["quantity"])]
    assert isinstance(line, DayLine)
    one = StatedLine(line.item_id, number, _KINDS[type(body)], line.from_day, line.to_day or line.from_day)
    match body:
        case DemandPlanned():
            planned: Any = line
            return [
                replace(
                    one,
                    quantity=base["quantity"],
                    commitment=planned.commitment.value,
                    net=body.basis.value == "net",
                )
            ]
        case HistoryAdjusted():
            if "quantity" in base:
                return [replace(one, quantity=base["quantity"])]
            return [replace(one, kind=PlanKind.EXCLUSION)]
        case PromotionPlanned():
            return [replace(one, factor=line.uplift)]  # type: ignore[attr-defined]
        case DemandSurveyed():
            return [replace(one, factor=line.factor, quantity=base.get("change_per_day"))]  # type: ignore[attr-defined]
        case _:
            return [replace(one, quantity=base["quantity"])]


_KINDS: Final[Mapping[type[DemandPlan], PlanKind]] = {
    DemandPlanned: PlanKind.PLAN,
    DemandBooked: PlanKind.BOOKED,
    ForecastOverridden: PlanKind.OVERRIDE,
    HistoryAdjusted: PlanKind.ADJUSTMENT,
    PromotionPlanned: PlanKind.PROMOTION,
    DemandSurveyed: PlanKind.SURVEY,
}


def _range(line: Any, number: int) -> list[StatedLine]:
    """Return what an item's end says of itself, and of the item that follows it."""
    from_day = line.from_day or line.last_order_day + DAY
    ending = StatedLine(
        line.item_id, number, PlanKind.ENDING, line.last_order_day, date.max, other_item=line.successor_id
    )
    if line.successor_id is None:
        return [ending]
    following = StatedLine(
        line.successor_id,
        number,
        PlanKind.SUCCESSION,
        from_day,
        date.max,
        factor=line.ratio,
        other_item=line.item_id,
        interchangeable=line.is_interchangeable,
    )
    return [ending, following]


def stated(draft: Draft) -> Stated:
    """Return a plan as it is to stand."""
    body: Any = draft.told.body
    return Stated(
        customer_id=body.customer_id,
        location_id=body.location_id,
        document=body.message_type,
        plan_id=body.plan_id,
        revision=body.revision,
        stated_at=body.stated_at,
        recorded_at=draft.told.recorded_at,
        withdrawn=body.withdrawn,
        author=body.author,
        reason=body.reason,
        lines=() if body.withdrawn else tuple(draft.lines),
    )


@dataclass(frozen=True, slots=True)
class Concerned:
    """Plans that are to stand, and whom they concern."""

    plans: Sequence[Stated]
    learn_from: Mapping[Key, date | None]
    """The keys they speak of, or spoke of, with the first day whose demand is to be learned anew."""


async def concerned(connection: Connection, drafts: Sequence[Draft]) -> tuple[Concerned, list[Rejected]]:
    """Return which plans are news, whom they concern, and those that were made from an outdated revision (F39).

    The order in which revisions arrive does not matter: one that is older than what stands is passed over. (A plan of
    the very revision and moment that stands is the rest of it: lines that had waited for their item.)
    """
    if not drafts:
        return Concerned((), {}), []
    known = await plans.standing(connection, sorted({stated(draft).name for draft in drafts}))
    news: dict[PlanName, Stated] = {}
    refused = []
    for draft in drafts:
        plan = stated(draft)
        if not plan.lines and not plan.withdrawn:  # all its lines were refused
            continue
        body: Any = draft.told.body
        stands = known.get(plan.name)
        if body.based_on_revision is not None and stands is not None and body.based_on_revision != stands[0]:
            refused.append(
                rejected(
                    draft.told.record,
                    Reason.OUTDATED_BASE,
                    f"based_on_revision: it was made from revision {body.based_on_revision}, and {stands[0]} stands",
                    customer_id=body.customer_id,
                    location_id=body.location_id,
                )
            )
            continue
        if stands is None or plan.order >= stands:
            news[plan.name] = _together(news.get(plan.name), plan)
            known[plan.name] = plan.order
    before = await plans.keys_of(connection, sorted(news))
    learn_from: dict[Key, date | None] = dict(before)
    for plan in news.values():
        for line in plan.lines:
            key = Key(plan.customer_id, plan.location_id, line.item_id)
            days = [_learn_from(line), learn_from.get(key)]
            learn_from[key] = min((day for day in days if day is not None), default=None)
    return Concerned([news[name] for name in sorted(news)], learn_from), refused


def _together(before: Stated | None, plan: Stated) -> Stated:
    """Return the later of two; of one that comes in parts (lines that had waited), all its lines."""
    if before is not None and plan.order == before.order:
        return replace(before, lines=(*before.lines, *plan.lines))
    return plan


def _learn_from(line: StatedLine) -> date | None:
    if line.kind is PlanKind.SUCCESSION:
        return BEGIN
    return line.first_day if line.kind in DOUBTED else None


async def enter(connection: Connection, found: Concerned) -> list[Changed]:
    """Let plans stand; return whom they concern as changed keys. The caller holds the keys' locks."""
    if not found.plans:
        return []
    await plans.state(connection, found.plans)
    versions = await positions.count_up(connection, list(found.learn_from))
    return [Changed(key, versions[key], day) for key, day in sorted(found.learn_from.items())]

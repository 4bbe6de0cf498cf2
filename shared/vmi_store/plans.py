"""Demand plans: every revision as it was stated, and the lines that stand."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain.forecasting.plans import AHEAD, PlanKind, PlanLine
from vmi_domain.stock.position import Key
from vmi_domain.values import dataclass
from vmi_store import columns


@dataclass(frozen=True, slots=True)
class StatedLine:
    """One line as a document stated it; quantities in base units."""

    item_id: str
    number: int
    kind: PlanKind
    first_day: date
    last_day: date
    quantity: Decimal | None = None
    factor: float | None = None
    commitment: str = "forecast"
    net: bool = False
    other_item: str | None = None
    interchangeable: bool = False


@dataclass(frozen=True, slots=True)
class Stated:
    """A document about demand to come, or about the history."""

    customer_id: str
    location_id: str
    document: str
    """Its CloudEvents type."""
    plan_id: str
    revision: int
    stated_at: datetime
    recorded_at: datetime
    withdrawn: bool
    author: str
    reason: str
    lines: tuple[StatedLine, ...]

    @property
    def name(self) -> "PlanName":
        return (self.customer_id, self.location_id, self.document, self.plan_id)

    @property
    def order(self) -> tuple[int, datetime]:
        """What decides which of two says the last word."""
        return (self.revision, self.stated_at)


PlanName = tuple[str, str, str, str]
"""Customer, location, document and plan id."""


async def standing(connection: AsyncConnection, plans: Sequence[PlanName]) -> dict[PlanName, tuple[int, datetime]]:
    """Return revision and moment of what stands of each of these plans; those that nobody stated are left out."""
    result = await connection.execute(_STANDING, _names(plans))
    return {
        (row.customer_id, row.location_id, row.document, row.plan_id): (row.revision, row.stated_at) for row in result
    }


_PLANS = """
    unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:documents AS text[]), CAST(:plans AS text[]))
"""
_STANDING = text(f"""
    SELECT DISTINCT ON (customer_id, location_id, document, plan_id)
           customer_id, location_id, document, plan_id, revision, stated_at
    FROM {_PLANS} AS wanted (customer_id, location_id, document, plan_id)
    JOIN demand_plan USING (customer_id, location_id, document, plan_id)
    ORDER BY customer_id, location_id, document, plan_id, revision DESC, stated_at DESC
""")  # noqa: S608 - our own words


async def keys_of(connection: AsyncConnection, plans: Sequence[PlanName]) -> dict[Key, date | None]:
    """Return the keys of which these plans speak by now, each with the first day they let be learned otherwise."""
    result = await connection.execute(_KEYS_OF, _names(plans))
    return {Key(row.customer_id, row.location_id, row.item_id): row.first_day for row in result}


_KEYS_OF = text(f"""
    SELECT customer_id, location_id, item_id, min(CASE
               WHEN kind = 'succession' THEN DATE '1900-01-01'
               WHEN kind IN ('adjustment', 'exclusion', 'promotion') THEN first_day
           END) AS first_day
    FROM {_PLANS} AS wanted (customer_id, location_id, document, plan_id)
    JOIN demand_plan_line USING (customer_id, location_id, document, plan_id)
    WHERE stands GROUP BY customer_id, location_id, item_id
""")  # noqa: S608 - our own words


async def state(connection: AsyncConnection, stated: Sequence[Stated]) -> None:
    """Let plans stand as stated, in the place of their earlier revisions. The caller holds the locks of their keys.

    Of one plan the caller gives the latest only.
    """
    if not stated:
        return
    order = {
        **_names([one.name for one in stated]),
        "revisions": [one.revision for one in stated],
        "stated": [one.stated_at for one in stated],
    }
    await connection.execute(_SUPERSEDE, order)
    await connection.execute(
        _STATE,
        {
            **order,
            "withdrawn": [one.withdrawn for one in stated],
            "authors": [one.author for one in stated],
            "reasons": [one.reason for one in stated],
            "recorded": [one.recorded_at for one in stated],
        },
    )
    lines = [(plan, line) for plan in stated for line in plan.lines]
    if lines:
        await connection.execute(
            _STATE_LINES,
            {
                **_names([plan.name for plan, _ in lines]),
                "items": [line.item_id for _, line in lines],
                "revisions": [plan.revision for plan, _ in lines],
                "numbers": [line.number for _, line in lines],
                "kinds": [line.kind.value for _, line in lines],
                "firsts": [line.first_day for _, line in lines],
                "lasts": [line.last_day for _, line in lines],
                "quantities": [line.quantity for _, line in lines],
                "factors": [line.factor for _, line in lines],
                "commitments": [line.commitment for _, line in lines],
                "nets": [line.net for _, line in lines],
                "others": [line.other_item for _, line in lines],
                "interchangeable": [line.interchangeable for _, line in lines],
                "stated": [plan.stated_at for plan, _ in lines],
                "authors": [plan.author for plan, _ in lines],
                "reasons": [plan.reason for plan, _ in lines],
            },
        )


_SUPERSEDE = text("""
    UPDATE demand_plan_line AS line SET stands = false
    FROM unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:documents AS text[]), CAST(:plans AS text[]),
        CAST(:revisions AS int[]), CAST(:stated AS timestamptz[])
    ) AS stated (customer_id, location_id, document, plan_id, revision, stated_at)
    WHERE line.customer_id = stated.customer_id AND line.location_id = stated.location_id
      AND line.document = stated.document AND line.plan_id = stated.plan_id AND line.stands
      AND (line.revision, line.stated_at) <> (stated.revision, stated.stated_at)
""")
_STATE = text("""
    INSERT INTO demand_plan (
        customer_id, location_id, document, plan_id, revision, stated_at, withdrawn, author, reason, recorded_at)
    SELECT * FROM unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:documents AS text[]), CAST(:plans AS text[]),
        CAST(:revisions AS int[]), CAST(:stated AS timestamptz[]), CAST(:withdrawn AS boolean[]),
        CAST(:authors AS text[]), CAST(:reasons AS text[]), CAST(:recorded AS timestamptz[]))
    ON CONFLICT (customer_id, location_id, document, plan_id, revision, stated_at) DO NOTHING
""")
_STATE_LINES = text("""
    INSERT INTO demand_plan_line (
        customer_id, location_id, document, plan_id, item_id, revision, line, kind, first_day, last_day, quantity,
        factor, commitment, net, other_item, interchangeable, stated_at, author, reason, stands)
    SELECT line.*, true FROM unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:documents AS text[]), CAST(:plans AS text[]),
        CAST(:items AS text[]), CAST(:revisions AS int[]), CAST(:numbers AS int[]), CAST(:kinds AS text[]),
        CAST(:firsts AS date[]), CAST(:lasts AS date[]), CAST(:quantities AS numeric[]),
        CAST(:factors AS double precision[]), CAST(:commitments AS text[]), CAST(:nets AS boolean[]),
        CAST(:others AS text[]), CAST(:interchangeable AS boolean[]), CAST(:stated AS timestamptz[]),
        CAST(:authors AS text[]), CAST(:reasons AS text[])) AS line
    ON CONFLICT (customer_id, location_id, item_id, document, plan_id, revision, stated_at, line, kind) DO NOTHING
""")


async def read(
    connection: AsyncConnection, keys: Sequence[Key], *, since: date, kinds: frozenset[PlanKind] = AHEAD
) -> Mapping[Key, list[PlanLine]]:
    """Return the lines of these kinds that stand for keys and do not end before a day.

    Keys without any are left out.
    """
    ordered = sorted(set(keys))
    if not ordered:
        return {}
    result = await connection.execute(
        _READ,
        {
            **columns.of_keys(ordered),
            "since": since,
            "kinds": sorted(kind.value for kind in kinds),
        },
    )
    found: dict[Key, list[PlanLine]] = {}
    for row in result:
        found.setdefault(Key(row.customer_id, row.location_id, row.item_id), []).append(_line(row))
    return found


_COLUMNS = """
    kind, first_day, last_day, plan_id, stated_at, quantity, factor, commitment, net, author, reason, other_item,
    interchangeable
"""
_READ = text(f"""
    SELECT customer_id, location_id, item_id, {_COLUMNS}
    FROM unnest({columns.KEYS}) AS wanted (customer_id, location_id, item_id)
    JOIN demand_plan_line USING (customer_id, location_id, item_id)
    WHERE stands AND last_day >= :since AND kind = ANY (CAST(:kinds AS text[]))
    ORDER BY customer_id, location_id, item_id, stated_at, document, plan_id, line
""")  # noqa: S608 - our own words


def _line(row: Row[tuple[object, ...]]) -> PlanLine:
    return PlanLine(
        PlanKind(row.kind),
        row.first_day,
        row.last_day,
        row.plan_id,
        row.stated_at,
        None if row.quantity is None else float(row.quantity),
        row.factor,
        row.commitment,
        row.net,
        row.author,
        row.reason,
        row.other_item,
        row.interchangeable,
    )


async def note_uplifts(connection: AsyncConnection, outcomes: Mapping[Key, tuple[float, float]]) -> None:
    """Write what past promotions did: expected and observed demand of their days. The caller holds the keys' locks."""
    keys = sorted(outcomes)
    if keys:
        await connection.execute(
            _NOTE_UPLIFTS,
            {
                "customers": [key.customer_id for key in keys],
                "locations": [key.location_id for key in keys],
                "items": [key.item_id for key in keys],
                "expected": [outcomes[key][0] for key in keys],
                "observed": [outcomes[key][1] for key in keys],
            },
        )


_NOTE_UPLIFTS = text("""
    INSERT INTO promotion_uplift (customer_id, location_id, item_id, expected, observed)
    SELECT * FROM unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]),
        CAST(:expected AS double precision[]), CAST(:observed AS double precision[]))
    ON CONFLICT (customer_id, location_id, item_id) DO UPDATE SET
        expected = excluded.expected, observed = excluded.observed
""")


async def uplifts(connection: AsyncConnection, keys: Sequence[Key]) -> Mapping[Key, tuple[float, float, float, float]]:
    """Return expected and observed demand of past promoted days, of each key and of all items of its customer."""
    ordered = sorted(set(keys))
    if not ordered:
        return {}
    result = await connection.execute(
        _UPLIFTS,
        {
            "customers": [key.customer_id for key in ordered],
            "locations": [key.location_id for key in ordered],
            "items": [key.item_id for key in ordered],
        },
    )
    return {
        Key(row.customer_id, row.location_id, row.item_id): (
            row.expected,
            row.observed,
            row.all_expected,
            row.all_observed,
        )
        for row in result
    }


_UPLIFTS = text("""
    SELECT customer_id, location_id, item_id, coalesce(own.expected, 0) AS expected,
           coalesce(own.observed, 0) AS observed, coalesce(everything.expected, 0) AS all_expected,
           coalesce(everything.observed, 0) AS all_observed
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]))
        AS wanted (customer_id, location_id, item_id)
    LEFT JOIN promotion_uplift AS own USING (customer_id, location_id, item_id)
    LEFT JOIN (
        SELECT customer_id, sum(expected) AS expected, sum(observed) AS observed
        FROM promotion_uplift WHERE customer_id = ANY (CAST(:customers AS text[])) GROUP BY customer_id
    ) AS everything USING (customer_id)
""")


def _names(plans: Sequence[PlanName]) -> dict[str, object]:
    return {
        "customers": [name[0] for name in plans],
        "locations": [name[1] for name in plans],
        "documents": [name[2] for name in plans],
        "plans": [name[3] for name in plans],
    }

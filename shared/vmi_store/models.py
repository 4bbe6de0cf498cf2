"""Which model of the pool each key's forecast goes by, why, and how the spread of forecasts is calibrated."""

from collections.abc import Mapping, Sequence
from datetime import date

import orjson
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain.forecasting.selection import Choice, ChosenBy
from vmi_domain.stock.position import Key
from vmi_domain.values import dataclass
from vmi_store.forecasts import Location


@dataclass(frozen=True, slots=True)
class Chosen:
    """A choice as it is kept."""

    key: Key
    choice: Choice
    since: date
    judged_on: date
    horizon: int
    quantile: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """What outcomes say of forecasts of one demand pattern at one location."""

    pattern: str
    scale: float
    """The standard deviation is multiplied by it."""
    through: date
    outcomes: int
    covered: int


async def due(connection: AsyncConnection, *, every_days: int, at_most: int) -> dict[Location, date]:
    """Return some locations that closed so many days since their models were judged, with the last closed one."""
    result = await connection.execute(_DUE, {"every_days": every_days, "at_most": at_most})
    return {Location(row.customer_id, row.location_id): row.through_day for row in result}


_DUE = text("""
    SELECT customer_id, location_id, through_day
    FROM forecast_location LEFT JOIN model_pass USING (customer_id, location_id)
    WHERE model_pass.judged_on IS NULL OR through_day >= model_pass.judged_on + CAST(:every_days AS int)
    ORDER BY model_pass.judged_on NULLS FIRST, customer_id, location_id LIMIT :at_most
""")


async def passed(connection: AsyncConnection, location: Location, judged_on: date) -> None:
    """Write that a location's series were judged."""
    await connection.execute(
        _PASSED, {"customer": location.customer_id, "location": location.location_id, "judged_on": judged_on}
    )


_PASSED = text("""
    INSERT INTO model_pass (customer_id, location_id, judged_on) VALUES (:customer, :location, :judged_on)
    ON CONFLICT (customer_id, location_id) DO UPDATE SET judged_on = excluded.judged_on
""")


async def of_location(connection: AsyncConnection, location: Location) -> dict[Key, Chosen]:
    """Return the choices there are at a location."""
    return {one.key: one for one in await chosen(connection, *location)}


async def chosen(
    connection: AsyncConnection,
    customer_id: str | None = None,
    location_id: str | None = None,
    item_id: str | None = None,
) -> list[Chosen]:
    """Return the choices of all keys that are meant."""
    result = await connection.execute(_CHOSEN, {"customer": customer_id, "location": location_id, "item": item_id})
    return [_chosen(row) for row in result]


_COLUMNS = """customer_id, location_id, item_id, model, since, judged_on, mean_share, spread_share, horizon, quantile,
    origins, why, ratios, chosen_by"""
_CHOSEN = text(f"""
    SELECT {_COLUMNS} FROM forecast_model
    WHERE (CAST(:customer AS text) IS NULL OR customer_id = :customer)
      AND (CAST(:location AS text) IS NULL OR location_id = :location)
      AND (CAST(:item AS text) IS NULL OR item_id = :item)
    ORDER BY customer_id, location_id, item_id
""")  # noqa: S608 - our own words


async def read(connection: AsyncConnection, keys: Sequence[Key]) -> dict[Key, Choice]:
    """Return the choices there are of these keys."""
    result = await connection.execute(
        _READ,
        {
            "customers": [key.customer_id for key in keys],
            "locations": [key.location_id for key in keys],
            "items": [key.item_id for key in keys],
        },
    )
    return {one.key: one.choice for one in map(_chosen, result)}


_READ = text(f"""
    SELECT {_COLUMNS} FROM forecast_model
    JOIN unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]))
         AS wanted (customer_id, location_id, item_id) USING (customer_id, location_id, item_id)
""")  # noqa: S608 - our own words


def _chosen(row: Row[tuple[object, ...]]) -> Chosen:
    key = Key(row.customer_id, row.location_id, row.item_id)
    choice = Choice(
        row.model, row.mean_share, row.spread_share, row.why, row.ratios, row.origins, ChosenBy(row.chosen_by)
    )
    return Chosen(key, choice, row.since, row.judged_on, row.horizon, row.quantile)


async def choose(connection: AsyncConnection, chosen: Sequence[Chosen]) -> None:
    """Write choices in the place of those there were."""
    if not chosen:
        return
    choices = [one.choice for one in chosen]
    await connection.execute(
        _CHOOSE,
        {
            "customers": [one.key.customer_id for one in chosen],
            "locations": [one.key.location_id for one in chosen],
            "items": [one.key.item_id for one in chosen],
            "models": [one.model for one in choices],
            "sinces": [one.since for one in chosen],
            "judged_ons": [one.judged_on for one in chosen],
            "mean_shares": [one.mean_share for one in choices],
            "spread_shares": [one.spread_share for one in choices],
            "horizons": [one.horizon for one in chosen],
            "quantiles": [one.quantile for one in chosen],
            "origins": [one.origins for one in choices],
            "whys": [one.why for one in choices],
            "ratios": [orjson.dumps(dict(one.ratios)).decode() for one in choices],
            "chosen_bys": [one.chosen_by.value for one in choices],
        },
    )


_CHOOSE = text(f"""
    INSERT INTO forecast_model ({_COLUMNS})
    SELECT * FROM unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]), CAST(:models AS text[]),
        CAST(:sinces AS date[]), CAST(:judged_ons AS date[]), CAST(:mean_shares AS double precision[]),
        CAST(:spread_shares AS double precision[]), CAST(:horizons AS int[]), CAST(:quantiles AS double precision[]),
        CAST(:origins AS int[]), CAST(:whys AS text[]), CAST(:ratios AS jsonb[]),
        CAST(:chosen_bys AS text[]))
    ON CONFLICT (customer_id, location_id, item_id) DO UPDATE SET
        model = excluded.model, since = excluded.since, judged_on = excluded.judged_on,
        mean_share = excluded.mean_share, spread_share = excluded.spread_share, horizon = excluded.horizon,
        quantile = excluded.quantile, origins = excluded.origins, why = excluded.why, ratios = excluded.ratios,
        chosen_by = excluded.chosen_by
""")  # noqa: S608 - our own words


async def calibrations(connection: AsyncConnection, location: Location) -> dict[str, Calibration]:
    """Return a location's calibrations by demand pattern."""
    result = await connection.execute(
        _CALIBRATIONS, {"customer": location.customer_id, "location": location.location_id}
    )
    return {
        row.pattern: Calibration(row.pattern, row.scale, row.through_day, row.outcomes, row.covered) for row in result
    }


_CALIBRATIONS = text("""
    SELECT pattern, scale, through_day, outcomes, covered FROM forecast_calibration
    WHERE customer_id = :customer AND location_id = :location
""")


async def calibrate(connection: AsyncConnection, location: Location, found: Mapping[str, Calibration]) -> None:
    """Write a location's calibrations in the place of those of the same patterns."""
    if found:
        rows = list(found.values())
        await connection.execute(
            _CALIBRATE,
            {
                "customer": location.customer_id,
                "location": location.location_id,
                "patterns": [one.pattern for one in rows],
                "scales": [one.scale for one in rows],
                "throughs": [one.through for one in rows],
                "outcomes": [one.outcomes for one in rows],
                "covered": [one.covered for one in rows],
            },
        )


_CALIBRATE = text("""
    INSERT INTO forecast_calibration (customer_id, location_id, pattern, scale, through_day, outcomes, covered)
    SELECT :customer, :location, * FROM unnest(
        CAST(:patterns AS text[]), CAST(:scales AS double precision[]), CAST(:throughs AS date[]),
        CAST(:outcomes AS bigint[]), CAST(:covered AS bigint[]))
    ON CONFLICT (customer_id, location_id, pattern) DO UPDATE SET
        scale = excluded.scale, through_day = excluded.through_day, outcomes = excluded.outcomes,
        covered = excluded.covered
""")

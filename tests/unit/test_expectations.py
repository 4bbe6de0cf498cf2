"""What demand an order must cover: from now until the next one arrives, by forecast or agreed rate."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import numpy as np
import pytest

from vmi_domain import forecasting
from vmi_domain.replenishment.expectations import Question, expectations
from vmi_domain.replenishment.needs import Basis, Expected, Policy, PolicyKind, ServiceMeasure
from vmi_domain.replenishment.opportunities import Calendar, next_opportunity
from vmi_domain.replenishment.quantities import OrderRules
from vmi_domain.replenishment.reviewing import Terms

MIDNIGHT = datetime(2025, 6, 2, tzinfo=UTC)
DAY = timedelta(days=1)


def terms(rate: float | None = None, measure: ServiceMeasure = ServiceMeasure.CYCLE_SERVICE) -> Terms:
    return Terms(
        supplier_id="dairy",
        calendar=Calendar(every_days=1, lead_time_days=3),
        policy=Policy(service_measure=measure),
        rules=OrderRules(multiple=Decimal(1)),
        lead_time_sd_days=0.5,
        expected_daily_demand=rate,
    )


NO_FORECAST = np.zeros(forecasting.WIDTH, np.float32)


def question(agreed: Terms, now: datetime = MIDNIGHT) -> Question:
    return Question(now, agreed, next_opportunity(agreed.calendar, now), "UTC", time(0, 0))


def expected_of(agreed: Terms, state: np.ndarray = NO_FORECAST, now: datetime = MIDNIGHT) -> Expected | None:
    [expected] = expectations([question(agreed, now)], state[None, :])
    return expected


def learned(daily: float, days: int = 60) -> np.ndarray:
    state = forecasting.start([np.nan])
    return forecasting.update(state, np.full((1, days), daily), date(2025, 6, 2) - days * DAY)[0]


def test_an_agreed_rate_covers_the_days_until_the_next_arrival() -> None:
    """At midnight: the order of this moment arrives in three days, the next one in four."""
    expected = expected_of(terms(rate=10.0))

    assert expected is not None
    assert expected.basis is Basis.AGREED_RATE
    assert expected.until_next_arrival.days == 4
    assert expected.until_next_arrival.mean == pytest.approx(40)
    assert expected.lead_time_sd_days == 0.5


def test_demand_runs_from_now_not_from_the_opportunity() -> None:
    expected = expected_of(terms(rate=10.0), now=MIDNIGHT + DAY / 4)

    assert expected is not None
    assert expected.until_next_arrival.days == 4.75, "18 hours to the cut-off, and four days"


def test_history_goes_before_the_agreed_rate() -> None:
    expected = expected_of(terms(rate=10.0), learned(5.0))

    assert expected is not None
    assert expected.basis is Basis.HISTORY
    assert expected.until_next_arrival.mean == pytest.approx(20, rel=0.05)


def test_a_rate_that_is_agreed_after_the_last_day_was_learned_counts_at_once() -> None:
    """The shelf was reported first, and its series begun, a moment before the agreement came."""
    begun = forecasting.start([np.nan])[0]

    expected = expected_of(terms(rate=10.0), begun)

    assert expected is not None
    assert expected.basis is Basis.AGREED_RATE
    assert expected.until_next_arrival.mean == pytest.approx(40)


def test_where_nothing_is_known_nothing_is_expected() -> None:
    nothing_sold = forecasting.start([np.nan])[0]

    assert expectations([question(terms()), question(terms())], np.stack([NO_FORECAST, nothing_sold])) == [None, None]


def test_the_demand_until_the_arrival_is_told_apart() -> None:
    expected = expected_of(terms(10.0))

    assert expected is not None
    assert expected.until_arrival is not None
    assert expected.until_arrival.mean == pytest.approx(30)


def test_days_of_supply_are_counted_from_the_end_of_the_day_of_the_arrival() -> None:
    agreed = replace(terms(10.0), policy=Policy(PolicyKind.DAYS_OF_SUPPLY, minimum_days=2, maximum_days=5))

    expected = expected_of(agreed)

    assert expected is not None
    assert expected.until_minimum is not None
    assert expected.until_minimum.days == 3 + 1 + 2
    assert expected.until_maximum is not None
    assert expected.until_maximum.mean == pytest.approx(90)


def test_no_questions_no_expectations() -> None:
    assert expectations([], np.zeros((0, forecasting.WIDTH), np.float32)) == []


def test_items_that_share_a_question_are_told_what_each_would_be_told_alone() -> None:
    """Some before their cut-off, some at it; some by history, some by rate, some by days of supply."""
    supplied = replace(terms(4.0), policy=Policy(PolicyKind.DAYS_OF_SUPPLY, minimum_days=2, maximum_days=5))
    asked = [question(terms(10.0)), question(terms(10.0), MIDNIGHT + DAY / 4), question(supplied)]
    states = np.stack([NO_FORECAST, learned(5.0), learned(0.3, days=20), forecasting.start([2.0])[0]])
    pairs = [(one, state) for state in states for one in asked]

    together = expectations([one for one, _ in pairs], np.stack([state for _, state in pairs]))

    assert together == [expectations([replace(one)], state[None, :])[0] for one, state in pairs]

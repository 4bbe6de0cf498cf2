"""The fixed rule the service is compared with."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmi_demo import erp_rule
from vmi_demo.erp_rule import Bounds
from vmi_demo.shelves import Outcome, Shelves, outcome

ONE = np.array([1])


def one(number: float) -> np.ndarray:
    return np.array([[number]])


def wanted(*by_day: int) -> np.ndarray:
    return np.array(by_day).reshape(-1, 1, 1)


def test_the_minimum_covers_lead_time_review_and_a_week_and_the_maximum_one_review_more():
    history = wanted(0, 4, 2, 2)

    rule = erp_rule.bounds(history, lead_time_days=3, review_days=1)

    assert rule.minimum.item() == 22
    assert rule.maximum.item() == 24


def test_what_is_ordered_at_the_end_of_a_day_can_be_sold_after_the_lead_time():
    rule = Bounds(one(2), one(6))

    short = erp_rule.replay(wanted(4, 1, 1, 1, 5), rule, opening=one(4).astype(int), packs=ONE, lead_time_days=3)[0]

    # Day 0 empties the shelf and orders 6; they come at the end of day 3, so days 1 to 3 lose one unit each.
    assert short.fill_rate == pytest.approx(9 / 12)
    assert short.short_item_days == 3
    assert short.average_stock == pytest.approx((0 + 0 + 0 + 0 + 1) / 5)
    assert short.days_of_cover == pytest.approx(1 / 12)


def test_the_first_orders_go_out_on_the_evening_before_the_first_day():
    rule = Bounds(one(4), one(6))

    ended = erp_rule.replay(wanted(4, 2), rule, opening=one(4).astype(int), packs=ONE, lead_time_days=1)[0]

    assert ended.fill_rate == 1


def test_orders_are_rounded_up_to_packs():
    rule = Bounds(one(1), one(2))

    ended = erp_rule.replay(wanted(0, 0, 0), rule, opening=one(0).astype(int), packs=np.array([12]), lead_time_days=1)[
        0
    ]

    assert ended.average_stock == pytest.approx((0 + 12 + 12) / 3)


def test_what_is_on_order_is_not_ordered_again():
    rule = Bounds(one(5), one(5))

    ended = erp_rule.replay(wanted(0, 0, 0, 0), rule, opening=one(0).astype(int), packs=ONE, lead_time_days=2)[0]

    assert ended.average_stock == pytest.approx((0 + 0 + 5 + 5) / 4)


@settings(deadline=None, max_examples=50)
@given(
    demand=st.lists(st.integers(0, 9), min_size=1, max_size=30),
    minimum=st.floats(0, 20),
    width=st.floats(0, 10),
    pack=st.integers(1, 6),
    lead_time_days=st.integers(1, 4),
    opening=st.integers(0, 20),
)
def test_the_vectorised_replay_agrees_with_shelves_run_day_by_day(
    demand, minimum, width, pack, lead_time_days, opening
):
    shelves = Shelves(np.array([[opening]]))
    on_order: dict[int, int] = {}

    def order(day: int) -> None:
        position = int(shelves.stock[0, 0]) + sum(on_order.values())
        if position <= round(minimum, 9):
            packs = max(0, int(np.ceil((round(minimum + width, 9) - position) / pack)))
            on_order[day + lead_time_days] = packs * pack

    order(-1)
    for day, units in enumerate(demand):
        shelves.sell(0, np.array([0]), np.array([units]))
        shelves.close_day()
        order(day)
        shelves.receive(0, 0, on_order.pop(day, 0))

    replayed = erp_rule.replay(
        wanted(*demand),
        Bounds(one(minimum), one(minimum + width)),
        opening=np.array([[opening]]),
        packs=np.array([pack]),
        lead_time_days=lead_time_days,
    )[0]

    alone = outcome(shelves)
    assert replayed.short_item_days == alone.short_item_days
    assert replayed.average_stock == pytest.approx(alone.average_stock)
    if sum(demand):
        assert replayed.fill_rate == pytest.approx(alone.fill_rate)
        assert replayed.days_of_cover == pytest.approx(alone.days_of_cover)
    else:
        assert replayed.fill_rate == 1


def test_each_cover_is_replayed_as_if_alone():
    demand = wanted(*[3, 0, 5, 1, 4] * 6)
    rule = erp_rule.bounds(demand, lead_time_days=3, review_days=1)
    opening = erp_rule.opening_stock(rule, ONE)
    covers = (0.2, 0.5, 1.0)

    together = erp_rule.replay(demand, rule, opening=opening, packs=ONE, lead_time_days=3, covers=covers)

    alone = [
        erp_rule.replay(demand, rule, opening=opening, packs=ONE, lead_time_days=3, covers=(cover,))[0]
        for cover in covers
    ]
    assert together == alone


def point(fill_rate: float, average_stock: float, short_item_days: int = 0) -> Outcome:
    return Outcome(fill_rate, average_stock, average_stock / 10, short_item_days)


def test_the_stock_at_the_same_fill_rate_lies_between_the_two_covers_around_it():
    curve = [point(0.80, 100, 40), point(0.90, 200, 20), point(0.96, 320, 8)]

    at_same = erp_rule.at_fill_rate(0.94, curve)

    assert at_same is not None
    assert at_same.average_stock == pytest.approx(280)
    assert at_same.days_of_cover == pytest.approx(28)
    assert at_same.short_item_days == 12


def test_a_fill_rate_the_rule_never_reaches_has_no_stock():
    assert erp_rule.at_fill_rate(0.99, [point(0.80, 100), point(0.90, 200)]) is None


def test_a_fill_rate_below_the_curve_takes_its_smallest_cover():
    lowest = point(0.80, 100)

    assert erp_rule.at_fill_rate(0.7, [lowest, point(0.90, 200)]) == lowest

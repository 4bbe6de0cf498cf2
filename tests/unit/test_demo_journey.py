"""What the demo takes from the data."""

from datetime import UTC, date, datetime

import numpy as np
import pytest

from vmi_demo import journey, purchases
from vmi_demo.purchases import Purchases

MILK, BREAD, CAVIAR = 0, 1, 2


def bought(*lines: tuple[int, int, str, int, int]) -> Purchases:
    """Purchases from (store, basket, UTC time, kind, quantity)."""
    store, basket, at, kind, quantity = zip(*lines, strict=True)
    return Purchases(
        np.array(store),
        np.array(basket),
        np.array(at, dtype="datetime64[s]"),
        np.array(kind),
        np.array(quantity),
        ("FLUID MILK", "BREAD:RYE", "CAVIAR"),
    )


YEAR = bought(
    (7, 1, "2017-01-01T15:00:00", MILK, 2),
    (7, 1, "2017-01-01T15:00:00", BREAD, 1),
    (7, 2, "2017-01-02T04:30:00", MILK, 1),  # half past eleven in the evening of the first of January in New York
    (7, 3, "2017-01-02T18:00:00", MILK, 4),
    (9, 4, "2017-01-01T18:00:00", BREAD, 5),
    (7, 5, "2017-04-02T16:00:00", BREAD, 3),  # the day before the live part begins
    (9, 6, "2017-04-03T16:00:00", CAVIAR, 9),
    (7, 7, "2017-04-03T20:00:00", MILK, 1),
    (7, 8, "2017-04-03T16:00:00", MILK, 1),
    (7, 8, "2017-04-03T16:00:00", BREAD, 2),
    (7, 8, "2017-04-03T16:00:00", MILK, 2),
    (9, 9, "2017-07-01T16:00:00", CAVIAR, 9),  # the last day of the data
)


def test_a_sale_late_in_the_evening_belongs_to_that_day_of_the_store_not_to_the_next_of_greenwich():
    chosen = journey.choose(YEAR, stores=1, items=2, days=90)

    assert chosen.history_days[:2] == (date(2017, 1, 1), date(2017, 1, 2))
    assert chosen.history[0].tolist() == [[3, 1]]
    assert chosen.history[1].tolist() == [[4, 0]]
    assert chosen.history_last_sale[0, 0] == datetime(2017, 1, 2, 4, 30, tzinfo=UTC)


def test_the_last_ninety_days_are_live_and_what_lies_before_is_history():
    chosen = journey.choose(YEAR, stores=1, items=2, days=90)

    assert chosen.history_days[-1] == date(2017, 4, 2)
    assert chosen.live_days[0] == date(2017, 4, 3)
    assert chosen.live_days[-1] == date(2017, 7, 1)


def test_fewer_live_days_begin_on_the_same_day_and_end_earlier():
    chosen = journey.choose(YEAR, stores=1, items=2, days=2)

    assert chosen.live_days == (date(2017, 4, 3), date(2017, 4, 4))
    assert chosen.history_days[-1] == date(2017, 4, 2)


def test_more_live_days_begin_earlier():
    assert journey.choose(YEAR, stores=1, items=2, days=91).live_days[0] == date(2017, 4, 2)


def test_no_history_left_is_refused():
    with pytest.raises(ValueError, match="at least one of them must be history"):
        journey.choose(YEAR, stores=1, items=2, days=182)


def test_stores_and_items_are_chosen_by_the_history_not_by_what_is_to_come():
    chosen = journey.choose(YEAR, stores=2, items=2, days=90)

    assert chosen.stores == ("7", "9")
    assert chosen.items == ("bread-rye", "fluid-milk") or chosen.items == ("fluid-milk", "bread-rye")
    assert "caviar" not in chosen.items


def test_baskets_come_in_time_order_and_name_each_item_once():
    chosen = journey.choose(YEAR, stores=1, items=2, days=90)
    milk, bread = chosen.items.index("fluid-milk"), chosen.items.index("bread-rye")

    first, second = chosen.baskets[0]

    assert (first.basket_id, second.basket_id) == (8, 7)
    assert first.at == datetime(2017, 4, 3, 16, tzinfo=UTC)
    assert dict(zip(first.items.tolist(), first.wanted.tolist(), strict=True)) == {milk: 3, bread: 2}
    assert chosen.wanted[0, 0].sum() == 6


def test_petrol_coupons_and_nameless_goods_are_left_out():
    kept = purchases.goods_only(
        store=np.array([1, 1, 1, 1, 1, 1]),
        basket=np.arange(6),
        product=np.array([10, 20, 30, 40, 50, 10]),
        quantity=np.array([1, 9000, 1, 1, 1, 0]),
        at=np.array(["2017-01-01"] * 6, dtype="datetime64[s]"),
        products=[
            (10, "GROCERY", "MILK"),
            (20, "MISCELLANEOUS", "GASOLINE-REG UNLEADED"),
            (30, "COUPON", "COUPONS"),
            (40, "GROCERY", None),
        ],
    )

    assert kept.basket.tolist() == [0]
    assert kept.kinds == ("MILK",)


def test_two_kinds_whose_names_differ_in_signs_only_get_two_identifiers():
    assert journey.item_ids(["PREMIUM - MEAT", "PREMIUM MEAT"]) == ("premium-meat", "premium-meat-2")

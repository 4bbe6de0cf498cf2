"""Short supply shared out, sources by share, promises, and what deliveries teach (S27, F58 to F62)."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmi_domain.replenishment.promising import Limit, Promise, Statement
from vmi_domain.replenishment.quantities import Constraint, OrderRules, to_order
from vmi_domain.replenishment.reliability import Delivery, deliveries_of, learned
from vmi_domain.replenishment.sharing import Claim, Rule, Source, next_source, share_out
from vmi_domain.stock.supply_facts import Accepted, Ordered, Received, Shipped

MONDAY = datetime(2025, 3, 3, tzinfo=UTC)
DAY = timedelta(days=1)


def needs(*quantities: int, **more: object) -> list[Claim[str]]:
    return [Claim(name, Decimal(need), **more) for name, need in zip("abcdef", quantities, strict=False)]  # type: ignore[arg-type]


def shares(available: int | str, claims: list[Claim[str]], rule: Rule = Rule.PROPORTIONAL) -> list[Decimal]:
    return list(share_out(Decimal(available), claims, rule).values())


def test_s27_short_supply_is_shared_by_need():
    assert shares(120, needs(100, 60, 40)) == [60, 36, 24]


def test_s27_everybody_reaches_the_same_percentage_of_the_target():
    stock, targets = (20, 50, 5), (100, 100, 50)
    claims = [
        Claim(name, Decimal(target - held), target=Decimal(target), position=Decimal(held))
        for name, held, target in zip("abc", stock, targets, strict=True)
    ]

    assert shares(100, claims, Rule.EQUAL_SHARE_OF_TARGET) == [50, 20, 30]


def test_who_stands_above_the_percentage_gets_nothing_and_the_others_share():
    claims = [
        Claim("a", Decimal(10), target=Decimal(100), position=Decimal(90)),
        Claim("b", Decimal(100), target=Decimal(100), position=Decimal(0)),
        Claim("c", Decimal(100), target=Decimal(100), position=Decimal(0)),
    ]

    assert shares(100, claims, Rule.EQUAL_SHARE_OF_TARGET) == [0, 50, 50]


def test_s27_what_a_quota_does_not_need_goes_to_the_others():
    claims = [
        Claim("a", Decimal(10), quota=Decimal("0.5")),
        Claim("b", Decimal(100), quota=Decimal("0.3")),
        Claim("c", Decimal(100), quota=Decimal("0.2")),
    ]

    assert shares(110, claims, Rule.QUOTA) == [10, 60, 40]


def test_s27_first_priorities_go_first_and_share_within():
    claims = [
        Claim("a", Decimal(50), priority=2),
        Claim("b", Decimal(60), priority=1),
        Claim("c", Decimal(30), priority=2),
    ]

    assert shares(100, claims, Rule.PRIORITY) == [25, 60, 15]


def test_s27_firm_commitments_go_before_the_rest():
    claims = [Claim("a", Decimal(40), firm=Decimal(40)), Claim("b", Decimal(80)), Claim("c", Decimal(40))]

    assert shares(100, claims) == [40, 40, 20]


def test_s27_of_packs_the_largest_remainder_comes_first_and_then_the_first_name():
    assert shares(10, needs(10, 10, 10, pack=Decimal(2))) == [4, 4, 2]
    assert shares(36, needs(48, 24, pack=Decimal(12))) == [24, 12]
    assert shares(30, needs(24, 24, pack=Decimal(12))) == [12, 12]


@given(
    available=st.decimals(0, 500, places=2),
    quantities=st.lists(st.tuples(st.integers(0, 20), st.integers(1, 12), st.integers(0, 5)), min_size=1, max_size=6),
    rule=st.sampled_from(Rule),
    seed=st.integers(0, 1000),
)
def test_a_share_is_whole_packs_within_the_need_and_the_supply_in_whatever_order(available, quantities, rule, seed):
    claims = [
        Claim(
            str(name),
            Decimal(packs * pack),
            firm=Decimal(firm),
            target=Decimal(packs * pack + 10),
            position=Decimal(10),
            priority=1 + firm % 2,
            pack=Decimal(pack),
        )
        for name, (packs, pack, firm) in enumerate(quantities)
    ]
    shuffled = list(claims)
    Random(seed).shuffle(shuffled)

    found = share_out(available, claims, rule)

    assert share_out(available, shuffled, rule) == found
    assert sum(found.values()) <= available
    for claim in claims:
        assert 0 <= found[claim.name] <= claim.need
        assert found[claim.name] % claim.pack == 0
    if sum(claim.need for claim in claims) <= available:
        assert all(found[claim.name] == claim.need for claim in claims)


def test_two_sources_of_60_and_40_percent_share_ten_proposals_six_to_four():
    sources = [Source("dairy", Decimal("0.6")), Source("farm", Decimal("0.4"))]
    given_so_far: dict[str, Decimal] = {}
    for _ in range(10):
        chosen = next_source(sources, given_so_far).supplier_id
        given_so_far[chosen] = given_so_far.get(chosen, Decimal(0)) + 1

    assert given_so_far == {"dairy": 6, "farm": 4}


def test_a_second_priority_waits_until_there_is_no_first():
    sources = [Source("abroad", priority=2), Source("dairy", priority=1)]

    assert next_source(sources, {"dairy": Decimal(1000)}).supplier_id == "dairy"
    assert next_source(sources[:1], {}).supplier_id == "abroad"


def test_production_counts_from_the_day_on_which_it_can_be_shipped():
    said = Statement(MONDAY, on_hand=Decimal(10), production=[(date(2025, 3, 5), Decimal(20))])

    assert said.promised_by(date(2025, 3, 4)) == 10
    assert said.promised_by(date(2025, 3, 5)) == 30
    assert Statement(MONDAY, available=Decimal(4), on_hand=Decimal(10)).promised_by(date(2025, 3, 4)) == 4


def test_thirty_of_fifty_can_be_promised_and_twenty_are_backlog():
    sized = to_order(missing=Decimal(50), position=Decimal(0), rules=OrderRules(available=Decimal(30)))
    promise = Promise(Limit.CAP, MONDAY, Decimal(30), wanted=Decimal(50), share=Decimal(30))

    assert (sized.quantity, sized.binding) == (30, Constraint.SUPPLY)
    assert promise.short == 20
    assert promise.confidence == pytest.approx(0.6)


def test_what_can_be_promised_is_cut_to_whole_packs():
    rules = OrderRules(multiple=Decimal(12), available=Decimal(30))

    assert to_order(missing=Decimal(50), position=Decimal(0), rules=rules).quantity == 24


def deliveries(*days: float, received: int = 10) -> list[Delivery]:
    return [
        Delivery(MONDAY + place * DAY, MONDAY + (place + taken) * DAY, Decimal(10), Decimal(received))
        for place, taken in enumerate(days)
    ]


def test_twenty_receipts_show_the_lead_time_and_its_spread():
    found = learned(deliveries(*([4.0, 5.0, 6.0, 5.0] * 5)), lead_time_days=5)

    assert found is not None
    assert found.deliveries == 20
    assert found.lead_time_days == pytest.approx(5.0)
    assert found.lead_time_sd_days == pytest.approx(0.7255, abs=1e-3)
    assert found.on_time_in_full == 1.0


def test_one_lost_truck_is_not_the_lead_time():
    usual = [4.0, 5.0, 6.0, 5.0] * 5
    found, without = learned(deliveries(*usual, 60.0)), learned(deliveries(*usual))

    assert found is not None
    assert without is not None
    assert found.lead_time_days < without.lead_time_days + 0.5
    assert found.lead_time_sd_days < 2.0


def test_what_comes_late_or_short_is_not_on_time_in_full():
    found = learned([*deliveries(5, 5, 5, 9), *deliveries(5, received=8)], lead_time_days=5)

    assert found is not None
    assert found.on_time_in_full == pytest.approx(0.6)
    assert found.in_full == pytest.approx(48 / 50)


def test_few_deliveries_teach_nothing():
    assert learned(deliveries(5, 5, 5, 5)) is None


def test_deliveries_are_orders_with_their_receipts_by_name_by_shipment_or_the_oldest_that_waits() -> None:
    facts = [
        Ordered("order-1", Decimal(10), MONDAY, fact_id=UUID(int=1)),
        Received("receipt-1", Decimal(4), MONDAY + 3 * DAY, order_id="order-1", fact_id=UUID(int=2)),
        Received("receipt-2", Decimal(6), MONDAY + 5 * DAY, fact_id=UUID(int=3)),
        Accepted(UUID(int=9), Decimal(20), MONDAY + DAY, fact_id=UUID(int=4)),
        Shipped("truck", Decimal(20), MONDAY + 2 * DAY, proposal_id=UUID(int=9), fact_id=UUID(int=5)),
        Received("receipt-3", Decimal(18), MONDAY + 6 * DAY, shipment_id="truck", completed=True, fact_id=UUID(int=6)),
        Ordered("order-2", Decimal(10), MONDAY + 9 * DAY, fact_id=UUID(int=7)),
    ]

    one, two = deliveries_of(facts)

    assert (one.ordered_at, one.received_at, one.ordered, one.received) == (MONDAY, MONDAY + 5 * DAY, 10, 10)
    assert (two.received_at - two.ordered_at, two.ordered, two.received) == (5 * DAY, 20, 18)
    assert two.proposal_id == UUID(int=9)

"""Supply lines: each unit in one stage only, vectors S10, S11 and S12, and what names what."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from uuid import UUID

from vmi_domain.stock.closed_supply import closed
from vmi_domain.stock.position import Authority, Basis, Count, Movement, fold, inventory_position, stock
from vmi_domain.stock.supply import Stage, supply_lines, totals
from vmi_domain.stock.supply_facts import Accepted, Fact, Ordered, Received, Shipped

MONDAY = datetime(2025, 3, 3, 9, tzinfo=UTC)
PROPOSAL = UUID(int=1)
OTHER_PROPOSAL = UUID(int=2)


def day(number: int) -> datetime:
    return MONDAY + timedelta(days=number)


def accepted(quantity: int, number: int = 0, proposal: UUID = PROPOSAL, revision: int = 0) -> Accepted:
    return Accepted(proposal, Decimal(quantity), day(number), revision=revision)


def ordered(order: str, quantity: int, number: int, proposal: UUID | None = None, revision: int = 0) -> Ordered:
    return Ordered(order, Decimal(quantity), day(number), proposal_id=proposal, revision=revision)


def shipped(
    shipment: str,
    quantity: int,
    number: int,
    order: str | None = None,
    *,
    proposal: UUID | None = None,
    eta: datetime | None = None,
    revision: int = 0,
) -> Shipped:
    return Shipped(
        shipment,
        Decimal(quantity),
        day(number),
        order_id=order,
        proposal_id=proposal,
        expected_at=eta,
        revision=revision,
    )


def received(
    receipt: str,
    quantity: int,
    number: int,
    shipment: str | None = None,
    order: str | None = None,
    *,
    completed: bool = False,
) -> Received:
    return Received(receipt, Decimal(quantity), day(number), shipment_id=shipment, order_id=order, completed=completed)


def stages(*facts: Fact) -> dict[str, int]:
    """Return the quantity in each stage, whatever the order of arrival."""
    lines = supply_lines(facts)
    if len(facts) <= 5:
        assert all(supply_lines(order) == lines for order in permutations(facts))
    quantities: dict[str, int] = {}
    for line in lines:
        quantities[line.stage] = quantities.get(line.stage, 0) + int(line.quantity)
    return quantities


def test_s10_one_quantity_goes_from_stage_to_stage() -> None:
    arrived: list[Fact] = []
    positions = []
    for fact in (
        accepted(100),
        shipped("S", 100, 1, proposal=PROPOSAL),
        received("R1", 60, 2, "S"),
        received("R2", 30, 3, "S", completed=True),
    ):
        arrived.append(fact)
        movements = [
            Movement(fact.at, fact.quantity, is_receipt=True) for fact in arrived if isinstance(fact, Received)
        ]
        supply = totals(supply_lines(arrived), None)
        held = stock(fold([], movements), supply, authority=Authority.LEDGER, basis=Basis.GROSS)
        positions.append((held.physical, held.on_order, held.in_transit, inventory_position(held)))

    assert positions == [(0, 100, 0, 100), (0, 0, 100, 100), (60, 0, 40, 100), (90, 0, 0, 90)]
    assert stages(*arrived) == {"received": 90, "short": 10}


def test_s10_a_receipt_over_the_shipment_closes_it_and_touches_nothing_else() -> None:
    assert stages(
        ordered("O1", 100, 0), ordered("O2", 50, 0), shipped("S", 100, 1, "O1"), received("R", 110, 2, "S")
    ) == {"ordered": 50, "received": 110}


def test_s10_a_receipt_without_a_shipment_consumes_the_oldest_order() -> None:
    assert stages(accepted(100), received("R", 60, 2)) == {"ordered": 40, "received": 60}


def test_s10_what_nobody_announced_is_unsolicited() -> None:
    [line] = supply_lines([received("R", 5, 0)])

    assert line.is_unsolicited
    assert (line.stage, line.quantity) == (Stage.RECEIVED, 5)


def test_s11_a_report_that_holds_the_shipment_before_its_receipt_does_not_count_it_twice() -> None:
    facts: list[Fact] = [shipped("S", 60, 0, eta=day(1))]
    counts = [Count(day(0), Decimal(10))]
    movements: list[Movement] = []

    def position() -> Decimal:
        balance = fold(counts, movements)
        supply = totals(supply_lines(facts), balance.counted_at)
        return inventory_position(stock(balance, supply, authority=Authority.SNAPSHOT, basis=Basis.GROSS))

    assert position() == 70
    counts.append(Count(day(2), Decimal(70)))
    assert position() == 70
    facts.append(received("R", 60, 1, "S"))
    movements.append(Movement(day(1), Decimal(60), is_receipt=True))
    assert position() == 70


def test_s12_proposal_order_shipment_and_receipt_are_stages_of_one_quantity() -> None:
    chain: list[Fact] = [
        accepted(100),
        ordered("O", 100, 1, PROPOSAL),
        shipped("S", 100, 2, "O"),
        received("R", 100, 3, "S"),
    ]

    assert [stages(*chain[:length]) for length in (1, 2, 3, 4)] == [
        {"ordered": 100},
        {"ordered": 100},
        {"shipped": 100},
        {"received": 100},
    ]
    [line] = supply_lines(chain)
    assert (line.proposal_id, line.order_id, line.shipment_id) == (PROPOSAL, "O", "S")


def test_s12_a_changed_shipment_nets_again() -> None:
    facts = [ordered("O", 100, 0), shipped("S", 100, 1, "O"), shipped("S", 70, 1, "O", revision=1)]

    assert stages(*facts) == {"ordered": 30, "shipped": 70}


def test_an_order_without_a_proposal_takes_over_the_oldest_open_one() -> None:
    facts = [accepted(100), accepted(80, 1, OTHER_PROPOSAL), ordered("O", 100, 2)]

    assert stages(*facts) == {"ordered": 180}
    ways = {(line.proposal_id, line.order_id) for line in supply_lines(facts)}
    assert ways == {(PROPOSAL, "O"), (OTHER_PROPOSAL, None)}


def test_an_order_that_was_there_before_the_proposal_is_a_supply_of_its_own() -> None:
    assert stages(ordered("O", 100, 0), accepted(80, 5)) == {"ordered": 180}


def test_two_orders_may_serve_one_proposal_and_a_larger_one_brings_more() -> None:
    assert stages(accepted(100), ordered("O1", 60, 1, PROPOSAL), ordered("O2", 70, 1, PROPOSAL)) == {"ordered": 130}


def test_a_cancelled_order_cancels_what_it_took_over() -> None:
    facts = [accepted(100), ordered("O", 100, 1, PROPOSAL), ordered("O", 0, 1, PROPOSAL, revision=1)]

    assert stages(*facts) == {"cancelled": 100}


def test_an_order_that_nobody_accepted_before_is_cancelled_for_its_proposal_too() -> None:
    order, less, none = (
        ordered("O", quantity, 1, PROPOSAL, revision) for revision, quantity in enumerate((100, 40, 0))
    )

    assert stages(order, less) == {"ordered": 40, "cancelled": 60}
    assert stages(order, less, none) == {"cancelled": 100}
    assert [line.proposal_id for line in supply_lines([order, none])] == [PROPOSAL]


def test_an_order_of_a_proposal_we_do_not_know_takes_over_nothing() -> None:
    assert stages(accepted(100), ordered("O", 40, 1, OTHER_PROPOSAL)) == {"ordered": 140}


def test_an_order_written_after_the_goods_left_is_no_new_supply() -> None:
    assert stages(accepted(100), shipped("S", 100, 1), ordered("O", 100, 4, PROPOSAL)) == {"shipped": 100}


def test_a_shipment_without_an_order_serves_the_oldest() -> None:
    facts = [ordered("O1", 50, 0), ordered("O2", 50, 1), shipped("S", 70, 2)]

    assert stages(*facts) == {"ordered": 30, "shipped": 70}
    assert [line.order_id for line in supply_lines(facts) if line.stage is Stage.ORDERED] == ["O2"]


def test_a_shipment_without_a_name_leaves_to_others_what_they_name() -> None:
    facts = [ordered("O1", 50, 0), ordered("O2", 50, 1), shipped("S1", 50, 2), shipped("S2", 50, 3, "O1")]

    assert stages(*facts) == {"shipped": 100}


def test_more_shipped_than_ordered_is_on_its_way_all_the_same() -> None:
    assert stages(ordered("O", 50, 0), shipped("S", 70, 1, "O")) == {"shipped": 70}


def test_a_receipt_may_name_the_order_alone() -> None:
    facts = [ordered("O1", 50, 0), ordered("O2", 50, 0), shipped("S", 30, 1, "O2"), received("R", 40, 2, order="O2")]

    assert stages(*facts) == {"ordered": 60, "received": 40}


def test_a_completed_order_expects_nothing_more() -> None:
    facts = [ordered("O", 50, 0), shipped("S", 30, 1, "O"), received("R", 30, 2, order="O", completed=True)]

    assert stages(*facts) == {"received": 30, "short": 20}


def test_a_receipt_that_names_nothing_takes_what_is_in_transit_first() -> None:
    facts = [ordered("O", 50, 0), shipped("S", 30, 1, "O"), received("R", 40, 2)]

    assert stages(*facts) == {"ordered": 10, "received": 40}


def test_a_delivery_of_last_week_does_not_eat_what_is_shipped_today() -> None:
    facts = [ordered("O1", 100, 0), received("R", 100, 3), ordered("O2", 100, 5), shipped("S", 100, 6)]

    assert stages(*facts) == {"received": 100, "shipped": 100}


def test_documents_dated_by_their_day_alone_still_follow_each_other() -> None:
    midnight = datetime(2025, 3, 3, tzinfo=UTC)
    facts = [ordered("O", 100, 0), Shipped("S", Decimal(100), midnight)]

    assert stages(*facts) == {"shipped": 100}


def test_an_order_that_is_dated_after_its_own_shipment_is_still_its_order() -> None:
    assert stages(ordered("O", 100, 5), shipped("S", 100, 2, "O")) == {"shipped": 100}


def test_a_smaller_and_then_larger_order_meant_its_proposal_as_a_whole() -> None:
    facts = [accepted(100), *(ordered("O", q, 1, PROPOSAL, revision=r) for r, q in enumerate((30, 100, 20)))]

    assert stages(*facts) == {"ordered": 20, "cancelled": 80}


def test_the_last_word_on_a_proposal_counts() -> None:
    assert stages(accepted(100), accepted(60, revision=1)) == {"ordered": 60}


def test_a_shipment_is_expected_when_its_last_document_says() -> None:
    facts: list[Fact] = [
        Ordered("O", Decimal(10), day(0), expected_at=day(5)),
        Shipped("S", Decimal(10), day(1), order_id="O", expected_at=day(6)),
    ]

    assert [line.expected_at for line in supply_lines(facts[:1])] == [day(5)]
    assert [line.expected_at for line in supply_lines(facts)] == [day(6)]


def test_of_years_of_deliveries_the_latest_stay_and_so_does_what_is_open() -> None:
    told: list[Fact] = []
    for week in range(300):
        ordered_at = MONDAY + week * timedelta(days=7)
        told += [
            Ordered(f"O{week}", Decimal(10), ordered_at, fact_id=UUID(int=10 + 2 * week)),
            Received(
                f"R{week}",
                Decimal(10),
                ordered_at + 3 * timedelta(days=1),
                order_id=f"O{week}",
                fact_id=UUID(int=11 + 2 * week),
            ),
        ]
    never_came = Ordered("lost", Decimal(5), MONDAY - timedelta(days=400), proposal_id=PROPOSAL, fact_id=UUID(int=1))

    gone = closed([never_came, *told], [never_came, *told], deliveries_kept=50)

    assert gone == set(told[: 2 * (300 - 50)])

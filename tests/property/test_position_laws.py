"""Laws of the pure fold: a position depends on when facts happened, not on when or how often we learned of them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from vmi_domain.stock.position import ABSOLUTE, Count, Movement, fold
from vmi_testing.examples import examples

BEGIN = datetime(2025, 3, 28, tzinfo=UTC)

moments = st.integers(0, 5 * 24 * 2).map(lambda half_hours: BEGIN + timedelta(minutes=30 * half_hours))
quantities = st.integers(0, 50).map(Decimal)

movements = st.builds(Movement, moments, st.integers(-50, 50).map(Decimal), st.booleans())
counts = st.builds(
    Count,
    moments,
    quantities,
    quantities,
    quantities,
    quantities,
    st.integers(0, 2),
    st.sampled_from(sorted(ABSOLUTE)),
    st.uuids(),
)


@settings(max_examples=examples(300, nightly=10_000), deadline=None)
@given(said=st.lists(counts, max_size=5), moved=st.lists(movements, max_size=15), data=st.data())
def test_p01_the_order_in_which_facts_arrive_does_not_change_the_fold(
    said: list[Count], moved: list[Movement], data: st.DataObject
) -> None:
    assert fold(data.draw(st.permutations(said)), data.draw(st.permutations(moved))) == fold(said, moved)


@given(said=st.lists(counts, min_size=1, max_size=5), moved=st.lists(movements, max_size=15))
def test_an_older_count_and_what_moved_before_the_last_one_change_nothing(
    said: list[Count], moved: list[Movement]
) -> None:
    last = max(said, key=lambda count: count.order)

    assert fold(said, moved) == fold([last], [one for one in moved if one.occurred_at > last.as_of])

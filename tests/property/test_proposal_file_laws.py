"""Laws of proposals from files: no peeking, no order of rows, more stock asks for no more."""

from datetime import date, timedelta
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vmi_domain.forecasting.panel import Period
from vmi_files import proposals
from vmi_files.periods import Periods

AS_OF = date(2025, 6, 2)
SLOW = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

rows = st.lists(
    st.builds(
        lambda place, item, back, quantity, stocked: (
            f"{place},{item},{AS_OF - timedelta(days=back)},{quantity},{stocked}"
        ),
        st.sampled_from("ab"),
        st.sampled_from("xyz"),
        st.integers(1, 90),
        st.integers(0, 20),
        st.sampled_from(["", "true", "false", "0.5", "0"]),
    ),
    max_size=120,
)


def propose(
    folder: Path, lines: list[str], *, on_hand: int = 4, agreed: str = "*,*,2,7,fill_rate,3"
) -> list[list[str]]:
    sales, stock, agreements, out = (folder / f"{name}.csv" for name in ("sales", "stock", "agreements", "out"))
    sales.write_text("\n".join(["location_id,item_id,date,quantity,in_stock", *lines]))
    stock.write_text("location_id,item_id,on_hand\n" + "".join(f"{a},{i},{on_hand}\n" for a in "ab" for i in "xyz"))
    header = "location_id,item_id,lead_time_days,review_days,service_measure,pack"
    agreements.write_text(f"{header}\n{agreed}\n")
    order = proposals.Order(
        str(sales), str(stock), str(agreements), Periods(Period.DAY, AS_OF), everything=True
    )  # fmt: skip
    proposals.run(order, str(out), warn=lambda text: None, told=lambda share: None)
    return [line.split(",") for line in out.read_text().splitlines()]


@SLOW
@given(lines=rows, later=rows)
def test_rows_after_the_as_of_day_change_nothing(tmp_path: Path, lines: list[str], later: list[str]) -> None:
    moved = []
    for line in later:
        cells = line.split(",")
        ahead_of_it = (AS_OF - date.fromisoformat(cells[2])).days - 1
        moved.append(",".join([*cells[:2], str(AS_OF + timedelta(days=ahead_of_it)), "who knows", cells[4]]))

    assert propose(tmp_path, lines + moved) == propose(tmp_path, lines)


@SLOW
@given(lines=rows, data=st.data())
def test_the_order_of_rows_changes_nothing(tmp_path: Path, lines: list[str], data: st.DataObject) -> None:
    assert propose(tmp_path, data.draw(st.permutations(lines))) == propose(tmp_path, lines)


@SLOW
@given(lines=rows, on_hand=st.integers(0, 60), more=st.integers(1, 60))
def test_more_on_the_shelf_asks_for_no_more(tmp_path: Path, lines: list[str], on_hand: int, more: int) -> None:
    less, enough = (propose(tmp_path, lines, on_hand=held)[1:] for held in (on_hand, on_hand + more))

    for one, other in zip(less, enough, strict=True):
        assert 0 <= float(other[4]) <= float(one[4])
        assert float(one[4]) % 3 == 0

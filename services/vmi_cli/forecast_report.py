"""``vmi forecast report``: how right forecasts were, from the database or by replaying a history in a file."""

from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Final

from rich import box
from rich.table import Table

from vmi_cli.console import Refused, out
from vmi_domain.forecasting.accuracy import Group, LagError

WIDTH: Final = 30
"""Characters of the longest bar."""
MOST_GROUPS: Final = 20


class By(Enum):
    """What errors are told of."""

    ALL = "all"
    CUSTOMER = "customer"
    LOCATION = "location"
    CLASS = "class"
    SERIES = "series"


def as_json(groups: Sequence[Group], unit: str) -> list[dict[str, Any]]:
    """Return the report for a program."""

    def plain(value: float) -> float | None:
        return round(value, 4) if value == value else None

    return [
        {
            "group": group.name,
            "lag_unit": unit,
            "coverage_95": plain(group.coverage_95),
            "lags": [
                {"lag": one.lag, "pairs": one.pairs}
                | {name: plain(getattr(one, name)) for name in ("wape", "bias", "rmse", "mase")}
                for one in group.errors
            ],
        }
        for group in groups
    ]


def show(groups: Sequence[Group], unit: str) -> None:
    """Print a table a group, with a bar for each lag's error."""
    for group in groups[:MOST_GROUPS]:
        covered = (
            "" if group.coverage_95 != group.coverage_95 else f" · within the .95 quantile {group.coverage_95:.0%}"
        )
        table = Table(
            title=f"{group.name}{covered}",
            title_justify="left",
            header_style="bold",
            box=box.SIMPLE_HEAD,
            pad_edge=False,
        )
        for name in (f"{unit}s ahead", "forecasts", "WAPE", "", "bias", "RMSE", "MASE"):
            table.add_column(name, justify="left" if not name else "right")
        longest = max((one.wape for one in group.errors), default=0.0)
        for one in group.errors:
            table.add_row(*_row(one, longest))
        out.print(table)
    if len(groups) > MOST_GROUPS:
        out.print(f"… and {len(groups) - MOST_GROUPS:,} more: --json has them all")


def _row(one: LagError, longest: float) -> tuple[str, ...]:
    bar = "█" * round(WIDTH * one.wape / longest) if longest > 0 else ""
    mase = "" if one.mase != one.mase else f"{one.mase:.2f}"
    return (str(one.lag), f"{one.pairs:,}", f"{one.wape:.1%}", bar, f"{one.bias:+.1%}", f"{one.rmse:.2f}", mase)


def plot(groups: Sequence[Group], unit: str, path: Path) -> None:
    """Write error and bias by lag as a PNG, a line a group."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise Refused("a plot needs matplotlib: pip install 'vmi[plots]'; the table needs nothing") from None
    if not path.resolve().parent.is_dir():
        raise Refused(f"{path}: there is no folder {path.resolve().parent}")
    figure = Figure(figsize=(8, 7), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True)
    for group in groups[:MOST_GROUPS]:
        lags = [one.lag for one in group.errors]
        above.plot(lags, [one.wape for one in group.errors], marker="o", label=group.name)
        below.plot(lags, [one.bias for one in group.errors], marker="o")
    above.set_ylabel("WAPE")
    above.legend(fontsize="small")
    below.axhline(0, color="black", linewidth=0.8)
    below.set_ylabel("bias")
    below.set_xlabel(f"{unit}s ahead")
    figure.suptitle("Forecasts against what came, by how far ahead they spoke")
    figure.savefig(path, dpi=120, format="png")

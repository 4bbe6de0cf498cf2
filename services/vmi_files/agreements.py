"""The agreements file: what is agreed for which series, in the agreement's own words, ``*`` meaning all."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import product
from typing import Any, Final

from pydantic import ValidationError

from vmi_contracts.inbound import AgreementMade
from vmi_domain.replenishment.reviewing import Terms
from vmi_files import tables
from vmi_files.sales import Series
from vmi_files.tables import FileRefused, Table, Warn
from vmi_replenishment.terms import terms_of

ALL: Final = "*"
REQUIRED: Final = ("location_id", "item_id")
NAMES: Final = ("customer_id", "location_id", "item_id")
NO_SUPPLIER: Final = "default"
ZONE: Final = "UTC"
"""A file knows days, and no time zones."""
DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Agreed:
    """What is agreed for a series on the as-of day."""

    agreement: AgreementMade
    terms: Terms
    ends: date | None = None
    """The last day of it, where nothing follows; None: it goes on."""


@dataclass(frozen=True, slots=True)
class Agreements:
    """Rows by the identifiers they name, ``*`` for all."""

    rows: Mapping[tuple[str, ...], Sequence[AgreementMade]]
    as_of: date

    def of(self, series: Series) -> Agreed | None:
        """Return what is agreed for a series: of the rows in force the most specific one, of these the newest."""
        found = self._in_force(series, self.as_of)
        if found is None:
            return None
        ends = found.effective_to
        if ends is not None and self._in_force(series, ends + DAY) is not None:
            ends = None
        return Agreed(found, _terms(found), ends)

    def named(self, customer: str = ALL) -> list[Series]:
        """Return the series that are named in full; ``customer`` is who is meant where a file names none."""
        own = [(customer if names[0] == ALL else names[0], *names[1:]) for names in self.rows]
        return [Series(*names) for names in own if ALL not in names]

    def _in_force(self, series: Series, day: date) -> AgreementMade | None:
        for names in _most_specific_first(series):
            fitting = [
                one
                for one in self.rows.get(names, ())
                if one.effective_from <= day and (one.effective_to is None or one.effective_to >= day)
            ]
            if fitting:
                return max(fitting, key=lambda one: one.effective_from)
        return None


def _most_specific_first(series: Series) -> Iterator[tuple[str, ...]]:
    masks = sorted(product((True, False), repeat=len(NAMES)), key=lambda mask: (sum(mask), mask), reverse=True)
    for mask in masks:
        yield tuple(name if own else ALL for name, own in zip(series, mask, strict=True))


def _terms(agreement: AgreementMade) -> Terms:
    return terms_of(agreement, zone=ZONE)


def read(path: str, as_of: date, warn: Warn) -> Agreements:
    """Return every row, checked; those that are not in force on the as-of day too.

    Of several suppliers of a series from the same day on, the first in the file is the one that is proposed to.
    """
    table = tables.read(path, required=REQUIRED, optional=tuple(AgreementMade.model_fields), warn=warn)
    rows: dict[tuple[str, ...], list[AgreementMade]] = {}
    seen: dict[tuple[str, ...], dict[str, int]] = {}
    further = []
    for row in range(len(table.lines)):
        made = agreement(table, row)
        names = (made.customer_id, made.location_id, made.item_id)
        of_a_day = (*names, made.effective_from.isoformat())
        suppliers = seen.setdefault(of_a_day, {})
        if made.supplier_id in suppliers:
            line = table.lines[suppliers[made.supplier_id]]
            said = f"the same as {table.row_word} {line}: one agreement at a time for a series"
            raise FileRefused(f"{table.place(row, 'item_id')}: {said}")
        suppliers[made.supplier_id] = row
        if len(suppliers) > 1:
            further.append(row)
        else:
            rows.setdefault(names, []).append(made)
    if further:
        said = "a further supplier of the same series; proposals go to the first one"
        warn(f"{table.place(further[0], 'supplier_id')}: {said} ({len(further)} rows)")
    return Agreements(rows, as_of)


def warn_of_models(path: str, agreed: Agreements, why: str, warn: Warn) -> None:
    """Say that models are named, and why they do not count here."""
    made = [one for of_names in agreed.rows.values() for one in of_names]
    if names := [name for name in MODELS if any(getattr(one, name) for one in made)]:
        warn(f"{path}: {', '.join(names)}: not used here, {why}")


def agreement(table: Table, row: int) -> AgreementMade:
    """Return a row as an agreement, or raise FileRefused with its place and what is wrong."""
    said: dict[str, Any] = {
        column: values[row].strip() for column, values in table.columns.items() if values[row].strip()
    }
    for name in NAMES:
        said.setdefault(name, ALL)
    said.setdefault("supplier_id", NO_SUPPLIER)
    for column in said.keys() & LISTS:
        said[column] = re.findall(r"[\w-]+", said[column])
    for column in said.keys() & MAPPINGS:
        if said[column].startswith("{"):
            said[column] = _mapping(table, row, column, said[column])
    for column in said.keys() & DATES:
        said[column] = said[column][:10]
    try:
        return AgreementMade.model_validate(said)
    except ValidationError as error:
        wrong = error.errors()[0]
        message = wrong["msg"].removeprefix("Value error, ")
        column = str(wrong["loc"][0]) if wrong["loc"] else _named_in(message)
        what = f"{said[column]!r}: " if wrong["loc"] and column in said else ""
        raise FileRefused(f"{table.place(row, column)}: {what}{message}") from None


LISTS: Final = frozenset({"order_weekdays", "receiving_weekdays", "holidays", "forecast_models"})
MODELS: Final = ("forecast_models", "forecast_models_by_class")
MAPPINGS: Final = frozenset({"service_target_by_class", "forecast_models_by_class"})
DATES: Final = frozenset({"effective_from", "effective_to"})


def _mapping(table: Table, row: int, column: str, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise FileRefused(f"{table.place(row, column)}: {text!r}: no JSON object") from None


def _named_in(message: str) -> str:
    words = re.findall(r"\w+", message)
    return next((word for word in words if word in AgreementMade.model_fields), "policy")


def rates(agreed: Sequence[Agreed | None]) -> list[float]:
    """Return the expected daily demand of each, NaN where none is agreed."""
    found = [None if one is None else one.agreement.expected_daily_demand for one in agreed]
    return [float("nan") if rate is None else rate for rate in found]

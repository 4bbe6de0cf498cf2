"""Agreements to be made, from a file: each row one whole agreement; and agreements as a file that reads the same."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from enum import Enum
from typing import Any, Final

from vmi_contracts.inbound import AgreementMade
from vmi_contracts.values import plain
from vmi_files import agreements, tables
from vmi_files.tables import FileRefused, Warn

IDENTIFIERS: Final = ("customer_id", "location_id", "item_id", "supplier_id")
USUAL: Final = (
    *IDENTIFIERS,
    "effective_from",
    "lead_time_days",
    "review_days",
    "service_measure",
    "service_target",
    "policy",
    "minimum",
    "maximum",
    "pack",
    "unit_price",
    "approval",
)
"""Columns of every exported file; further ones where an agreement says something in them."""


@dataclass(frozen=True, slots=True)
class Checked:
    """The rows of a file: agreements, and what is wrong with the others, each with its place."""

    agreements: Sequence[AgreementMade]
    errors: Sequence[str]


def read(path: str, warn: Warn) -> Checked:
    """Check every row. A file that cannot be read as a table is refused as a whole."""
    required = ("location_id", "item_id", "supplier_id")
    table = tables.read(path, required=required, optional=tuple(AgreementMade.model_fields), warn=warn)
    found: dict[str, AgreementMade] = {}
    lines: dict[str, int] = {}
    errors = []
    for row, line in enumerate(table.lines):
        try:
            one = _named(agreements.agreement(table, row), table, row)
        except FileRefused as refused:
            errors.append(str(refused))
            continue
        if one.identity in found:
            errors.append(
                f"{table.place(row, 'item_id')}: the same customer, location, item, supplier and effective_from as "
                f"{table.row_word} {lines[one.identity]}"
            )
            continue
        found[one.identity], lines[one.identity] = one, line
    return Checked(list(found.values()), errors)


def _named(one: AgreementMade, table: tables.Table, row: int) -> AgreementMade:
    """Refuse an agreement for *all*: a live agreement is of one location, item and supplier of one customer."""
    if "customer_id" not in table.columns:
        one = one.model_copy(update={"customer_id": "default"})
    for column in IDENTIFIERS:
        if getattr(one, column) == agreements.ALL or (
            column in table.columns and not table.columns[column][row].strip()
        ):
            said = f"an agreement names one {column.removesuffix('_id')}; * and empty are for `vmi propose`"
            raise FileRefused(f"{table.place(row, column)}: {said}")
    return one


def write(path: str, made: Sequence[AgreementMade]) -> None:
    """Write agreements so that ``read`` gives the same again; what is a default is left empty."""
    said = [one.model_dump(exclude_defaults=True) for one in made]
    used = {name for one in said for name in one}
    columns = [*USUAL, *(name for name in AgreementMade.model_fields if name in used and name not in USUAL)]
    tables.check_writable(path)
    tables.write(path, {name: [_cell(one.get(name)) for one in said] for name in columns})


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, (tuple, list)):
        return " ".join(map(_cell, value))
    if isinstance(value, Mapping):
        return json.dumps(dict(value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def difference(before: AgreementMade, after: AgreementMade) -> dict[str, tuple[str, str]]:
    """Return what an agreement says otherwise than before: field, said before, said now."""
    fields = [name for name in AgreementMade.model_fields if name != "made_by"]  # who says it is no term
    return {
        name: (_cell(getattr(before, name)), _cell(getattr(after, name)))
        for name in fields
        if getattr(before, name) != getattr(after, name)
    }

"""How many values travel to Postgres at once: a column of them as one text.

The driver writes an array value by value; text that is joined here and taken apart by ``string_to_array`` there takes a
fifth of the time, and that time is a third of what taking in a sale costs. For hot statements only: elsewhere arrays
read better. (``string_to_table`` would be a little faster still, but makes Postgres expect a thousand rows, and read
whole tables for one.)
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

SEPARATOR: Final = "\n"
"""Stands in no identifier and in no number (vmi_contracts.values); JSON writes it as an escape."""

NULL: Final = ""
"""A value that is not there. What is told apart from it is never empty."""


def texts(values: Sequence[str]) -> str:
    """Return texts as a column: ``string_to_array(:name, chr(10))``."""
    column = SEPARATOR.join(values)
    if column.count(SEPARATOR) != len(values) - 1:
        raise ValueError("a value holds the separator of columns")
    return column


def of_keys(keys: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    """Return keys as the three columns that ``KEYS`` takes apart; there is at least one."""
    customers, locations, items = zip(*keys, strict=True)
    return {"customers": texts(customers), "locations": texts(locations), "items": texts(items)}


KEYS: Final = """
    string_to_array(CAST(:customers AS text), chr(10)), string_to_array(CAST(:locations AS text), chr(10)),
    string_to_array(CAST(:items AS text), chr(10))
"""
"""In SQL, for ``unnest``: customers, locations and items, three arrays of text."""


def documents(values: Sequence[bytes]) -> bytes:
    """Return JSON as a column: ``string_to_table(convert_from(:name, 'UTF8'), chr(10))``.

    It is written as bytes and travels as such: to make text of it takes longer than all else.
    """
    column = _SEPARATOR.join(values)
    if column.count(_SEPARATOR) != len(values) - 1:
        raise ValueError("a document has more than one line")
    return column


_SEPARATOR: Final = SEPARATOR.encode()


def decimals(values: Iterable[Decimal]) -> str:
    """Return quantities as a column: ``string_to_array(:name, chr(10))``, each of it cast to numeric."""
    return SEPARATOR.join(map(str, values))


def optional(values: Iterable[object]) -> str:
    """Return what ``str`` makes of values, nothing for None: ``string_to_array(:name, chr(10), '')``."""
    return SEPARATOR.join([NULL if value is None else str(value) for value in values])


def repeated(values: Sequence[object]) -> str:
    """Return the same of values of which many are the same."""
    written = {value: NULL if value is None else str(value) for value in set(values)}
    return SEPARATOR.join([written[value] for value in values])


def integers(values: Iterable[int]) -> str:
    """Return integers as a column."""
    return SEPARATOR.join(map(str, values))


def instants(values: Iterable[datetime]) -> str:
    """Return instants, of which many are the same, as a column of microseconds since 1970.

    ``'epoch'::timestamptz + interval '1 microsecond' * bigint``
    """
    written: dict[datetime, str] = {}
    column = []
    for value in values:
        text = written.get(value)
        if text is None:
            text = written[value] = str((value - _EPOCH) // _MICROSECOND)
        column.append(text)
    return SEPARATOR.join(column)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

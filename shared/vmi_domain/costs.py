"""What stock and the lack of it cost, against each other."""


def critical_ratio(*, shortage_cost: float, holding_cost: float) -> float:
    """Return the chance of no shortage at which one unit more costs what it saves (formulas.md 5.3)::

        p / (p + h)

    Shortage cost p = ``shortage_cost`` and holding cost h = ``holding_cost``, both of a unit and period; not both 0.

    >>> critical_ratio(shortage_cost=9, holding_cost=1)
    0.9
    """
    return shortage_cost / (shortage_cost + holding_cost)

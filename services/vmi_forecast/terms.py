"""What an agreement says that matters to a forecast: a rate to begin with, and what the forecast has to cover."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from vmi_contracts.inbound import AgreementMade, ForecastModel, ServiceMeasure
from vmi_domain.costs import critical_ratio
from vmi_domain.forecasting import Protection

NONE_AGREED = float("nan")


def expected_daily_demand(agreements: Sequence[AgreementMade]) -> float:
    """Return the agreed rate, base units a day; of several suppliers' the first. NaN where none is agreed."""
    rates = [one.expected_daily_demand for one in agreements if one.expected_daily_demand is not None]
    return rates[0] if rates else NONE_AGREED


def protection(agreements: Sequence[AgreementMade]) -> Protection:
    """Return the longest protection interval of the agreements and the highest service; a default where there is none.

    The service of a fill rate or of costs is taken as a cycle service: it only decides which changes are told.
    """
    if not agreements:
        return Protection()
    return Protection(
        days=max(one.lead_time_days + _review_days(one) for one in agreements),
        service=max(_service(one) for one in agreements),
    )


POOL_NAMES: Final = {
    ForecastModel.SEASONAL_NAIVE: "seasonal naive",
    ForecastModel.SIMPLE_SMOOTHING: "simple smoothing",
    ForecastModel.DAMPED_HOLT_WINTERS: "damped Holt-Winters",
    ForecastModel.CROSTON: "Croston",
    ForecastModel.SBA: "SBA",
    ForecastModel.TSB: "TSB",
    ForecastModel.ADIDA: "ADIDA",
    ForecastModel.IMAPA: "IMAPA",
}
"""What the pool calls them; the others have the same name there."""


def models(agreements: Sequence[AgreementMade], pattern: str, value_class: str) -> tuple[str, ...]:
    """Return the models of the pool that a series may go by; none where nothing is agreed: all of them.

    Its demand pattern goes before its value class. Of several suppliers' agreements the first that says something.
    """
    for one in agreements:
        by_class = {str(name): agreed for name, agreed in (one.forecast_models_by_class or {}).items()}
        agreed = by_class.get(pattern) or by_class.get(value_class) or one.forecast_models
        if agreed:
            return tuple(dict.fromkeys(POOL_NAMES.get(model, model.value) for model in agreed))
    return ()


def _review_days(agreement: AgreementMade) -> int:
    """Return the longest time from one order opportunity to the next."""
    weekdays = sorted(set(agreement.order_weekdays or ()))
    if not weekdays:
        return agreement.review_days
    return max(later - earlier for earlier, later in pairwise([*weekdays, weekdays[0] + 7]))


def _service(agreement: AgreementMade) -> float:
    if agreement.service_measure is not ServiceMeasure.COST:
        return agreement.service_target
    assert agreement.shortage_cost is not None
    assert agreement.holding_cost is not None
    return critical_ratio(shortage_cost=agreement.shortage_cost, holding_cost=agreement.holding_cost)

"""What an agreement on the wire means for forecasts."""

import pytest
from pydantic import ValidationError

from vmi_contracts.inbound import ForecastModel
from vmi_domain.forecasting import selection
from vmi_forecast.terms import POOL_NAMES, models
from vmi_testing import builders


def test_every_model_of_the_pool_has_a_name_in_the_agreement() -> None:
    assert [POOL_NAMES.get(model, model.value) for model in ForecastModel] == [
        model.name for model in selection.whole_pool(7)
    ]


def test_where_nothing_is_agreed_all_models_are_open() -> None:
    assert models([], "lumpy", "A") == models([builders.agreement("acme")], "lumpy", "A") == ()


@pytest.mark.parametrize(
    ("pattern", "value_class", "found"),
    [
        ("lumpy", "A", ("TSB",)),
        ("smooth", "A", ("simple smoothing", "theta")),
        ("smooth", "B", ("SBA",)),
        ("none", "", ("SBA",)),
    ],
)
def test_models_are_agreed_by_pattern_else_by_value_class_else_for_all(
    pattern: str, value_class: str, found: tuple[str, ...]
) -> None:
    agreed = builders.agreement(
        "acme",
        forecast_models=["sba"],
        forecast_models_by_class={"lumpy": ["tsb"], "A": ["simple_smoothing", "theta", "theta"]},
    )

    assert models([builders.agreement("acme"), agreed], pattern, value_class) == found


@pytest.mark.parametrize("wrong", [{"forecast_models": []}, {"forecast_models_by_class": {"lumpy": ["oracle"]}}])
def test_no_model_or_one_that_nobody_knows_is_no_agreement(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="forecast_models"):
        builders.agreement("acme", **wrong)

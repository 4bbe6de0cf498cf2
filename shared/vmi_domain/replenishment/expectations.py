"""What demand is to be expected until orders arrive: from forecasts, or from an agreed rate where there is none."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vmi_domain import forecasting
from vmi_domain.forecasting.state import AGE, AGREED, OBSERVED
from vmi_domain.replenishment.decisions import Basis, Expected, Outlook, ServiceMeasure, outlooks
from vmi_domain.replenishment.opportunities import Opportunity, Span, span
from vmi_domain.replenishment.reviewing import Terms

_NONE_AGREED: Final = float("nan")


@dataclass(frozen=True, slots=True)
class Question:
    """For which key and from when on: its terms, its next opportunity, its site's days, and its forecast's state."""

    now: datetime
    terms: Terms
    opportunity: Opportunity
    zone: str
    day_ends_at: time
    state: NDArray[np.float32] | None
    """None where there is no forecast."""


def expectations(questions: Sequence[Question]) -> list[Expected | None]:
    """Return what to expect for each question, None where nothing is known: no demand yet and no agreed rate.

    Demand runs from now on, not from the opportunity: the position is that of now.
    """
    if not questions:
        return []
    states = _states(questions)
    until_next_arrival = _outlooks(questions, states, [one.opportunity.next_deliver_at for one in questions])
    until_arrival: list[Outlook | None] = [None] * len(questions)
    places = [place for place, one in enumerate(questions) if _asks_for_the_arrival(one.terms)]
    if places:
        some = [questions[place] for place in places]
        arrivals = _outlooks(some, states[places], [one.opportunity.deliver_at for one in some])
        for place, outlook in zip(places, arrivals, strict=True):
            until_arrival[place] = outlook
    known = ((states[:, AGE] > 0) | (states[:, AGREED] > 0)).tolist()
    observed = (states[:, OBSERVED] > 0).tolist()
    return [
        Expected(
            Basis.HISTORY if learned else Basis.AGREED_RATE,
            until_next,
            until,
            question.terms.lead_time_sd_days,
        )
        if something
        else None
        for question, something, learned, until_next, until in zip(
            questions, known, observed, until_next_arrival, until_arrival, strict=True
        )
    ]


def _asks_for_the_arrival(terms: Terms) -> bool:
    return terms.policy.service_measure is not ServiceMeasure.CYCLE_SERVICE


def _states(questions: Sequence[Question]) -> forecasting.States:
    """Return the forecasts' states; where there is none yet, one that knows the agreed rate only."""
    agreed = forecasting.start(
        [
            _NONE_AGREED if one.terms.expected_daily_demand is None else one.terms.expected_daily_demand
            for one in questions
        ]
    )
    for place, question in enumerate(questions):
        if question.state is not None:
            agreed[place] = question.state
    return agreed


def _outlooks(questions: Sequence[Question], states: forecasting.States, arrivals: Sequence[datetime]) -> list[Outlook]:
    found: dict[tuple[datetime, datetime, str, time], Span] = {}
    spans: list[Span] = []
    for one, arrival in zip(questions, arrivals, strict=True):
        wanted = (one.now, arrival, one.zone, one.day_ends_at)
        if wanted not in found:
            found[wanted] = span(one.now, arrival, zone=one.zone, day_ends_at=one.day_ends_at)
        spans.append(found[wanted])
    demand = forecasting.demands_over(
        states,
        np.array([one.first_day.toordinal() for one in spans]),
        np.array([one.days for one in spans]),
        elapsed=np.array([one.elapsed for one in spans]),
    )
    return outlooks([one.days for one in spans], demand)

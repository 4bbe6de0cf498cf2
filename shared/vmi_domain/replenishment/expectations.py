"""What demand is to be expected until orders arrive: from forecasts, or from an agreed rate where there is none."""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vmi_domain import forecasting
from vmi_domain.distributions import Demand, Family, by_the_data
from vmi_domain.forecasting import plans
from vmi_domain.forecasting.outlook import usual_days
from vmi_domain.forecasting.plans import Layer, PlanLine, Planned
from vmi_domain.forecasting.state import AGE, AGREED, OBSERVED, PERIOD, States
from vmi_domain.replenishment.needs import Basis, Expected, Outlook, PlanNote, PolicyKind, outlooks
from vmi_domain.replenishment.opportunities import Opportunity, Span, span
from vmi_domain.replenishment.reviewing import Terms
from vmi_domain.values import dataclass

_NONE_AGREED: Final = float("nan")


@dataclass(frozen=True, slots=True)
class Question:
    """For what time: from when on, by which terms, until which opportunity's arrivals, in which site's days.

    Keys of a site of which the same is agreed ask the same question, and may share one.
    """

    now: datetime
    terms: Terms
    opportunity: Opportunity
    zone: str
    day_ends_at: time
    plans: Sequence[PlanLine] = ()
    """What was said of demand to come."""
    uplift: float = 1.0
    """What promotions do to the item, as far as it was learned."""


def expectations(questions: Sequence[Question], states: States) -> list[Expected | None]:
    """Return what to expect for each question, None where nothing is known: no demand yet and no agreed rate.

    ``states`` has a row a question: the forecast's state, or zeros where there is no forecast yet.

    The mean runs from now on, since the position is that of now; the spread is that of the protection interval, from
    the opportunity on: what happens before it is seen before the quantity is decided on for the last time. (A spread
    from now on would ask for too much early, and take a part of it back with every day that passes.)
    """
    if not questions:
        return []
    asked = _Asked(questions)
    states = _with_agreed_rates(states, asked)
    until_next_arrival, until_arrival = _outlooks(
        asked,
        states,
        [
            [_covered_until(one) for one in asked.distinct],
            [one.opportunity.deliver_at for one in asked.distinct],
        ],
    )
    until_minimum, until_maximum = _until_days_of_supply(asked, states)
    known = ((states[:, AGE] > 0) | (states[:, AGREED] > 0)).tolist()
    observed = (states[:, OBSERVED] > 0).tolist()
    found: list[Expected | None] = [
        Expected(
            Basis.HISTORY if learned else Basis.AGREED_RATE,
            until_next,
            until,
            question.terms.lead_time_sd_days,
            until_minimum=until_minimum.get(place),
            until_maximum=until_maximum.get(place),
        )
        if something
        else None
        for place, (question, something, learned, until_next, until) in enumerate(
            zip(questions, known, observed, until_next_arrival, until_arrival, strict=True)
        )
    ]
    for place, question in enumerate(questions):
        if question.plans:
            found[place] = _with_plans(question, states[place], found[place])
    return found


class _Asked:
    """Questions of which many are the same one: what follows from these alone is worked out once each."""

    def __init__(self, questions: Sequence[Question]) -> None:
        distinct = {id(one): one for one in questions}
        numbers = {name: number for number, name in enumerate(distinct)}
        self.questions = questions
        self.distinct = list(distinct.values())
        self.places = np.array([numbers[id(one)] for one in questions])
        """Which of the distinct ones each question is."""


def _covered_until(question: Question) -> datetime:
    """Return until when the order must last: the next one's arrival, and the extra cover that was agreed or learned."""
    return question.opportunity.next_deliver_at + timedelta(days=question.terms.extra_cover_days)


def _with_plans(question: Question, state: NDArray[np.float32], without: Expected | None) -> Expected | None:
    """Return what to expect with all that was said of it; as without, where nothing said is about the time to come."""
    opportunity = question.opportunity
    until_next, basis = _planned(question, state, _covered_until(question))
    if not until_next.layers:
        return without

    def until(arrival: datetime) -> Outlook:
        return _outlook(question, arrival, _planned(question, state, arrival)[0])

    minimum_at, maximum_at = _ends_of_supply(question)
    notes = tuple(_note(layer) for layer in until_next.layers)
    spread = 0.0 if basis is Basis.NET_PLAN else question.terms.lead_time_sd_days
    return Expected(
        basis,
        _outlook(question, _covered_until(question), until_next),
        until(opportunity.deliver_at),
        spread,
        notes,
        until_minimum=None if minimum_at is None else until(minimum_at),
        until_maximum=None if maximum_at is None else until(maximum_at),
    )


def _planned(question: Question, state: NDArray[np.float32], arrival: datetime) -> tuple[Planned, Basis]:
    horizon = span(question.now, arrival, zone=question.zone, day_ends_at=question.day_ends_at)
    usual = usual_days(state, horizon.first_day, horizon.days, elapsed=horizon.elapsed)
    required = plans.net_requirement(usual, question.plans)
    if required is not None:
        return required, Basis.NET_PLAN
    return plans.planned(usual, question.plans, learned_uplift=question.uplift), Basis.PLAN


def _outlook(question: Question, arrival: datetime, said: Planned) -> Outlook:
    """Return the outlook on planned demand. What people stand by may be surer than chance: then it is a normal."""
    days = span(question.now, arrival, zone=question.zone, day_ends_at=question.day_ends_at).days
    mean, variance = np.array([said.mean]), np.array([said.variance])
    demand = by_the_data(mean, variance)
    if said.variance < said.mean:
        demand = Demand(mean, variance, np.array([Family.NORMAL], np.int8))
    return outlooks([days], demand)[0]


def _note(layer: Layer) -> PlanNote:
    line = layer.line
    before, after = round(layer.before, 3), round(layer.after, 3)
    return PlanNote(line.kind.value, line.plan_id, before, after, layer.factor, line.author, line.reason)


def _ends_of_supply(question: Question) -> tuple[datetime | None, datetime | None]:
    """Return until when the minimum and the maximum days of supply last after the day of the arrival, if agreed."""
    policy = question.terms.policy
    if policy.kind is not PolicyKind.DAYS_OF_SUPPLY:
        return None, None
    after = question.opportunity.deliver_at + timedelta(days=1)
    return after + timedelta(days=policy.minimum_days or 0.0), after + timedelta(days=policy.maximum_days or 0.0)


def _until_days_of_supply(asked: _Asked, states: States) -> tuple[dict[int, Outlook], dict[int, Outlook]]:
    """Return the demand up to the minimum and the maximum days of supply after the day of the arrival, by place."""
    ends = [_ends_of_supply(one) for one in asked.distinct]
    wanted = np.array([minimum_at is not None for minimum_at, _ in ends])[asked.places]
    if not wanted.any():
        return {}, {}
    places = np.flatnonzero(wanted).tolist()
    some = _Asked([asked.questions[place] for place in places])
    after = zip(*map(_ends_of_supply, some.distinct), strict=True)
    told = _outlooks(some, states[wanted], [[at for at in which if at is not None] for which in after])
    minimum, maximum = (dict(zip(places, one, strict=True)) for one in told)
    return minimum, maximum


def _with_agreed_rates(states: States, asked: _Asked) -> States:
    """Return the states; where there is none yet, one that knows the agreed rate only.

    What is agreed after a series was learned last is not in its state before its next day closes, and counts at once.
    """
    begun = forecasting.start(
        [
            _NONE_AGREED if one.terms.expected_daily_demand is None else one.terms.expected_daily_demand
            for one in asked.distinct
        ]
    )
    found = states.copy()
    missing = found[:, PERIOD] == 0
    found[missing] = begun[asked.places[missing]]
    unsaid = found[:, AGREED] == 0
    found[unsaid, AGREED] = begun[asked.places[unsaid], AGREED]
    return found


def _outlooks(asked: _Asked, states: States, ends: Sequence[Sequence[datetime]]) -> list[list[Outlook]]:
    """Return the outlooks of each question until some ends; each row of ``ends`` holds one a distinct question."""
    begins = [one.now for one in asked.distinct]
    early = np.array([one.opportunity.order_at > one.now for one in asked.distinct])
    spans = [_spans(asked.distinct, begins, row) for row in ends]
    if early.any():
        begins = [_decided_at(one) for one in asked.distinct]
        spans += [_spans(asked.distinct, begins, row) for row in ends]
    demand = _demand(asked, states, spans)
    if early.any():
        demand, protected = demand.at(slice(len(ends))), demand.at(slice(len(ends), None))
        demand = by_the_data(
            demand.mean,
            np.where(early[asked.places], protected.variance, demand.variance),
            counts=demand.family != Family.NORMAL,
        )
    days = [[one.days for one in row] for row in spans[: len(ends)]]
    places = asked.places.tolist()
    return [outlooks([row[place] for place in places], demand.at(number)) for number, row in enumerate(days)]


def _decided_at(question: Question) -> datetime:
    """Return when the quantity is decided on for the last time."""
    return max(question.now, question.opportunity.order_at)


def _spans(questions: Sequence[Question], begins: Sequence[datetime], ends: Sequence[datetime]) -> list[Span]:
    found: dict[tuple[datetime, datetime, str, time], Span] = {}
    spans = []
    for one, begin, end in zip(questions, begins, ends, strict=True):
        wanted = (begin, end, one.zone, one.day_ends_at)
        if wanted not in found:
            found[wanted] = span(begin, end, zone=one.zone, day_ends_at=one.day_ends_at)
        spans.append(found[wanted])
    return spans


def _demand(asked: _Asked, states: States, spans: Sequence[Sequence[Span]]) -> Demand:
    """Return the demand of each question over each row of spans, which hold one a distinct question."""
    return forecasting.demands_over(
        states,
        np.array([[one.first_day.toordinal() for one in row] for row in spans])[:, asked.places],
        np.array([[one.days for one in row] for row in spans])[:, asked.places],
        elapsed=np.array([[one.elapsed for one in row] for row in spans])[:, asked.places],
    )

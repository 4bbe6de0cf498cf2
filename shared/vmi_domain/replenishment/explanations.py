"""Why a quantity is what it is: written so that the quantity can be recomputed from the explanation alone (F56)."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from vmi_domain.distributions import Family
from vmi_domain.replenishment.decisions import Decision, LevelSource, ReasonForZero, decide
from vmi_domain.replenishment.loading import Load, as_decimal
from vmi_domain.replenishment.needs import (
    DIGITS,
    Arrival,
    Basis,
    BufferFactors,
    Expected,
    Need,
    Outlook,
    PlanNote,
    Policy,
    PolicyKind,
    Position,
    ServiceMeasure,
    UnmetDemand,
)
from vmi_domain.replenishment.opportunities import Opportunity
from vmi_domain.replenishment.overriding import sized
from vmi_domain.replenishment.promising import Promise
from vmi_domain.replenishment.proposals import Answer, HeldBecause, Proposal, Status
from vmi_domain.replenishment.quantities import Constraint, OrderRules, Rounding
from vmi_domain.replenishment.reviewing import Issue
from vmi_domain.units import plain

Explanation = Mapping[str, Any]
"""Texts, numbers and lists as JSON has them; quantities are texts, as everywhere on the wire."""

Once = Callable[..., Any]
"""Given a function and values that many explanations have in common, what the function tells of these.

Who writes many explanations need write what is the same in them only once.
"""


def each_time(tell: Callable[..., Any], *values: object) -> Any:
    """Tell of values anew in every explanation."""
    return tell(*values)


FORMULAS: Final = {
    LevelSource.CYCLE_SERVICE: "least S with P(demand until the next arrival ≤ S) ≥ target",
    LevelSource.FILL_RATE: "least S with 1 − (E[(D_next − S)⁺] − E[(D_this − S)⁺]) / (E D_next − E D_this) ≥ target",
    LevelSource.COST: "least S with (1/R) Σ_{j=1..R} F_{L+j}(S) ≥ target = p / (p + h)",
    LevelSource.CYCLE_SERVICE_LOST_SALES: "position + least q with P(stock at arrival + q ≥ D_R) ≥ target",
    LevelSource.FILL_RATE_LOST_SALES: "least S whose long-run fill rate ≥ target, unmet demand lost",
    LevelSource.COST_LOST_SALES: (
        "position + least q with κ h Σ_{j=1..R} P(stock at arrival + q ≥ D_j) ≥ p P(stock at arrival + q < D_R), "
        "κ = 1 + 0.22 L / R, target = p / (p + h)"
    ),
    LevelSource.ORDER_COST: "the (s, S) of least order, holding and shortage cost",
    LevelSource.DAYS_OF_SUPPLY: "demand until this arrival's period has ended and the agreed days after it",
    LevelSource.BUFFER: "top of green = red + yellow + green; ordered at or below the top of yellow",
    LevelSource.SHORT_LIFE: "least S with P(demand while the goods last ≤ S) ≥ target",
    LevelSource.AGREED_MAXIMUM: "the agreed maximum, ordered up to at or below the agreed minimum",
    LevelSource.AGREED_MINIMUM: "the agreed minimum and mean demand until the next arrival, more than the target asks",
    LevelSource.NONE: "none: no history, no agreed daily demand, no agreed minimum and maximum",
}
NO_HISTORY: Final = "no history yet"


def explain(
    decision: Decision, opportunity: Opportunity, decided_at: datetime, once: Once = each_time
) -> dict[str, Any]:
    """Return the inputs, the steps and the binding constraint of a decision for an opportunity."""
    need = decision.need
    explanation: dict[str, Any] = {
        "opportunity": once(_opportunity, opportunity, decided_at),
        "inputs": {
            "position": _position(need.position),
            **({"elsewhere": plain(need.elsewhere)} if need.elsewhere else {}),
            "arrivals": [{"days": one.days, "quantity": plain(one.quantity)} for one in need.arrivals],
            "demand": None if need.expected is None else _expected(need.expected),
            "policy": once(_policy, need.policy),
            "rules": once(_rules, need.rules),
        },
        "steps": _steps(decision),
        "binding": decision.binding.value,
    }
    if decision.sized.fill:
        explanation["fill"] = plain(decision.sized.fill)
    if decision.reason_for_zero is not None:
        explanation["reason_for_zero"] = decision.reason_for_zero.value
    if need.expected is None or need.expected.basis is Basis.AGREED_RATE:
        explanation["note"] = NO_HISTORY
    return explanation


def recompute(explanation: Explanation) -> Decimal:
    """Return the quantity that follows from an explanation, by the steps it names.

    What was settled between people (an answer, an order) or stands because it is frozen is told in ``outcome`` and
    goes before the formula, and so does what the customer asked for (``override``).
    """
    outcome = explanation.get("outcome")
    if outcome is not None:
        return Decimal(outcome["quantity"])
    override = explanation.get("override")
    if override is not None:
        return sized(Decimal(override["quantity"]), need_of(explanation).rules).quantity
    return decide([need_of(explanation)])[0].quantity


def in_words(decision: Decision) -> str:
    """Return one sentence for a planner."""
    position = plain(decision.need.position.inventory_position)
    if decision.need.elsewhere:
        position = f"{position} with {plain(decision.need.elsewhere)} asked of other sources"
    if decision.reason_for_zero is not None:
        told = {"position": position, "level": _text(decision.level), "point": _point(decision)}
        return _ZERO[decision.reason_for_zero].format(**told)
    expected = decision.need.expected
    days = "" if expected is None else f" for {expected.until_next_arrival.days:.1f} days of demand"
    level = f"{_BY.get(decision.source, 'order-up-to level')} {_text(decision.level)}{days}"
    new = f" ({NO_HISTORY})" if expected is None or expected.basis is Basis.AGREED_RATE else _by_plan(expected)
    makes = "filling up the truck makes it" if decision.need.rules.truck_fill else _BOUND[decision.binding]
    bound = f"{makes} {plain(decision.quantity)}.{_aimed_at(decision)}"
    if not decision.missing:
        return f"Position {position} lasts for now; {bound}"
    if decision.need.policy.kind is PolicyKind.REORDER_POINT_QUANTITY and decision.reorder_point is not None:
        point = plain(decision.reorder_point)
        return f"Position {position} is at or below the reorder point {point}{days}{new}; {bound}"
    return f"Position {position} is {plain(decision.missing)} below the {level}{new}; {bound}"


def _aimed_at(decision: Decision) -> str:
    """Return what the history makes of the target."""
    policy = decision.need.policy
    if not policy.calibration or decision.source not in _BY_SERVICE - {LevelSource.AGREED_MINIMUM}:
        return ""
    return f" Aimed at {policy.service_target:.1%}: by the history that brings the agreed {policy.agreed:.1%}."


def _by_plan(expected: Expected) -> str:
    """Return which plans had a say, and what was usual before them."""
    if not expected.plans:
        return ""
    names = ", ".join(dict.fromkeys(f"{note.kind} {note.plan_id}" for note in expected.plans))
    if expected.basis is Basis.NET_PLAN:
        return f" ({names}: stock and receipts netted by the customer)"
    return f" ({names}: {expected.plans[0].before:.4g} → {expected.until_next_arrival.mean:.4g} expected)"


_BY: Final = {
    LevelSource.AGREED_MAXIMUM: "agreed maximum",
    LevelSource.DAYS_OF_SUPPLY: "maximum days of supply, which are",
    LevelSource.BUFFER: "top of green",
    LevelSource.AGREED_MINIMUM: "agreed minimum and expected demand, together",
}
_POINT: Final = {
    LevelSource.AGREED_MAXIMUM: "the agreed minimum",
    LevelSource.DAYS_OF_SUPPLY: "the minimum days of supply",
    LevelSource.BUFFER: "the top of yellow",
}
_BY_SERVICE: Final = frozenset(LevelSource) - {
    LevelSource.AGREED_MAXIMUM,
    LevelSource.DAYS_OF_SUPPLY,
    LevelSource.BUFFER,
    LevelSource.NONE,
}
_BOUND: Final = {
    Constraint.NEED: "that makes",
    Constraint.MINIMUM_ORDER: "the minimum order makes it",
    Constraint.MULTIPLE: "rounding to the multiple makes it",
    Constraint.LARGEST_ORDER: "the largest order allows",
    Constraint.MAXIMUM: "the maximum leaves room for",
    Constraint.BUDGET: "the agreed value of an order pays for",
    Constraint.SHELF_LIFE: "what sells before it expires is",
    Constraint.CAPACITY: "the space there leaves room for",
    Constraint.SUPPLY: "the supplier can promise",
    Constraint.LOAD: "filling up whole layers or pallets makes it",
    Constraint.TRUCKS: "the agreed trucks have room for",
}
_ZERO: Final = {
    ReasonForZero.COVERED: "Position {position} covers the order-up-to level {level}.",
    ReasonForZero.ABOVE_REORDER_POINT: "Position {position} is above {point}.",
    ReasonForZero.AT_MAXIMUM: "Position {position} leaves no room for one multiple below the maximum.",
    ReasonForZero.BELOW_LARGEST_ORDER: "The largest order allows less than one multiple.",
    ReasonForZero.NO_BUDGET: "The agreed value of an order pays for less than one multiple.",
    ReasonForZero.SHORT_LIFE: "Position {position} is all that is sold before it expires.",
    ReasonForZero.NO_SPACE: "Position {position} leaves no space for one multiple.",
    ReasonForZero.SUPPLY_SHORT: "Position {position} is below the level {level}; the supplier can promise nothing.",
    ReasonForZero.TRUCKS_FULL: (
        "Position {position} is below the level {level}; the agreed trucks are full of what is wanted more urgently."
    ),
    ReasonForZero.LESS_THAN_ROUNDING: "Position {position} is below the level {level} by less than rounding cares for.",
    ReasonForZero.DEMAND_UNKNOWN: "Nothing is known of the demand: no history, no agreed daily demand, no agreed band.",
}


def _point(decision: Decision) -> str:
    return _POINT.get(decision.source, "the reorder point")


# Writing


def _opportunity(opportunity: Opportunity, decided_at: datetime) -> dict[str, str]:
    return {
        "decided_at": decided_at.isoformat(),
        "order_at": opportunity.order_at.isoformat(),
        "deliver_at": opportunity.deliver_at.isoformat(),
        "next_deliver_at": opportunity.next_deliver_at.isoformat(),
    }


def _position(position: Position) -> dict[str, str]:
    return {
        "usable": plain(position.usable),
        "received_unconfirmed": plain(position.received_unconfirmed),
        "in_transit": plain(position.in_transit),
        "on_order": plain(position.on_order),
        "proposed_open": plain(position.proposed_open),
        "backlog": plain(position.backlog),
        "reserved": plain(position.reserved),
        "outdating": plain(position.outdating),
        "inventory_position": plain(position.inventory_position),
    }


def _rules(rules: OrderRules) -> dict[str, Any]:
    return {
        "multiple": plain(rules.multiple),
        "minimum_order": plain(rules.minimum_order),
        "largest_order": _text(rules.largest_order),
        "maximum": _text(rules.maximum),
        "maximum_is_hard": rules.maximum_is_hard,
        "rounding": rules.rounding.value,
        "tolerance": plain(rules.tolerance),
        "budget": _text(rules.budget),
        "capacity": _text(rules.capacity),
        "available": _text(rules.available),
        "load_step": _text(rules.load_step),
        "truck_fill": _text(rules.truck_fill),
        "truck_room": _text(rules.truck_room),
    }


def _policy(policy: Policy) -> dict[str, Any]:
    """Return what of the policy is used; what its kind does not know is left out."""
    told: dict[str, Any] = {
        "kind": policy.kind.value,
        "service_measure": policy.service_measure.value,
        "target": policy.service_target,
        "unmet_demand": policy.unmet_demand.value,
        "minimum": _text(policy.minimum),
        "maximum": _text(policy.maximum),
    }
    match policy.kind:
        case PolicyKind.REORDER_POINT_QUANTITY | PolicyKind.REORDER_POINT_LEVEL:
            told["order_quantity"] = _text(policy.order_quantity)
            told["order_cost_periods"] = policy.order_cost_periods
        case PolicyKind.DAYS_OF_SUPPLY:
            told |= {"minimum_days": policy.minimum_days, "maximum_days": policy.maximum_days}
        case PolicyKind.DDMRP:
            told["buffer"] = {field.name: getattr(policy.buffer, field.name) for field in fields(BufferFactors)}
    if policy.calibration:
        told |= {"calibration": policy.calibration, "agreed_target": round(policy.agreed, DIGITS)}
    if policy.shelf_life_days is not None:
        told["shelf_life_days"] = policy.shelf_life_days
    return told


def _expected(expected: Expected) -> dict[str, Any]:
    told: dict[str, Any] = {
        "basis": expected.basis.value,
        "until_next_arrival": _outlook(expected.until_next_arrival),
        "until_arrival": _outlook(expected.until_arrival),
        "lead_time_sd_days": expected.lead_time_sd_days,
        "period_days": expected.period_days,
    }
    if expected.until_minimum is not None or expected.until_maximum is not None:
        told |= {
            "until_minimum": _outlook(expected.until_minimum),
            "until_maximum": _outlook(expected.until_maximum),
        }
    if expected.plans:
        told["plans"] = [asdict(note) for note in expected.plans]
    return told


def _outlook(outlook: Outlook | None) -> dict[str, Any] | None:
    if outlook is None:
        return None
    return {
        "days": outlook.days,
        "mean": outlook.mean,
        "sd": outlook.sd,
        "family": _FAMILIES[outlook.family],
    }


_FAMILIES: Final = {family: family.name.lower() for family in Family}


def _steps(decision: Decision) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = [
        {"step": "level", "formula": FORMULAS[decision.source], "value": _text(decision.level)}
    ]
    expected = decision.need.expected
    if decision.level is not None and expected is not None and decision.source in _BY_SERVICE:
        over_mean = decision.level - Decimal(repr(expected.until_next_arrival.mean))
        steps.append({"step": "safety_stock", "formula": "level − mean demand", "value": plain(over_mean)})
    if decision.reorder_point is not None:
        steps.append(
            {
                "step": "trigger",
                "formula": f"inventory position ≤ {_text(decision.reorder_point)}, {_point(decision)}",
                "value": decision.need.position.inventory_position <= decision.reorder_point,
            }
        )
    formula = "level − inventory position"
    if decision.need.elsewhere:
        formula = f"{formula} − {plain(decision.need.elsewhere)} asked of other sources"
    steps.append({"step": "missing", "formula": formula, "value": plain(decision.missing)})
    steps.extend({"step": sized.constraint.value, "value": plain(sized.quantity)} for sized in decision.sized.steps)
    return steps


def _text(quantity: Decimal | None) -> str | None:
    return None if quantity is None else plain(quantity)


# Reading: what is null may as well be missing, as a writer of JSON likes it.


def need_of(explanation: Explanation) -> Need:
    """Return all that a quantity depended on, as its explanation tells it."""
    inputs = explanation["inputs"]
    rules, demand = inputs["rules"], inputs.get("demand")
    return Need(
        position=Position(
            **{field.name: Decimal(inputs["position"].get(field.name, "0")) for field in fields(Position)}
        ),
        policy=_read_policy(inputs["policy"]),
        rules=OrderRules(
            multiple=Decimal(rules["multiple"]),
            minimum_order=Decimal(rules["minimum_order"]),
            largest_order=_decimal(rules.get("largest_order")),
            maximum=_decimal(rules.get("maximum")),
            maximum_is_hard=rules["maximum_is_hard"],
            rounding=Rounding(rules["rounding"]),
            tolerance=Decimal(rules["tolerance"]),
            budget=_decimal(rules.get("budget")),
            capacity=_decimal(rules.get("capacity")),
            available=_decimal(rules.get("available")),
            load_step=_decimal(rules.get("load_step")),
            truck_fill=_decimal(rules.get("truck_fill")),
            truck_room=_decimal(rules.get("truck_room")),
        ),
        expected=None if demand is None else _read_expected(demand),
        arrivals=tuple(Arrival(one["days"], Decimal(one["quantity"])) for one in inputs.get("arrivals") or ()),
        elsewhere=Decimal(inputs.get("elsewhere") or "0"),
    )


def _read_policy(policy: Mapping[str, Any]) -> Policy:
    """What an explanation of an earlier release does not tell is as it was then: unmet demand waited."""
    return Policy(
        kind=PolicyKind(policy["kind"]),
        service_measure=ServiceMeasure(policy["service_measure"]),
        service_target=policy["target"],
        minimum=_decimal(policy.get("minimum")),
        maximum=_decimal(policy.get("maximum")),
        unmet_demand=UnmetDemand(policy.get("unmet_demand") or UnmetDemand.BACKORDERED),
        order_quantity=_decimal(policy.get("order_quantity")),
        order_cost_periods=policy.get("order_cost_periods") or 0.0,
        minimum_days=policy.get("minimum_days"),
        maximum_days=policy.get("maximum_days"),
        buffer=BufferFactors(**(policy.get("buffer") or {})),
        shelf_life_days=policy.get("shelf_life_days"),
        calibration=policy.get("calibration") or 0.0,
    )


def _read_expected(demand: Mapping[str, Any]) -> Expected:
    until_next_arrival = _read_outlook(demand["until_next_arrival"])
    assert until_next_arrival is not None
    return Expected(
        basis=Basis(demand["basis"]),
        until_next_arrival=until_next_arrival,
        until_arrival=_read_outlook(demand.get("until_arrival")),
        lead_time_sd_days=demand["lead_time_sd_days"],
        period_days=demand.get("period_days") or 1.0,
        until_minimum=_read_outlook(demand.get("until_minimum")),
        until_maximum=_read_outlook(demand.get("until_maximum")),
        plans=tuple(PlanNote(**note) for note in demand.get("plans") or ()),
    )


def _read_outlook(outlook: Mapping[str, Any] | None) -> Outlook | None:
    if outlook is None:
        return None
    return Outlook(
        days=outlook["days"], mean=outlook["mean"], sd=outlook["sd"], family=Family[outlook["family"].upper()]
    )


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


# What goes before the formula


def explained(issue: Issue, opportunity: Opportunity, once: Once = each_time) -> dict[str, Any]:
    """Return the explanation of a version that we decided on, with all that went before the formula."""
    proposal, decision = issue.proposal, issue.decision
    assert decision is not None
    explanation = explain(decision, opportunity, proposal.issued_at, once)
    if issue.promise is not None:
        explanation["supply"] = _promise(issue.promise)
        explanation["supply_confidence"] = issue.promise.confidence
    if issue.instead_of:
        explanation["instead_of"] = [
            {"supplier_id": one.supplier_id, "wanted": plain(one.wanted), "share": plain(one.share)}
            for one in issue.instead_of
        ]
    if issue.rest_to:
        explanation["rest_to"] = [{"supplier_id": name, "quantity": plain(some)} for name, some in issue.rest_to]
    if issue.load is not None:
        explanation["load"] = _load(issue.load)
    if issue.doubts:
        explanation["warnings"] = [doubt.value for doubt in issue.doubts]
    if issue.override is not None:
        explanation["binding"] = CUSTOMER_OVERRIDE
        explanation["override"] = {
            "quantity": plain(issue.override.quantity),
            "said": issue.override.reason,
            "told_at": issue.override.told_at.isoformat(),
        }
    # What ``recompute`` would return: the same need gives the same decision, and making it again takes long.
    computed = (
        decision.quantity if issue.override is None else sized(issue.override.quantity, decision.need.rules).quantity
    )
    if computed != proposal.quantity:
        explanation["outcome"] = {"status": proposal.status.value, "quantity": plain(proposal.quantity)}
    if proposal.requested is not None:
        explanation["outcome"] = {
            "status": proposal.status.value,
            "quantity": plain(proposal.quantity),
            "requested": plain(proposal.requested),
        }
    return explanation


def _promise(promise: Promise) -> dict[str, Any]:
    return {
        "limit": promise.limit.value,
        "stated_at": promise.stated_at.isoformat(),
        "available": plain(promise.available),
        "wanted": plain(promise.wanted),
        "share": plain(promise.share),
        "backlog": plain(promise.short),
        "competing": promise.competing,
    }


def _load(load: Load) -> dict[str, Any]:
    """Return the trucks of the whole order: how they are filled, and of that what is needed."""
    kinds = zip(load.of_a_truck._asdict().items(), load.needed, load.loaded, strict=True)
    told: dict[str, Any] = {
        "trucks": load.loads,
        "full": load.is_full,
        "items": len(load.lines),
        "rooms": {
            kind: {"of_a_truck": plain(as_decimal(there)), "needed": _size(needed), "loaded": _size(loaded)}
            for (kind, there), needed, loaded in kinds
            if there is not None
        },
    }
    if load.exceeded:
        told["exceeded"] = True
    if load.unmeasured:
        told["unmeasured"] = list(load.unmeasured[:MOST_NAMED])
    return told


def _size(size: Fraction | None) -> str | None:
    return None if size is None else plain(as_decimal(size))


def load_in_words(load: Load) -> str:
    """Return one sentence on the trucks that an order goes on."""
    if load.unmeasured:
        return (
            f"The truck is not filled up: it is not agreed what {', '.join(load.unmeasured[:MOST_NAMED])} takes of it."
        )
    named = zip(("pallets", "kg", "m³"), load.of_a_truck, load.needed, load.loaded, strict=True)
    rooms = ", ".join(
        f"{_size(loaded)} of {plain(as_decimal(there * load.loads))} {name} ({_size(needed)} needed)"
        for name, there, needed, loaded in named
        if there is not None
    )
    trucks = "1 truck" if load.loads == 1 else f"{load.loads} trucks"
    if load.exceeded:
        return f"{trucks}: {rooms}; no more trucks are agreed, the rest waits."
    return f"{trucks}: {rooms}." if load.is_full else f"{trucks}: {rooms}; no item may be filled up further."


MOST_NAMED: Final = 5
CUSTOMER_OVERRIDE: Final = "customer_override"


def explained_in_words(issue: Issue) -> str:
    """Return what a planner reads of a version that we decided on."""
    proposal, decision = issue.proposal, issue.decision
    assert decision is not None
    words = in_words(decision)
    if issue.override is not None:
        because = f" ({issue.override.reason})" if issue.override.reason else ""
        words = (
            f"{CUSTOMER_OVERRIDE}: the customer asks for {plain(issue.override.quantity)}{because}, which makes "
            f"{plain(proposal.quantity)} in whole packs; computed were {plain(decision.quantity)}."
        )
    if proposal.requested is not None:
        words = (
            f"Frozen: {plain(proposal.quantity)} stands, and a change to {plain(proposal.requested)} is asked for. "
            f"{words}"
        )
    for one in issue.instead_of:
        words = f"{words} {one.supplier_id} can send {plain(one.share)} of {plain(one.wanted)}."
    if issue.load is not None:
        words = f"{words} {load_in_words(issue.load)}"
    if issue.promise is not None and issue.promise.short:
        short, wanted = plain(issue.promise.short), plain(issue.promise.wanted)
        words = f"{words} The supplier's promise leaves {short} of {wanted} uncovered."
    for name, some in issue.rest_to:
        words = f"{words} Of that {name} is asked for {plain(some)}."
    if proposal.review_because:
        words = f"{words} A person must look at it: {proposal.review_because}."
    if proposal.held_because is not None:
        words = f"{held_in_words(proposal.held_because)} {words}"
    return words


# What is kept back

_HELD: Final = {
    HeldBecause.STALE_DATA: "Held, the customer's data are older than agreed.",
    HeldBecause.SHADOW: "Held, the agreement is only tried out.",
}


def held_in_words(because: HeldBecause) -> str:
    """Return one sentence on why a proposal is not offered."""
    return _HELD[because]


# What was settled between people, or by time


def settled(explanation: Explanation, proposal: Proposal) -> dict[str, Any]:
    """Return the explanation of the version that was settled, with what became of it as its ``outcome``."""
    outcome: dict[str, Any] = {"status": proposal.status.value, "quantity": plain(proposal.quantity)}
    if proposal.answer is not None:
        outcome |= {
            "by": proposal.answer.party,
            "of_version": proposal.answer.version,
            "offered": plain(proposal.answer.offered),
            "said": proposal.answer.reason,
            "reason_code": proposal.answer.reason_code,
        }
    return {**explanation, "outcome": outcome}


def settled_in_words(proposal: Proposal) -> str:
    """Return one sentence on what became of a proposal."""
    answer, quantity = proposal.answer, plain(proposal.quantity)
    if answer is not None and proposal.countered_by:
        because = f": {_said(answer)}" if _said(answer) else ""
        return f"The {answer.party} would rather have {quantity} than {plain(answer.offered)}{because}."
    match proposal.status:
        case Status.ACCEPTED if answer is not None:
            return f"Accepted by the {answer.party}: {quantity}, as version {answer.version} said."
        case Status.CHANGED if answer is not None:
            because = f": {_said(answer)}" if _said(answer) else ""
            return f"Changed by the {answer.party} from {plain(answer.offered)} to {quantity}{because}."
        case Status.REJECTED if answer is not None:
            because = f": {_said(answer)}" if _said(answer) else ""
            return f"Rejected by the {answer.party}{because}."
        case Status.HELD if proposal.held_because is not None:
            return held_in_words(proposal.held_because)
        case Status.EXPIRED:
            return "Not answered, or not offered, in time; it counts as supply no longer."
        case Status.SUPERSEDED:
            return "Another supplier delivers this now; a proposal to them takes its place."
        case Status.CANCELLED if answer is not None and not answer.is_counter:
            return "The order was cancelled."
        case Status.CANCELLED:
            return "The agreement with this supplier has ended."
        case _:
            return f"{proposal.status.value.capitalize()}: {quantity}."


def _said(answer: Answer) -> str:
    code = answer.reason_code.replace("_", " ")
    return f"{code} ({answer.reason})" if code and answer.reason else code or answer.reason

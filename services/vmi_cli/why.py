"""``vmi why``: a quantity, or nothing, in words and numbers that a planner understands."""

import asyncio
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from vmi_cli.console import AsJson, Refused, out, print_json, print_rows
from vmi_cli.database import opened
from vmi_cli.proposals import one_of
from vmi_cli.surroundings import connected
from vmi_contracts.values import plain
from vmi_domain.replenishment.explanations import FORMULAS
from vmi_domain.replenishment.telling import PackEffect
from vmi_domain.stock.position import Key
from vmi_replenishment import telling
from vmi_replenishment.telling import Story
from vmi_runtime.clock import Clock
from vmi_runtime.settings import Settings
from vmi_runtime.worker import Transaction
from vmi_store import proposals


def why(
    what: Annotated[
        list[str],
        typer.Argument(metavar="PROPOSAL | CUSTOMER LOCATION ITEM", help="A proposal's id, or how it begins."),
    ],
    as_json: AsJson = False,
) -> None:
    """Tell why so much is proposed, or nothing: what it rests on, how long it lasts,
    what one pack more would do, and what else could be done.

        vmi why 2cac224b
        vmi why retailer-1 store-1 milk --json
    """
    if len(what) not in (1, 3):
        raise Refused("say a proposal's id (or how it begins), or customer, location and item")
    story = asyncio.run(_story(connected(), what))
    if as_json:
        print_json(_as_json(story))
    else:
        _print(story)


async def _story(settings: Settings, what: list[str]) -> Story:
    async with opened(settings) as database, database.connect() as connection:
        transaction = Transaction(connection, Clock(settings.clock))
        if len(what) == 3:
            told = await telling.of_key(Key(*what), transaction)
            if told is None:
                raise Refused(
                    f"nothing is decided for {what[2]} at {what[1]} of {what[0]}: no agreement is in force, or no fact "
                    f"has told of it yet; see `vmi position show {what[0]} {what[1]}` and `vmi quarantine list`"
                )
            return told
        standing = one_of(await proposals.named(connection, what[0]), what[0])
        return await telling.of_proposal(standing, transaction)


def _print(story: Story) -> None:
    decision, told = story.decision, story.told
    title = f"{story.key.item_id} for {story.key.location_id} of {story.key.customer_id}"
    if story.proposal is not None:
        one = story.proposal
        title = f"{title}: {plain(one.quantity)} {story.unit}, {one.status.value}, version {one.version}"
    out.print(f"[bold]{title}[/]", soft_wrap=True)
    out.print(story.reason, markup=False, soft_wrap=True)
    out.print()
    for name, value in (
        ("to be ordered by", _when(story.order_at)),
        ("on the shelf", _when(story.deliver_at)),
        ("demand a day", "unknown" if told.daily_demand is None else f"{told.daily_demand:.4g} {story.unit}"),
        ("runs out if nothing is sent", _runs_out(story)),
        ("latest time to order", _latest(story)),
        ("cover before and after", _cover(told.cover_before_days, told.cover_after_days)),
        ("value", "no price is agreed" if told.value is None else f"{told.value:,.2f}"),
    ):
        out.print(f"  [bold]{name:28}[/]", end="", markup=True)
        out.print(value, markup=False, soft_wrap=True)
    out.print()
    position = decision.need.position
    named = [(name, getattr(position, name)) for name in type(position).__dataclass_fields__]
    parts = [f"{name.replace('_', ' ')} {plain(value)}" for name, value in named if value or name == "usable"]
    level = "none" if decision.level is None else plain(decision.level)
    out.print(f"  position {plain(position.inventory_position)} = {', '.join(parts)}", markup=False, soft_wrap=True)
    out.print(f"  level {level}: {FORMULAS[decision.source]}", markup=False, soft_wrap=True)
    for step in decision.sized.steps:
        out.print(f"  {step.constraint.value.replace('_', ' ')}: {plain(step.quantity)}", markup=False)
    expected = decision.need.expected
    for plan in () if expected is None else expected.plans:
        because = ", ".join(word for word in (plan.author, plan.reason) if word)
        out.print(
            f"  {plan.kind} {plan.plan_id} makes the demand {plan.after:g} of {plan.before:g}"
            f"{f' ({because})' if because else ''}",
            markup=False,
            soft_wrap=True,
        )
    if told.packs:
        print_rows(
            "What one pack would do, until the next arrival",
            ("packs", "quantity", "nothing short", "units short", "units left", "value"),
            [_pack(one) for one in told.packs],
            nothing="",
        )
    if story.changed:
        print_rows(
            "What changed since the version before",
            ("", "before", "now"),
            [(one.name, one.before, one.after) for one in story.changed],
            nothing="",
        )
    if story.now:
        print_rows(
            "What is otherwise now, and asks for no other quantity",
            ("", "then", "now"),
            [(one.name, one.before, one.after) for one in story.now],
            nothing="",
        )
    for heading, lines in (("Mind", told.warnings), ("What else to do", told.advice)):
        if lines:
            out.print(f"[bold]{heading}[/]")
            for line in lines:
                out.print(f"  {line}", markup=False, soft_wrap=True)
    if len(story.versions) > 1:
        print_rows(
            "Versions",
            ("", "status", "quantity", "issued", "why"),
            [
                (one.version, one.status.value, plain(one.quantity), _when(one.issued_at), one.reason)
                for one in story.versions
            ],
            nothing="",
            sentences=True,
        )
    print_rows(
        "The last facts it rests on",
        ("when", "what", "quantity", "learned"),
        [
            (_when(one.occurred_at), one.kind.name.lower(), plain(one.quantity), _when(one.recorded_at))
            for one in story.events
        ],
        nothing="No fact has told of it yet.",
    )


def _runs_out(story: Story) -> str:
    told = story.told
    if told.daily_demand is None:
        return "unknown"
    if told.runs_out_at is None:
        return "not for years"
    early = "" if told.may_run_out_at is None else f", in one case of twenty by {_when(told.may_run_out_at)}"
    return f"{_when(told.runs_out_at)}{early}"


def _latest(story: Story) -> str:
    told = story.told
    if told.latest_order_at is None:
        return "no hurry" if told.daily_demand is not None else "unknown"
    return f"{_when(told.latest_order_at)}{', which has passed' if told.is_too_late else ''}"


def _cover(before: float | None, after: float | None) -> str:
    return "unknown" if before is None or after is None else f"{before:g} and {after:g} days"


def _pack(effect: PackEffect) -> tuple[str, ...]:
    sign = {-1: "one less", 0: "as it is", 1: "one more"}[effect.packs]
    value = "" if effect.value is None else f"{effect.value:,.2f}"
    return (sign, plain(effect.quantity), f"{effect.service:.1%}", f"{effect.short:g}", f"{effect.left:g}", value)


def _when(at: datetime) -> str:
    return f"{at.astimezone(ZoneInfo('UTC')):%a %Y-%m-%d %H:%M} UTC"


def _as_json(story: Story) -> dict[str, Any]:
    proposal, decision = story.proposal, story.decision
    return {
        "customer_id": story.key.customer_id,
        "location_id": story.key.location_id,
        "item_id": story.key.item_id,
        "unit": story.unit,
        "proposal_id": None if proposal is None else str(proposal.proposal_id),
        "version": None if proposal is None else proposal.version,
        "status": None if proposal is None else proposal.status.value,
        "quantity": "0" if proposal is None else plain(proposal.quantity),
        "reason": story.reason,
        "reason_for_zero": None if decision.reason_for_zero is None else decision.reason_for_zero.value,
        "order_at": story.order_at.isoformat(),
        "deliver_at": story.deliver_at.isoformat(),
        "inventory_position": plain(decision.need.position.inventory_position),
        "level": None if decision.level is None else plain(decision.level),
        "formula": FORMULAS[decision.source],
        "binding": decision.binding.value,
        **story.told.as_json(),
        "changed": [asdict(one) for one in story.changed],
        "now": [asdict(one) for one in story.now],
        "versions": [
            {
                "version": one.version,
                "status": one.status.value,
                "quantity": plain(one.quantity),
                "issued_at": one.issued_at.isoformat(),
                "reason": one.reason,
                "explanation": one.explanation,
            }
            for one in story.versions
        ],
        "events": [
            {
                "occurred_at": one.occurred_at.isoformat(),
                "kind": one.kind.name.lower(),
                "quantity": plain(one.quantity),
                "recorded_at": one.recorded_at.isoformat(),
            }
            for one in story.events
        ],
    }

"""The replenishment worker, as a list of what it does."""

from vmi_contracts.topics import FORECASTS, POSITIONS, PROPOSAL_ANSWERS
from vmi_replenishment.following import Replenishment
from vmi_replenishment.reading import read_answers, read_changes
from vmi_runtime import process, retrying
from vmi_runtime.worker import Subscription, Tick, Worker

_REPLENISHMENT = Replenishment()

WORKER = Worker(
    "replenishment",
    subscriptions=(
        Subscription((POSITIONS, FORECASTS), decode=read_changes, apply=_REPLENISHMENT.follow_changes),
        Subscription((PROPOSAL_ANSWERS,), decode=read_answers, apply=_REPLENISHMENT.follow_answers),
    ),
    ticks=(
        Tick("let time pass", every_seconds=1, do=_REPLENISHMENT.let_time_pass),
        retrying.trying_again("replenishment", (POSITIONS, FORECASTS), _REPLENISHMENT.follow_changes_again),
        retrying.trying_again("replenishment", (PROPOSAL_ANSWERS,), _REPLENISHMENT.follow_answers_again),
    ),
)

if __name__ == "__main__":
    process.main(WORKER)

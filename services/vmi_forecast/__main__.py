"""The forecast worker, as a list of what it does."""

from vmi_contracts.topics import POSITIONS
from vmi_forecast.changes import read_changes
from vmi_forecast.profiling import refresh
from vmi_forecast.selecting import choose
from vmi_forecast.upkeep import close_quiet_days, follow_positions, take_again
from vmi_runtime import process, retrying
from vmi_runtime.worker import Subscription, Tick, Worker

WORKER = Worker(
    "forecast",
    subscriptions=(Subscription((POSITIONS,), decode=read_changes, apply=follow_positions),),
    ticks=(
        Tick("close quiet days", every_seconds=60, do=close_quiet_days),
        Tick("refresh profiles", every_seconds=60, do=refresh),
        Tick("choose models", every_seconds=300, do=choose),
        retrying.trying_again("forecast", (POSITIONS,), take_again),
    ),
)

if __name__ == "__main__":
    process.main(WORKER)

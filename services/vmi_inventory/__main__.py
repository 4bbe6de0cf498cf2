"""The inventory worker, as a list of what it does."""

from vmi_contracts.topics import AGREEMENTS, CATALOGUE, DEMAND_PLANS, ORDERS, SALES, STOCK, SUPPLY
from vmi_inventory import releasing
from vmi_inventory.documents import read_facts
from vmi_inventory.housekeeping import keep_house
from vmi_inventory.liveness import watch_feeds
from vmi_inventory.master_data import read_master_data, record_master_data
from vmi_inventory.reconciling import reconcile
from vmi_inventory.recording import Facts
from vmi_inventory.requesting import ask_for_counts
from vmi_inventory.supplying import read_supply, record_supply
from vmi_inventory.upkeep import prepare_the_journal
from vmi_runtime import process
from vmi_runtime.worker import Subscription, Tick, Worker

FACTS = Facts()

WORKER = Worker(
    "inventory",
    subscriptions=(
        Subscription((CATALOGUE, AGREEMENTS), decode=read_master_data, apply=record_master_data),
        Subscription((SUPPLY,), decode=read_supply, apply=record_supply),
        Subscription((STOCK, SALES, ORDERS, DEMAND_PLANS), decode=read_facts, apply=FACTS.record),
    ),
    ticks=(
        *releasing.ticks(FACTS),
        Tick("watch the feeds", every_seconds=1, do=watch_feeds),
        Tick("reconcile counts", every_seconds=1, do=reconcile),
        Tick("ask for counts", every_seconds=10, do=ask_for_counts),
        Tick("prepare the journal", every_seconds=600, do=prepare_the_journal),
    ),
    tasks=(keep_house,),
)

if __name__ == "__main__":
    process.main(WORKER)

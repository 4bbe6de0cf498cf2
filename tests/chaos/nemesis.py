"""Who does the damage: faults drawn by a seed, many small ones all the time and large ones among them."""

import asyncio
import signal
from collections import Counter
from contextlib import suppress
from random import Random

import psutil

from .stage import SESSION_SECONDS, Stage

SMALL_PAUSE = (0.05, 0.5)
LARGE_PAUSE = (1.0, 5.0)


class Nemesis:
    """Injects faults until it is told to stop, each kind at least once, and counts them by what they were."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self._stage = stage
        self._small_chance = Random(f"small faults {seed}")
        self._large_chance = Random(f"large faults {seed}")
        self.plan: list[str] = []
        self.small = {
            "database backend terminated": self._terminate,
            "database connection cut": self._cut_database,
            "broker connection cut": self._cut_broker,
        }
        self.large = {
            "worker SIGKILL": self._kill,
            "worker SIGTERM": self._term,
            "worker SIGSTOP past the session": self._freeze,
            "worker doubled, then SIGKILL": self._double,
            "worker joins and leaves (rebalances)": self._join_and_leave,
            "broker SIGKILL and restart": self._broker,
            "database immediate restart": self._database,
            "database backend SIGKILL (crash recovery)": self._backend,
            "all database connections cut": self._cut_all_of_the_database,
            "all broker connections cut": self._cut_all_of_the_broker,
            "database connections slow": self._slow_database,
            "broker connections slow": self._slow_broker,
            "database connections half-open": self._silence_database,
            "broker connections half-open": self._silence_broker,
        }
        if stage.disk.missing is None:
            self.large["disk full"] = self._disk
        self.injected = Counter(dict.fromkeys([*self.small, *self.large], 0))

    async def rage(self, until_time) -> None:
        """Inject faults until it is time, then let all of them end, and make up for the kinds that did not come."""
        await asyncio.gather(self._small_ones(until_time), self._large_ones(until_time))
        while missing := [name for name, times in self.injected.items() if not times]:
            for name in missing:
                await self._one(name, self._large_chance)

    async def _small_ones(self, until_time) -> None:
        chance, loop = self._small_chance, asyncio.get_running_loop()
        while loop.time() < until_time():
            name = chance.choice(list(self.small))
            self.injected[name] += await self.small[name](chance)
            await asyncio.sleep(chance.uniform(*SMALL_PAUSE))

    async def _large_ones(self, until_time) -> None:
        """Each kind comes once before any comes again."""
        chance, loop = self._large_chance, asyncio.get_running_loop()
        names: list[str] = []
        running: set[asyncio.Task[int]] = set()
        while loop.time() < until_time():
            if not names:
                names = list(self.large)
                chance.shuffle(names)
            name = names.pop()
            self.plan.append(name)
            task = asyncio.create_task(self._one(name, Random(chance.random())))
            running.add(task)
            await asyncio.sleep(chance.uniform(*LARGE_PAUSE))
            running = {one for one in running if not one.done()}
        await asyncio.gather(*running)

    async def _one(self, name: str, chance: Random) -> None:
        self.injected[name] += await (self.small | self.large)[name](chance)

    # The workers --------------------------------------------------------------------------------------------------

    def _victim(self, chance: Random):
        return chance.choice([member for member in self._stage.members if not member.frozen])

    async def _kill(self, chance: Random) -> int:
        self._victim(chance).signal(signal.SIGKILL)
        return 1

    async def _term(self, chance: Random) -> int:
        self._victim(chance).signal(signal.SIGTERM)
        return 1

    async def _freeze(self, chance: Random) -> int:
        member = self._victim(chance)
        process = member.process
        member.frozen = True
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(chance.uniform(SESSION_SECONDS + 1, SESSION_SECONDS + 6))
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
        member.frozen = False
        return 1

    async def _extra(self, chance: Random, number: int) -> int:
        member = self._stage.joined(chance.choice(["inventory", "replenishment", "forecast", "relay"]))
        self._stage.members.append(member)
        await asyncio.sleep(chance.uniform(4, 12))
        member.wanted = False
        member.signal(number)
        self._stage.members.remove(member)
        for _ in range(100):
            if member.process.poll() is not None:
                break
            await asyncio.sleep(0.1)
        await asyncio.to_thread(member.end)
        return 1

    async def _double(self, chance: Random) -> int:
        return await self._extra(chance, signal.SIGKILL)

    async def _join_and_leave(self, chance: Random) -> int:
        return await self._extra(chance, signal.SIGTERM)

    # The servers --------------------------------------------------------------------------------------------------

    async def _broker(self, chance: Random) -> int:
        killed = self._stage.kill(self._stage.kafka)
        await asyncio.sleep(chance.uniform(0, 3))
        await self._stage.up()
        return int(killed)

    async def _database(self, chance: Random) -> int:
        killed = self._stage.kill(self._stage.postgres)
        await asyncio.sleep(chance.uniform(0, 3))
        await self._stage.up()
        return int(killed)

    async def _backend(self, chance: Random) -> int:
        pids = await self._backends()
        if not pids:
            return 0
        with suppress(psutil.NoSuchProcess):
            psutil.Process(chance.choice(pids)).send_signal(signal.SIGKILL)
            return 1
        return 0

    async def _disk(self, chance: Random) -> int:
        await asyncio.to_thread(self._stage.disk.fill)
        try:
            await asyncio.sleep(chance.uniform(1, 4))
        finally:
            self._stage.disk.empty()
        await self._stage.up()  # a server that found no room for its log has ended
        return 1

    async def _backends(self) -> list[int]:
        rows = await self._stage.administer(
            "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'vmi-%' ORDER BY pid"
        )
        return [row["pid"] for row in rows]

    async def _terminate(self, chance: Random) -> int:
        pids = await self._backends()
        if not pids:
            return 0
        ended = await self._stage.administer("SELECT pg_terminate_backend($1) AS ended", chance.choice(pids))
        return sum(row["ended"] for row in ended)

    # The network --------------------------------------------------------------------------------------------------

    async def _cut_database(self, chance: Random) -> int:
        return self._stage.database_network.cut(chance)

    async def _cut_broker(self, chance: Random) -> int:
        return self._stage.broker_network.cut(chance)

    async def _cut_all_of_the_database(self, chance: Random) -> int:
        return int(self._stage.database_network.cut() > 0)

    async def _cut_all_of_the_broker(self, chance: Random) -> int:
        return int(self._stage.broker_network.cut() > 0)

    async def _slow(self, network, chance: Random) -> int:
        network.delay_seconds = chance.uniform(0.02, 0.3)
        await asyncio.sleep(chance.uniform(1, 5))
        network.mend()
        return 1

    async def _slow_database(self, chance: Random) -> int:
        return await self._slow(self._stage.database_network, chance)

    async def _slow_broker(self, chance: Random) -> int:
        return await self._slow(self._stage.broker_network, chance)

    async def _silence(self, network, chance: Random) -> int:
        network.silence()
        await asyncio.sleep(chance.uniform(2, 10))
        if chance.random() < 0.5:  # what was half-open is found dead, or lives again
            network.cut()
        network.mend()
        return 1

    async def _silence_database(self, chance: Random) -> int:
        return await self._silence(self._stage.database_network, chance)

    async def _silence_broker(self, chance: Random) -> int:
        return await self._silence(self._stage.broker_network, chance)

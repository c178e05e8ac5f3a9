"""The ledger of a scheduler in step with SQL: with what was kept, with what others write, and with what is lifted."""

from __future__ import annotations

from plugmesh.state.records import Conviction
from registry.registry import MemberChange
from scheduler.poison import RUNS
from scheduler.quarantines import Quarantines

KEY = ("shop.price", "1.2.0")


def death(run):
    return Conviction(*KEY, f"r-{run}", "a", 1, "signal SIGSEGV", "", float(run))


class Sql:
    """The rows of convictions; `meanwhile` happens while they are read."""

    def __init__(self, *rows, exclusive=True):
        self.rows, self.exclusive = list(rows), exclusive
        self.meanwhile = lambda: None

    async def read(self, question):
        found = list(self.rows)
        self.meanwhile()
        return found


class Switches:
    """What there is of a registry here."""

    def __init__(self):
        self.quarantined = []

    def watch(self, listener):
        self.tell = listener
        return self

    def close(self):
        """Nothing more is told."""

    def quarantine(self, switch):
        self.quarantined.append((switch.module, switch.version))
        return True

    def lift(self):
        self.tell(MemberChange(None, None, None, frozenset({KEY[0]}), KEY))


async def started(sql):
    registry = Switches()
    quarantines = Quarantines(sql, registry, set())  # type: ignore[arg-type]
    await quarantines.start()
    return quarantines, registry


async def test_what_was_kept_counts_with_what_comes():
    quarantines, registry = await started(Sql(*map(death, range(RUNS - 1))))
    assert registry.quarantined == []
    quarantines.count([death(RUNS)])
    assert registry.quarantined == [KEY]
    assert (quarantines.convictions, quarantines.quarantines) == (1, 1)


async def test_what_others_write_counts_too():
    sql = Sql(exclusive=False)
    quarantines, registry = await started(sql)
    quarantines.count([death(0)])
    sql.rows = list(map(death, range(RUNS)))
    await quarantines.follow()
    assert registry.quarantined == [KEY]


async def test_nobody_else_writes_into_a_database_of_its_own():
    sql = Sql()
    quarantines, registry = await started(sql)
    sql.rows = list(map(death, range(RUNS)))
    await quarantines.follow()
    assert registry.quarantined == []


async def test_what_is_lifted_while_it_is_read_does_not_come_back():
    sql = Sql(exclusive=False)
    quarantines, registry = await started(sql)
    sql.rows, sql.meanwhile = list(map(death, range(RUNS))), registry.lift
    await quarantines.follow()
    assert registry.quarantined == []
    quarantines.count([death(RUNS)])
    assert registry.quarantined == []


async def test_a_version_whose_acquittal_was_not_written_is_acquitted_by_the_next_success():
    suspects: set[tuple[str, str]] = set()
    quarantines = Quarantines(Sql(), Switches(), suspects)  # type: ignore[arg-type]
    await quarantines.start()
    quarantines.count([death(0)])
    suspects.remove(KEY)  # a step of it has worked, and the commit that was to say so failed
    quarantines.count([])
    assert suspects == {KEY}
    suspects.remove(KEY)
    quarantines.acquit([KEY])
    quarantines.count([])
    assert suspects == set()

"""The transactions of whoever sweeps. Each of them is short, and may be repeated."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from plugmesh.errors import Conflict, NotFound
from plugmesh.state.borrowing import lenders_among
from plugmesh.state.file_versions import FileVersion
from plugmesh.state.pins import is_pinned, pinned_among
from plugmesh.state.retention import Measured
from plugmesh.state.runs import delete_run_rows
from plugmesh.state.schema import event, file, run, run_borrow, run_data
from plugmesh.state.writes import Writer

_SLICE = 500


def save_measured(writer: Writer, found: Sequence[Measured], at: float) -> None:
    """Write down what ended runs keep, in place of what was known of them."""

    def body() -> None:
        execute = writer.connection.execute
        runs = [one.run for one in found]
        known = {row[0] for row in execute(sa.select(run_data.c.run).where(run_data.c.run.in_(runs)))}
        rows = {
            one.run: {name: getattr(one, name) for name in Measured.__slots__ if name != "lenders"}
            | {"measured_at": at}
            for one in found
        }
        for name in known:
            execute(sa.update(run_data).where(run_data.c.run == name).values(**rows[name]))
        fresh = [row for name, row in rows.items() if name not in known]
        if fresh:
            execute(sa.insert(run_data), fresh)
        execute(sa.delete(run_borrow).where(run_borrow.c.run.in_(runs)))
        lent = [{"run": one.run, "lender": lender} for one in found for lender in sorted(one.lenders)]
        if lent:
            execute(sa.insert(run_borrow), lent)

    writer.transaction("measured", body)


def mark_data(writer: Writer, runs: Sequence[str], at: float) -> list[str]:
    """Say of these runs that their data is gone; its objects are deleted later. Returns those that were marked: not
    one that is pinned by now, or that a run borrows from."""

    def body() -> list[str]:
        held = pinned_among(writer, runs, at) | lenders_among(writer, runs)
        marked = [one for one in runs if one not in held]
        execute = writer.connection.execute
        execute(sa.update(run).where(run.c.id.in_(marked), run.c.ended_at.is_not(None)).values(data_gone_at=at))
        fresh = (run_data.c.run.in_(marked), run_data.c.data_marked_at.is_(None))
        execute(sa.update(run_data).where(*fresh).values(data_marked_at=at))
        execute(sa.delete(run_borrow).where(run_borrow.c.run.in_(marked)))
        return marked

    return writer.transaction("mark_data", body)


def mark_logs(writer: Writer, runs: Sequence[str], at: float) -> list[str]:
    """The same for logs."""

    def body() -> list[str]:
        pinned = pinned_among(writer, runs, at)
        marked = [one for one in runs if one not in pinned]
        fresh = (run_data.c.run.in_(marked), run_data.c.logs_marked_at.is_(None))
        writer.connection.execute(sa.update(run_data).where(*fresh).values(logs_marked_at=at))
        return marked

    return writer.transaction("mark_logs", body)


def mark_released(writer: Writer, run_id: str, *, data: bool, logs: bool, at: float) -> None:
    """Write down that the objects are deleted."""
    values = {name: at for name, wanted in (("data_released_at", data), ("logs_released_at", logs)) if wanted}
    update = sa.update(run_data).where(run_data.c.run == run_id).values(**values)
    writer.transaction("released", lambda: writer.connection.execute(update))


def forget_run(writer: Writer, run_id: str) -> None:
    """Nothing is left of a run: forget what it kept."""

    def body() -> None:
        for table in (run_borrow, run_data):
            writer.connection.execute(sa.delete(table).where(table.c.run == run_id))

    writer.transaction("forget_run", body)


def drop_events(writer: Writer, run_id: str, at: float) -> bool:
    """Delete the next few hundred event rows of an ended run but the last one, which says how it ended. Returns
    whether there are more. A run that is pinned by now keeps them."""

    def body() -> bool:
        execute = writer.connection.execute
        key = execute(sa.select(run.c.key).where(run.c.id == run_id, run.c.ended_at.is_not(None))).scalar()
        if key is None or is_pinned(writer, run_id, at):
            return False
        first, last = execute(
            sa.select(sa.func.min(event.c.seq), sa.func.max(event.c.seq)).where(event.c.run == key)
        ).one()
        upto = min((first or 0) + _SLICE, last or 0)
        execute(sa.delete(event).where(event.c.run == key, event.c.seq < upto))
        if upto < (last or 0):
            return True
        execute(sa.update(run_data).where(run_data.c.run == run_id).values(events_gone_at=at))
        return False

    return writer.transaction("drop_events", body)


def expire_run(writer: Writer, run_id: str, at: float) -> bool:
    """Delete the next few thousand rows of an ended run whose objects are gone; returns whether there are more."""
    if is_pinned(writer, run_id, at):
        return False
    try:
        return delete_run_rows(writer, run_id)
    except (NotFound, Conflict):
        return False


def delete_surplus(writer: Writer, versions: Sequence[FileVersion], at: float) -> None:
    """Delete versions of files as a person would."""
    keys = [version.key for version in versions]
    update = sa.update(file).where(file.c.key.in_(keys), file.c.deleted_at.is_(None)).values(deleted_at=at)
    writer.transaction("surplus_files", lambda: writer.connection.execute(update))


def forget_files(writer: Writer, versions: Sequence[FileVersion]) -> None:
    """Remove the rows of deleted versions whose objects are gone."""
    delete = sa.delete(file).where(file.c.key.in_([one.key for one in versions]), file.c.deleted_at.is_not(None))
    writer.transaction("forget_files", lambda: writer.connection.execute(delete))

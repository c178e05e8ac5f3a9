"""What modules answered to the planner: the same question has the same answer, whoever asks."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import sqlalchemy as sa

from plugmesh.state.reads import Reader
from plugmesh.state.schema import plan_answer
from plugmesh.state.writes import Writer

KEPT_S = 30 * 86_400.0
"""Answers are forgotten so long after they were given: most are about one version of one file."""
LARGEST = 60_000
"""Characters of an answer's JSON text; larger ones are asked for again."""


def save_plan_answers(writer: Writer, answers: Mapping[str, str], at: float) -> None:
    """Keep answers, as JSON text by the keys of their questions, and forget old ones."""
    keys = sorted(key for key, text in answers.items() if len(text) <= LARGEST)

    def body() -> None:
        table = plan_answer
        writer.connection.execute(sa.delete(table).where(table.c.at < at - KEPT_S))
        writer.connection.execute(sa.delete(table).where(table.c.question.in_(keys)))
        if keys:
            rows = [{"question": key, "answer": answers[key], "at": at} for key in keys]
            writer.connection.execute(sa.insert(table), rows)

    writer.transaction("plan_answer", body)


def plan_answers(reader: Reader, questions: Collection[str]) -> dict[str, str]:
    """The JSON texts of those answers that are known, by the keys of their questions."""
    table = plan_answer
    query = sa.select(table.c.question, table.c.answer).where(table.c.question.in_(sorted(questions)))
    return {str(question): str(answer) for question, answer in reader.rows(query)}

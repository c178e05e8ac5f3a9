"""One line of the table of bad inputs: what somebody sends, and the exact answer."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Row:
    """`says` is the answer's `detail`; of a flow, every problem as `LINE:COLUMN: [warning: ]message (hint)`, one a line.

    `shown` is how the page shows a body that is too long to be shown. `slow`: only in the full suite.
    """

    title: str
    body: str | bytes
    says: str
    code: str = "flow-invalid"
    status: int = 422
    method: str = "POST"
    path: str = "/api/v1/runs"
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    shown: str = ""
    strict: bool = False
    slow: bool = False

    def __str__(self) -> str:
        return self.title

    @property
    def sent(self) -> bytes:
        """The body as bytes."""
        return self.body if isinstance(self.body, bytes) else self.body.encode("utf-8", "surrogatepass")

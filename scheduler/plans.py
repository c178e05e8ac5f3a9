"""Plans by flow: compiled once, shared by the runs of a revision."""

from __future__ import annotations

from collections import OrderedDict

from plugmesh.contracts.flow import Flow
from scheduler.plan import Plan, compile_plan

_KEPT = 256


class Plans:
    """The plans used last."""

    def __init__(self) -> None:
        self._plans: OrderedDict[str, Plan] = OrderedDict()

    def of(self, flow: Flow) -> Plan:
        """The plan of a flow. Raises `FlowInvalid`."""
        plan = self._plans.get(flow.digest)
        if plan is None:
            plan = self._plans[flow.digest] = compile_plan(flow)
            if len(self._plans) > _KEPT:
                self._plans.popitem(last=False)
        self._plans.move_to_end(flow.digest)
        return plan

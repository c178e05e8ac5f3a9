"""All codes by their names. One code has one declaration, wherever it appears."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from plugmesh.codes.answers import ANSWERS
from plugmesh.codes.code import Code
from plugmesh.codes.flows import FLOWS
from plugmesh.codes.steps import STEPS

CODES: Mapping[str, Code] = MappingProxyType({code.code: code for code in (*ANSWERS, *FLOWS, *STEPS)})

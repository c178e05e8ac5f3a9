"""Answers about settings."""

from __future__ import annotations

from pydantic import Field, JsonValue

from gateway.documents.document import Document, example

_SETTING = {
    "name": "rows_default",
    "value": 100,
    "default": 100,
    "configured": 100,
    "source": "default",
    "changed": False,
    "changeable": True,
    "doc": "Rows of a page of data, if none are asked for.",
}


class ShownSetting(Document):
    """A setting. Secrets are shown as asterisks."""

    model_config = example(**_SETTING)

    name: str
    value: JsonValue = Field(description="What is in force")
    default: JsonValue
    configured: JsonValue = Field(description="What options, environment and file say")
    source: str = Field(description="Where the value comes from")
    changed: bool = Field(description="Whether it was changed by the API")
    changeable: bool = Field(description="Whether it can be, while the server runs")
    doc: str


class SettingList(Document):
    """Every setting, in the order of the reference."""

    model_config = example(settings=[_SETTING])

    settings: list[ShownSetting]

"""Where traces go: Plugmesh's own variable, or those that every program with OpenTelemetry understands."""

import pytest

from plugmesh.errors import ConfigurationError
from plugmesh.runtime import SystemRuntime
from plugmesh.settings.settings import Settings, SettingsInvalid
from plugmesh.telemetry import open as opening
from plugmesh.telemetry.config import TelemetryConfig, telemetry_config
from plugmesh.telemetry.off import OFF

STANDARD, TRACES, OWN = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "PLUGMESH_OTLP_ENDPOINT"


def test_nothing_is_traced_unless_somebody_says_where_to() -> None:
    assert telemetry_config({}).url == ""
    assert opening.open_telemetry(TelemetryConfig(), SystemRuntime()) is OFF


def test_the_standard_variables_are_understood() -> None:
    assert telemetry_config({STANDARD: "http://c:4318"}).url == "http://c:4318/v1/traces"
    assert telemetry_config({STANDARD: "http://c:4318/otel/"}).url == "http://c:4318/otel/v1/traces"
    assert telemetry_config({STANDARD: "http://c:4318", TRACES: "https://t/x"}).url == "https://t/x"


def test_the_own_setting_goes_first_and_cannot_be_switched_off_by_the_others() -> None:
    others = {STANDARD: "http://c:4318", "OTEL_SDK_DISABLED": "true"}
    assert telemetry_config(others).url == ""
    assert telemetry_config({**others, OWN: "http://own:1"}).url == "http://own:1/v1/traces"
    assert telemetry_config({**others, OWN: "http://own:1"}, "http://setting:1").url == "http://setting:1/v1/traces"
    assert telemetry_config({STANDARD: "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}).url == ""


@pytest.mark.parametrize("wrong", ["c:4318", "grpc://c:4317", "http://", "http://c:99999", "http://[::1", "x"])
def test_what_is_no_address_is_refused_by_the_name_of_its_variable(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=STANDARD):
        telemetry_config({STANDARD: wrong})
    with pytest.raises(SettingsInvalid, match="otlp_endpoint"):
        Settings.configured({"otlp_endpoint": wrong}, {})


def test_a_password_does_not_belong_into_it_and_is_not_repeated() -> None:
    for url in ("http://u:hunter2@c:4318", "http://c:4318?key=hunter2"):
        with pytest.raises(ConfigurationError, match="OTEL_EXPORTER_OTLP_HEADERS") as refused:
            telemetry_config({OWN: url})
        with pytest.raises(SettingsInvalid) as invalid:
            Settings.configured({"otlp_endpoint": url}, {})
        assert "hunter2" not in str(refused.value)
        assert "hunter2" not in " ".join(invalid.value.problems)


def test_headers_are_in_no_text() -> None:
    assert "hunter2" not in repr(telemetry_config({OWN: "http://c:1"}, headers="api-key=hunter2"))


def test_without_the_packages_only_who_was_told_so_itself_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "can_trace", lambda: False)
    runtime = SystemRuntime()
    with pytest.raises(ConfigurationError, match=r"pip install 'plugmesh\[otel\]'"):
        opening.open_telemetry(telemetry_config({OWN: "http://c:1"}), runtime)
    assert opening.open_telemetry(telemetry_config({OWN: "http://c:1"}), runtime, required=False) is OFF
    assert opening.open_telemetry(telemetry_config({STANDARD: "http://c:1"}), runtime) is OFF


@pytest.mark.parametrize(("given", "share"), [("5%", 0.05), ("0.5", 0.5), (0, 0.0), ("100 %", 1.0)])
def test_a_share_is_a_number_or_a_percentage(given: object, share: float) -> None:
    assert Settings.configured({"trace_share": given}, {}).trace_share == pytest.approx(share)


@pytest.mark.parametrize("wrong", ["101%", -1, "half", True, "x%"])
def test_what_is_no_share_is_refused(wrong: object) -> None:
    with pytest.raises(SettingsInvalid, match="trace_share"):
        Settings.configured({"trace_share": wrong}, {})

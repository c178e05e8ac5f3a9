"""Traces: what becomes of a run, across processes, for OpenTelemetry."""

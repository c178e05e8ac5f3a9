"""The dashboard for Grafana; `scripts/dashboard` is the command."""

"""`consul://`: discovery by a Consul agent."""

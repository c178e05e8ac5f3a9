"""A container engine on a machine that has none: podman, with the commands of Docker in front of it.

What people use is `scripts/containers`; docs/howto/deploy-compose.md tells about it.
"""

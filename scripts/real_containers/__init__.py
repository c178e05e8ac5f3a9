"""A container engine on a machine that has none: podman, with the commands of Docker in front of it.

What people use is `scripts/containers`; docs/howto/containers-for-tests.md tells about it.
"""

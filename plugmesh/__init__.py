"""Plugmesh: a mesh of hot-pluggable compute modules. This package is the kernel that all components share."""

__version__ = "0.2.0"

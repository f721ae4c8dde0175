"""Run one model as a container service and as a serverless function, load both fairly, choose."""

__version__ = "0.2.0"

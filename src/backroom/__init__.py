"""Backroom runs the background tasks of Kafka instances. See docs/architecture.md."""

__version__ = "0.1.0"

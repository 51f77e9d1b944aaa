"""Prometheus metrics of the service."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["Metrics"]

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


class Metrics:
    """The metrics of one application, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self.requests = Counter(
            "commonspace_requests", "Requests answered.", labels, registry=registry
        )
        self.seconds = Histogram(
            "commonspace_request_seconds",
            "Seconds from a request to its response.",
            ("route",),
            buckets=SECONDS,
            registry=registry,
        )
        self.batches = Histogram(
            "commonspace_batch_queries",
            "Queries that shared a forward pass.",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=registry,
        )
        self._items = Gauge("commonspace_items", "Items of the index.", registry=registry)

    def render(self, items: int) -> bytes:
        """Return all metrics in the text format of Prometheus.

        Args:
            items: number of items in the index now.
        """
        self._items.set(items)
        return bytes(generate_latest(self._registry))

"""What the service counts, in the text format of Prometheus. It knows no index."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["Metrics"]

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


class Metrics:
    """The figures of one application, in a registry of its own."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self._registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self._requests = Counter(
            "commonspace_requests", "Requests answered.", labels, registry=self._registry
        )
        self._seconds = Histogram(
            "commonspace_request_seconds",
            "Seconds from a request to its answer.",
            ("route",),
            buckets=SECONDS,
            registry=self._registry,
        )
        self._batches = Histogram(
            "commonspace_batch_queries",
            "Queries that shared a forward pass.",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=self._registry,
        )
        self._items = Gauge("commonspace_items", "Items of the index.", registry=self._registry)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request.

        Args:
            method: of HTTP.
            route: the address as the service names it, never as it was called.
            status: of the answer.
            seconds: that it took.
        """
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def batched(self, size: int) -> None:
        """Count a batch of queries."""
        self._batches.observe(size)

    def text(self, items: int) -> bytes:
        """Return all figures.

        Args:
            items: that the index holds now.
        """
        self._items.set(items)
        return bytes(generate_latest(self._registry))

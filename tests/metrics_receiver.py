"""A receiver of OpenTelemetry's metrics on the loopback address: what a collector is to Airflow."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

Tags = frozenset[tuple[str, str]]


class Receiver:
    """What has come so far: the last value of each gauge, and the names of all metrics."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.names: set[str] = set()
        self._gauges: dict[tuple[str, Tags], float] = {}

    def gauge(self, name: str, **tags: str) -> float:
        """Gives the last value of a gauge with exactly these tags."""
        return self._gauges[name, frozenset(tags.items())]

    def take(self, body: bytes) -> None:
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    self.names.add(metric.name)
                    for point in metric.gauge.data_points:
                        tags = frozenset((one.key, one.value.string_value) for one in point.attributes)
                        self._gauges[metric.name, tags] = point.as_double or float(point.as_int)


@contextmanager
def metrics_receiver() -> Iterator[Receiver]:
    """Listens on a free port until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the server's own name
            receiver.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.end_headers()
            self.wfile.write(ExportMetricsServiceResponse().SerializeToString())

        def log_message(self, *arguments: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()

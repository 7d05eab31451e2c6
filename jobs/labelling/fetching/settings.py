"""How URLs are fetched: every limit in one place, small enough to travel with each task."""

from dataclasses import dataclass

from jobs.labelling.fetching.addresses import Network


@dataclass(frozen=True)
class FetchSettings:
    """Limits of fetching one image, and of what a server is asked at once.

    Attributes:
        connect_seconds: To resolve a name and to open a connection, each.
        read_seconds: That a server may be silent.
        total_seconds: For one image with all redirects and retries, from when its server is first asked.
        redirects: Followed for one image.
        retries: After a 429, a 5xx, a connection that fails or breaks, or silence.
        at_once: Images fetched at once by one executor.
        per_host: Of these, from one host.
        allowed_networks: Networks that may be reached though they are private, loopback or otherwise not public.
    """

    connect_seconds: float = 5.0
    read_seconds: float = 10.0
    total_seconds: float = 30.0
    redirects: int = 5
    retries: int = 3
    at_once: int = 64
    per_host: int = 32
    allowed_networks: tuple[Network, ...] = ()

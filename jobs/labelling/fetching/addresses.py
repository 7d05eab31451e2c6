"""Which addresses may be connected to: public ones, and the networks that the configuration allows."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
"""RFC 6052 and RFC 8215: a gateway turns the last 32 bits into an IPv4 address."""

_IPV4_COMPATIBLE = IPv6Network("::/96")
"""RFC 4291, deprecated: an IPv4 address in the last 32 bits."""


def refusal(address: str, allowed: Iterable[Network]) -> str | None:
    """Says why an address may not be connected to; None where it may.

    An IPv6 address that carries an IPv4 address (mapped, compatible, 6to4, Teredo, NAT64) is judged by both.

    Args:
        address: As the resolver gave it, perhaps with a zone such as `%eth0`.
        allowed: Networks that may be reached whatever they are.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return "no IP address"
    carried = _carried(parsed)
    if any(one in network for one in (parsed, *carried) for network in allowed if one.version == network.version):
        return None
    return next((kind for kind in map(_kind, (*carried, parsed)) if kind), None)


def parse_network(text: str) -> Network:
    """Reads a network such as `10.1.0.0/16`, or a single address.

    Raises:
        ValueError: It is none.
    """
    return ip_network(text.strip())


def _carried(address: Address) -> tuple[IPv4Address, ...]:
    if isinstance(address, IPv4Address) or address.is_loopback or address.is_unspecified:
        return ()
    if address.ipv4_mapped:
        return (address.ipv4_mapped,)
    if address.sixtofour:
        return (address.sixtofour,)
    if address.teredo:
        return address.teredo
    if any(address in network for network in (*_NAT64, _IPV4_COMPATIBLE)):
        return (IPv4Address(int(address) & 0xFFFFFFFF),)
    return ()


def _kind(address: Address) -> str | None:
    """Names what keeps an address from being public: IANA's special-purpose registries, as Python knows them."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return None  # judged by the address that it maps
    for kind in ("loopback", "link_local", "multicast", "unspecified"):
        if getattr(address, f"is_{kind}"):
            return kind.replace("_", "-")
    if isinstance(address, IPv6Address) and address.is_site_local:
        return "private"
    if address.is_global and not address.is_reserved:
        return None
    return "private" if address.is_private and not address.is_reserved else "reserved"

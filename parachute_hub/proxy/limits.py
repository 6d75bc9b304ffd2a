"""All limits of the front: sizes, rates, times and counts."""

from parachute_hub.system.records import frozen


@frozen(kw_only=True)
class Limits:
    """Times in seconds, sizes in bytes, rates in bytes per second."""

    head_bytes: int = 32 * 1024
    target_bytes: int = 8 * 1024
    head_seconds: float = 10.0
    idle_seconds: float = 255.0
    # A body slower than this over a whole window is a slow-loris attack rather than a slow network.
    body_rate: int = 128
    body_window: float = 20.0
    # A client that reads nothing for this long is disconnected.
    stall_seconds: float = 300.0
    pipelined_bytes: int = 32 * 1024
    # What all clients that the hub waits for may hold, in hub, kernel and modules; the share of one address;
    # and how long anyone may pause even while that is used up.
    stalled_bytes: int = 20 * 1024 * 1024
    stalled_share: float = 0.125
    stalled_patience: float = 90.0
    linger_seconds: float = 2.0
    connections: int = 12_000
    connections_per_address: int = 11_000
    # File descriptors for all connections; connection_limits.descriptor_budget() finds the actual number.
    descriptors: int = 60_000
    websockets: int = 512
    websockets_per_address: int = 32
    # Requests that wait while a module wakes up.
    waking: int = 512
    waking_per_address: int = 64
    # What requests may hold that wait for the hub or for a module.
    waiting_bytes: int = 10 * 1024 * 1024
    waiting_bytes_per_address: int = 1280 * 1024
    # To one module; and what one network may have under way, to each module and to the hub's own pages.
    upstream_connections: int = 1024
    requests_per_address: int = 256
    connect_seconds: float = 5.0
    # Below bun's idle timeout of 10 s, so that modules rarely close a connection that is about to be used.
    reuse_seconds: float = 4.0
    response_head_bytes: int = 64 * 1024
    # Maximum body sizes for the hub's own paths; the longest matching prefix applies.
    site_body: tuple[tuple[bytes, int], ...] = (
        (b"/", 256 * 1024),
        (b"/login", 16 * 1024),
        (b"/oauth", 64 * 1024),
        # Parts of an uploaded backup.
        (b"/admin/setup/restore", 2 * 1024 * 1024),
    )

    def site_body_limit(self, path: bytes) -> int:
        """The maximum body size for this path of the hub."""
        fitting = [(len(prefix), limit) for prefix, limit in self.site_body if path.startswith(prefix)]
        return max(fitting)[1] if fitting else 0

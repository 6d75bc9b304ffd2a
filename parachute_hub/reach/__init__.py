"""Ways from other devices to this hub: Tailscale, Cloudflare Tunnel, Caddy, a name on the local network."""

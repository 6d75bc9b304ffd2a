"""The authorization endpoint: requests, scopes, redirects and consent."""

"""Tells owners of problems where they are: push, ntfy, webhook, e-mail; and a ping that misses when the hub is gone."""

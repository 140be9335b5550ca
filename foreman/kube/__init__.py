"""The real cluster: the Cluster protocol on the official client's async half, the Runtime protocol on asyncio."""

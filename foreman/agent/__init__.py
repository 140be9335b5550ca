"""The node agent: registers its machine, keeps its heartbeat, claims tasks, runs them, reports."""

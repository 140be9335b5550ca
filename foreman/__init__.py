"""Foreman dispatches agentic (LLM) tasks to a fleet of unlike machines: Macs, CUDA boxes, CPU nodes.

A task says what it needs (accelerator, RAM, context window, roles, labels, a model); a node says what it has; the
scheduler matches them. The agent on that node claims the task, runs it through an executor and writes a structured
verdict. State lives only in the Kubernetes API, group `foreman.llmkube.dev/v1alpha1`.

The scheduler, the controllers and the node agent are written once and run in two worlds:

* on an in-memory cluster driven by simpy (package `sim`): virtual time, seeded, deterministic, with every failure
  a real cluster has;
* on Kubernetes, in production (`foreman.kube`).

Two protocols are the only doors between this package and either world: `foreman.cluster.Cluster` (the API server) and
`foreman.runtime.Runtime` (time and concurrency). Everything behind them keeps to these rules:

* a decision is a pure function, snapshot in, decision out (`foreman.decide`); a reconciler reads, decides, writes;
* every `await` is a place where the world may change, and nothing else is;
* the API server is the only shared state, and every write to it is conditional on the version that was read;
* nothing here reads a clock, draws a random number or knows that a simulator exists.
"""

__version__ = "0.1.0"

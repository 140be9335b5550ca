"""The simulator's API server over HTTP, for the official client and kubectl: `serve.Server` is the way in.

The store is `sim.apiserver.ApiServer`, the very one the simulation runs on. What HTTP adds is here: JSON documents with their
pruning, defaulting and validation, patches, field ownership, selectors, pages, watches, tables, discovery, access, faults.
Answers are those of a Kubernetes 1.36 API server to requests for custom resources, down to the wording.
"""

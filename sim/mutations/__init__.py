"""Mutations: the product with one safeguard taken out, to see whether the invariants notice.

A mutation is injected by composition: a wrapped Cluster, or a part with one decision replaced. Nothing in `foreman/`
knows of it. A file of this folder holds the mutations of one origin.
"""

from __future__ import annotations

from functools import cache

from sim.mutations.dispatchers import DISPATCHERS
from sim.mutations.jobs import JOBS
from sim.mutations.kubernetes import KUBERNETES
from sim.mutations.latent import LATENT
from sim.mutations.models import MODELS
from sim.mutations.original import ORIGINAL
from sim.mutations.product import Mutation, Product
from sim.mutations.safeguards import SAFEGUARDS
from sim.mutations.workloads import WORKLOADS

__all__ = ["MUTATIONS", "Mutation", "Product", "mutated"]

MUTATIONS: dict[str, Mutation] = {
    **SAFEGUARDS,
    **ORIGINAL,
    **KUBERNETES,
    **DISPATCHERS,
    **LATENT,
    **WORKLOADS,
    **MODELS,
    **JOBS,
}


@cache
def mutated(names: tuple[str, ...]) -> Product:
    """The product with these safeguards taken out."""
    product = Product()
    for name in names:
        product = MUTATIONS[name].apply(product)
    return product

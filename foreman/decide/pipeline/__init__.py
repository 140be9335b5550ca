"""Workloads: which tasks a Workload becomes, what follows from how they end, and what its status says of them.

All pure. A Workload's status names every child before it is created (`status.tasks`, first without uid) and never forgets one:
so a step is rendered once, a render that broke off is completed, and a child that somebody deleted is missed, not made again.
"""

"""Which pictures there are."""

KINDS = {
    "gantt": "who ran what when, node by node",
    "placement": "which class of task went to which node",
    "utilisation": "slots in use over time",
    "queue": "tasks waiting over time",
    "waits": "how long tasks waited, as a distribution",
    "conflicts": "writes refused over time",
    "cascade": "which failure brought down what",
}

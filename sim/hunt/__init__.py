"""The race hunter: runs of one scenario under many schedules and faults, until an invariant breaks; and what to do then."""

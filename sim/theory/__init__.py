"""Does the simulated product do what mathematics says a queue, a race or a lease must do? See `validation`."""

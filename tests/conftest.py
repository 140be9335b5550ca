"""Settings every test shares."""

from hypothesis import HealthCheck, settings

# Derandomised and untimed: a test that fails does so every time, on a busy machine as on an idle one.
settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ci")

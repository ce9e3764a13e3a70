"""Settings and fixtures of all tests."""

from hypothesis import HealthCheck, settings

# Derandomised: a test suite that gates landings gives the same answer twice.
settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("deep", deadline=None, max_examples=5000)
settings.load_profile("ci")

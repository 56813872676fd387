"""What all tests share: hypothesis without clocks, because a busy machine is not a defect, and no real keyring."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "host", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=100, database=None
)
settings.load_profile("host")
os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"

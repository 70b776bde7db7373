"""Points on a noisy ring: a family, a simulator and a format for them."""

"""Points on a noisy ring: a family, a simulator, a format and a statistic for them."""

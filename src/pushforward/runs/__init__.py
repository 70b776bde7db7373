"""What is needed to use a run: its directory, weights, devices, and conditions as a user writes them."""

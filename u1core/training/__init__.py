"""Training from scratch with the one-hot loss, the U(1) loss, and the controls of their combination."""

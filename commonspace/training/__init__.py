"""The training loop: order, precision, choice on validation, checkpoint, resume."""

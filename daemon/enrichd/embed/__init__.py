"""What symbols mean, as vectors: a model that runs here, and the stage that uses it."""

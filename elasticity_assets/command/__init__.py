"""The `elasticity` command, and what it shows at a terminal."""

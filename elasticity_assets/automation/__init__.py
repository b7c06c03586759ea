"""Jobs, schedules and sensors, the `category` partitions, and what is said of runs that failed."""

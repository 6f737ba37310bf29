"""What a service's counters say alone: series, the readings that fit them, and their names."""

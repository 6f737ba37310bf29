"""Where an imported log's stamps lie: their zone, and their place on a capture's clock."""

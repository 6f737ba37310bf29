"""Real servers of weight 0: what they still hold, when the last entry goes, and what renews it."""

"""Real servers of weight 0: their remaining entries, when the last expires, what renews it."""

"""What counters alone say, on logs whose truth is known."""

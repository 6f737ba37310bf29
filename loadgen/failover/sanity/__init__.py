"""Whether the set-up is sane before a fault: what that means, and how it is asked."""

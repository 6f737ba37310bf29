"""One plan, several engines that carry it out."""

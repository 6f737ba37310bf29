"""What the reading of long runs may use here: processes, kept memory, a line of progress."""

"""What people have, told by its content: captures, logs, packed or not; what is none is named."""

"""The clock of an imported log: its time zone, and its shift against a capture's clock."""

"""What a lab needs of the machine that it runs on: namespaces, processes, programs, wiring."""

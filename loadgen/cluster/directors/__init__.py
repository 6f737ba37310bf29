"""Directors that a worker of the cluster polls: the questions go there, the snapshots come here."""

"""One plan sent from many hosts: the workers of a Dask cluster.

Dask brings the scheduler, the connections, TLS and the deployment. Here stands what it has not: the
plan's division, the workers' clocks, the agreed start, what became of each worker, and the
gathering of what each recorded. Sending is never a Dask task: those are run again when a worker
dies, and a request must not be sent twice.
"""

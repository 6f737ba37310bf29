"""One plan, several engines that send it: ``http``, ``sockets``, ``packets``.

An engine sends its share of the plan and returns a row for each request. It never writes a
recording (``activity`` does, for all of them) and starts no process (``workers`` does).
"""

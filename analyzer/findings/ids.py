"""The stable words that findings go by; docs/findings.md says what each means."""

IDS = frozenset(
    {
        "arp-flux",
        "capture-incomplete",
        "director-lost",
        "draining",
        "ended-early",
        "expires-late",
        "foreign-entries",
        "half-open",
        "idle-established",
        "imbalance",
        "load-saturated",
        "port-budget",
        "port-reuse-delay",
        "prediction-differs",
        "refused",
        "removed-server-entries",
        "requests-failed",
        "reset-closes-early",
        "server-held-open",
        "synced-copies",
        "table-memory",
        "tcpfin-governs",
        "tcpfin-has-no-effect",
        "timeout-changed-midway",
        "weight-zero-still-served",
    }
)

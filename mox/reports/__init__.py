"""Reports about DMARC and TLS: received ones, and results we owe others reports on."""

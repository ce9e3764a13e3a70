"""SASL mechanisms, pure."""

"""Configuration files as structs."""

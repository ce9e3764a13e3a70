"""The ground floor: errors, identifiers, time, logging, limits, files."""

"""Reservations for fleet equipment, served as linked data."""

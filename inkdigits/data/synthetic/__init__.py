"""Digits and pages that are drawn, not collected: simulated handwriting, whole pages, corruptions."""

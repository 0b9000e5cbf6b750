"""Trials of reliability: hostile clients, files and mirrors, kills and full disks."""

"""Training, export and evaluation, on a workstation."""

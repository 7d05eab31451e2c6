"""Tracking of trials and the registry of model versions, over MLflow."""

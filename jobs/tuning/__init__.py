"""The hyperparameter search: its space, its study, its dispatch onto Spark executors."""

"""What Atoll does: prepare a data set, tune a model on Spark, select the best, label images with it."""

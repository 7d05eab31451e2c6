"""What a dashboard shows of Atoll: figures read from the workspace and the registry, whoever made them."""

"""The routes, one file a noun. Each file has a class whose methods are the endpoints and one `declare` that adds them."""

"""The built-in modules, written with the public SDK only."""

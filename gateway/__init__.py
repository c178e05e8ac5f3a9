"""The HTTP face of a mesh: submit, upload, watch, preview, catalogue; hosts the embedded hub."""

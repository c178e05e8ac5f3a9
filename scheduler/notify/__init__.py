"""Telling the world that runs have ended: webhooks, signed, tried again until they were heard."""

"""The process that runs an author's code: one attempt at a time, or many `async def` ones."""

"""Finding blocks: by words, types, behaviour, use, and success on similar tasks."""

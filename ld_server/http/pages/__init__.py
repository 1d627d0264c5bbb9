"""Pages for people, `text/html`. Everything is driven by the kinds, their keys and the context: no kind has a template of its own."""

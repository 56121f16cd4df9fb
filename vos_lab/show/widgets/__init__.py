"""Widgets: Python prepares what is shown, a plain ES module beside it (same name, .js) shows it and answers the hand."""

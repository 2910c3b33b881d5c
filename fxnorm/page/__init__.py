"""A sweep, a search or one run as a page to look at: HTML with charts, Markdown, and figures for papers."""

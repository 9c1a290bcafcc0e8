"""The pages in Chromium, over real servers."""

"""The PACS side: asking many sources at once, importing with proof, watching, prefetching."""

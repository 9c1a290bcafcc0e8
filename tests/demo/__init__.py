"""A whole network on one machine: the router, two archives, a PACS, X-ray machines and a CRM."""

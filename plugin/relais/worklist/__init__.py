"""The modality worklist: orders from the CRM, served to machines, and completed by the studies that arrive."""

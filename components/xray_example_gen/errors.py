"""The one error of ingest."""


class IngestError(ValueError):
    """A data set that cannot be ingested; one line that names folder or file, and the remedy."""

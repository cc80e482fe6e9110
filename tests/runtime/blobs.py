"""A blob store in memory."""


class MemoryBlobs:
    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.owners: dict[str, str] = {}

    async def put(self, blob_id: str, workflow_id: str, data: bytes) -> None:
        self.stored.setdefault(blob_id, data)
        self.owners[blob_id] = workflow_id

    async def get(self, blob_id: str) -> bytes:
        return self.stored[blob_id]

"""What content is."""

from mmap import mmap
from typing import TypeAlias

Buffer: TypeAlias = bytes | mmap | memoryview
"""Content: anything with the buffer interface whose slices turn into bytes."""

from array import array

def tokenize(
    line: bytes, base: int, depth: int, max_depth: int, max_tokens: int
) -> tuple[bytes, array[int], int]: ...

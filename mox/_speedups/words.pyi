ONE: int
TWO: int
THREE: int

def add_words(
    text: str, prefix: bytes, grams: int, longest: int, most: int, found: set[bytes]
) -> None: ...

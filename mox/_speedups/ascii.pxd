# Character classes and number reading shared by the compiled modules.

cdef inline bint is_digit(unsigned char c) noexcept nogil:
    return 48 <= c <= 57

cdef inline unsigned char to_upper(unsigned char c) noexcept nogil:
    return c - 32 if 97 <= c <= 122 else c

cdef inline unsigned char to_lower(unsigned char c) noexcept nogil:
    return c + 32 if 65 <= c <= 90 else c

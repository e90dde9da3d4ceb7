"""The part of a text that is looked at: all of a short one; of a long one its beginning, its end and samples between.

What is asked stands at the beginning or the end of most long prompts, and what stands between is much alike.
"""

from itertools import chain

# In bytes of UTF-8. What a long text is cut to, and so the bound on all that is done to it.
LONGEST = 1600
_HEAD = 700
_TAIL = 690
_SAMPLES = 4
_SAMPLE = 50


def excerpt(text: str) -> bytes:
    """What is looked at of `text`: at most LONGEST bytes."""
    if len(text) <= LONGEST:
        whole = text.encode(errors="replace")
        if len(whole) <= LONGEST:
            return whole
    # Characters take up to four bytes, so the pieces are cut again when they are bytes.
    first = text[:_HEAD].encode(errors="replace")[:_HEAD]
    last = text[-_TAIL:].encode(errors="replace")[-_TAIL:]
    step = max(1, (len(text) - len(first) - len(last)) // (_SAMPLES + 1))
    starts = (len(first) + step * each for each in range(1, _SAMPLES + 1))
    between = (text[start : start + _SAMPLE].encode(errors="replace")[:_SAMPLE] for start in starts)
    return b" ".join(chain((first,), between, (last,)))


def size(text: str, seen: bytes) -> int:
    """About the text's length in bytes, without a pass over all of a long one."""
    if len(text) <= LONGEST and len(seen) >= len(text):
        return len(seen)
    sample = text[:200]
    return len(text) * len(sample.encode(errors="replace")) // len(sample)

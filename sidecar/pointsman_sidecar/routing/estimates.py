"""The size of a request in tokens, before the call.

An estimate, not a count: each provider has tokenizers of its own. It leans high, since a request that is taken for too
large costs a little more, and one that is taken for too small is refused by the provider.
"""

# English prose has about 4 characters a token, code and other Latin scripts about 3; other scripts 1 to 2.
ASCII_PER_TOKEN = 3.5
OTHERS_PER_TOKEN = 1.25
# What the chat format adds to each message.
PER_MESSAGE = 4
# A picture of 1024 by 1024 in OpenAI's accounting for gpt-4o: 85 and 4 tiles of 170. With low detail, 85.
PER_IMAGE = 765
PER_IMAGE_LOW_DETAIL = 85
# About 10 tokens a second of sound: 32,000 bytes a second as wav (16 kHz, 16 bit), 8,000 as mp3 (64 kbit/s).
WAV_BYTES_PER_TOKEN = 3200
MP3_BYTES_PER_TOKEN = 800


def text_tokens(text: str) -> int:
    """Tokens of a text, rounded up."""
    if text.isascii():
        return -int(-len(text) // ASCII_PER_TOKEN)
    # Characters beyond ASCII take two bytes and more, so the surplus of bytes over characters bounds their number
    # without a pass over the text in Python.
    encoded = len(text.encode(errors="replace"))
    others = min(len(text), encoded - len(text))
    return -int(-((len(text) - others) / ASCII_PER_TOKEN + others / OTHERS_PER_TOKEN) // 1)


def image_tokens(detail: str) -> int:
    """Tokens of a picture, by how closely the model should look."""
    return PER_IMAGE_LOW_DETAIL if detail == "low" else PER_IMAGE


def audio_tokens(*, size: int, format_: str) -> int:
    """Tokens of a recording of `size` bytes, at least one."""
    return max(1, size // (MP3_BYTES_PER_TOKEN if format_ == "mp3" else WAV_BYTES_PER_TOKEN))

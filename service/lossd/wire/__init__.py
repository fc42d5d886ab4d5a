"""The wire formats: as which bytes a call comes in and an answer goes out."""

from collections.abc import Mapping
from types import MappingProxyType

from lossd.wire import json_codec
from lossd.wire.codec import Body, Codec, Limits, Parts

__all__ = ["CODECS", "Body", "Codec", "Limits", "Parts"]

CODECS: Mapping[str, Codec] = MappingProxyType({codec.media_type: codec for codec in (json_codec,)})
"""Every wire format by its media type."""

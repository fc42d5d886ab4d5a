"""The wire formats: the bytes of calls and answers."""

from collections.abc import Mapping
from types import MappingProxyType

from lossd.wire.codec import Body, Codec, DecodeLimits, Parts
from lossd.wire.content_encoding import ENCODINGS
from lossd.wire.json import codec as json_codec
from lossd.wire.msgpack import codec as msgpack_codec
from lossd.wire.npz import codec as npz_codec
from lossd.wire.safetensors import codec as safetensors_codec

__all__ = ["CODECS", "ENCODINGS", "Body", "Codec", "DecodeLimits", "Parts"]

CODECS: Mapping[str, Codec] = MappingProxyType(
    {codec.media_type: codec for codec in (json_codec, safetensors_codec, msgpack_codec, npz_codec)}
)
"""Every wire format by its media type."""

"""The wire formats: the bytes of calls and answers."""

from collections.abc import Mapping
from types import MappingProxyType

from lossd.wire.batch import BatchCodec
from lossd.wire.codec import Body, Codec, CombinationCodec, DecodeLimits, Parts
from lossd.wire.content_encoding import ENCODINGS
from lossd.wire.json import batch as json_batch
from lossd.wire.json import codec as json_codec
from lossd.wire.json import combination as json_combination
from lossd.wire.msgpack import batch as msgpack_batch
from lossd.wire.msgpack import codec as msgpack_codec
from lossd.wire.msgpack import combination as msgpack_combination
from lossd.wire.npz import codec as npz_codec
from lossd.wire.safetensors import codec as safetensors_codec

__all__ = [
    "BATCH_CODECS",
    "CODECS",
    "COMBINATION_CODECS",
    "ENCODINGS",
    "BatchCodec",
    "Body",
    "Codec",
    "CombinationCodec",
    "DecodeLimits",
    "Parts",
]

CODECS: Mapping[str, Codec] = MappingProxyType(
    {codec.media_type: codec for codec in (json_codec, safetensors_codec, msgpack_codec, npz_codec)}
)
"""Every wire format by its media type."""

BATCH_CODECS: Mapping[str, BatchCodec] = MappingProxyType(
    {codec.media_type: codec for codec in (json_batch, msgpack_batch)}
)
"""Every wire format of batches by its media type."""

COMBINATION_CODECS: Mapping[str, CombinationCodec] = MappingProxyType(
    {codec.media_type: codec for codec in (json_combination, msgpack_combination)}
)
"""Every wire format that holds the parts of calls by its media type."""

"""The few machine operations numba does not offer, as portable LLVM instructions: wide vectors where a CPU has them.

All loads may be unaligned and are unchecked: the caller sees to it that the bytes are there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils
from numba.core import types as numba_types
from numba.extending import intrinsic as numba_intrinsic

from curation.concepts.prepare import BLANKS, SPACED_MARKS

I1, I8, I16, I32, I64, I128 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64, 128))
intrinsic: Callable[..., Any] = numba_intrinsic
types: Any = numba_types
pack_array: Any = cgutils.pack_array

_BLANKS = f" {BLANKS}".encode()
_MARKS = SPACED_MARKS.encode()


def _loaded(context: Any, builder: Any, signature: Any, args: Any, kind: ir.Type) -> Any:
    """The vector or word of `kind` at args[0][args[1]]."""
    array = context.make_array(signature.args[0])(context, builder, args[0])
    pointer = builder.bitcast(builder.gep(array.data, [args[1]]), kind.as_pointer())
    return builder.load(pointer, align=1)


def _splat(builder: Any, value: Any, lanes: int) -> Any:
    kind = ir.VectorType(value.type, lanes)
    nothing = ir.Constant(kind, ir.Undefined)
    one = builder.insert_element(nothing, value, ir.Constant(I32, 0))
    return builder.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(I32, lanes), [0] * lanes))


@intrinsic
def load8(typing: Any, data: Any, at: Any) -> Any:
    """The eight bytes at data[at], first byte lowest (on the little-endian machines that are left)."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _loaded(context, builder, signature, args, I64)

    return types.uint64(data, types.int64), code


@intrinsic
def trailing_zeros(typing: Any, word: Any) -> Any:
    """Number of the lowest bit set; word is not 0."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(I1, 1))

    return types.int64(types.uint64), code


@intrinsic
def folded_product(typing: Any, left: Any, right: Any) -> Any:
    """Upper xor lower half of the 128-bit product: every input bit reaches every output bit."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        product = builder.mul(builder.zext(args[0], I128), builder.zext(args[1], I128))
        upper = builder.trunc(builder.lshr(product, ir.Constant(I128, 64)), I64)
        return builder.xor(upper, builder.trunc(product, I64))

    return types.uint64(types.uint64, types.uint64), code


@intrinsic
def separators(typing: Any, data: Any, at: Any) -> Any:
    """Which of the 64 bytes at data[at] are blanks, and which are one of the seven marks: two sets of bits."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        block = _loaded(context, builder, signature, args, ir.VectorType(I8, 64))
        found = [builder.bitcast(_any_of(builder, block, some), I64) for some in (_BLANKS, _MARKS)]
        return pack_array(builder, found)

    return types.UniTuple(types.uint64, 2)(data, types.int64), code


def _any_of(builder: Any, block: Any, characters: bytes) -> Any:
    constants = [ir.Constant(block.type, [ir.Constant(I8, byte)] * 64) for byte in characters]
    found = builder.icmp_unsigned("==", block, constants[0])
    for constant in constants[1:]:
        found = builder.or_(found, builder.icmp_unsigned("==", block, constant))
    return found


@intrinsic
def equal_words(typing: Any, words: Any, at: Any, wanted: Any) -> Any:
    """Which of words[at : at + 8] equal `wanted`, as bits."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        line = _loaded(context, builder, signature, args, ir.VectorType(I64, 8))
        found = builder.icmp_unsigned("==", line, _splat(builder, args[2], 8))
        return builder.zext(builder.bitcast(found, I8), I64)

    return types.uint64(words, types.int64, types.uint64), code


@intrinsic
def count_below(typing: Any, numbers: Any, at: Any, limit: Any) -> Any:
    """How many of numbers[at : at + 16] (int32) are below `limit`."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = _loaded(context, builder, signature, args, ir.VectorType(I32, 16))
        found = builder.icmp_signed("<", lanes, _splat(builder, args[2], 16))
        return builder.zext(builder.ctpop(builder.bitcast(found, I16)), I64)

    return types.int64(numbers, types.int64, types.int32), code

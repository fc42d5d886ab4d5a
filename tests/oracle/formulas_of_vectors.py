"""The losses of vectors and of boxes, restated in exact arithmetic as in `formulas.py`."""

from __future__ import annotations

from tests.oracle.exact import MP, ZERO_ADDENDS, Addends, Number, exp, scaled
from tests.oracle.formulas import Truth


def cosine_embedding(*, input1, input2, target, margin=0.0) -> Truth:
    cosine, by_1, by_2 = _cosine(input1, input2)
    if target > 0:
        value, sign = (1 - cosine,), -1
    else:
        on = cosine >= MP.mpf(margin)  # at the margin the gradient passes
        value, sign = (cosine * on, -MP.mpf(margin) * on), int(on)
    return Truth(
        value,
        {
            "input1": [scaled(slope, sign) for slope in by_1],
            "input2": [scaled(slope, sign) for slope in by_2],
            "target": ZERO_ADDENDS,
            "margin": (MP.mpf(0 if target > 0 else -sign),),
        },
    )


def _cosine(u: list[Number], v: list[Number]) -> tuple[Number, list[Addends], list[Addends]]:
    """Return the cosine of two vectors and its gradients: 0 with a vector of zeros."""
    (one, m), (other, n) = _unit(u), _unit(v)
    cosine = MP.fsum(a * b for a, b in zip(one, other, strict=True))
    if not m or not n:
        return cosine, [ZERO_ADDENDS] * len(u), [ZERO_ADDENDS] * len(u)
    return (
        cosine,
        [(b / m, -cosine * a / m) for a, b in zip(one, other, strict=True)],
        [(a / n, -cosine * b / n) for a, b in zip(one, other, strict=True)],
    )


def sine_between(u: list[Number], v: list[Number]) -> Number:
    """Return the sine of the angle between two vectors, of which their cosine has no digits where it is nearly 1."""
    (_, m), (_, n) = _unit(u), _unit(v)
    if not m or not n:
        return MP.mpf(1)
    minors = (u[i] * v[k] - u[k] * v[i] for i in range(len(u)) for k in range(i))
    return MP.sqrt(MP.fsum(minor * minor for minor in minors)) / m / n


def _unit(vector: list[Number]) -> tuple[list[Number], Number]:
    norm = MP.sqrt(MP.fsum(x * x for x in vector))
    return [x / norm if norm else MP.mpf(0) for x in vector], norm


def triplet_margin_with_distance(
    *, anchor, positive, negative, distance="euclidean", margin=1.0, swap=False, eps=1e-6, lead=0
) -> Truth:
    """Return the truth, with the anchor's lead as `triplet_margin` has it."""

    def between(u: list[Number], v: list[Number]) -> tuple[Number, list[Addends], list[Addends]]:
        if distance == "cosine":
            cosine, by_u, by_v = _cosine(u, v)
            return 1 - cosine, scaled(by_u, -1), scaled(by_v, -1)
        r = [a - b + (MP.mpf(eps) if distance == "euclidean" else 0) for a, b in zip(u, v, strict=True)]
        if distance == "manhattan":
            value, slope = MP.fsum(map(abs, r)), [MP.sign(d) for d in r]
        elif distance == "squared":
            value, slope = MP.fsum(d * d for d in r), [2 * d for d in r]
        else:
            value = MP.sqrt(MP.fsum(d * d for d in r))
            slope = [d / value if value else MP.mpf(0) for d in r]
        return value, [(d,) for d in slope], [(-d,) for d in slope]

    near, pull, pulled = between(anchor, positive)
    far, push, pushed = between(anchor, negative)
    aside, turned = [ZERO_ADDENDS] * len(anchor), [ZERO_ADDENDS] * len(anchor)
    if swap:
        other, by_positive, by_negative = between(positive, negative)
        share = MP.mpf(1 - MP.sign(far - other - lead)) / 2
        push, pushed = scaled(push, share), scaled(pushed, share)
        aside, turned = scaled(by_positive, 1 - share), scaled(by_negative, 1 - share)
        far = min(far, other)
    reach = (MP.mpf(margin), near, -far)
    on = MP.mpf(MP.fsum(reach) >= 0)
    return Truth(
        tuple(on * part for part in reach),
        {
            name: [scaled(a, sign * on) + scaled(b, -on) for a, b in zip(one, other, strict=True)]
            for name, sign, one, other in (
                ("anchor", 1, pull, push),
                ("positive", 1, pulled, aside),
                ("negative", -1, pushed, turned),
            )
        }
        | {
            "margin": (on,),
        },
    )


def giou(*, boxes1, boxes2, eps=1e-7) -> Truth:
    e = MP.mpf(eps)
    (one, two), gradient = (boxes1, boxes2), {}
    both = [min(one[k + 2], two[k + 2]) - max(one[k], two[k]) for k in (0, 1)]
    around = [max(one[k + 2], two[k + 2]) - min(one[k], two[k]) for k in (0, 1)]
    overlap = both[0] > 0 and both[1] > 0
    i, a = both[0] * both[1] * overlap, around[0] * around[1]
    u = MP.fsum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, two)) - i
    by_u = i / (u + e) ** 2 - 1 / (a + e)
    by_i, by_a = -1 / (u + e) - by_u, (u + e) / (a + e) ** 2
    for name, box, other in (("boxes1", one, two), ("boxes2", two, one)):
        slopes = []
        for place in range(4):
            axis, sign = place % 2, 1 if place >= 2 else -1
            inner = (MP.sign(sign * (other[place] - box[place])) + 1) / 2  # 1, a half or 0
            across = 1 - axis
            by_own = by_u * (box[across + 2] - box[across])
            slopes.append(
                (
                    sign * inner * (by_i * overlap * both[across] + by_own),
                    sign * (1 - inner) * (by_a * around[across] + by_own),
                )
            )
        gradient[name] = slopes
    return Truth(((1 - i / (u + e)) + (a - u) / (a + e),), gradient)


def arcface(*, embeddings, labels, prototypes, margin=0.5, scale=64.0) -> Truth:
    m, s, classes = MP.mpf(margin), MP.mpf(scale), range(len(prototypes))
    found = [_cosine(embeddings, prototype) for prototype in prototypes]
    own = found[labels][0]
    angle = MP.atan2(sine_between(embeddings, prototypes[labels]), own)
    within = angle + m <= MP.pi
    phi = MP.cos(angle + m) if within else own - m * MP.sin(m)
    by_margin = -MP.sin(angle + m) if within else -MP.sin(m) - m * MP.cos(m)
    sine = MP.sin(angle)
    steep = (MP.sin(angle + m) / sine if sine else MP.mpf(0)) if within else MP.mpf(1)
    odds = [exp(s * (cosine - phi)) if j != labels else MP.mpf(1) for j, (cosine, _, _) in enumerate(found)]
    others = MP.fsum(o for j, o in enumerate(odds) if j != labels)
    share = [o / (1 + others) for o in odds]
    share[labels] = -others / (1 + others) * steep
    by_s = tuple(share[j] * (found[j][0] - phi) for j in classes if j != labels) or ZERO_ADDENDS
    return Truth(
        (MP.log(1 + others),),
        {
            "embeddings": [
                tuple(s * share[j] * part for j in classes for part in found[j][1][d])
                for d in range(len(embeddings))
            ],
            "prototypes": [scaled(found[j][2], s * share[j]) for j in classes],
            "margin": (-s * by_margin * others / (1 + others),),
            "scale": by_s,
        },
    )


def supcon(*, embeddings, labels, temperature=0.1) -> list[Truth]:
    tau, items = MP.mpf(temperature), range(len(labels))
    found = [[_cosine(u, v) for v in embeddings] for u in embeddings]
    truths = []
    for i in items:
        others = [k for k in items if k != i]
        same = [j for j in others if labels[j] == labels[i]]
        rows = [[ZERO_ADDENDS] * len(row) for row in embeddings]
        if not same:
            truths.append(Truth(ZERO_ADDENDS, {"embeddings": rows, "temperature": ZERO_ADDENDS}))
            continue
        cosine = [found[i][k][0] for k in items]
        value, slope = [], dict.fromkeys(others, MP.mpf(0))
        for j in same:
            odds = {k: exp((cosine[k] - cosine[j]) / tau) for k in others}
            total = MP.fsum(odds.values())
            value.append(MP.log(total) / len(same))
            for k in others:
                slope[k] += (odds[k] / total - (k == j)) / len(same) / tau
        for k in others:
            rows[i] = [a + scaled(d, slope[k]) for a, d in zip(rows[i], found[i][k][1], strict=True)]
            rows[k] = scaled(found[i][k][2], slope[k])
        by_tau = tuple(-slope[k] * cosine[k] / tau for k in others)
        truths.append(Truth(tuple(value), {"embeddings": rows, "temperature": by_tau}))
    return truths


def barlow_twins(*, z1, z2, lambd=0.0051) -> list[Truth]:
    weight, items = MP.mpf(lambd), range(len(z1))
    columns = [[_centred([row[d] for row in z]) for d in range(len(z[0]))] for z in (z1, z2)]
    size = range(len(columns[0]))
    found = [[_cosine(a, b) for b in columns[1]] for a in columns[0]]
    value, between, slopes = [], [], {"z1": {}, "z2": {}}
    for i in size:
        for j in size:
            c = found[i][j][0]
            value.append((1 - c) ** 2 if i == j else weight * c * c)
            between += [c * c] if i != j else []
            slope = -2 * (1 - c) if i == j else 2 * weight * c
            for name, column, by in (("z1", i, found[i][j][1]), ("z2", j, found[i][j][2])):
                for n in items:
                    slopes[name].setdefault((n, column), []).extend(scaled(by[n], slope))
    gradient = {name: [[tuple(parts[n, d]) for d in size] for n in items] for name, parts in slopes.items()}
    return [Truth(tuple(value), {**gradient, "lambd": tuple(between) or ZERO_ADDENDS})]


def _centred(column: list[Number]) -> list[Number]:
    mean = MP.fsum(column) / len(column)
    return [x - mean if any(y != column[0] for y in column) else MP.mpf(0) for x in column]

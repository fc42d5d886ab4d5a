"""The losses of lists, chains, returns and transport, restated in exact arithmetic as in `formulas.py`.

Chains are the sum over every sequence of tags, one by one; events are compared with everyone at risk, one by one.
"""

from __future__ import annotations

from itertools import pairwise, product

from tests.oracle.exact import MP, ZERO, Addends, Number, exp, times
from tests.oracle.formulas import Truth


def ranking_softmax(*, input, target) -> Truth:
    items = range(len(input))
    top = max(input)
    weigh = [exp(x - top) for x in input]
    total = MP.fsum(weigh)
    log_s = [x - top - MP.log(total) for x in input]
    rest = [MP.fsum(weigh[j] for j in items if j != i) / total for i in items]
    others = [MP.fsum(target[j] for j in items if j != i) for i in items]
    return Truth(
        tuple(-times(target[i], log_s[i]) for i in items) or (ZERO,),
        {
            "input": [(weigh[i] / total * others[i], -target[i] * rest[i]) for i in items],
            "target": [(-log_s[i],) for i in items],
        },
    )


def rank_ndcg(*, input, target, sigma=1.0, truncation_level=30) -> Truth:
    items, s = range(len(input)), MP.mpf(sigma)
    order = sorted(items, key=lambda i: -input[i])  # stable, as ranks of equal scores are
    rank = {item: place + 1 for place, item in enumerate(order)}
    gain = [MP.mpf(2) ** t - 1 for t in target]
    best = sorted(gain, reverse=True)[:truncation_level]
    ideal = MP.fsum(g / MP.log(place + 2, 2) for place, g in enumerate(best))
    value, slopes, by_sigma = [ZERO], {i: [ZERO] for i in items}, [ZERO]
    for i, j in product(items, items):
        if target[i] <= target[j] or min(rank[i], rank[j]) > truncation_level:
            continue
        delta = (gain[i] - gain[j]) / ideal * abs(1 / MP.log(1 + rank[i], 2) - 1 / MP.log(1 + rank[j], 2))
        wrong = exp(-s * (input[i] - input[j]))
        value.append(delta * MP.log(1 + wrong))
        share = wrong / (1 + wrong)
        slopes[i].append(-delta * s * share)
        slopes[j].append(delta * s * share)
        by_sigma.append(-delta * (input[i] - input[j]) * share)
    return Truth(tuple(value), {"input": [tuple(slopes[i]) for i in items], "sigma": tuple(by_sigma)})


def cox(*, log_h, durations, events) -> list[Truth]:
    items, truths = range(len(log_h)), []
    for i in items:
        slope = [(ZERO,) for _ in items]
        value = ZERO
        if events[i]:
            risk = {j: exp(log_h[j] - log_h[i]) for j in items if durations[j] >= durations[i]}
            total = MP.fsum(risk.values())
            value = MP.log(total)
            for j, hazard in risk.items():
                slope[j] = (hazard / total,)
            slope[i] = (-MP.fsum(hazard for j, hazard in risk.items() if j != i) / total,)
        truths.append(Truth((value,), {"log_h": slope, "durations": [(ZERO,) for _ in items]}))
    return truths


def td_lambda(*, v_tm1, r_t, discount_t, v_t, lambda_, stop_target_gradients=True) -> Truth:
    steps = range(len(r_t))
    mixing = lambda_ if isinstance(lambda_, list) else [lambda_ for _ in steps]
    values = []
    # What each step's return is of: addends, and its slopes with each number, by name and step.
    slopes: dict[tuple[str, int], list[Number]] = {}
    for start in steps:
        carried, addends = MP.mpf(1), [-v_tm1[start]]
        returns = _returns(r_t, discount_t, v_t, mixing)
        slopes.setdefault(("v_tm1", start), []).append(MP.mpf(-1))
        for t in range(start, len(r_t)):
            g, lam, after = discount_t[t], mixing[t], returns[t + 1]
            addends += [carried * r_t[t], carried * g * (1 - lam) * v_t[t]]
            slopes.setdefault(("r_t", t), []).append(carried)
            slopes.setdefault(("discount_t", t), []).extend(
                [carried * (1 - lam) * v_t[t], *(carried * lam * part for part in after)]
            )
            slopes.setdefault(("v_t", t), []).append(carried * g * (1 - lam))
            slopes.setdefault(("lambda_", t), []).extend(
                [-carried * g * v_t[t], *(carried * g * part for part in after)]
            )
            carried *= g * lam
        addends.append(carried * v_t[-1])
        slopes[("v_t", len(r_t) - 1)].append(carried)
        values.append(tuple(addends))
    gradient = {
        name: [tuple(slopes[name, t]) for t in steps]
        for name in ("v_tm1", "r_t", "discount_t", "v_t", "lambda_")
    }
    if not isinstance(lambda_, list):
        gradient["lambda_"] = tuple(part for addends in gradient["lambda_"] for part in addends)
    return Truth(values, gradient)


def _returns(r_t, discount_t, v_t, mixing) -> list[Addends]:
    """Return the addends of the return from each step on, and of that behind the last."""
    found = [(v_t[-1],)]
    for t in reversed(range(len(r_t))):
        g, lam = discount_t[t], mixing[t]
        found.append((r_t[t], g * (1 - lam) * v_t[t], *(g * lam * part for part in found[-1])))
    return found[::-1]


def crf(*, emissions, tags, transitions, start_transitions=None, end_transitions=None, lengths=None) -> Truth:
    states = range(len(transitions))
    length = len(emissions) if lengths is None else lengths
    names = {"emissions": emissions, "transitions": transitions}
    names |= {} if start_transitions is None else {"start_transitions": start_transitions}
    names |= {} if end_transitions is None else {"end_transitions": end_transitions}

    def parts(sequence):
        """Return the places whose numbers add up to a sequence's score."""
        found = [("emissions", t, k) for t, k in enumerate(sequence)]
        found += [("transitions", t, a, b) for t, (a, b) in enumerate(pairwise(sequence))]
        if sequence and start_transitions is not None:
            found.append(("start_transitions", sequence[0]))
        if sequence and end_transitions is not None:
            found.append(("end_transitions", sequence[-1]))
        return found

    def at(place):
        name, *indices = place
        value = names[name]
        if name == "transitions":
            indices = indices[1:]
        for index in indices:
            value = value[index]
        return value

    own = parts(list(tags[:length]))
    score = MP.fsum(map(at, own))
    weights = []
    for sequence in product(states, repeat=length):
        those = parts(list(sequence))
        weights.append((exp(MP.fsum(map(at, those)) - score), those))
    total = MP.fsum(weight for weight, _ in weights)
    slopes: dict[tuple, list[Number]] = {}
    for weight, those in weights:
        for place in those:
            slopes.setdefault(place, []).append(weight / total)
        for place in own:
            slopes.setdefault(place, []).append(-weight / total)

    def slope(*place):
        # A sequence that has the place as the sample's own does has no part in it.
        return _uncancelled(slopes.get(place, [ZERO]))

    def of_steps(a, b):
        return tuple(part for t in range(length - 1) for part in slope("transitions", t, a, b)) or (ZERO,)

    gradient = {
        "emissions": [[slope("emissions", t, k) for k in states] for t in range(len(emissions))],
        "transitions": [[of_steps(a, b) for b in states] for a in states],
        "start_transitions": [slope("start_transitions", k) for k in states],
        "end_transitions": [slope("end_transitions", k) for k in states],
    }
    return Truth((MP.log(total),), {name: gradient[name] for name in names})


def _uncancelled(addends: list[Number]) -> Addends:
    """Return addends without pairs of a number and its opposite."""
    left: dict[Number, int] = {}
    for addend in addends:
        left[abs(addend)] = left.get(abs(addend), 0) + (1 if addend > 0 else -1)
    return tuple(size * count for size, count in left.items() if count) or (ZERO,)


def sinkhorn(*, input, target, cost, epsilon=0.1, iterations=100) -> Truth:
    """The gradient is that of forward differentiation: each potential is carried with its slopes by every number.

    With each slope and potential comes the size of its addends: a share is an exponential of potentials and costs over
    epsilon, and has as many rounding errors as these are large.
    """
    with MP.workdps(MP.dps + _digits_beside(epsilon, cost)):
        return _sinkhorn(input, target, cost, MP.mpf(epsilon), iterations)


def _digits_beside(epsilon, cost) -> int:
    """Return how many digits the smallest cost is below epsilon: its exponential differs from 1 behind them."""
    sizes = [abs(each) for row in cost for each in row if each]
    return max(0, int(MP.log10(MP.mpf(epsilon) / min(sizes)))) if sizes else 0


def _sinkhorn(a, b, cost, eps, iterations) -> Truth:
    here, there = range(len(a)), range(len(b))
    names = [("input", (i,)) for i in here] + [("target", (j,)) for j in there]
    names += [("cost", (i, j)) for i in here for j in there] + [("epsilon", ())]

    def update(weights, own, other, at, across):
        """Return the potentials and their slopes, from the other side's."""
        total = MP.fsum(weights)
        found = []
        for i in across:
            terms = {
                j: weights[j] / total * MP.exp((other[j][0] - cost[at(i, j)[0]][at(i, j)[1]]) / eps)
                for j in range(len(weights))
            }
            whole = MP.fsum(terms.values())
            value = -eps * MP.log(whole)
            share = {j: term / whole for j, term in terms.items()}
            spread = {
                j: 1 + (abs(other[j][0]) + abs(cost[at(i, j)[0]][at(i, j)[1]]) + abs(value)) / eps
                for j in share
            }
            slopes, sizes = {}, {}
            for key in names:
                name, place = key
                parts = [-share[j] * other[j][1].get(key, ZERO) for j in share]
                if name == "cost":
                    parts += [share[j] for j in share if at(i, j) == place]
                if name == own:
                    (k,) = place
                    parts.append(
                        -eps
                        * (share[k] / weights[k] if weights[k] else _limit(k, i, other, at, total, whole))
                    )
                    parts.append(eps / total)
                if name == "epsilon":
                    parts += [
                        -MP.log(whole),
                        *(share[j] * (other[j][0] - cost[at(i, j)[0]][at(i, j)[1]]) / eps for j in share),
                    ]
                slopes[key] = MP.fsum(parts)
                sizes[key] = MP.fsum(
                    [share[j] * spread[j] * other[j][2].get(key, ZERO) for j in share]
                    + [abs(part) * max(spread.values()) for part in parts]
                )
            rounded = MP.fsum(
                share[j] * (other[j][3] + abs(other[j][0]) + abs(cost[at(i, j)[0]][at(i, j)[1]]))
                for j in share
            )
            found.append((value, slopes, sizes, abs(value) + rounded))
        return found

    def _limit(k, i, other, at, total, whole):
        row, column = at(i, k)
        return MP.exp((other[k][0] - cost[row][column]) / eps) / total / whole

    f, g = [], [(ZERO, {}, {}, ZERO) for _ in there]
    for _ in range(iterations):
        f = update(b, "target", g, lambda i, j: (i, j), here)
        g = update(a, "input", f, lambda j, i: (i, j), there)

    def added(key):
        """Return two addends of a slope that are together as large as all of its addends."""
        slope, size = (
            MP.fsum([times(a[i], f[i][n][key]) for i in here] + [times(b[j], g[j][n][key]) for j in there])
            for n in (1, 2)
        )
        return (slope + size) / 2, (slope - size) / 2

    return Truth(
        tuple(
            times(weight, (value + sign * size) / 2)
            for weight, (value, _, _, size) in (*zip(a, f, strict=True), *zip(b, g, strict=True))
            for sign in (1, -1)
        ),
        {
            "input": [(f[i][0], *added(("input", (i,)))) for i in here],
            "target": [(g[j][0], *added(("target", (j,)))) for j in there],
            "cost": [[added(("cost", (i, j))) for j in there] for i in here],
            "epsilon": added(("epsilon", ())),
        },
    )

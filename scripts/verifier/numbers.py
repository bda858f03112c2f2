"""Percentiles and intervals: what docs/run-format.md says of distributions, stats and control."""
import math


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def distribution(values):
    """Nearest rank: the value at rank ceil(n * q), ranks from 1."""
    ordered = sorted(values)
    result = {"n": len(ordered)}
    for name, share in (("p50", 5000), ("p90", 9000), ("p99", 9900), ("p999", 9990),
                        ("max", 10000)):
        rank = -(-len(ordered) * share // 10000)
        result[name] = ordered[rank - 1] if ordered else None
    return result


def median_interval(values):
    ordered = sorted(values)
    count = len(ordered)
    middle = count // 2
    median = ordered[middle] if count % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    rank = 0
    for candidate in range(1, middle + 1):
        below = sum(math.comb(count, hits) for hits in range(candidate))
        if 2 * below <= 0.05 * 2 ** count:
            rank = candidate
    low, high = (ordered[rank - 1], ordered[count - rank]) if rank else (None, None)
    return {"median": median, "ci_low": low, "ci_high": high, "n": count}


def pair_rank(first, second, level):
    """Which of the ordered pairwise differences bound the interval: the largest k with
    2 * P(U < k) <= 1 - level, U the rank-sum statistic when nothing differs. 0: none."""
    if first > 50 or second > 50:
        spread = math.sqrt(first * second * (first + second + 1) / 12)
        return max(0, math.floor(first * second / 2 - 2.575829 * spread))
    # ways[j][u]: in how many orders of j of the first among the second the statistic is u.
    ways = [[1]] + [[0] for _ in range(first)]
    for rank in range(1, first + second + 1):
        for j in range(min(first, rank), 0, -1):
            shift = rank - j
            longer = [0] * max(len(ways[j]), len(ways[j - 1]) + shift)
            for u, count in enumerate(ways[j]):
                longer[u] += count
            for u, count in enumerate(ways[j - 1]):
                longer[u + shift] += count
            ways[j] = longer
    orders, below, rank = math.comb(first + second, first), 0, 0
    for count in ways[first]:
        below += count
        if 2 * below > (1 - level) * orders * (1 + 1e-12) or 2 * (rank + 1) > first * second:
            break
        rank += 1
    return rank


def shift_between(first, second, pair):
    """Median over all pairs, and its bounds at 99 percent where there are any."""
    pairs = sorted(pair(a, b) for a in first for b in second)
    count = len(pairs)
    estimate = pairs[count // 2] if count % 2 else (pairs[count // 2 - 1] + pairs[count // 2]) / 2
    rank = pair_rank(len(first), len(second), 0.99)
    low, high = (pairs[rank - 1], pairs[count - rank]) if rank else (None, None)
    return {"estimate": estimate, "ci_low": low, "ci_high": high}

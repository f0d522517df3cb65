#!/usr/bin/env python3
"""Makes the test vectors beside this file. README.md has the format and the definition.

    python3 make.py              write the files
    python3 make.py --check      make them in memory; exit 1 if those on disk differ
    python3 make.py --selftest   check the arithmetic below against the machine's

Every number is an exact rational (fractions.Fraction) that is rounded explicitly; no
result depends on the floating point of the machine, which only --selftest looks at.
Standard library only; the random draws are those of a SplitMix64 written out below.
"""

import os
import sys
from bisect import bisect_right
from fractions import Fraction

HERE = os.path.dirname(os.path.abspath(__file__))


# ---------------------------------------------------------------- arithmetic


def pow2(k):
    return Fraction(1 << k) if k >= 0 else Fraction(1, 1 << -k)


def floor_log2(q):
    """floor(log2(q)) of a rational q > 0."""
    k = q.numerator.bit_length() - q.denominator.bit_length()
    return k if q >= pow2(k) else k - 1


def round_half_even(q):
    """The integer nearest to a rational q >= 0, ties to even."""
    n, rest = divmod(q.numerator, q.denominator)
    twice = 2 * rest
    if twice > q.denominator or (twice == q.denominator and n & 1):
        n += 1
    return n


def round_unbounded(q, precision):
    """q >= 0 rounded to so many significant bits; the exponent has no bounds."""
    if q == 0:
        return q
    quantum = floor_log2(q) - (precision - 1)
    return round_half_even(q * pow2(-quantum)) * pow2(quantum)


class Format:
    """A binary interchange format. Its numbers are bit patterns (int)."""

    def __init__(self, name, width, precision):
        self.name = name
        self.width = width
        self.precision = precision
        self.emax = (1 << (width - precision - 1)) - 1
        self.emin = 1 - self.emax
        self.tiniest = self.emin - (precision - 1)  # log2 of the least subnormal
        self.sign = 1 << (width - 1)
        self.inf = ((1 << (width - precision)) - 1) << (precision - 1)
        self.max = self.inf - 1
        self.min_normal = 1 << (precision - 1)
        self.one = self.nearest(Fraction(1))
        self.eps = pow2(1 - precision)

    def hex(self, bits):
        return format(bits, "0%dx" % (self.width // 4))

    # From and to rationals.

    def nearest(self, q, negative=False):
        """|q| rounded to nearest even with gradual underflow, overflow to infinity. The
        sign is that of q; for q = 0 it is given by `negative`."""
        if q != 0:
            negative = q < 0
        q = abs(q)
        bits = 0
        if q != 0:
            quantum = max(floor_log2(q), self.emin) - (self.precision - 1)
            n = round_half_even(q * pow2(-quantum))
            # A carry out of the significand n raises the exponent by itself.
            bits = ((quantum - self.tiniest) << (self.precision - 1)) + n
            bits = min(bits, self.inf)
        return bits | self.sign if negative else bits

    def exactly(self, q):
        bits = self.nearest(Fraction(q))
        assert self.value(bits) == q, (self.name, q)
        return bits

    def is_negative(self, bits):
        return bits & self.sign != 0

    def is_zero(self, bits):
        return bits & ~self.sign == 0

    def is_finite(self, bits):
        return bits & ~self.sign < self.inf

    def value(self, bits):
        """The exact value of a finite number."""
        magnitude = bits & ~self.sign
        assert magnitude < self.inf, (self.name, self.hex(bits))
        exponent = magnitude >> (self.precision - 1)
        n = magnitude & (self.min_normal - 1)
        if exponent != 0:
            n += self.min_normal
            exponent -= 1
        q = n * pow2(exponent + self.tiniest)
        return -q if bits & self.sign else q

    def convert(self, bits, to):
        """This number in another format, rounded once."""
        negative = self.is_negative(bits)
        if not self.is_finite(bits):
            assert bits & ~self.sign == self.inf
            return to.inf | (to.sign if negative else 0)
        return to.nearest(self.value(bits), negative)

    # IEEE 754 operations on finite numbers, each rounded once.

    def add(self, a, b):
        total = self.value(a) + self.value(b)
        # An exact zero is +0, but for (-0) + (-0).
        return self.nearest(total, self.is_negative(a) and self.is_negative(b))

    def sub(self, a, b):
        return self.add(a, b ^ self.sign)

    def mul(self, a, b):
        negative = self.is_negative(a) != self.is_negative(b)
        bits = self.nearest(abs(self.value(a) * self.value(b)))
        return bits | self.sign if negative else bits

    def div(self, a, b):
        negative = self.is_negative(a) != self.is_negative(b)
        bits = self.nearest(abs(self.value(a) / self.value(b)))
        return bits | self.sign if negative else bits

    def less(self, a, b):
        """a < b, for all but NaN."""

        def key(bits):
            magnitude = bits & ~self.sign
            return -magnitude if bits & self.sign else magnitude

        return key(a) < key(b)


F16 = Format("f16", 16, 11)
BF16 = Format("bf16", 16, 8)
F32 = Format("f32", 32, 24)
F64 = Format("f64", 64, 53)

STORAGES = {"f32": [F16, BF16, F32], "f64": [F16, BF16, F32, F64]}
TOP_EXPONENT = {"f32": 100, "f64": 996}  # E0


# ---------------------------------------------------------------- the merge


class Answer:
    """What a merge gives, and what happened on the way."""

    def __init__(self):
        self.mean_out = self.mean = self.precision = self.exact = None
        self.kept = []  # (scaled p, mean in R) of the models whose weight is not 0
        self.no_evidence = False
        self.events = set()
        self.error = Fraction(0)  # in units of eps * max|mean|


def merge(real, s_mean, s_fisher, s_out, models):
    """One element; models are (weight in R, Fisher in s_fisher, mean in s_mean) bits."""
    answer = Answer()
    top = TOP_EXPONENT[real.name]

    # 1. Only the models with a weight count; the first of them is the target.
    models = [m for m in models if not real.is_zero(m[0])]
    weights = [real.value(m[0]) for m in models]
    fishers = [s_fisher.value(m[1]) for m in models]
    means = [s_mean.convert(m[2], real) for m in models]
    assert models and min(weights) > 0 and min(fishers) >= 0
    for (_, fisher, mean_in), q, mean in zip(models, fishers, means):
        assert real.value(s_fisher.convert(fisher, real)) == q
        assert real.value(mean) == s_mean.value(mean_in)

    # 3. Products, rounded to the significand of R, with exponents of any size.
    products = [round_unbounded(w * f, real.precision) for w, f in zip(weights, fishers)]
    greatest = max(products)

    mean = means[0]
    if greatest == 0:
        answer.no_evidence = True
        answer.events.add("no evidence")
        answer.precision = 0
        answer.exact = mean
        answer.kept = [(0, m) for m in means]
    else:
        # 4. Scaled, the greatest to 2^top.
        exponent = floor_log2(greatest)
        scaled = []
        for product in products:
            p = real.nearest(product * pow2(top - exponent))
            if product != 0 and p == 0:
                p = 1
                answer.events.add("p raised to the least subnormal")
            if 0 < p < real.min_normal:
                answer.events.add("p subnormal")
            scaled.append(p)
        answer.kept = list(zip(scaled, means))

        # 5. The recurrence.
        state = 0
        for p, mean_m in answer.kept:
            if p == 0:
                answer.events.add("p = 0")
                continue
            if state == 0:
                state, mean = p, mean_m
                continue
            grown = real.add(state, p)
            r = real.div(p, grown)
            rest = real.sub(real.one, r)
            x = real.add(real.mul(rest, mean), real.mul(r, mean_m))
            low, high = (mean, mean_m) if real.less(mean, mean_m) else (mean_m, mean)
            for name, happened in (
                ("absorbed: sum = state", grown == state),
                ("absorbed: sum = p", grown == p),
                ("r = 0", r == 0),
                ("r subnormal", 0 < r < real.min_normal),
                ("r = 1", r == real.one),
                ("1 - r = 1 with r > 0", rest == real.one and r != 0),
                ("x infinite", not real.is_finite(x)),
                ("clamped up", real.less(x, low)),
                ("clamped down", real.less(high, x)),
                ("x = -0", x == real.sign),
            ):
                if happened:
                    answer.events.add(name)
            if real.less(x, low):
                x = low
            if real.less(high, x):
                x = high
            state, mean = grown, x

        # 6. The precision, scaled back, within the positive finite numbers.
        unscaled = real.value(state) * pow2(exponent - top)
        precision = real.nearest(unscaled)
        if precision == 0:
            precision = 1
            answer.events.add("precision raised to the least subnormal")
        if precision == real.inf:
            precision = real.max
            answer.events.add("precision cut to the largest")
        if precision < real.min_normal:
            answer.events.add("precision subnormal")
        answer.precision = precision

        # The exact answer, from the exact products, and how close this one came.
        exact_p = [w * f for w, f in zip(weights, fishers)]
        values = [real.value(m) for m in means]
        exact = sum(p * v for p, v in zip(exact_p, values)) / sum(exact_p)
        answer.exact = real.nearest(exact)
        contributing = [v for p, v in zip(products, values) if p > 0]
        got = real.value(mean)
        assert min(contributing) <= got <= max(contributing)
        unit = real.eps * max(max(map(abs, contributing)), real.value(real.min_normal))
        answer.error = abs(got - exact) / unit
        # Of the models that contribute, which is the stronger statement.
        assert answer.error <= max(8, 2 * len(contributing) + 4), float(answer.error)

    # 2. One model alone keeps the bits of its mean.
    if len(models) == 1:
        assert mean == means[0]

    # 7. The mean, rounded once to the type it is stored in.
    answer.mean = mean
    answer.mean_out = real.convert(mean, s_out)
    if not s_out.is_finite(answer.mean_out):
        answer.events.add("mean_out infinite")
    if s_out is not real and not s_out.is_zero(answer.mean_out):
        if answer.mean_out & ~s_out.sign < s_out.min_normal:
            answer.events.add("mean_out subnormal")
    if s_out.is_zero(answer.mean_out) and not real.is_zero(mean):
        answer.events.add("mean_out underflows")
    return answer


# ---------------------------------------------------------------- draws


class Draws:
    """SplitMix64."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        mask = (1 << 64) - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    def below(self, n):
        return (self.next() * n) >> 64

    def between(self, low, high):
        return low + self.below(high - low + 1)

    def chance(self, one_in):
        return self.below(one_in) == 0

    def choice(self, items):
        return items[self.below(len(items))]

    def positive(self, fmt, low, high):
        """A positive number with floor(log2) in low ..= high, as far as fmt has those.
        Now and then the significand is 1 or the one just below 2."""
        low = min(max(low, fmt.tiniest), fmt.emax)
        high = min(max(high, low), fmt.emax)
        n = self.next() >> (65 - fmt.precision)  # precision - 1 bits
        kind = self.below(12)
        if kind == 0:
            n = 0
        elif kind == 1:
            n = fmt.min_normal - 1
        bits = fmt.nearest((fmt.min_normal + n) * pow2(self.between(low, high) - fmt.precision + 1))
        return min(bits, fmt.max)

    def signed(self, fmt, low, high):
        bits = self.positive(fmt, low, high)
        return bits | fmt.sign if self.chance(2) else bits

    def pattern(self, fmt):
        """Any finite number."""
        while True:
            bits = self.next() >> (64 - fmt.width)
            if fmt.is_finite(bits):
                return bits

    def positive_pattern(self, fmt):
        return max(self.pattern(fmt) & ~fmt.sign, 1)

    def shuffled(self, items):
        items = list(items)
        for i in range(len(items) - 1, 0, -1):
            j = self.below(i + 1)
            items[i], items[j] = items[j], items[i]
        return items


# ---------------------------------------------------------------- merge cases


class Cases:
    def __init__(self, real, seed):
        self.real = real
        self.draws = Draws(seed)
        self.rows = []  # (id, s_mean, s_fisher, s_out, models, answer)
        self.counts = {}

    def add(self, kind, models, s_mean=None, s_fisher=None, s_out=None, only_if=None):
        real = self.real
        s_mean, s_fisher, s_out = s_mean or real, s_fisher or real, s_out or real
        answer = merge(real, s_mean, s_fisher, s_out, models)
        if only_if is not None and not (answer.events & only_if):
            return False
        n = self.counts[kind] = self.counts.get(kind, 0) + 1
        self.rows.append(("%s-%03d" % (kind, n), s_mean, s_fisher, s_out, models, answer))
        return True

    def storage(self):
        return self.draws.choice(STORAGES[self.real.name])

    # Ordinary numbers.

    def weight(self):
        d = self.draws
        return self.real.one if d.chance(3) else d.positive(self.real, -4, 2)

    def fisher(self, fmt):
        return self.draws.positive(fmt, -14, 6)

    def mean(self, fmt):
        return self.draws.signed(fmt, -8, 2)

    def model(self, s_mean=None, s_fisher=None):
        return (
            self.weight(),
            self.fisher(s_fisher or self.real),
            self.mean(s_mean or self.real),
        )


def merge_cases(real, seed):
    c = Cases(real, seed)
    d = c.draws
    one, sign, p = real.one, real.sign, real.precision
    top = TOP_EXPONENT[real.name]
    tiny, big = 1, real.max  # the least subnormal and the largest number
    up = lambda k: real.exactly(pow2(k))
    storages = STORAGES[real.name]
    least_p = top - real.tiniest  # a spread of 2^this meets the least subnormal
    two = real.exactly(2)
    half = real.exactly(Fraction(1, 2))

    # Ordinary numbers, first in R alone, then in all combinations of storage.
    for i in range(60):
        c.add("ordinary", [c.model() for _ in range(1 + i % 5)])
    for repeat in range(3 if len(storages) == 3 else 1):
        for s_mean in storages:
            for s_fisher in storages:
                for s_out in storages:
                    models = [c.model(s_mean, s_fisher) for _ in range(d.between(2, 4))]
                    c.add("storage", models, s_mean, s_fisher, s_out)

    # Zeros with signs.
    for a in (0, sign):
        for b in (0, sign):
            for fa, fb in ((one, one), (0, one), (one, 0), (0, 0), (one, up(-p - 3)), (up(-p - 3), one)):
                c.add("signed-zero", [(one, fa, a), (one, fb, b)])
    for _ in range(14):
        models = [
            (c.weight(), d.choice([0, one, c.fisher(real)]), d.choice([0, sign, sign, tiny, sign | tiny]))
            for _ in range(d.between(2, 4))
        ]
        c.add("signed-zero", models)
    for _ in range(6):
        s_mean, s_out = c.storage(), c.storage()
        models = [(one, c.fisher(real), d.choice([0, s_mean.sign])) for _ in range(3)]
        c.add("signed-zero", models, s_mean, real, s_out)
    for _ in range(6):
        x = c.mean(real)
        evidence = c.fisher(real)
        c.add("cancelling-mean", [(one, evidence, x), (one, evidence, x ^ sign)])

    # Means that are the same.
    for i in range(30):
        x = [c.mean(real), d.pattern(real), big, sign | big, tiny, d.positive(real, real.tiniest, real.emin)][i % 6]
        c.add("same-mean", [(c.weight(), c.fisher(real), x) for _ in range(d.between(2, 5))])

    # Fisher values of zero.
    for i in range(30):
        count = d.between(2, 5)
        zeros = d.between(1, (1 << count) - 2)
        s_mean, s_fisher, s_out = (real,) * 3 if i < 15 else (c.storage(), c.storage(), c.storage())
        models = [c.model(s_mean, s_fisher) for _ in range(count)]
        models = [(w, 0 if zeros >> k & 1 else f, m) for k, (w, f, m) in enumerate(models)]
        c.add("some-fisher-zero", models, s_mean, s_fisher, s_out)
    for i in range(14):
        s_mean, s_fisher, s_out = (real,) * 3 if i < 7 else (c.storage(), c.storage(), c.storage())
        models = [(w, 0, m) for w, _, m in (c.model(s_mean, s_fisher) for _ in range(1 + i % 5))]
        if i % 3 == 2:  # a target whose mean is -0
            models[0] = (models[0][0], 0, s_mean.sign)
        c.add("no-evidence", models, s_mean, s_fisher, s_out)

    # Weights of zero: leading, trailing, within, all but one.
    for i in range(32):
        count = 2 + i % 4
        models = [c.model() for _ in range(count)]
        if i % 4 == 0:
            gone = range(0, d.between(1, count - 1))
        elif i % 4 == 1:
            gone = range(d.between(1, count - 1), count)
        elif i % 4 == 2:
            one_left = d.below(count)
            gone = [k for k in range(count) if k != one_left]
        else:
            gone = [d.below(count)]
        models = [(0 if k in gone else w, f, m) for k, (w, f, m) in enumerate(models)]
        if i >= 24:  # and no evidence in those that stay, or in some of them
            models = [(w, 0 if w != 0 and (i % 2 or d.chance(2)) else f, m) for w, f, m in models]
        c.add("zero-weight", models)
    for x in (big, sign | big, tiny, sign | tiny, 0, sign):
        c.add("zero-weight", [(0, big, big), (d.positive_pattern(real), d.positive_pattern(real), x), (0, tiny, one)])

    # Products and sums below and above the range.
    for weight, fisher in ((half, tiny), (tiny, half), (tiny, tiny), (one, tiny), (half, real.exactly(3 * pow2(real.tiniest)))):
        c.add("tiny-product", [(weight, fisher, c.mean(real))])
        c.add("tiny-product", [(weight, fisher, c.mean(real)), (weight, fisher, c.mean(real))])
        c.add("tiny-product", [(weight, fisher, c.mean(real)), (one, tiny, c.mean(real)), (weight, fisher, c.mean(real))])
    for i in range(24):
        near = real.emin - (p // 2) + d.between(-p, p)
        models = []
        for _ in range(d.between(1, 4)):
            split = d.between(-40, 40)
            models.append((d.positive(real, split, split), d.positive(real, near - split - 3, near - split + 3), c.mean(real)))
        c.add("subnormal-product", models)
    huge = real.nearest(Fraction(3 * 10 ** 38) if real is F32 else Fraction(15 * 10 ** 307))
    c.add("huge-sum", [(one, huge, c.mean(real)), (one, huge, c.mean(real))])
    c.add("huge-sum", [(one, big, c.mean(real)), (one, big, c.mean(real))])
    c.add("huge-sum", [(one, big, c.mean(real)), (one, up(real.emax - p), c.mean(real))])  # half an ulp
    c.add("huge-sum", [(one, big, c.mean(real)), (one, up(real.emax - p) - 1, c.mean(real))])
    c.add("huge-sum", [(one, up(real.emax), one), (one, up(real.emax), two)])
    c.add("huge-sum", [(big, big, one), (big, big, two)])
    c.add("huge-sum", [(big, big, big), (big, big, sign | big)])
    c.add("huge-sum", [(two, big, c.mean(real))])
    for _ in range(14):
        models = [
            (d.positive(real, -1, 30), d.positive(real, real.emax - 30, real.emax), c.mean(real))
            for _ in range(d.between(1, 5))
        ]
        c.add("huge-sum", models)

    # Spreads of p as wide as the scaled range and wider, in both orders.
    def product_of(exponent):
        """A weight and a Fisher value whose product is near 2^exponent."""
        e = exponent // 2
        e = min(max(e, real.tiniest + p), real.emax)
        return d.positive(real, e, e), d.positive(real, exponent - e, exponent - e)

    edges = [top - real.emin + k for k in (-2, -1, 0, 1, 2)]
    edges += [least_p - k for k in (3, 2, 1, 0)] + [least_p + k for k in (1, 2, 3)]
    widest = 2 * (real.emax - real.tiniest) - 2 * p
    edges += [least_p - 20, least_p - 10, (least_p + widest) // 2, widest]
    if real is F32:
        edges += [230, 240, 245]
    for spread in edges:
        high = min(spread // 2, 2 * real.emax - 2)
        low = high - spread
        strong, weak = product_of(high), product_of(low)
        a, b = c.mean(real), c.mean(real)
        c.add("wide-spread", [strong + (a,), weak + (b,)])
        c.add("wide-spread", [weak + (b,), strong + (a,)])
        third = product_of(d.between(low, high))
        c.add("wide-spread", d.shuffled([strong + (a,), weak + (d.signed(real, real.emax, real.emax),), third + (b,)]))
    # Exact powers of two about the least subnormal, where it is decided by ties.
    for k in range(-2, 4):
        exponent = -least_p - k
        w = up(exponent // 2)
        f = up(exponent - exponent // 2)
        for fisher in (f - 1, f, f + 1):
            c.add("spread-tie", [(one, one, one), (w, fisher, sign | big)])
    for _ in range(8):
        exponents = [-d.between(least_p - p - 2, least_p + 2) for _ in range(d.between(2, 4))]
        models = [product_of(e) + (c.mean(real),) for e in exponents]
        models.insert(d.below(len(models) + 1), (one, one, c.mean(real)))
        c.add("spread-tie", models)

    # A p below the range of R still counts, which only the sign of a zero can tell: beside
    # a strong model whose mean is -0, any other contributes +0 or -0 by the sign of the
    # mean there is. Two weak models decide that sign by their scaled, subnormal p.
    quarter = least_p // 4
    strong = (up(quarter), up(quarter))
    weak_weight = up(quarter - least_p // 2)
    weak_fisher = quarter - least_p + least_p // 2  # log2

    def weak(quanta):
        """Weight and Fisher value of a model with p = quanta * least subnormal."""
        return weak_weight, real.exactly(quanta * pow2(weak_fisher))

    assert real.value(weak_weight) * pow2(weak_fisher) == pow2(2 * quarter - least_p)
    for quanta in (Fraction(1, 64), Fraction(1, 2), 1, Fraction(3, 2), 1000, pow2(p - 1), pow2(p + 8)):
        for mean in (one, sign | one, 0, sign):
            c.add("sign-of-weak", [strong + (sign,), weak(quanta) + (mean,)])
            c.add("sign-of-weak", [weak(quanta) + (mean,), strong + (sign,)])
    for _ in range(24):
        a = Fraction(d.between(1, 40), 4)
        b = Fraction(d.between(1, 40), 4)
        # Nearly as much on either side.
        models = [weak(a) + (real.nearest(b),), weak(b) + (real.nearest(-a - Fraction(d.between(-2, 2), 8)),)]
        if d.chance(2):
            models.reverse()
        c.add("sign-of-weak", models + [strong + (sign,)])
    # The product is rounded to p bits before it is scaled: then these are ties.
    for quanta in (Fraction(3, 2), Fraction(5, 2), Fraction(7, 2), Fraction(9, 2)):
        down = quanta.numerator % 4 == 1  # the tie goes down, the exact product up
        while True:
            weight = d.positive(real, -4, 4)
            fisher = real.nearest(quanta / real.value(weight)) + d.between(-1, 1)
            exact = real.value(weight) * real.value(fisher)
            if exact != quanta and (exact > quanta) == down and round_unbounded(exact, p) == quanta:
                break
        models = [
            (
                real.exactly(real.value(weight) * real.value(weak_weight)),
                real.exactly(real.value(fisher) * pow2(weak_fisher)),
                one,
            ),
            weak(1) + (real.nearest(-quanta),),
        ]
        c.add("sign-of-weak", models + [strong + (sign,)])
        c.add("sign-of-weak", models[::-1] + [strong + (sign,)])

    # Subnormal weights.
    for i in range(20):
        models = [
            (d.positive(real, real.tiniest, real.emin - 1), d.positive(real, -10, 10 if i % 2 else real.emax), c.mean(real))
            for _ in range(d.between(1, 4))
        ]
        if i % 3 == 0:
            models.insert(d.below(len(models) + 1), (one, d.positive(real, real.tiniest, real.emin + 4), c.mean(real)))
        c.add("subnormal-weight", models)

    # Means at the ends of the range.
    for i in range(28):
        models = []
        for _ in range(d.between(2, 5)):
            mean = d.choice([big, sign | big, big - 1, sign | (big - 1), d.signed(real, real.emax, real.emax)])
            models.append((c.weight(), c.fisher(real), mean & ~sign if i % 3 == 0 else mean))
        c.add("huge-mean", models)
    for k in (1, 2, p - 1, p, p + 1):  # the largest x there is, at r near 2^-k
        for step in (-1, 0, 1):
            c.add("huge-mean", [(one, one, big), (one, up(-k) + step, big)])
    for i in range(28):
        models = []
        for _ in range(d.between(2, 5)):
            mean = d.choice([tiny, sign | tiny, 2, 3, sign | 3, real.min_normal, real.min_normal - 1])
            if d.chance(2):
                mean = d.signed(real, real.tiniest, real.emin)
            models.append((c.weight(), c.fisher(real), mean & ~sign if i % 3 == 0 else mean))
        c.add("subnormal-mean", models)

    # Equal evidence.
    for i in range(24):
        w, f = c.weight(), c.fisher(real)
        models = [(w, f, c.mean(real)) for _ in range(2 + i % 4)]
        if i % 2:
            models = [(one, one, m) for _, _, m in models]
        c.add("equal-evidence", models)

    # Ratios at which one p vanishes beside the other.
    for k in (p - 2, p - 1, p, p + 1, p + 2, 2 * p):
        for step in (-1, 0, 1):
            weak = up(-k) + step
            a, b = c.mean(real), c.mean(real)
            far = d.signed(real, 10, 30)
            c.add("absorption", [(one, one, a), (one, weak, far)])
            c.add("absorption", [(one, weak, far), (one, one, b)])
        odd = d.positive(real, 0, 0) | 1
        c.add("absorption", [(one, odd, a), (one, up(-k), b), (one, up(-k), far), (one, up(-k), b)])

    # Means so close that the rounded x leaves their interval.
    found = 0
    while found < 24:
        base = d.choice([c.mean(real), c.mean(real), d.pattern(real)]) & ~sign
        base = min(max(base, 4), real.max - 4)
        s = sign if d.chance(2) else 0
        models = [(c.weight(), d.positive(real, -2, 2), (base + d.below(3)) | s) for _ in range(d.between(2, 4))]
        found += c.add("clamp", models, only_if={"clamped up", "clamped down"})

    # Results at and about the midpoints of the output type.
    for s_out in storages[:-1]:
        for i in range(24 if real is F32 else 16):
            if i % 4 == 0:
                v = d.positive(s_out, -3, 3)
            elif i % 4 == 1:
                v = d.below(s_out.min_normal + 2)  # subnormal, or zero
            elif i % 4 == 2:
                v = s_out.max - d.below(2)
            else:
                v = d.positive_pattern(s_out)
            after = s_out.value(v + 1) if v < s_out.max else pow2(s_out.emax + 1)
            middle = real.nearest((s_out.value(v) + after) / 2)
            if middle < 2:
                # Zero and the least subnormal of R's own width have no such middle.
                middle = real.min_normal
            mean = middle + i % 3 - 1
            s = sign if d.chance(2) else 0
            if i % 2:
                off = d.between(1, min(mean - 1, 1000))
                models = [(one, one, (mean - off) | s), (one, one, (mean + off) | s)]
                if middle + off + 1 > real.max:
                    models = [(one, one, mean | s)]
            elif i % 4 == 2:
                models = [(one, 0, mean | s), (two, 0, one)]
            else:
                models = [(c.weight(), c.fisher(real), mean | s)]
            c.add("narrowing", models, s_out=s_out)

    # Anything.
    for i in range(50):
        s_mean, s_fisher, s_out = (real,) * 3 if i < 25 else (c.storage(), c.storage(), c.storage())
        models = []
        for _ in range(1 + i % 5):
            weight = 0 if models and d.chance(10) else d.positive_pattern(real)
            fisher = 0 if d.chance(10) else d.positive_pattern(s_fisher)
            models.append((weight, fisher, d.pattern(s_mean)))
        c.add("anything", models, s_mean, s_fisher, s_out)

    # Many models.
    for i in range(18):
        count = 16 if i % 3 else 64
        s_mean, s_fisher, s_out = (real,) * 3 if i < 6 else (c.storage(), c.storage(), c.storage())
        models = [c.model(s_mean, s_fisher) for _ in range(count)]
        if i % 2:
            models = [
                (0 if d.chance(6) else w, 0 if d.chance(6) else f, m) for w, f, m in models
            ]
            if all(w == 0 for w, _, _ in models):
                models[-1] = (one,) + models[-1][1:]
        if i in (4, 5):
            models = [(d.positive_pattern(real), d.positive_pattern(real), d.pattern(real)) for _ in models]
        c.add("many", models, s_mean, s_fisher, s_out)

    return c


MERGE_HEAD = """\
# Precision-weighted merges of one element in {real} arithmetic. Made by make.py; README.md
# has the definition. Fields are separated by one space; numbers are the bit patterns in
# lowercase hexadecimal, 4, 8 or 16 digits by type (f16 and bf16, f32, f64).
#
#   id storage_mean storage_fisher storage_out M
#   then M times: weight({real}) fisher(storage_fisher) mean(storage_mean)
#   then: mean_out(storage_out) mean({real}) precision({real}) exact({real})
#
# mean is the merged mean before it is rounded to storage_out; exact is the exact rational
# answer rounded once to {real}, for judging closeness only.
"""


def merge_text(cases):
    real = cases.real
    lines = [MERGE_HEAD.format(real=real.name)]
    for ident, s_mean, s_fisher, s_out, models, answer in cases.rows:
        fields = [ident, s_mean.name, s_fisher.name, s_out.name, str(len(models))]
        for weight, fisher, mean in models:
            fields += [real.hex(weight), s_fisher.hex(fisher), s_mean.hex(mean)]
        fields += [s_out.hex(answer.mean_out)]
        fields += [real.hex(x) for x in (answer.mean, answer.precision, answer.exact)]
        lines.append(" ".join(fields) + "\n")
    return "".join(lines)


# ---------------------------------------------------------------- conversions

CONVERT_HEAD = """\
# Conversions at hard points, each rounded once to nearest even. Made by make.py; numbers
# are the bit patterns in lowercase hexadecimal, 4, 8 or 16 digits by type (f16 and bf16,
# f32, f64). No NaN among them.
#
#   from to input(from) output(to)
"""


def narrowing_inputs(source, target, draws):
    """Nonnegative numbers of `source` at which rounding to `target` is hard."""
    src, dst = source, target
    found = {0, 1, 2, src.min_normal - 1, src.min_normal, src.max - 1, src.max, src.inf}

    def about(q):
        """The number nearest to q and its neighbours; what only a long significand can
        tell from q, as an f32 between them could not."""
        bits = src.nearest(q)
        found.update(b for b in (bits - 1, bits, bits + 1) if 0 <= b <= src.max)
        if src is F64 and dst is not F32 and q != 0:
            through = max(floor_log2(q), F32.emin) - (F32.precision - 1)  # an f32's ulp
            for sign in (-1, 1):
                for share in (Fraction(1, 2), Fraction(1, 4), pow2(-20)):
                    near = src.nearest(q + sign * share * pow2(through))
                    if near <= src.max:
                        found.add(near)
                        if share == Fraction(1, 2):  # and about that tie
                            found.update((near - 1, near + 1))

    points = {0, 1, 2, dst.min_normal - 2, dst.min_normal - 1, dst.min_normal}
    points |= {dst.min_normal + 1, dst.one - 1, dst.one, dst.one + 1, dst.max - 1, dst.max}
    while len(points) < 16:
        points.add(draws.positive(dst, -4, 4))
    while len(points) < 18:
        points.add(draws.below(dst.min_normal))
    for v in sorted(points):
        low = dst.value(v)
        high = dst.value(v + 1) if v < dst.max else pow2(dst.emax + 1)
        middle = (low + high) / 2
        about(middle)
        found.add(src.exactly(low))
        if v in (0, 1, dst.min_normal, dst.one, dst.max):
            about(low)
    if dst is F16:  # the threshold of overflow in decimal
        found.update(src.nearest(Fraction(n, 1000)) for n in (65519996, 65520000, 65519000))
    if src.emax > dst.emax:
        about(pow2(dst.emax + 1))
        found.add(src.nearest(pow2(dst.emax + 2)))
    for _ in range(6):
        found.add(draws.positive(src, dst.tiniest - 3, dst.emin))
        found.add(draws.positive(src, dst.emin, dst.emax))
    return sorted(found)


def widening_inputs(source, draws):
    src = source
    found = {0, 1, 2, 3, src.min_normal - 1, src.min_normal, src.min_normal + 1}
    found |= {src.one - 1, src.one, src.one + 1, src.max - 1, src.max, src.inf}
    for k in range(src.precision - 1):  # one bit and all bits below it, subnormal
        found |= {1 << k, (2 << k) - 1}
    while len(found) < 48:
        found.add(draws.positive_pattern(src))
    return sorted(found)


CONVERSIONS = [(F32, F16), (F32, BF16), (F64, F16), (F64, BF16), (F64, F32), (F16, F32), (BF16, F32)]


def convert_rows(seed):
    draws = Draws(seed)
    rows = []
    for src, dst in CONVERSIONS:
        if src.width > dst.width:
            inputs = narrowing_inputs(src, dst, draws)
        else:
            inputs = widening_inputs(src, draws)
        for bits in inputs:
            for signed in (bits, bits | src.sign):
                rows.append((src, dst, signed, src.convert(signed, dst)))
    return rows


def convert_text(rows):
    lines = [CONVERT_HEAD]
    for src, dst, before, after in rows:
        lines.append("%s %s %s %s\n" % (src.name, dst.name, src.hex(before), dst.hex(after)))
    return "".join(lines)


# ---------------------------------------------------------------- selftest


def selftest(cases, conversions):
    import math
    import struct

    draws = Draws(0x5E1F7E57)
    code = {"f16": ("<e", "<H"), "f32": ("<f", "<I"), "f64": ("<d", "<Q")}

    def to_float(fmt, bits):
        return struct.unpack(code[fmt.name][0], struct.pack(code[fmt.name][1], bits))[0]

    def from_float(fmt, x):
        try:
            return struct.unpack(code[fmt.name][1], struct.pack(code[fmt.name][0], x))[0]
        except OverflowError:
            return fmt.inf | (fmt.sign if x < 0 else 0)

    def operand(fmt):
        kind = draws.below(8)
        if kind < 3:
            return draws.pattern(fmt)
        if kind < 6:
            return draws.signed(fmt, -3, 3)
        if kind == 6:
            return draws.signed(fmt, fmt.tiniest, fmt.emin + 2)
        return draws.choice([0, 1, fmt.min_normal, fmt.one, fmt.max]) | draws.choice([0, fmt.sign])

    # The operations, against the machine's. For f32 through f64, which has more than
    # twice the bits and two more, so that its rounding does not show.
    checked = 0
    for fmt in (F32, F64):
        for _ in range(20000):
            a, b = operand(fmt), operand(fmt)
            if draws.chance(16):
                b = a ^ fmt.sign
            x, y = to_float(fmt, a), to_float(fmt, b)
            pairs = [(fmt.add(a, b), x + y), (fmt.sub(a, b), x - y), (fmt.mul(a, b), x * y)]
            if y != 0:
                pairs.append((fmt.div(a, b), x / y))
            for mine, theirs in pairs:
                assert mine == from_float(fmt, theirs), (fmt.name, fmt.hex(a), fmt.hex(b))
                checked += 1
            assert fmt.less(a, b) == (x < y)
    print("operations against the machine's: %d" % checked)

    # Rounding f64 to f32 and f16, against struct.
    checked = 0
    for fmt in (F16, F32):
        for _ in range(20000):
            bits = draws.signed(F64, fmt.tiniest - 3, fmt.emax + 2)
            if draws.chance(2):  # at a midpoint or next to it
                v = draws.positive_pattern(fmt)
                v = min(v, fmt.max - 1)
                bits = F64.exactly((fmt.value(v) + fmt.value(v + 1)) / 2) + draws.between(-1, 1)
            assert F64.convert(bits, fmt) == from_float(fmt, to_float(F64, bits))
            checked += 1
    # bf16 from f32, against the usual trick with integers.
    for _ in range(20000):
        bits = draws.pattern(F32)
        assert F32.convert(bits, BF16) == (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
        checked += 1
    print("roundings against the machine's: %d" % checked)

    # Rounding to 16 bits, against a search in the list of all values. Every row of
    # convert.txt for f16 and bf16, and random numbers.
    checked = 0
    for fmt in (F16, BF16):
        table = [fmt.value(b) for b in range(fmt.inf)] + [pow2(fmt.emax + 1)]
        inputs = [(s, b, r) for s, t, b, r in conversions if t is fmt and s.is_finite(b)]
        for src in (F32, F64):
            for _ in range(2000):
                bits = draws.signed(src, fmt.tiniest - 2, fmt.emax + 1)
                inputs.append((src, bits, src.convert(bits, fmt)))
        for src, bits, result in inputs:
            q = abs(src.value(bits))
            at = min(bisect_right(table, q) - 1, fmt.inf)
            if at < fmt.inf:
                to_low, to_high = q - table[at], table[at + 1] - q
                at += to_high < to_low or (to_high == to_low and at & 1)
            if src.is_negative(bits):
                at |= fmt.sign
            assert at == result, (src.name, fmt.name, src.hex(bits))
            checked += 1
    for src, dst, before, after in conversions:
        if src.width < dst.width:
            if src is BF16:
                assert after == before << 16
            else:
                assert to_float(dst, after) == to_float(src, before)
                assert dst.is_negative(after) == src.is_negative(before)
            checked += 1
        elif dst is F32:
            assert after == from_float(F32, to_float(F64, before))
            checked += 1
    print("roundings against a search: %d" % checked)

    # The recurrence once more, in the machine's arithmetic, from the scaled precisions.
    checked = 0
    for c in cases:
        real = c.real
        single = lambda x: to_float(real, from_float(real, x))
        for ident, s_mean, s_fisher, s_out, models, answer in c.rows:
            state, mean = 0.0, to_float(real, answer.kept[0][1])
            for p, m in answer.kept:
                p, m = to_float(real, p), to_float(real, m)
                if p == 0:
                    continue
                if state == 0:
                    state, mean = p, m
                    continue
                state = single(state + p)
                r = single(p / state)
                x = single(single(single(1 - r) * mean) + single(r * m))
                low, high = (mean, m) if mean < m else (m, mean)
                x = low if x < low else x
                x = high if x > high else x
                mean = x
            assert from_float(real, mean) == answer.mean, ident
            # And the whole from the inputs with no scaling, where none is needed.
            values = [
                (to_float(real, w), to_float(real, s_fisher.convert(f, real))) for w, f, _ in models
            ]
            plain = [single(w * f) for w, f in values if w != 0]
            exact_zero = [f == 0 for w, f in values if w != 0]
            low, high = math.ldexp(1, real.emin), math.ldexp(1, TOP_EXPONENT[real.name])
            if all(zero or low <= p < high for p, zero in zip(plain, exact_zero)):
                total = 0.0
                for p in plain:
                    total = single(total + p)
                if not answer.events & {"p subnormal"}:
                    assert from_float(real, total) == answer.precision, ident
                    checked += 1
    print("merges against the machine's: %d, of them %d with the precision unscaled" % (
        sum(len(c.rows) for c in cases), checked))

    # What the cases reach.
    for c in cases:
        seen = {}
        for row in c.rows:
            for event in row[5].events:
                seen[event] = seen.get(event, 0) + 1
        print("merge_%s: %d cases; events:" % (c.real.name, len(c.rows)))
        for event in sorted(seen):
            print("  %4d  %s" % (seen[event], event))
        worst = max(c.rows, key=lambda row: row[5].error)
        print("  greatest error %.2f eps*max|mean| (%s)" % (float(worst[5].error), worst[0]))
        combos = {tuple(f.name for f in row[1:4]) for row in c.rows}
        assert len(combos) == len(STORAGES[c.real.name]) ** 3
        for event in EVENTS:
            assert event in seen, event
    for kind, count in cases[0].counts.items():
        print("  %-18s %3d %3d" % (kind, count, cases[1].counts[kind]))


# What the cases of either type must reach. "x infinite" is not among them: two means of the
# largest number fall just short of it at every r in 0 ..= 1 (for f32, all were tried).
EVENTS = [
    "no evidence",
    "p = 0",
    "p subnormal",
    "p raised to the least subnormal",
    "absorbed: sum = state",
    "absorbed: sum = p",
    "r = 0",
    "r subnormal",
    "r = 1",
    "1 - r = 1 with r > 0",
    "x = -0",
    "clamped up",
    "clamped down",
    "precision subnormal",
    "precision raised to the least subnormal",
    "precision cut to the largest",
    "mean_out infinite",
    "mean_out subnormal",
    "mean_out underflows",
]


# ---------------------------------------------------------------- files


def main(arguments):
    if len(arguments) > 1 or (arguments and arguments[0] not in ("--check", "--selftest")):
        sys.stderr.write(__doc__)
        return 2
    mode = arguments[0] if arguments else ""
    cases = [merge_cases(F32, 0xF15E32), merge_cases(F64, 0xF15E64)]
    conversions = convert_rows(0xC0117E27)
    if mode == "--selftest":
        selftest(cases, conversions)
        return 0
    files = {"merge_%s.txt" % c.real.name: merge_text(c) for c in cases}
    files["convert.txt"] = convert_text(conversions)
    differ = 0
    for name, text in sorted(files.items()):
        path = os.path.join(HERE, name)
        data = text.encode("ascii")
        rows = sum(not line.startswith("#") for line in text.splitlines())
        if mode == "--check":
            try:
                with open(path, "rb") as file:
                    same = file.read() == data
            except FileNotFoundError:
                same = False
            differ += not same
            print("%s: %s" % (name, "as made" if same else "DIFFERS"))
        else:
            with open(path, "wb") as file:
                file.write(data)
            print("%s: %d rows, %d bytes" % (name, rows, len(data)))
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

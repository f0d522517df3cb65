//! Numbers of twice the digits (T. J. Dekker, "A Floating-Point Technique for Extending the Available Precision", 1971), and Gaussian
//! elimination in them: the reference is exact to 1e-30 times a condition number, so no error that is found is its own.

use core::ops::{Add, Div, Mul, Neg, Sub};

/// `high + low`, unevaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Twice {
    high: f64,
    low: f64,
}

impl Twice {
    pub(crate) const ZERO: Self = Self { high: 0.0, low: 0.0 };

    pub(crate) const fn of(value: f64) -> Self {
        Self { high: value, low: 0.0 }
    }

    pub(crate) fn near(self) -> f64 {
        self.high + self.low
    }

    /// A sum of two numbers, and what it drops.
    fn sum(a: f64, b: f64) -> Self {
        let high = a + b;
        let part = high - a;
        Self { high, low: (a - (high - part)) + (b - part) }
    }

    /// A product of two numbers, and what it drops.
    fn product(a: f64, b: f64) -> Self {
        let split = |value: f64| {
            let large = value * 134_217_729.0;
            let high = large - (large - value);
            (high, value - high)
        };
        let (high, (a1, a2), (b1, b2)) = (a * b, split(a), split(b));
        Self { high, low: ((a1 * b1 - high) + a1 * b2 + a2 * b1) + a2 * b2 }
    }
}

impl Add for Twice {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        let (high, low) = (Self::sum(self.high, other.high), Self::sum(self.low, other.low));
        let step = Self::sum(high.high, high.low + low.high);
        Self::sum(step.high, step.low + low.low)
    }
}

impl Neg for Twice {
    type Output = Self;
    fn neg(self) -> Self {
        Self { high: -self.high, low: -self.low }
    }
}

impl Sub for Twice {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Mul for Twice {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let high = Self::product(self.high, other.high);
        Self::sum(high.high, high.low + (self.high * other.low + self.low * other.high))
    }
}

impl Div for Twice {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        let first = self.high / other.high;
        let rest = self - other * Self::of(first);
        let second = rest.high / other.high;
        let rest = rest - other * Self::of(second);
        Self::sum(first, second) + Self::of(rest.high / other.high)
    }
}

/// `X` with `A·X = B` for `A [n, n]` and `B [n, m]`, and `ln |det A|`: elimination with partial pivoting, row by row.
pub(crate) fn solve(mut a: Vec<Twice>, mut b: Vec<Twice>, n: usize) -> (Vec<Twice>, f64) {
    let m = b.len().checked_div(n).unwrap_or_default();
    let mut log = 0.0;
    for k in 0..n {
        let pivot = (k..n).max_by(|&i, &j| a[i * n + k].high.abs().total_cmp(&a[j * n + k].high.abs())).unwrap();
        if pivot != k {
            (0..n).for_each(|j| a.swap(k * n + j, pivot * n + j));
            (0..m).for_each(|j| b.swap(k * m + j, pivot * m + j));
        }
        let head = a[k * n + k];
        log += head.high.abs().ln();
        for i in k + 1..n {
            let share = a[i * n + k] / head;
            if share == Twice::ZERO {
                continue;
            }
            for j in k + 1..n {
                a[i * n + j] = a[i * n + j] - share * a[k * n + j];
            }
            for j in 0..m {
                b[i * m + j] = b[i * m + j] - share * b[k * m + j];
            }
        }
    }
    for k in (0..n).rev() {
        for j in 0..m {
            let known = (k + 1..n).fold(b[k * m + j], |sum, i| sum - a[k * n + i] * b[i * m + j]);
            b[k * m + j] = known / a[k * n + k];
        }
    }
    (b, log)
}

/// `A·x`.
pub(crate) fn times(a: &[Twice], x: &[Twice]) -> Vec<Twice> {
    let dot = |line: &[Twice]| line.iter().zip(x).fold(Twice::ZERO, |sum, (&a, &x)| sum + a * x);
    a.chunks(x.len().max(1)).map(dot).collect()
}

/// The Euclidean norm.
pub(crate) fn norm(x: &[Twice]) -> f64 {
    x.iter().map(|x| x.near() * x.near()).sum::<f64>().sqrt()
}

#[test]
fn the_reference_knows_twice_the_digits() {
    let third = Twice::of(1.0) / Twice::of(3.0);
    let back = third + third + third - Twice::of(1.0);
    assert!(back.near().abs() < 1e-31 && (third * Twice::of(3.0) - Twice::of(1.0)).near().abs() < 1e-31);
    // The Hilbert matrix of ten rows has a condition number of 1.6e13.
    let n = 10;
    let entry = |at: usize| Twice::of(1.0) / Twice::of((at / n + at % n + 1) as f64);
    let a: Vec<Twice> = (0..n * n).map(entry).collect();
    let x: Vec<Twice> = (0..n).map(|i| Twice::of(i as f64 - 4.0)).collect();
    let (found, log) = solve(a.clone(), times(&a, &x), n);
    assert!(found.iter().zip(&x).all(|(found, x)| (*found - *x).near().abs() < 1e-17));
    assert!((log - 2.164_179_226_431_498e-53_f64.ln()).abs() < 1e-3);
}

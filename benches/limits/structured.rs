//! The merge of two Kronecker posteriors of a layer of 1024 by 1024, against matrix products of that size and against conjugate gradients.

use std::hint::black_box;
use std::time::Instant;

use fisher_merge::{BuiltIn, Matrix, MatrixMut, MatrixProduct, Structure, StructuredFactor, StructuredMerge, StructuredPosterior};

use super::backend::MatrixMultiply;
use super::layers::numbers;
use super::{Limit, Times, report};

const WIDTH: usize = 1024;

const LIMITS: &[Limit] = &[
    limit("a Kronecker pair over 80 products", ("pair", "product"), 80.0, 1.0),
    limit("a Kronecker pair over 100 plain iterations", ("pair", "plain iterations"), 10.0, 0.2),
    Limit { what: "the same to an equal residual, preconditioned", log2: 0, over: ("preconditioned", "pair"), times: 1.0, at_most: None },
    Limit { what: "preconditioned, to 1e-3", log2: 0, over: ("roughly", "pair"), times: 1.0, at_most: None },
    Limit { what: "the pair with matrixmultiply's products", log2: 0, over: ("foreign", "pair"), times: 1.0, at_most: None },
    Limit { what: "the pair over one of half the side", log2: 0, over: ("pair", "half"), times: 1.0, at_most: None },
    Limit { what: "built-in product over matrixmultiply's", log2: 0, over: ("built-in", "product"), times: 1.0, at_most: None },
];

const fn limit(what: &'static str, over: (&'static str, &'static str), times: f64, at_most: f64) -> Limit {
    Limit { what, log2: 0, over, times, at_most: Some(at_most) }
}

/// `X·Xᵀ/n` of numbers whose rows have unequal lengths: a second moment with a spectrum of its own.
fn moment(n: usize, seed: u64) -> Vec<f64> {
    let mut x: Vec<f64> = numbers(n * n, seed);
    x.chunks_mut(n).enumerate().for_each(|(row, line)| line.iter_mut().for_each(|value| *value /= (1 + row % 97) as f64));
    let mut out = vec![0.0; n * n];
    let one = 1.0 / n as f64;
    // SAFETY: the slices hold `n` rows of `n` numbers.
    unsafe {
        matrixmultiply::dgemm(n, n, n, one, x.as_ptr(), n as isize, 1, x.as_ptr(), 1, n as isize, 0.0, out.as_mut_ptr(), n as isize, 1)
    };
    out
}

/// Two layers with their factors.
struct Layers {
    n: usize,
    means: [Vec<f64>; 2],
    factors: [[Vec<f64>; 2]; 2],
}

impl Layers {
    fn new(n: usize) -> Self {
        let factors = [[moment(n, 1), moment(n, 2)], [moment(n, 3), moment(n, 4)]];
        Self { n, means: [numbers(n * n, 5), numbers(n * n, 6)], factors }
    }

    fn factors(&self) -> [StructuredFactor<'_, f64>; 2] {
        [0, 1].map(|model: usize| {
            let [outputs, inputs] = &self.factors[model];
            let posterior = StructuredPosterior::new(&self.means[model], (self.n, self.n), Structure::Kronecker { outputs, inputs });
            posterior.expect("of this shape").power(0.5)
        })
    }

    /// Merges; gives the residual.
    fn merge<'s, P: MatrixProduct<f64>>(
        &'s self,
        merge: &StructuredMerge<'s, f64, P>,
        out: &mut [f64],
        scratch: &mut Vec<f64>,
    ) -> (f64, u32) {
        let factors = self.factors();
        let needed = merge.scratch(&factors).expect("shapes agree");
        scratch.resize(needed.max(scratch.len()), 0.0);
        let solved = merge.run(&factors, out, scratch).expect("the factors are positive definite");
        (solved.residual, solved.iterations)
    }

    /// Ten iterations of conjugate gradients without a preconditioner, as few lines as they take.
    fn plain_iterations(&self, vectors: &mut [Vec<f64>; 5], scratch: &mut Vec<f64>) {
        let n = self.n;
        let [x, residual, direction, image, through] = vectors;
        residual.copy_from_slice(&self.means[1]);
        direction.copy_from_slice(residual);
        x.fill(0.0);
        scratch.resize(MatrixProduct::<f64>::scratch(&BuiltIn::new(), n, n, n).max(scratch.len()), 0.0);
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let mut square = dot(residual, residual);
        for _ in 0..10 {
            image.fill(0.0);
            for [g, a] in &self.factors {
                let view = |values| Matrix::new(values, n, n).expect("square");
                let product = BuiltIn::new();
                let out = MatrixMut::new(through, n, n).expect("square");
                product.multiply(1.0, view(direction), view(a), 0.0, out, scratch).expect("shapes agree");
                let out = MatrixMut::new(image, n, n).expect("square");
                product.multiply(0.5, view(g), view(through), 1.0, out, scratch).expect("shapes agree");
            }
            let step = square / dot(direction, image);
            x.iter_mut().zip(&*direction).for_each(|(x, d)| *x += step * d);
            residual.iter_mut().zip(&*image).for_each(|(r, i)| *r -= step * i);
            let next = dot(residual, residual);
            direction.iter_mut().zip(&*residual).for_each(|(d, r)| *d = r + next / square * *d);
            square = next;
        }
        black_box(x);
    }
}

/// Measures, prints, and counts what is exceeded.
pub fn run(test: bool) -> u32 {
    let n = if test { 64 } else { WIDTH };
    let (layers, half) = (Layers::new(n), Layers::new(n / 2));
    let (mut out, mut scratch) = (vec![0.0; n * n], Vec::new());
    let mut vectors = [(); 5].map(|()| vec![0.0; n * n]);
    let (closed, iterated) = (StructuredMerge::new(), StructuredMerge::new().iterate(true));
    let (residual, _) = layers.merge(&closed, &mut out, &mut scratch);
    let equal = iterated.stop(residual.max(1e-14), 1000);
    let [_, a] = &layers.factors[0];
    let mut times: Times = Vec::new();
    let mut solved = Vec::new();
    for round in 0..if test { 2 } else { 6 } {
        let mut time = |name: &'static str, work: &mut dyn FnMut()| {
            let began = Instant::now();
            work();
            let seconds = began.elapsed().as_secs_f64();
            match times.iter_mut().find(|(known, _)| *known == name) {
                Some((_, all)) if round > 0 => all.push(seconds * 1e3),
                Some(_) => {}
                None => times.push((name, Vec::new())),
            }
        };
        time("product", &mut || {
            let (a, b, c) = (a.as_ptr(), layers.means[0].as_ptr(), vectors[0].as_mut_ptr());
            let stride = n as isize;
            // SAFETY: the slices hold `n` rows of `n` numbers.
            unsafe { matrixmultiply::dgemm(n, n, n, 1.0, a, stride, 1, b, stride, 1, 0.0, c, stride, 1) };
        });
        let [_, _, image, ..] = &mut vectors;
        time("built-in", &mut || {
            let view = |values| Matrix::new(values, n, n).expect("square");
            scratch.resize(MatrixProduct::<f64>::scratch(&BuiltIn::new(), n, n, n).max(scratch.len()), 0.0);
            let product = BuiltIn::new();
            product
                .multiply(1.0, view(a), view(&layers.means[0]), 0.0, MatrixMut::new(image, n, n).expect("square"), &mut scratch)
                .expect("square");
        });
        time("pair", &mut || solved = vec![layers.merge(&closed, &mut out, &mut scratch)]);
        time("foreign", &mut || solved.truncate(usize::from(layers.merge(&closed.product(MatrixMultiply), &mut out, &mut scratch).1 == 0)));
        time("half", &mut || solved.truncate(usize::from(half.merge(&closed, &mut out[..n * n / 4], &mut scratch).1 == 0)));
        time("plain iterations", &mut || layers.plain_iterations(&mut vectors, &mut scratch));
        time("preconditioned", &mut || solved.push(layers.merge(&equal, &mut out, &mut scratch)));
        time("roughly", &mut || solved.push(layers.merge(&iterated.stop(1e-3, 1000), &mut out, &mut scratch)));
    }
    println!("\ntwo Kronecker posteriors, {n} by {n}, f64; milliseconds (median; ten plain iterations):");
    for (name, times) in &times {
        println!("  {name:<18}{:>10.3}", super::median(times.clone()));
    }
    let names = ["closed form", "preconditioned", "roughly"];
    names
        .iter()
        .zip(&solved)
        .for_each(|(name, (residual, iterations))| println!("  {name:<18}{iterations:>5} iterations, residual {residual:.1e}"));
    println!("  scratch of the closed form: {} numbers\n", closed.scratch(&layers.factors()).expect("shapes agree"));
    LIMITS.iter().map(|limit| u32::from(!report(limit, &times) && !test)).sum()
}

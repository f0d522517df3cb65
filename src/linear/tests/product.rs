//! The product is its definition, bit for bit: whatever the shell, the strides, the blocks and the way it is cut.

use super::*;
use crate::error::LinearFault;
use crate::kernel::Shell;

/// A stored matrix with gaps of NaN between its rows: what is read must not be those.
struct Stored<R> {
    values: Vec<R>,
    shape: (usize, usize),
    stride: usize,
    transposed: bool,
}

impl<R: Real> Stored<R> {
    fn random(random: &mut Random, rows: usize, columns: usize, transposed: bool) -> Self {
        let shape = if transposed { (columns, rows) } else { (rows, columns) };
        let stride = shape.1 + 3;
        let mut values = vec![R::nan(); shape.0 * stride];
        for row in values.chunks_exact_mut(stride) {
            row[..shape.1].copy_from_slice(&random.numbers(shape.1));
        }
        Self { values, shape, stride, transposed }
    }

    fn view(&self) -> Matrix<'_, R> {
        let view = Matrix::strided(&self.values, self.shape, self.stride).unwrap();
        if self.transposed { view.transposed() } else { view }
    }

    fn at(&self, i: usize, j: usize) -> R {
        let view = self.view();
        view.values()[i * view.row_stride() + j * view.column_stride()]
    }
}

/// The formula in the documentation of [`BuiltIn`].
fn defined<R: Real>(alpha: R, a: &Stored<R>, b: &Stored<R>, k: usize, beta: R, c: &Stored<R>) -> Vec<R> {
    let mut out = c.values.clone();
    for i in 0..c.shape.0 {
        for j in 0..c.shape.1 {
            let old = c.at(i, j);
            let first = if beta == R::ZERO { R::ZERO } else { beta * old };
            out[i * c.stride + j] = (0..k).fold(first, |sum, p| sum + (alpha * a.at(i, p)) * b.at(p, j));
        }
    }
    out
}

fn compare<R: Real>(sizes: &[(usize, usize, usize)]) {
    let mut random = Random(7);
    for &(m, n, k) in sizes {
        for way in 0..4 {
            let (a, b) = (Stored::<R>::random(&mut random, m, k, way & 1 == 1), Stored::random(&mut random, k, n, way & 2 == 2));
            let c = Stored::random(&mut random, m, n, false);
            for (alpha, beta) in [(1.0, 0.0), (-1.0, 1.0), (0.3, -0.7)].map(|(a, b)| (R::from_f64(a), R::from_f64(b))) {
                let expected = defined(alpha, &a, &b, k, beta, &c);
                for shell in Shell::available() {
                    let product = BuiltIn::in_shell(shell);
                    let mut out = c.values.clone();
                    let view = MatrixMut::strided(&mut out, (m, n), c.stride).unwrap();
                    let mut scratch = vec![R::nan(); MatrixProduct::<R>::scratch(&product, m, n, k)];
                    product.multiply(alpha, a.view(), b.view(), beta, view, &mut scratch).unwrap();
                    assert_eq!(bits(&out), bits(&expected), "{m} {n} {k} way {way} {shell:?}");
                }
            }
        }
    }
}

#[test]
fn the_product_is_its_definition() {
    let small = [(0, 3, 2), (3, 0, 2), (3, 2, 0), (1, 1, 1), (4, 8, 5), (5, 9, 3), (3, 17, 33), (19, 5, 7), (12, 33, 40)];
    compare::<f64>(&small);
    compare::<f32>(&small);
    // Beyond a block in each direction.
    compare::<f64>(&[(131, 9, 3), (5, 530, 2), (3, 10, 270)]);
    compare::<f32>(&[(131, 17, 3), (5, 530, 2), (3, 10, 270)]);
}

#[test]
fn a_target_is_not_read_where_beta_is_zero() {
    let (mut c, mut scratch) = ([f64::NAN; 1], [0.0; 16]);
    let one = [2.0];
    let view = Matrix::new(&one, 1, 1).unwrap();
    BuiltIn::new().multiply(1.0, view, view, 0.0, MatrixMut::new(&mut c, 1, 1).unwrap(), &mut scratch).unwrap();
    assert_eq!(c, [4.0]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let values = [0.0_f64; 6];
    assert_eq!(Matrix::new(&values, 2, 4).unwrap_err(), LinearFault::Shape { expected: 8, found: 6 });
    assert_eq!(Matrix::strided(&values, (2, 3), 2).unwrap_err(), LinearFault::Shape { expected: 3, found: 2 });
    assert_eq!(Matrix::new(&values, usize::MAX, 2).unwrap_err(), LinearFault::Shape { expected: usize::MAX, found: 6 });
    let (a, mut c, mut scratch) = (Matrix::new(&values, 2, 3).unwrap(), [1.0; 4], [0.0; 64]);
    let mut multiply = |a, b, n| {
        let c = MatrixMut::new(&mut c, 2, 2)?;
        BuiltIn::new().multiply(1.0, a, b, 0.0, c, &mut scratch[..n])
    };
    assert_eq!(multiply(a, a, 64).unwrap_err(), LinearFault::Shape { expected: 3, found: 2 });
    assert_eq!(multiply(a, a.transposed(), 35).unwrap_err(), LinearFault::Scratch { needed: 36, found: 35 });
    assert_eq!(c, [1.0; 4], "nothing was written");
}

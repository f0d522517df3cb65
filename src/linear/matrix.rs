//! Views of matrices in slices.

use core::ops::Range;

use crate::error::LinearFault;

/// A matrix in a lent slice, row-major as it is stored: read as it is or transposed.
///
/// ```
/// use fisher_merge::Matrix;
/// let a = Matrix::new(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2, 3)?;
/// let t = a.transposed();
/// assert_eq!((t.rows(), t.columns(), t.row_stride(), t.column_stride()), (3, 2, 1, 3));
/// # Ok::<(), fisher_merge::LinearFault>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a, R> {
    values: &'a [R],
    /// As stored.
    rows: usize,
    columns: usize,
    stride: usize,
    transposed: bool,
}

/// Every element lies in a slice of `len` numbers, and rows do not overlap.
fn check(len: usize, rows: usize, columns: usize, stride: usize) -> Result<(), LinearFault> {
    if columns > stride && rows > 1 {
        return Err(LinearFault::Shape { expected: columns, found: stride });
    }
    if rows == 0 || columns == 0 {
        return Ok(());
    }
    match (rows - 1).checked_mul(stride).and_then(|before| before.checked_add(columns)) {
        Some(expected) if expected <= len => Ok(()),
        expected => Err(LinearFault::Shape { expected: expected.unwrap_or(usize::MAX), found: len }),
    }
}

impl<'a, R> Matrix<'a, R> {
    /// `rows` of `columns` numbers, one behind the other.
    ///
    /// # Errors
    /// The slice is too short.
    pub fn new(values: &'a [R], rows: usize, columns: usize) -> Result<Self, LinearFault> {
        Self::strided(values, (rows, columns), columns)
    }

    /// `(rows, columns)` with rows that begin `stride` numbers apart.
    ///
    /// # Errors
    /// The slice is too short, or rows overlap.
    pub fn strided(values: &'a [R], (rows, columns): (usize, usize), stride: usize) -> Result<Self, LinearFault> {
        check(values.len(), rows, columns, stride)?;
        Ok(Self { values, rows, columns, stride, transposed: false })
    }

    /// The transpose; no number moves.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self { transposed: !self.transposed, ..self }
    }

    /// Rows of the matrix that is meant.
    #[must_use]
    pub fn rows(&self) -> usize {
        if self.transposed { self.columns } else { self.rows }
    }

    /// Columns of the matrix that is meant.
    #[must_use]
    pub fn columns(&self) -> usize {
        if self.transposed { self.rows } else { self.columns }
    }

    /// From one row to the next.
    #[must_use]
    pub fn row_stride(&self) -> usize {
        if self.transposed { 1 } else { self.stride }
    }

    /// From one column to the next.
    #[must_use]
    pub fn column_stride(&self) -> usize {
        if self.transposed { self.stride } else { 1 }
    }

    /// The slice: element `(i, j)` is at `i·row_stride + j·column_stride`, and no such place is beyond its end.
    #[must_use]
    pub fn values(&self) -> &'a [R] {
        self.values
    }

    /// The part of both ranges, cut to what there is.
    pub(super) fn block(self, rows: Range<usize>, columns: Range<usize>) -> Self {
        let (rows, columns) = if self.transposed { (columns, rows) } else { (rows, columns) };
        let (row, column) = (rows.start.min(self.rows), columns.start.min(self.columns));
        let shape = (rows.end.min(self.rows).saturating_sub(row), columns.end.min(self.columns).saturating_sub(column));
        let values = self.values.get(row * self.stride + column..).unwrap_or_default();
        Self { values, rows: shape.0, columns: shape.1, ..self }
    }

    /// Whether neighbours in the slice are neighbours in a column.
    pub(super) fn is_transposed(&self) -> bool {
        self.transposed
    }

    /// Up to `n` stored numbers from the one at `column` of the stored row `row`; none where there is no such row.
    #[inline(always)]
    pub(super) fn stored(&self, row: usize, column: usize, n: usize) -> &'a [R] {
        let end = self.columns.min(column + n);
        if row >= self.rows || column >= end {
            return &[];
        }
        self.values.get(row * self.stride + column..row * self.stride + end).unwrap_or_default()
    }
}

/// A matrix to write to, row-major.
#[derive(Debug)]
pub struct MatrixMut<'a, R> {
    values: &'a mut [R],
    rows: usize,
    columns: usize,
    stride: usize,
}

impl<'a, R> MatrixMut<'a, R> {
    /// `rows` of `columns` numbers, one behind the other.
    ///
    /// # Errors
    /// The slice is too short.
    pub fn new(values: &'a mut [R], rows: usize, columns: usize) -> Result<Self, LinearFault> {
        Self::strided(values, (rows, columns), columns)
    }

    /// `(rows, columns)` with rows that begin `stride` numbers apart.
    ///
    /// # Errors
    /// The slice is too short, or rows overlap.
    pub fn strided(values: &'a mut [R], (rows, columns): (usize, usize), stride: usize) -> Result<Self, LinearFault> {
        check(values.len(), rows, columns, stride)?;
        Ok(Self { values, rows, columns, stride })
    }

    /// Rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// From one row to the next; columns are neighbours.
    #[must_use]
    pub fn row_stride(&self) -> usize {
        self.stride
    }

    /// The slice: element `(i, j)` is at `i·row_stride + j`, and no such place is beyond its end.
    #[must_use]
    pub fn values_mut(&mut self) -> &mut [R] {
        self.values
    }

    /// To read.
    pub(super) fn as_matrix(&self) -> Matrix<'_, R> {
        Matrix { values: self.values, rows: self.rows, columns: self.columns, stride: self.stride, transposed: false }
    }

    /// The same, lent on.
    pub(super) fn lent(&mut self) -> MatrixMut<'_, R> {
        MatrixMut { values: self.values, rows: self.rows, columns: self.columns, stride: self.stride }
    }

    /// The part of both ranges, cut to what there is.
    pub(super) fn block(&mut self, rows: Range<usize>, columns: Range<usize>) -> MatrixMut<'_, R> {
        let (row, column) = (rows.start.min(self.rows), columns.start.min(self.columns));
        let shape = (rows.end.min(self.rows).saturating_sub(row), columns.end.min(self.columns).saturating_sub(column));
        let values = self.values.get_mut(row * self.stride + column..).unwrap_or_default();
        MatrixMut { values, rows: shape.0, columns: shape.1, stride: self.stride }
    }

    /// The rows before `row`, and those from it on.
    pub(super) fn split(&mut self, row: usize) -> (MatrixMut<'_, R>, MatrixMut<'_, R>) {
        let (rows, columns, stride) = (self.rows, self.columns, self.stride);
        let row = row.min(rows);
        // The last row may end before its stride does.
        let at = (row * stride).min(self.values.len());
        let (before, after) = self.values.split_at_mut(at);
        (MatrixMut { values: before, rows: row, columns, stride }, MatrixMut { values: after, rows: rows - row, columns, stride })
    }

    /// The numbers of a row from `column` on; none where there is no such row.
    #[inline(always)]
    pub(super) fn row(&mut self, row: usize, column: usize) -> &mut [R] {
        if row >= self.rows || column >= self.columns {
            return &mut [];
        }
        self.values.get_mut(row * self.stride + column..row * self.stride + self.columns).unwrap_or_default()
    }
}

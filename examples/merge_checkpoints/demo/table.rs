//! The table that is printed.

use fisher_merge::Summary;

use super::recipe::Recipe;

/// Rows in the making.
pub struct Table {
    images: usize,
    rows: Vec<Row>,
}

struct Row {
    name: String,
    weights: Option<[f64; 2]>,
    right: usize,
    summary: Option<Summary>,
    recorded: Option<&'static str>,
}

impl Table {
    pub fn new(images: usize) -> Self {
        Self { images, rows: Vec::new() }
    }

    /// A model as it is.
    pub fn model(&mut self, name: &'static str, right: usize) {
        self.rows.push(Row { name: format!("model {name}"), weights: None, right, summary: None, recorded: Some(name) });
    }

    /// A merge.
    pub fn merge(&mut self, recipe: &Recipe, right: usize, summary: &Summary) {
        let weights = Some(recipe.weights());
        self.rows.push(Row { name: recipe.name.clone(), weights, right, summary: Some(*summary), recorded: recipe.recorded });
    }

    /// A merge of whole layers.
    pub fn structured(&mut self, name: &'static str, right: usize) {
        self.rows.push(Row { name: name.into(), weights: Some([0.5, 0.5]), right, summary: None, recorded: None });
    }

    fn share(&self, row: &Row) -> f64 {
        row.right as f64 / self.images as f64
    }

    pub fn print(&self) {
        println!("Two digit classifiers, merged: low knows the digits 0-4, high knows 5-9; base is what both were trained from.");
        println!("Accuracy is over {} test images of all ten digits.\n", self.images);
        println!("{:<41} {:>9} {:>9} {:>7} {:>10} {:>12} {:>8}", "", "λ of low", "of high", "right", "accuracy", "no evidence", "floored");
        for row in &self.rows {
            let [first, second] = row.weights.map_or(["", ""].map(String::from), |weights| weights.map(|weight| format!("{weight:.1}")));
            let counted = |count: fn(&Summary) -> u64| row.summary.as_ref().map_or_else(String::new, |summary| count(summary).to_string());
            println!(
                "{:<41} {:>9} {:>9} {:>7} {:>9.2}% {:>12} {:>8}",
                row.name,
                first,
                second,
                row.right,
                100.0 * self.share(row),
                counted(|summary| summary.no_evidence),
                counted(|summary| summary.floored),
            );
        }
        self.print_counts();
    }

    /// What all merges counted together, with the words for the columns.
    fn print_counts(&self) {
        let mut total = Summary::default();
        self.rows.iter().filter_map(|row| row.summary.as_ref()).for_each(|summary| total.add(summary));
        println!("\nno evidence: parameters at which both Fishers are zero; they keep the value of low.");
        println!("floored: Fisher entries of low that were below the floor.");
        println!(
            "All merges together: {} elements, {} NaN, {} infinite, {} negative, {} out of range.",
            total.elements, total.nan, total.infinite, total.negative, total.out_of_range
        );
    }

    /// Compares with the recorded accuracies, a flat object of numbers by name, and says what it found.
    pub fn agrees_with(&self, recorded: &str) -> bool {
        let wanted = |name: &str| -> Option<f64> {
            let rest = recorded.split_once(&format!("\"{name}\":"))?.1;
            rest.split([',', '}']).next()?.trim().parse().ok()
        };
        let mut compared = 0;
        let mut agrees = true;
        for row in &self.rows {
            let Some(name) = row.recorded else { continue };
            compared += 1;
            // Recorded in single precision: a rounding of a share of a few hundred images.
            if !wanted(name).is_some_and(|wanted| (wanted - self.share(row)).abs() < 1e-6) {
                agrees = false;
                println!("{name}: {} is not the recorded accuracy, {:?}", self.share(row), wanted(name));
            }
        }
        if agrees {
            println!("All {compared} accuracies that accuracy.json records are those found here.");
        }
        agrees
    }
}

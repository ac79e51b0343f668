//! What a bench prints: a table in Markdown, each figure beside its budget, so that it can go into a document.

use std::time::Duration;

/// Rows of one table. It is printed whole, at the end.
pub struct Table {
    heads: Vec<String>,
    rows: Vec<Vec<String>>,
}

// === impl Table ===

impl Table {
    pub fn new(heads: &[&str]) -> Self {
        Self { heads: heads.iter().map(|head| (*head).to_owned()).collect(), rows: Vec::new() }
    }

    pub fn row(&mut self, cells: &[String]) {
        assert_eq!(cells.len(), self.heads.len(), "a cell for each head");
        self.rows.push(cells.to_vec());
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Every column as wide as its widest cell, the first to the left, the others to the right.
    pub fn print(&self) {
        let all = || std::iter::once(&self.heads).chain(&self.rows);
        let widths: Vec<usize> = (0..self.heads.len())
            .map(|column| all().map(|row| row[column].chars().count()).max().unwrap_or(0).max(3))
            .collect();
        let line = |cells: &[String]| {
            let padded = cells.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match column {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            println!("| {} |", padded.collect::<Vec<_>>().join(" | "));
        };
        println!();
        line(&self.heads);
        let rules = widths.iter().enumerate().map(|(column, &width)| match column {
            0 => "-".repeat(width),
            _ => "-".repeat(width - 1) + ":",
        });
        line(&rules.collect::<Vec<_>>());
        self.rows.iter().for_each(|row| line(row));
        println!();
    }
}

/// A time in the unit that suits it, three digits of it.
pub fn duration(seconds: f64) -> String {
    let (value, unit) = match seconds {
        _ if seconds < 1e-3 => (seconds * 1e6, "µs"),
        _ if seconds < 1.0 => (seconds * 1e3, "ms"),
        _ => (seconds, "s"),
    };
    match value {
        _ if value < 9.995 => format!("{value:.2} {unit}"),
        _ if value < 99.95 => format!("{value:.1} {unit}"),
        _ => format!("{value:.0} {unit}"),
    }
}

/// The budget of a time, and how much of it is used.
pub fn beside(seconds: f64, budget: Option<Duration>) -> [String; 2] {
    let Some(budget) = budget.map(|budget| budget.as_secs_f64()) else { return ["–".into(), "–".into()] };
    [format!("≤ {}", duration(budget)), format!("{:.2} ×", seconds / budget)]
}

/// The same of a size.
pub fn beside_bytes(bytes: f64, budget: Option<f64>) -> [String; 2] {
    let Some(budget) = budget else { return ["–".into(), "–".into()] };
    [format!("≤ {budget:.0} B"), format!("{:.2} ×", bytes / budget)]
}

/// A number with its thousands set apart.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut apart = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            apart.push(',');
        }
        apart.push(digit);
    }
    apart
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

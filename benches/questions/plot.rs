//! A plot of times by size, both logarithmic, as SVG by hand: it has its own ground and colours for light and
//! dark viewers.

/// A question, and what it took at each size.
pub struct Line {
    pub name: String,
    /// Deals and seconds.
    pub points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 500.0;
const LEFT: f64 = 96.0;
const RIGHT: f64 = 250.0;
const TOP: f64 = 46.0;
const BOTTOM: f64 = 58.0;
/// Between the names of two lines that end at about the same height.
const NAMES_APART: f64 = 17.0;
/// Seen as well on white as on black, and told apart by most who are colour-blind; the dashes help.
const COLOURS: [&str; 8] =
    ["#0a84c4", "#e0701a", "#1a9e77", "#c9559b", "#9a7b00", "#7a6ff0", "#c0392b", "#5d8a2a"];
const DASHES: [&str; 8] = ["", "6 3", "", "2 3", "", "8 3 2 3", "6 3", "2 3"];

/// Where tens lie in the drawing.
struct Scale {
    from_exponent: i32,
    to_exponent: i32,
    from: f64,
    to: f64,
}

// === impl Scale ===

impl Scale {
    /// Whole tens around all values, drawn between two places.
    fn around(values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Self {
        let least = values.clone().fold(f64::INFINITY, f64::min).log10().floor() as i32;
        let greatest = values.fold(f64::NEG_INFINITY, f64::max).log10().ceil() as i32;
        Self { from_exponent: least, to_exponent: greatest.max(least + 1), from, to }
    }

    fn place(&self, value: f64) -> f64 {
        let share = (value.log10() - f64::from(self.from_exponent))
            / f64::from(self.to_exponent - self.from_exponent);
        self.from + share * (self.to - self.from)
    }

    fn tens(&self) -> impl Iterator<Item = i32> + use<> {
        self.from_exponent..=self.to_exponent
    }
}

/// The drawing, of at least one line with a point.
pub fn plot(lines: &[Line]) -> String {
    let points = || lines.iter().flat_map(|line| line.points.iter().copied());
    let across = Scale::around(points().map(|(deals, _)| deals), LEFT, WIDTH - RIGHT);
    let up = Scale::around(points().map(|(_, seconds)| seconds), HEIGHT - BOTTOM, TOP);

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
         height=\"{HEIGHT}\" role=\"img\" font-family=\"system-ui, sans-serif\" font-size=\"13\">\n\
         <title>What questions take, from ten thousand deals on</title>\n\
         <style>\n\
         .ground {{ fill: #ffffff }} .grid {{ stroke: #d8dee4; stroke-width: 1 }} text {{ fill: #1f2328 }}\n\
         .line {{ fill: none; stroke-width: 2.2 }}\n\
         @media (prefers-color-scheme: dark) {{\n\
         .ground {{ fill: #0d1117 }} .grid {{ stroke: #30363d }} text {{ fill: #e6edf3 }}\n\
         }}\n\
         </style>\n\
         <rect class=\"ground\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"8\"/>\n"
    );
    let mut put = |element: String| {
        svg.push_str(&element);
        svg.push('\n');
    };
    put(format!(
        "<text x=\"{LEFT}\" y=\"26\" font-size=\"15\" font-weight=\"600\">\
         What questions take by the size of the tenant (median, in process)</text>"
    ));
    for exponent in across.tens() {
        let x = across.place(10f64.powi(exponent));
        put(format!(
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{}\"/>",
            HEIGHT - BOTTOM
        ));
        put(format!(
            "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            HEIGHT - BOTTOM + 20.0,
            deals(exponent)
        ));
    }
    for exponent in up.tens() {
        let y = up.place(10f64.powi(exponent));
        put(format!(
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>",
            WIDTH - RIGHT
        ));
        put(format!(
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            y + 4.5,
            time(exponent)
        ));
    }
    put(format!(
        "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">deals of the tenant</text>",
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 14.0
    ));
    let middle = (TOP + HEIGHT - BOTTOM) / 2.0;
    put(format!(
        "<text transform=\"translate(18 {middle:.1}) rotate(-90)\" text-anchor=\"middle\">time of one question</text>"
    ));
    let name_places =
        apart(lines.iter().map(|line| last(line).map_or(TOP, |(_, seconds)| up.place(seconds))));
    for (number, (line, name_y)) in lines.iter().zip(name_places).enumerate() {
        let (colour, dash) = (COLOURS[number % COLOURS.len()], DASHES[number % DASHES.len()]);
        let place = |&(deals, seconds): &(f64, f64)| (across.place(deals), up.place(seconds));
        let path: Vec<String> =
            line.points.iter().map(place).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        put(format!(
            "<polyline class=\"line\" stroke=\"{colour}\" stroke-dasharray=\"{dash}\" points=\"{}\"/>",
            path.join(" ")
        ));
        for (x, y) in line.points.iter().map(place) {
            put(format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.4\" fill=\"{colour}\"/>"));
        }
        if let Some((x, y)) = last(line).as_ref().map(place) {
            let name_x = WIDTH - RIGHT + 22.0;
            put(format!(
                "<line x1=\"{:.1}\" y1=\"{y:.1}\" x2=\"{}\" y2=\"{name_y:.1}\" stroke=\"{colour}\" stroke-width=\"1\"/>",
                x + 4.0,
                name_x - 4.0
            ));
            put(format!("<text x=\"{name_x}\" y=\"{:.1}\">{}</text>", name_y + 4.5, line.name));
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn last(line: &Line) -> Option<(f64, f64)> {
    line.points.last().copied()
}

/// Heights moved down, or up again from the foot, until no two names touch.
fn apart(heights: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut heights: Vec<(usize, f64)> = heights.enumerate().collect();
    heights.sort_by(|one, other| one.1.total_cmp(&other.1));
    for at in 1..heights.len() {
        heights[at].1 = heights[at].1.max(heights[at - 1].1 + NAMES_APART);
    }
    let mut foot = HEIGHT - BOTTOM;
    for (_, height) in heights.iter_mut().rev() {
        *height = height.min(foot);
        foot = *height - NAMES_APART;
    }
    heights.sort_by_key(|&(number, _)| number);
    heights.into_iter().map(|(_, height)| height).collect()
}

fn deals(exponent: i32) -> String {
    match exponent {
        ..3 => 10u32.pow(exponent.max(0) as u32).to_string(),
        3..6 => format!("{} thousand", 10u32.pow(exponent as u32 - 3)),
        _ => format!("{} million", 10u32.pow(exponent as u32 - 6)),
    }
}

fn time(exponent: i32) -> String {
    match exponent {
        ..-3 => format!("{} µs", 10f64.powi(exponent + 6)),
        -3..0 => format!("{} ms", 10f64.powi(exponent + 3)),
        _ => format!("{} s", 10f64.powi(exponent)),
    }
}

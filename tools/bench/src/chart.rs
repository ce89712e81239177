//! Draws bar charts and line charts as SVG. A light background makes them readable on any page.

use std::fmt::Write;

const COLOURS: &[&str] = &["#1f5fa8", "#e08a1e", "#3d8f5f"];
const WIDTH: f64 = 760.0;
const LABELS: f64 = 150.0;
const HEAD: f64 = 72.0;

/// Draws horizontal bars: a row for each label, with a bar for each series that has a value.
pub fn bars(title: &str, series: &[&str], rows: &[(String, Vec<Option<f64>>)]) -> String {
    const BAR: f64 = 15.0;
    let values = rows.iter().flat_map(|(_, values)| values.iter().flatten());
    let most = values.copied().fold(0.0, f64::max);
    let scale = (WIDTH - LABELS - 80.0) / most.max(f64::MIN_POSITIVE);
    let mut svg = String::new();
    let mut y = HEAD;
    for (label, values) in rows {
        let present = values.iter().flatten().count();
        let middle = y + BAR * present as f64 / 2.0 + 4.0;
        text(&mut svg, LABELS - 8.0, middle, "end", label);
        for (value, colour) in values.iter().zip(COLOURS) {
            let Some(value) = value else { continue };
            let (width, height) = (value * scale, BAR - 2.0);
            let _ = writeln!(
                svg,
                r#"<rect x="{LABELS}" y="{y:.1}" width="{width:.1}" height="{height}" fill="{colour}"/>"#
            );
            text(
                &mut svg,
                LABELS + width + 6.0,
                y + 11.0,
                "start",
                &number(*value),
            );
            y += BAR;
        }
        y += 9.0;
    }
    framed(title, series, &svg, y + 8.0)
}

/// A panel of lines over an axis with steps of equal width.
pub struct Panel {
    pub title: String,
    pub steps: Vec<String>,
    /// A value for each step.
    pub lines: Vec<Vec<f64>>,
}

/// Draws panels of lines, two in a row. Each has an axis from zero to its highest value.
pub fn lines(title: &str, series: &[&str], panels: &[Panel]) -> String {
    const PANEL: (f64, f64) = (270.0, 150.0);
    let mut svg = String::new();
    for (index, panel) in panels.iter().enumerate() {
        let left = 60.0 + (index % 2) as f64 * (WIDTH / 2.0 - 5.0);
        let top = HEAD + 24.0 + (index / 2) as f64 * (PANEL.1 + 80.0);
        let bottom = top + PANEL.1;
        let most = panel.lines.iter().flatten().copied().fold(0.0, f64::max);
        let wide = PANEL.0 / (panel.steps.len().max(2) - 1) as f64;
        let at =
            |step: usize, value: f64| (left + step as f64 * wide, bottom - value / most * PANEL.1);
        text(&mut svg, left, top - 12.0, "start", &panel.title);
        for part in [0.0, 0.5, 1.0] {
            let (x, y) = at(0, most * part);
            let end = x + PANEL.0;
            let _ = writeln!(
                svg,
                r##"<path d="M{x:.1} {y:.1}H{end:.1}" stroke="#d5d9de"/>"##
            );
            text(&mut svg, x - 8.0, y + 4.0, "end", &number(most * part));
        }
        for (step, label) in panel.steps.iter().enumerate() {
            text(&mut svg, at(step, 0.0).0, bottom + 18.0, "middle", label);
        }
        for (line, colour) in panel.lines.iter().zip(COLOURS) {
            let points = line
                .iter()
                .enumerate()
                .map(|(step, &value)| at(step, value));
            let points: Vec<_> = points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let points = points.join(" ");
            let _ = writeln!(
                svg,
                r#"<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5"/>"#
            );
        }
    }
    let rows = panels.len().div_ceil(2) as f64;
    framed(title, series, &svg, HEAD + rows * (PANEL.1 + 80.0))
}

/// Adds the background, the title and the legend.
fn framed(title: &str, series: &[&str], inner: &str, height: f64) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" font-family=\"sans-serif\" \
         font-size=\"13\" fill=\"#1c2733\">\n<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#f8f9fb\"/>\n\
         <text x=\"20\" y=\"28\" font-size=\"16\" font-weight=\"bold\">{}</text>\n",
        escaped(title)
    );
    let mut x = 20.0;
    for (name, colour) in series.iter().zip(COLOURS) {
        let _ = writeln!(
            svg,
            r#"<rect x="{x}" y="42" width="12" height="12" fill="{colour}"/>"#
        );
        text(&mut svg, x + 18.0, 53.0, "start", name);
        x += 40.0 + 8.0 * name.len() as f64;
    }
    svg + inner + "</svg>\n"
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, words: &str) {
    let words = escaped(words);
    let _ = writeln!(
        svg,
        r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{words}</text>"#
    );
}

fn escaped(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;")
}

/// Formats a number with three significant digits, or all digits before the point.
pub fn number(value: f64) -> String {
    match value.abs() {
        it if it >= 99.95 => format!("{value:.0}"),
        it if it >= 9.995 => format!("{value:.1}"),
        0.0 => "0".to_owned(),
        _ => format!("{value:.2}"),
    }
}

/// Formats a round count with an SI prefix: `10k`.
pub fn short(count: u32) -> String {
    match count {
        0..1_000 => count.to_string(),
        1_000..1_000_000 => format!("{}k", count / 1_000),
        _ => format!("{}M", count / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_significant_digits() {
        let shown = [0.0, 1.234, 12.34, 123.4, 12345.6].map(number);
        assert_eq!(shown, ["0", "1.23", "12.3", "123", "12346"]);
    }

    #[test]
    fn counts_have_si_prefixes() {
        let shown = [16, 1_000, 100_000, 10_000_000].map(short);
        assert_eq!(shown, ["16", "1k", "100k", "10M"]);
    }

    #[test]
    fn labels_are_escaped() {
        let svg = bars("a < b", &["on"], &[("c & d".into(), vec![Some(1.0)])]);
        assert!(
            svg.contains("a &lt; b") && svg.contains("c &amp; d"),
            "{svg}"
        );
    }
}

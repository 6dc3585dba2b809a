//! Charts of the benchmarks: an SVG, and a PNG beside it.

use std::{ops::Range, path::Path, process::Command};

use anyhow::{Context as _, Result};
use plotters::prelude::*;

use crate::samples::time;

const SIZE: (u32, u32) = (1_000, 560);
/// Where the chart ends and the names of the lines begin.
const NAMES: u32 = 720;
const FONT: &str = "sans-serif";
/// Makes a PNG of an SVG, where it is installed: text in pixels needs fonts.
const CONVERTER: &str = "rsvg-convert";

/// Told apart also by those who do not see all colours (Okabe and Ito 2008), and two more.
const COLORS: [RGBColor; 10] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(204, 121, 167),
    RGBColor(0, 0, 0),
    RGBColor(120, 110, 20),
    RGBColor(120, 60, 20),
    RGBColor(150, 150, 150),
];

/// Lines over two logarithmic axes, with their names. No value is 0.
pub fn lines(
    file: &Path,
    title: &str,
    [x, y]: [&str; 2],
    series: &[(&str, Vec<(f64, f64)>)],
) -> Result<()> {
    let points = || series.iter().flat_map(|(_, points)| points);
    let xs = around(points().map(|(x, _)| *x));
    let ys = around(points().map(|(_, y)| *y));
    drawn(file, || {
        let area = SVGBackend::new(file, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let (left, right) = area.split_horizontally(NAMES);
        let mut chart = ChartBuilder::on(&left)
            .caption(title, (FONT, 18))
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(xs.log_scale(), ys.log_scale())?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .label_style((FONT, 14))
            .x_label_formatter(&|x| thousands(*x))
            .y_label_formatter(&|y| thousands(*y))
            .x_desc(x)
            .y_desc(y)
            .draw()?;
        let mut named = Vec::new();
        for ((name, points), color) in series.iter().zip(COLORS.iter().cycle()) {
            let style = color.stroke_width(2);
            let line = LineSeries::new(points.iter().copied(), style).point_size(3);
            chart.draw_series(line)?;
            let end = points.last().map_or(0.0, |(_, end)| *end);
            named.push((end, *name, style));
        }
        // In the order in which the lines end.
        named.sort_by(|one, other| other.0.total_cmp(&one.0));
        for ((end, name, style), y) in named.into_iter().zip((60..).step_by(24)) {
            right.draw(&PathElement::new([(0, y + 7), (20, y + 7)], style))?;
            let text = format!("{name}: {}", thousands(end));
            right.draw(&Text::new(text, (26, y), (FONT, 14)))?;
        }
        Ok(area.present()?)
    })
}

/// A bar of [`bars`].
pub struct Bar<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its length.
    pub value: f64,
    /// Whether it stands out.
    pub is_ours: bool,
}

/// Bars that lie, the first one on top, with their values.
pub fn bars(file: &Path, title: &str, unit: &str, bars: &[Bar<'_>]) -> Result<()> {
    let most = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    drawn(file, || {
        let area = SVGBackend::new(file, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(title, (FONT, 18))
            .margin(16)
            .x_label_area_size(44)
            .build_cartesian_2d(0.0..most * 1.15, 0.0..bars.len() as f64)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .light_line_style(TRANSPARENT)
            .label_style((FONT, 14))
            .x_desc(unit)
            .draw()?;
        for (bar, row) in bars.iter().rev().zip(0..) {
            let (row, color) = (f64::from(row), COLORS[usize::from(!bar.is_ours)].mix(0.4));
            let area = [(0.0, row + 0.15), (bar.value, row + 0.85)];
            let text = format!("{}: {:.2}", bar.name, bar.value);
            let text = Text::new(text, (most * 0.01, row + 0.6), (FONT, 15));
            chart.draw_series([Rectangle::new(area, color.filled())])?;
            chart.draw_series([text])?;
        }
        Ok(area.present()?)
    })
}

/// From the least to the most, and a little more.
fn around(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (least, most) = values.fold((f64::INFINITY, 0.0_f64), |(least, most), value| {
        (least.min(value), most.max(value))
    });
    least * 0.8..most * 1.25
}

/// A whole number, with commas.
pub fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Draws, and makes a PNG of it.
pub fn drawn(file: &Path, draw: impl FnOnce() -> Result<()>) -> Result<()> {
    draw().with_context(|| format!("cannot draw {}", file.display()))?;
    println!("drawn in {}", file.display());
    let png = file.with_extension("png");
    let mut convert = Command::new(CONVERTER);
    convert.arg(file).arg("--output").arg(&png);
    match time(&mut convert) {
        Ok(_) => println!("drawn in {}", png.display()),
        Err(error) => println!("no PNG of it: {error:#} (Debian: librsvg2-bin)"),
    }
    Ok(())
}

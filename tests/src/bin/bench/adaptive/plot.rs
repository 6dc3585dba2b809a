//! Offered, accepted and limit over time, as a picture.

use std::path::Path;

use anyhow::Result;
use plotters::prelude::*;

use super::{Phase, Second};
use crate::charts::drawn;

const SIZE: (u32, u32) = (1_000, 480);

type Line = (&'static str, RGBColor, fn(&Second) -> u64);

const LINES: [Line; 3] = [
    ("offered", RGBColor(150, 150, 150), |second| second.offered),
    ("accepted", RGBColor(0, 110, 180), |second| second.accepted),
    ("limit", RGBColor(200, 60, 20), |second| {
        u64::from(second.limit)
    }),
];

/// Writes an SVG, and a PNG beside it.
pub fn draw(file: &Path, phases: &[Phase], seconds: &[Second]) -> Result<()> {
    drawn(file, || svg(file, phases, seconds))
}

fn svg(file: &Path, phases: &[Phase], seconds: &[Second]) -> Result<()> {
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let most = seconds.iter().map(|second| second.offered).max();
    let top = most.unwrap_or_default() * 5 / 4;
    let mut chart = ChartBuilder::on(&area)
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(60)
        .build_cartesian_2d(0..seconds.len(), 0..top)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .label_style(("sans-serif", 14))
        .x_desc("seconds")
        .y_desc("new connections a second")
        .draw()?;

    let mut begin = 0;
    for phase in phases {
        let border = PathElement::new([(begin, 0), (begin, top)], BLACK.mix(0.3));
        let name = Text::new(phase.name, (begin + 1, top), ("sans-serif", 15));
        chart.draw_series([border])?;
        chart.draw_series([name])?;
        begin += phase.secs;
    }
    for (name, color, value) in LINES {
        let points = (1..).zip(seconds).map(|(end, second)| (end, value(second)));
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::MiddleRight)
        .label_font(("sans-serif", 15))
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(area.present()?)
}

//! Figures as bars in groups, the heights on a scale of powers of ten.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::error::Error;

const SIZE: (u32, u32) = (900, 360);
const COLOURS: [RGBColor; 6] = [
    RGBColor(0xB0, 0xB0, 0xB0),
    RGBColor(0x7F, 0x7F, 0x7F),
    RGBColor(0xD6, 0x6A, 0x1E),
    RGBColor(0x1F, 0x77, 0xB4),
    RGBColor(0x8C, 0xB8, 0xDC),
    RGBColor(0x2C, 0xA0, 0x2C),
];
/// Of a group's place, what stays empty.
const GAP: f64 = 0.2;

/// An SVG picture. A series has its name and a figure above 0 for each group.
pub(crate) fn draw(
    title: &str,
    groups: &[&str],
    series: &[(&str, Vec<f64>)],
) -> Result<String, Box<dyn Error + Send + Sync>> {
    let mut picture = String::new();
    {
        let area = SVGBackend::with_string(&mut picture, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let figures = || series.iter().flat_map(|(_, figures)| figures).copied();
        let low = 10_f64.powf(figures().fold(f64::INFINITY, f64::min).log10().floor());
        // Room for the names above the highest.
        let high = figures().fold(low, f64::max) * 30.0;
        let mut chart = ChartBuilder::on(&area)
            .caption(title, ("sans-serif", 15))
            .margin(10)
            .x_label_area_size(36)
            .y_label_area_size(72)
            .build_cartesian_2d(0.0..groups.len() as f64, (low..high).log_scale())?;
        let figure = |figure: &f64| format!("{figure:.0}");
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(0)
            .y_label_formatter(&figure)
            .light_line_style(TRANSPARENT)
            .draw()?;
        let width = (1.0 - GAP) / series.len() as f64;
        for (place, ((name, figures), colour)) in series.iter().zip(COLOURS).enumerate() {
            let bars = figures.iter().enumerate().map(|(group, figure)| {
                let left = group as f64 + GAP / 2.0 + place as f64 * width;
                Rectangle::new([(left, low), (left + width, *figure)], colour.filled())
            });
            chart
                .draw_series(bars)?
                .label(*name)
                .legend(move |(x, y)| Rectangle::new([(x, y - 4), (x + 12, y + 4)], colour.filled()));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .border_style(BLACK.mix(0.2))
            .draw()?;
        let below = ("sans-serif", 12).into_text_style(&area).pos(Pos::new(HPos::Center, VPos::Top));
        for (group, name) in groups.iter().enumerate() {
            let (x, y) = chart.backend_coord(&(group as f64 + 0.5, low));
            area.draw(&Text::new(*name, (x, y + 6), below.clone()))?;
        }
        area.present()?;
    }
    Ok(picture)
}

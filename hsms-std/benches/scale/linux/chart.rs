//! The figures as two charts beside each other.

use super::common::Outcome;
use super::plan::{Row, millis};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

const SIZE: (u32, u32) = (900, 360);
const OURS: RGBColor = RGBColor(0x1F, 0x77, 0xB4);
const OTHER: RGBColor = RGBColor(0xD6, 0x6A, 0x1E);

/// Points by the number of connections.
type Series<'a> = (&'a str, RGBColor, Vec<(f64, f64)>);

/// An SVG picture.
pub(crate) fn draw(rows: &[Row]) -> Outcome<String> {
    let mut picture = String::new();
    {
        let area = SVGBackend::with_string(&mut picture, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let (left, right) = area.split_horizontally(SIZE.0 / 2);
        let points = |value: fn(&Row) -> f64| -> Vec<(f64, f64)> {
            rows.iter().map(|row| (row.connections as f64, value(row))).collect()
        };
        let rates = [("manager", OURS, points(|row| row.rate)), ("plain sockets", OTHER, points(|row| row.plain))];
        plot(&left, "requests answered a second, one in flight on each", &rates, 0.0..most(&rates) * 1.4)?;
        let times = [
            ("from nothing", OURS, points(|row| millis(row.select))),
            ("after all were cut, T5 of 1 s included", OTHER, points(|row| millis(row.recover))),
        ];
        plot(&right, "milliseconds until all are SELECTED", &times, (0.1..most(&times) * 20.0).log_scale())?;
        area.present()?;
    }
    Ok(picture)
}

fn most(series: &[Series<'_>]) -> f64 {
    series.iter().flat_map(|(_, _, points)| points).map(|(_, value)| *value).fold(1.0, f64::max)
}

/// The numbers of connections stand at powers of ten.
fn plot<Y>(area: &DrawingArea<SVGBackend<'_>, Shift>, title: &str, series: &[Series<'_>], values: Y) -> Outcome<()>
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let connections = series.iter().flat_map(|(_, _, points)| points).map(|(connections, _)| *connections);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 15))
        .margin(10)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d((1.0..connections.fold(10.0, f64::max) * 1.2).log_scale(), values)?;
    chart
        .configure_mesh()
        .x_desc("connections")
        .x_label_formatter(&|value| format!("{value:.0}"))
        .y_label_formatter(&|value| if *value < 1.0 { format!("{value}") } else { format!("{value:.0}") })
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (name, colour, points) in series {
        let colour = *colour;
        chart
            .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)).point_size(3))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    chart.configure_series_labels().position(SeriesLabelPosition::UpperLeft).border_style(BLACK.mix(0.2)).draw()?;
    Ok(())
}

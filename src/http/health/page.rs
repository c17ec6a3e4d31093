//! A page of numbers, gathered first and written in the OpenMetrics format at the end.

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::MetricType,
    registry::Registry,
};

use crate::measure::Tally;

/// The content type that says which format it is.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Label and value.
type Labels = Vec<(&'static str, String)>;

/// Numbers of one name.
#[derive(Debug)]
struct Family {
    name: &'static str,
    help: &'static str,
    samples: Vec<(Labels, Number)>,
}

#[derive(Debug)]
enum Number {
    Gauge(f64),
    Counter(f64),
    /// Its ranges are divided by the number to be in the unit that the name says.
    Histogram(Tally, f64),
}

/// Families in the order in which they were added.
#[derive(Debug, Default)]
pub struct Page {
    families: Vec<Family>,
}

impl Page {
    pub fn gauge(&mut self, name: &'static str, help: &'static str, value: f64) {
        self.gauges(name, help, [(Vec::new(), value)]);
    }

    pub fn gauges(&mut self, name: &'static str, help: &'static str, each: impl IntoIterator<Item = (Labels, f64)>) {
        let samples = each.into_iter().map(|(labels, value)| (labels, Number::Gauge(value))).collect();
        self.families.push(Family { name, help, samples });
    }

    /// `_total` is added to its name.
    pub fn counter(&mut self, name: &'static str, help: &'static str, value: f64) {
        self.counters(name, help, [(Vec::new(), value)]);
    }

    pub fn counters(&mut self, name: &'static str, help: &'static str, each: impl IntoIterator<Item = (Labels, f64)>) {
        let samples = each.into_iter().map(|(labels, value)| (labels, Number::Counter(value))).collect();
        self.families.push(Family { name, help, samples });
    }

    /// `divisor`: how many of what was noted are one of what is told.
    pub fn histograms(
        &mut self,
        name: &'static str,
        help: &'static str,
        divisor: f64,
        each: impl IntoIterator<Item = (Labels, Tally)>,
    ) {
        let samples = each.into_iter().map(|(labels, tally)| (labels, Number::Histogram(tally, divisor))).collect();
        self.families.push(Family { name, help, samples });
    }

    /// The page as text. All names begin with `conch_`, but those that are the same for every program.
    pub fn text(self) -> Result<String, std::fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for family in self.families.iter().filter(|family| !family.samples.is_empty()) {
            let kind = family.samples.first().map_or(MetricType::Unknown, |(_, number)| number.metric_type());
            let mut metric = encoder.encode_descriptor(family.name, family.help, None, kind)?;
            for (labels, number) in &family.samples {
                match labels.is_empty() {
                    true => number.write(&mut metric)?,
                    false => number.write(&mut metric.encode_family(labels)?)?,
                }
            }
        }
        Ok(())
    }
}

impl Number {
    fn write(&self, metric: &mut MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        match self {
            Self::Gauge(value) => metric.encode_gauge(value),
            Self::Counter(value) => metric.encode_counter::<NoLabelSet, _, f64>(value, None),
            Self::Histogram(tally, divisor) => {
                let bounds = tally.bounds.iter().map(|&bound| bound as f64 / divisor).chain([f64::INFINITY]);
                let buckets: Vec<_> = bounds.zip(tally.counts.iter().copied()).collect();
                metric.encode_histogram::<NoLabelSet>(tally.sum as f64 / divisor, tally.count(), &buckets, None)
            }
        }
    }
}

impl EncodeMetric for Number {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.write(&mut encoder)
    }

    fn metric_type(&self) -> MetricType {
        match self {
            Self::Gauge(_) => MetricType::Gauge,
            Self::Counter(_) => MetricType::Counter,
            Self::Histogram(..) => MetricType::Histogram,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_openmetrics() {
        let mut page = Page::default();
        page.gauge("conch_a", "What a is.", 1.5);
        page.counters("conch_b", "What b is.", [(vec![("kind", "x\"y\\z\n".to_owned())], 7.0)]);
        page.gauges("conch_none", "Nobody.", []);
        let tally = Tally { bounds: &[100, 1000], counts: vec![1, 2, 3], sum: 5000 };
        page.histograms("conch_c_seconds", "What c is.", 1000.0, [(vec![("route", "list".to_owned())], tally)]);
        let expected = concat!(
            "# HELP conch_a What a is.\n# TYPE conch_a gauge\nconch_a 1.5\n",
            "# HELP conch_b What b is.\n# TYPE conch_b counter\nconch_b_total{kind=\"x\\\"y\\\\z\\n\"} 7.0\n",
            "# HELP conch_c_seconds What c is.\n# TYPE conch_c_seconds histogram\n",
            "conch_c_seconds_sum{route=\"list\"} 5.0\nconch_c_seconds_count{route=\"list\"} 6\n",
            "conch_c_seconds_bucket{le=\"0.1\",route=\"list\"} 1\nconch_c_seconds_bucket{le=\"1.0\",route=\"list\"} 3\n",
            "conch_c_seconds_bucket{le=\"+Inf\",route=\"list\"} 6\n# EOF\n",
        );
        assert_eq!(page.text().unwrap(), expected);
    }
}

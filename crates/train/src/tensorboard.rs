//! TensorBoard's event files, as far as scalar curves need them. This module writes the files
//! itself, because the crates for this purpose are unmaintained or depend on a protobuf runtime and
//! an image stack.

use selfsame_nn::protobuf::Message;
use selfsame_report::record::MetricPoint;

/// Name of a run's event file, in a form that TensorBoard recognises.
pub const EVENTS_FILE: &str = "events.out.tfevents.0.selfsame";

/// Returns the record at the start of an event file, which states the version of the format.
pub(crate) fn start() -> Vec<u8> {
    // Event.file_version = 3
    record(Message::default().bytes(3, "brain.Event:2"))
}

/// Returns the events of a point, one event per metric.
pub(crate) fn point(point: &MetricPoint) -> Vec<u8> {
    let scalars = [
        ("train_loss", Some(point.train_loss)),
        ("learning_rate", Some(point.learning_rate)),
        ("views_per_second", Some(point.views_per_second)),
        ("val_knn_acc1", point.val_knn_acc1),
    ];
    let event = |(tag, value): (&str, Option<f64>)| {
        // Summary.Value { tag = 1, simple_value = 2 } in Summary.value = 1 in Event.summary = 5;
        // Event.step = 2
        let scalar = Message::default().bytes(1, tag).float(2, value? as f32);
        Some(record(
            Message::default()
                .int(2, point.step as i64)
                .bytes(5, Message::default().bytes(1, scalar)),
        ))
    };
    let watched = point.watched.iter().map(|(name, value)| (name.as_str(), Some(*value)));
    scalars.into_iter().chain(watched).filter_map(event).flatten().collect()
}

/// Encodes a TFRecord: the length, the masked CRC-32C of the length, the data, and the masked
/// CRC-32C of the data.
fn record(event: Message) -> Vec<u8> {
    let data = event.into_bytes();
    let length = (data.len() as u64).to_le_bytes();
    let masked = |bytes: &[u8]| {
        crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
    };
    [&length[..], &masked(&length), &data, &masked(&data)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_the_bytes_that_tensorboard_itself_writes() {
        let first = MetricPoint {
            step: 1,
            train_loss: 6.25,
            learning_rate: 0.075,
            views_per_second: 74.5,
            ..MetricPoint::default()
        };
        let second = MetricPoint {
            step: 300,
            train_loss: 4.125,
            learning_rate: 0.03125,
            views_per_second: 1234.5,
            val_knn_acc1: Some(0.5625),
            ..MetricPoint::default()
        };
        let ours = [start(), point(&first), point(&second)].concat();
        assert_eq!(ours, include_bytes!("../tests/fixtures/events.bin"));
    }
}

//! Protocol-buffer messages, written by field number, as far as ONNX files and event files need
//! them.
//!
//! The encoding is described at <https://protobuf.dev/programming-guides/encoding/>. Crates with
//! generated types would bring a runtime and types for all of ONNX or TensorFlow, although only a
//! few kinds of field are needed here.

/// A message under construction.
#[derive(Clone, Debug, Default)]
pub struct Message(Vec<u8>);

impl Message {
    /// Adds an `int64`, `int32` or `enum` field.
    pub fn int(mut self, field: u32, value: i64) -> Self {
        self.tag(field, 0);
        self.varint(value as u64);
        self
    }

    /// Adds a repeated `int64` field.
    pub fn ints(self, field: u32, values: impl IntoIterator<Item = i64>) -> Self {
        values.into_iter().fold(self, |message, value| message.int(field, value))
    }

    /// Adds a `float` field.
    pub fn float(mut self, field: u32, value: f32) -> Self {
        self.tag(field, 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Adds a `bytes` field, a `string` field, or a message in a message. To repeat the field, call
    /// this function again.
    pub fn bytes(mut self, field: u32, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        self.tag(field, 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
        self
    }

    /// Returns the bytes of the message.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn tag(&mut self, field: u32, wire_type: u8) {
        self.varint(u64::from(field) << 3 | u64::from(wire_type));
    }

    /// Writes seven bits per byte, lowest first. The eighth bit is set on all bytes except the last
    /// byte.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Message;

    #[test]
    fn fields_are_encoded_as_the_documentation_says() {
        // The guide's own examples: 150 in field 1, "testing" in field 2, and the first within
        // field 3.
        let number = Message::default().int(1, 150);
        assert_eq!(number.clone().into_bytes(), [0x08, 0x96, 0x01]);
        let text = Message::default().bytes(2, "testing");
        assert_eq!(text.into_bytes(), [0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67]);
        assert_eq!(
            Message::default().bytes(3, number).into_bytes(),
            [0x1a, 0x03, 0x08, 0x96, 0x01]
        );
        // Field 20 needs two bytes for its tag, and −2 needs ten bytes for its value.
        assert_eq!(
            Message::default().ints(20, [7, 7]).into_bytes(),
            [0xa0, 0x01, 7, 0xa0, 0x01, 7]
        );
        let negative = [[0x08, 0xfe].as_slice(), &[0xff; 8], &[0x01]].concat();
        assert_eq!(Message::default().int(1, -2).into_bytes(), negative);
        assert_eq!(Message::default().float(2, 1.0).into_bytes(), [0x15, 0, 0, 0x80, 0x3f]);
    }
}

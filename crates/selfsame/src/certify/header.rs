//! The header of a `.npy` file, checked before a parser sees it.

use std::io::{self, ErrorKind, Read};

/// First bytes of every `.npy` file.
pub const MAGIC: &[u8] = b"\x93NUMPY";
/// Maximum number of bytes of the header's text. NumPy itself refuses more than 10,000 unless told
/// otherwise.
const MOST_BYTES: usize = 1 << 16;
/// Maximum number of brackets that are open at the same time. The header of a plain array needs
/// two, that of a structured array four. The parser's time grows exponentially with this number.
const MOST_OPEN: usize = 5;

/// Reads the header of a `.npy` file: magic, version, length and text, as they are in the file.
///
/// # Errors
/// [`ErrorKind::UnexpectedEof`] if the file ends within the header; [`ErrorKind::InvalidData`] if it
/// does not begin with one, or if the text is longer or nested deeper than that of any array.
pub fn read(reader: &mut dyn Read) -> io::Result<Vec<u8>> {
    let invalid = |cause: String| io::Error::new(ErrorKind::InvalidData, cause);
    let mut header = vec![0; MAGIC.len() + 2];
    reader.read_exact(&mut header)?;
    if !header.starts_with(MAGIC) {
        return Err(invalid("it does not begin as one does".to_owned()));
    }
    // Version 1 has two bytes for the length, all later versions have four.
    let width = if header[MAGIC.len()] == 1 { 2 } else { 4 };
    let mut length = [0; 4];
    reader.read_exact(&mut length[..width])?;
    header.extend(&length[..width]);
    let length = u32::from_le_bytes(length) as usize;
    if length > MOST_BYTES {
        return Err(invalid(format!(
            "it claims {length} bytes, and at most {MOST_BYTES} are read"
        )));
    }
    let text = header.len();
    header.resize(text + length, 0);
    reader.read_exact(&mut header[text..])?;
    let mut open = 0_usize;
    for byte in &header[text..] {
        match byte {
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        if open > MOST_OPEN {
            return Err(invalid(format!("more than {MOST_OPEN} brackets are open at once")));
        }
    }
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(version: u8, length: &[u8], text: &str) -> Vec<u8> {
        [MAGIC, &[version, 0], length, text.as_bytes(), b"values"].concat()
    }

    #[test]
    fn a_header_comes_back_as_it_is_and_values_stay_in_the_reader() {
        let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4)}\n";
        let length = text.len() as u8;
        for (version, length) in [(1, &[length, 0][..]), (2, &[length, 0, 0, 0])] {
            let file = file(version, length, text);
            let mut rest = file.as_slice();
            assert_eq!(read(&mut rest).unwrap(), file[..file.len() - 6]);
            assert_eq!(rest, b"values");
        }
    }

    #[test]
    fn a_claimed_length_takes_no_memory_and_nesting_takes_no_time() {
        let huge = read(&mut &file(2, &[0xff; 4], "")[..]).unwrap_err();
        assert!(huge.to_string().contains("claims 4294967295 bytes"), "{huge}");
        let nested = read(&mut &file(1, &[12, 0], "{{{{{{{{{{{{")[..]).unwrap_err();
        assert!(nested.to_string().contains("more than 5 brackets"), "{nested}");
        let cut = read(&mut &file(1, &[200, 0], "{")[..]).unwrap_err();
        assert_eq!(cut.kind(), ErrorKind::UnexpectedEof);
    }

    /// The deepest header that passes is parsed in no time, whatever else it holds.
    #[test]
    fn what_passes_is_parsed_quickly() {
        let begin = std::time::Instant::now();
        for brackets in ["{{{{{", "(((((", "[[[[[", "{([{("] {
            let text = format!("{brackets}{:>64}", "'a': 1+1j, -1e9, 'b");
            let header = read(&mut &file(1, &[text.len() as u8, 0], &text)[..]).unwrap();
            assert!(npyz::NpyHeader::from_reader(&header[..]).is_err());
        }
        assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
    }
}

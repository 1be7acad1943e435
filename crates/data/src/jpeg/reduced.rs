//! Decodes part of a baseline JPEG at a half, a quarter or an eighth of its size (ITU-T T.81).
//!
//! The N×N inverse DCT of a block's lowest coefficients is the block at N eighths of its size. So
//! most coefficients, and all blocks outside the part, only need to be skipped. Components that are
//! sampled more coarsely are transformed to more pixels per block, so that all components have the
//! same size in the end.
//!
//! `None` always means that this decoder does not support the file, or that the file is incomplete;
//! the full decoder then finds out which. Progressive files, CMYK and other rare colour formats are
//! not supported, and anything doubtful is refused.

use std::f64::consts::PI;
use std::ops::Range;
use std::sync::LazyLock;

/// Position in a block, row by row, of each coefficient in zigzag order (T.81, A.3.6).
#[rustfmt::skip]
const ZIGZAG: [usize; 64] = [
     0,  1,  8, 16,  9,  2,  3, 10,
    17, 24, 32, 25, 18, 11,  4,  5,
    12, 19, 26, 33, 40, 48, 41, 34,
    27, 20, 13,  6,  7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36,
    29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46,
    53, 60, 61, 54, 47, 55, 62, 63,
];

const END_OF_IMAGE: u8 = 0xd9;
const FIRST_RESTART: u8 = 0xd0;

/// Decodes some columns and rows of the JPEG at `eighths` (1, 2 or 4) eighths of its size to RGB.
/// There must be at least one column. The last column and row of that size may extend beyond the
/// image.
pub(crate) fn decode_part(
    bytes: &[u8],
    eighths: usize,
    columns: Range<usize>,
    rows: Range<usize>,
) -> Option<Vec<u8>> {
    let (frame, scan) = Frame::read(bytes, eighths)?;
    frame.decode(scan, eighths, columns, rows)
}

/// Returns whether the scan of a file that this decoder supports is damaged: a code has no meaning, a
/// value is out of range, restarts are missing, or the data end before or after the last block.
/// Decoders of whole files let some of that pass.
pub(crate) fn is_damaged(bytes: &[u8]) -> bool {
    // All blocks are passed even where no row is wanted.
    Frame::read(bytes, 1).is_some_and(|(frame, scan)| frame.decode(scan, 1, 0..1, 0..0).is_none())
}

/// Converts a run of pixels by JFIF's equations, with 16 fractional bits.
fn to_rgb(planes: &[Vec<u8>], stretch: Range<usize>, line: &mut [u8]) {
    let level = |value: i32| ((value + (1 << 15)) >> 16).clamp(0, 255) as u8;
    let (pixels, _) = line.as_chunks_mut::<3>();
    match planes {
        [y, cb, cr] => {
            let (y, cb, cr) = (&y[stretch.clone()], &cb[stretch.clone()], &cr[stretch]);
            for (((pixel, &y), &cb), &cr) in pixels.iter_mut().zip(y).zip(cb).zip(cr) {
                let (y, cb, cr) = (i32::from(y) << 16, i32::from(cb) - 128, i32::from(cr) - 128);
                // 1.402, 0.344136, 0.714136 and 1.772 times 65536.
                *pixel = [
                    level(y + 91_881 * cr),
                    level(y - 22_554 * cb - 46_802 * cr),
                    level(y + 116_130 * cb),
                ];
            }
        }
        planes => {
            for (pixel, &y) in pixels.iter_mut().zip(&planes[0][stretch]) {
                *pixel = [y; 3];
            }
        }
    }
}

/// Contents of the headers that describe the image and its only scan.
struct Frame {
    width: usize,
    height: usize,
    /// Number of blocks per row of an MCU, for the finest component.
    across: usize,
    down: usize,
    /// Restart interval in MCUs; zero for none.
    restart_interval: usize,
    components: Vec<Component>,
}

struct Component {
    /// Number of blocks per row of an MCU.
    across: usize,
    down: usize,
    /// Number of pixels that a block is transformed to, per side: 1, 2, 4 or 8.
    columns: usize,
    rows: usize,
    /// Number of coefficients needed for these pixels, in zigzag order.
    needed: usize,
    /// Quantization steps, in zigzag order.
    steps: [u8; 64],
    dc: Huffman,
    ac: Huffman,
    /// DC coefficient of the previous block. The next coefficient is coded as a difference from it.
    last_dc: i32,
}

/// The tables, indexed by their numbers.
#[derive(Default)]
struct Tables {
    steps: [Option<[u8; 64]>; 4],
    dc: [Option<Huffman>; 4],
    ac: [Option<Huffman>; 4],
}

impl Frame {
    /// Reads the headers of a file that will be decoded at `eighths` eighths of its size. Also
    /// returns the bytes after the headers, which are the scan.
    fn read(bytes: &[u8], eighths: usize) -> Option<(Self, &[u8])> {
        let mut tables = Tables::default();
        let (mut frame, mut restart_interval) = (None, 0);
        let mut rest = bytes.get(2..)?;
        let scan = loop {
            let (marker, after) = next_marker(rest)?;
            let length = usize::from(u16::from_be_bytes(*after.first_chunk()?));
            let segment = after.get(2..length)?;
            rest = &after[length..];
            match marker {
                0xc0 | 0xc1 if frame.is_none() => frame = Some(segment),
                0xc4 => tables.read_huffman(segment)?,
                0xda => break segment,
                0xdb => tables.read_steps(segment)?,
                0xdd => restart_interval = usize::from(u16::from_be_bytes(*segment.first_chunk()?)),
                // The value 1 is Adobe's number for YCbCr.
                0xee if segment.starts_with(b"Adobe") => {
                    (segment.get(11) == Some(&1)).then_some(())?
                }
                0xe0..=0xef | 0xfe => {}
                _ => return None,
            }
        };

        let [8, h1, h0, w1, w0, count @ (1 | 3), components @ ..] = frame? else { return None };
        let [scanned, selectors @ .., 0, 63, 0] = scan else { return None };
        let (components, []) = components.as_chunks::<3>() else { return None };
        let (selectors, []) = selectors.as_chunks::<2>() else { return None };
        if count != scanned
            || components.len() != usize::from(*count)
            || selectors.len() != components.len()
        {
            return None;
        }
        let blocks = |[_, blocks, _]: &[u8; 3]| match count {
            // The blocks of a single component are not interleaved, regardless of its sampling
            // factors.
            1 => (1, 1),
            _ => (usize::from(blocks >> 4), usize::from(blocks & 15)),
        };
        let across = components.iter().map(|component| blocks(component).0).max()?;
        let down = components.iter().map(|component| blocks(component).1).max()?;
        let components = components.iter().zip(selectors).map(|(component, selector)| {
            let mcu = (across * eighths, down * eighths);
            tables.component(component, selector, blocks(component), mcu)
        });
        let frame = Self {
            width: usize::from(u16::from_be_bytes([*w1, *w0])),
            height: usize::from(u16::from_be_bytes([*h1, *h0])),
            across,
            down,
            restart_interval,
            components: components.collect::<Option<_>>()?,
        };
        Some((frame, rest))
    }

    /// Decodes some columns and rows of the scan, as [`decode_part`] does.
    fn decode(
        mut self,
        scan: &[u8],
        eighths: usize,
        columns: Range<usize>,
        rows: Range<usize>,
    ) -> Option<Vec<u8>> {
        if columns.end > (self.width * eighths).div_ceil(8)
            || rows.end > (self.height * eighths).div_ceil(8)
        {
            return None;
        }
        let (mcu_width, mcu_height) = (self.across * eighths, self.down * eighths);
        let mcus_across = self.width.div_ceil(self.across * 8);
        let mcus_down = self.height.div_ceil(self.down * 8);
        // The buffer holds one row of MCUs per component.
        let stride = mcus_across * mcu_width;
        let mut planes = vec![vec![0; stride * mcu_height]; self.components.len()];

        let mut bits = Bits { bytes: scan, at: 0, held: 0, count: 0 };
        let mut block = Block([0.0; 64]);
        let mut pixels = vec![0; columns.len() * rows.len() * 3];
        let mut lines = pixels.chunks_exact_mut(columns.len() * 3);
        for mcu_row in 0..mcus_down {
            let top = mcu_row * mcu_height;
            let wanted_rows = rows.start.max(top)..rows.end.min(top + mcu_height);
            for mcu_column in 0..mcus_across {
                let number = mcu_row * mcus_across + mcu_column;
                if self.restart_interval > 0
                    && number > 0
                    && number.is_multiple_of(self.restart_interval)
                {
                    let restarts = number / self.restart_interval - 1;
                    bits.pass_marker(FIRST_RESTART + (restarts % 8) as u8)?;
                    self.components.iter_mut().for_each(|component| component.last_dc = 0);
                }
                let left = mcu_column * mcu_width;
                let wanted = !wanted_rows.is_empty()
                    && left < columns.end
                    && left + mcu_width > columns.start;
                for (component, plane) in self.components.iter_mut().zip(&mut planes) {
                    for place in 0..component.across * component.down {
                        if wanted {
                            let (down, across) =
                                (place / component.across, place % component.across);
                            let start =
                                down * component.rows * stride + left + across * component.columns;
                            bits.read_block(component, &mut block)?;
                            block.inverse_dct(
                                (component.columns, component.rows),
                                &mut plane[start..],
                                stride,
                            );
                        } else {
                            bits.pass_block(component)?;
                        }
                    }
                }
            }
            for (row, line) in wanted_rows.zip(&mut lines) {
                let start = (row - top) * stride;
                to_rgb(&planes, start + columns.start..start + columns.end, line);
            }
        }
        bits.pass_marker(END_OF_IMAGE)?;
        Some(pixels)
    }
}

impl Tables {
    fn read_steps(&mut self, mut segment: &[u8]) -> Option<()> {
        while let [number, values @ ..] = segment {
            *self.steps.get_mut(usize::from(*number))? = Some(*values.first_chunk()?);
            segment = &values[64..];
        }
        Some(())
    }

    fn read_huffman(&mut self, mut segment: &[u8]) -> Option<()> {
        while let [class_and_number, values @ ..] = segment {
            let tables = match class_and_number >> 4 {
                0 => &mut self.dc,
                1 => &mut self.ac,
                _ => return None,
            };
            let table;
            (table, segment) = Huffman::read(values)?;
            *tables.get_mut(usize::from(class_and_number & 15))? = Some(table);
        }
        Some(())
    }

    /// Reads a component that has `blocks` across and down in an MCU and that is decoded to `mcu`
    /// pixels across and down.
    fn component(
        &self,
        &[id, _, steps]: &[u8; 3],
        &[selected, tables]: &[u8; 2],
        blocks: (usize, usize),
        mcu: (usize, usize),
    ) -> Option<Component> {
        // Components with these names are not YCbCr.
        if id != selected || b"RGB".contains(&id) {
            return None;
        }
        let size =
            |mcu: usize, blocks: usize| [1, 2, 4, 8].into_iter().find(|size| size * blocks == mcu);
        let (columns, rows) = (size(mcu.0, blocks.0)?, size(mcu.1, blocks.1)?);
        Some(Component {
            across: blocks.0,
            down: blocks.1,
            columns,
            rows,
            needed: ZIGZAG.iter().rposition(|place| place % 8 < columns && place / 8 < rows)? + 1,
            steps: (*self.steps.get(usize::from(steps))?)?,
            dc: self.dc.get(usize::from(tables >> 4))?.clone()?,
            ac: self.ac.get(usize::from(tables & 15))?.clone()?,
            last_dc: 0,
        })
    }
}

/// Returns the marker at the start of `bytes`, after any number of 0xff, and the bytes after the
/// marker.
fn next_marker(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let code = bytes.iter().position(|&byte| byte != 0xff).filter(|&code| code > 0)?;
    Some((bytes[code], &bytes[code + 1..]))
}

/// Number of bits that one look-up resolves. Longer codes are rare.
const AHEAD: u32 = 9;

/// Symbol of a code: the length of a run of zeros and the size of the value after the run.
#[derive(Clone, Copy, Default)]
struct Code {
    symbol: u8,
    length: u8,
}

impl Code {
    fn run(self) -> usize {
        usize::from(self.symbol >> 4)
    }

    fn size(self) -> u32 {
        u32::from(self.symbol & 15)
    }
}

#[derive(Clone)]
struct Huffman {
    /// The code that starts with the bits of the index. A length of zero means that the code is
    /// longer.
    ahead: [Code; 1 << AHEAD],
    /// For each code length: the end of its range of codes, and the number that turns a code into
    /// its position among the symbols.
    lengths: [(u32, i32); 17],
    symbols: Vec<u8>,
}

impl Huffman {
    /// Reads a table (T.81, B.2.4.2) and builds its codes (C.2). Also returns the bytes after the
    /// table.
    fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (counts, rest) = bytes.split_first_chunk::<16>()?;
        let (symbols, rest) =
            rest.split_at_checked(counts.iter().map(|&count| usize::from(count)).sum())?;
        let mut table = Self {
            ahead: [Code::default(); 1 << AHEAD],
            lengths: [(0, 0); 17],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut place) = (0, 0);
        for (length, &count) in (1..).zip(counts) {
            let (first, past) = (code, code + u32::from(count));
            // No code consists of ones only.
            if count > 0 && past >= 1 << length {
                return None;
            }
            table.lengths[length as usize] = (past, place - first as i32);
            if length <= AHEAD {
                let width = 1 << (AHEAD - length);
                for code in first..past {
                    let symbol = symbols[(place + (code - first) as i32) as usize];
                    let start = code as usize * width;
                    table.ahead[start..start + width].fill(Code { symbol, length: length as u8 });
                }
            }
            place += i32::from(count);
            code = past << 1;
        }
        Some((table, rest))
    }

    /// Returns the code at the start of `held`.
    #[inline(always)]
    fn find(&self, held: u64) -> Option<Code> {
        let code = self.ahead[(held >> (64 - AHEAD)) as usize];
        if code.length > 0 { Some(code) } else { self.find_long(held) }
    }

    #[cold]
    fn find_long(&self, held: u64) -> Option<Code> {
        (AHEAD + 1..=16).find_map(|length| {
            let code = (held >> (64 - length)) as u32;
            let (past, shift) = self.lengths[length as usize];
            (code < past).then(|| Code {
                symbol: self.symbols[(code as i32 + shift) as usize],
                length: length as u8,
            })
        })
    }
}

/// Reader of the bits of a scan, up to the next marker.
struct Bits<'a> {
    bytes: &'a [u8],
    /// Position of the byte after the bytes in `held`.
    at: usize,
    /// The next bits, from the highest down. Only the highest `count` bits may be consumed; the
    /// bits below serve for look-ahead.
    held: u64,
    count: u32,
}

impl Bits<'_> {
    /// Refills the bits to more than 32, if the file has that many: enough for a code and its
    /// value.
    #[inline(always)]
    fn fill(&mut self) {
        if self.count > 32 {
            return;
        }
        if let Some(next) = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk()) {
            let next = u64::from_be_bytes(*next);
            let holds_ones =
                (!next).wrapping_sub(0x0101_0101_0101_0101) & next & 0x8080_8080_8080_8080 != 0;
            if !holds_ones {
                self.held |= next >> self.count;
                let whole = (63 - self.count) / 8;
                self.at += whole as usize;
                self.count += whole * 8;
                return;
            }
        }
        self.fill_by_bytes();
    }

    #[cold]
    fn fill_by_bytes(&mut self) {
        while self.count <= 56 {
            let (byte, length) = match self.bytes.get(self.at..) {
                Some([0xff, 0, ..]) => (0xff, 2),
                Some([byte @ 0..=0xfe, ..]) => (*byte, 1),
                _ => return,
            };
            self.held |= u64::from(byte) << (56 - self.count);
            self.at += length;
            self.count += 8;
        }
    }

    #[inline(always)]
    fn take(&mut self, count: u32) -> Option<()> {
        self.count = self.count.checked_sub(count)?;
        self.held <<= count;
        Some(())
    }

    /// Consumes a code and the value after it (T.81, F.2.2.1).
    #[inline(always)]
    fn take_value(&mut self, code: Code) -> Option<i32> {
        self.take(code.length.into())?;
        let size = code.size();
        let raw = (self.held >> 1 >> (63 - size)) as i32;
        self.take(size)?;
        let is_negative = raw < (1 << size) >> 1;
        Some(if is_negative { raw + 1 - (1 << size) } else { raw })
    }

    #[inline(always)]
    fn read_dc(&mut self, component: &mut Component) -> Option<()> {
        self.fill();
        let code = component.dc.find(self.held)?;
        (code.symbol <= 11).then_some(())?;
        component.last_dc += self.take_value(code)?;
        // The mean of 8-bit samples is at most 1024 in this unit. Rounding adds up to half a step, and
        // encoders that overshoot white add a little. Damaged data drift beyond that soon.
        let step = i32::from(component.steps[0]);
        (component.last_dc.abs() * step <= 1536 + step).then_some(())
    }

    /// Reads the coefficients that `component` needs and skips the others.
    fn read_block(&mut self, component: &mut Component, block: &mut Block) -> Option<()> {
        self.read_dc(component)?;
        let scaled = |value: i32, place: usize| {
            Some((value * i32::from(*component.steps.get(place)?)) as f32)
        };
        block.0 = [0.0; 64];
        block.0[0] = scaled(component.last_dc, 0)?;
        let mut place = 1;
        while place < component.needed {
            self.fill();
            let code = component.ac.find(self.held)?;
            let value = self.take_value(code)?;
            match (code.run(), code.size()) {
                (0, 0) => return Some(()),
                (15, 0) => {}
                (_, 0) => return None,
                (run, _) => block.0[*ZIGZAG.get(place + run)?] = scaled(value, place + run)?,
            }
            place += code.run() + 1;
        }
        self.pass_ac(component, place)
    }

    fn pass_block(&mut self, component: &mut Component) -> Option<()> {
        self.read_dc(component)?;
        self.pass_ac(component, 1)
    }

    /// Skips the coefficients from `place` to the end of the block.
    #[inline(always)]
    fn pass_ac(&mut self, component: &Component, mut place: usize) -> Option<()> {
        while place < 64 {
            self.fill();
            let code = component.ac.find(self.held)?;
            self.take(u32::from(code.length) + code.size())?;
            match (code.run(), code.size()) {
                (0, 0) => return Some(()),
                (1..15, 0) => return None,
                (run, _) => place += run + 1,
            }
        }
        (place == 64).then_some(())
    }

    /// Skips the padding of the last byte and the marker that must follow.
    fn pass_marker(&mut self, expected: u8) -> Option<()> {
        self.fill_by_bytes();
        let (marker, rest) = next_marker(self.bytes.get(self.at..)?)?;
        if self.count >= 8 || marker != expected {
            return None;
        }
        (self.at, self.held, self.count) = (self.bytes.len() - rest.len(), 0, 0);
        Some(())
    }
}

/// Coefficients of a block, multiplied by their quantization steps, row by row.
struct Block([f32; 64]);

impl Block {
    /// Transforms the lowest coefficients to equally many pixels and writes them from the start of
    /// `plane`.
    fn inverse_dct(&self, (columns, rows): (usize, usize), plane: &mut [u8], stride: usize) {
        match columns {
            1 => self.inverse_dct_across::<1>(rows, plane, stride),
            2 => self.inverse_dct_across::<2>(rows, plane, stride),
            4 => self.inverse_dct_across::<4>(rows, plane, stride),
            _ => self.inverse_dct_across::<8>(rows, plane, stride),
        }
    }

    fn inverse_dct_across<const COLUMNS: usize>(
        &self,
        rows: usize,
        plane: &mut [u8],
        stride: usize,
    ) {
        match rows {
            1 => self.inverse_dct_to::<COLUMNS, 1>(plane, stride),
            2 => self.inverse_dct_to::<COLUMNS, 2>(plane, stride),
            4 => self.inverse_dct_to::<COLUMNS, 4>(plane, stride),
            _ => self.inverse_dct_to::<COLUMNS, 8>(plane, stride),
        }
    }

    /// Computes T.81, A.3.3, with `COLUMNS` and `ROWS` in place of 8. The order of the sums is
    /// fixed, so that every machine gives the same result.
    fn inverse_dct_to<const COLUMNS: usize, const ROWS: usize>(
        &self,
        plane: &mut [u8],
        stride: usize,
    ) {
        let (waves_across, waves_down) =
            (&WAVES[COLUMNS.ilog2() as usize], &WAVES[ROWS.ilog2() as usize]);
        let coefficients = self.0.as_chunks::<8>().0;
        let is_empty =
            |row: &[f32; 8]| row[..COLUMNS].iter().all(|&coefficient| coefficient == 0.0);
        let used =
            coefficients[..ROWS].iter().rposition(|row| !is_empty(row)).map_or(0, |row| row + 1);
        let mut half = [[0.0; COLUMNS]; ROWS];
        for (half, coefficients) in half.iter_mut().zip(coefficients).take(used) {
            for (coefficient, wave) in coefficients[..COLUMNS].iter().zip(waves_across) {
                for (sum, amplitude) in half.iter_mut().zip(wave) {
                    *sum += coefficient * amplitude;
                }
            }
        }
        for (row, line) in plane.chunks_mut(stride).take(ROWS).enumerate() {
            let mut sums = [128.5_f32; COLUMNS];
            for (half, wave) in half.iter().zip(waves_down).take(used) {
                for (sum, value) in sums.iter_mut().zip(half) {
                    *sum += value * wave[row];
                }
            }
            line[..COLUMNS].copy_from_slice(&sums.map(|level| (level as i32).clamp(0, 255) as u8));
        }
    }
}

/// Amplitude of each cosine at each pixel, for 1, 2, 4 and 8 pixels.
static WAVES: LazyLock<[[[f32; 8]; 8]; 4]> = LazyLock::new(|| {
    [1, 2, 4, 8].map(|pixels| {
        std::array::from_fn(|frequency| {
            std::array::from_fn(|pixel| {
                let scale = if frequency == 0 { 0.125_f64.sqrt() } else { 0.5 };
                let angle = (2 * pixel + 1) as f64 * frequency as f64 * PI / f64::from(2 * pixels);
                (scale * libm::cos(angle)) as f32
            })
        })
    })
});

#[cfg(test)]
mod tests {
    use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn the_inverse_dct_is_the_definition() {
        let mut random = ChaCha8Rng::seed_from_u64(0);
        for (columns, rows) in
            [1, 2, 4, 8].into_iter().flat_map(|columns| [1, 2, 4, 8].map(|rows| (columns, rows)))
        {
            for last in [1, 3, 10, 64] {
                let mut block = Block([0.0; 64]);
                for &place in &ZIGZAG[..last] {
                    block.0[place] = random.random_range(-400..=400) as f32;
                }
                let mut plane = [0; 11 * 9];
                block.inverse_dct((columns, rows), &mut plane[12..], 11);
                for (y, x) in (0..9).flat_map(|y| (0..11).map(move |x| (y, x))) {
                    let value = plane[y * 11 + x];
                    if !(1..=columns).contains(&x) || !(1..=rows).contains(&y) {
                        assert_eq!(value, 0, "nothing is written beside the block");
                        continue;
                    }
                    let wave = |pixel: usize, frequency: usize, pixels: usize| {
                        let scale = if frequency == 0 { 0.5_f64.sqrt() } else { 1.0 };
                        scale / 2.0
                            * (f64::from(2 * pixel as u32 + 1) * frequency as f64 * PI
                                / (2 * pixels) as f64)
                                .cos()
                    };
                    let sum: f64 = (0..rows * columns)
                        .map(|at| (at / columns, at % columns))
                        .map(|(v, u)| {
                            f64::from(block.0[v * 8 + u])
                                * wave(y - 1, v, rows)
                                * wave(x - 1, u, columns)
                        })
                        .sum();
                    let wanted = (128.0 + sum).clamp(0.0, 255.0);
                    // The tolerance covers rounding, and the precision that f32 loses in sums below
                    // 10,000.
                    assert!(
                        (f64::from(value) - wanted).abs() <= 0.51,
                        "{value} for {wanted} in {columns}x{rows}"
                    );
                }
            }
        }
    }

    #[test]
    fn codes_of_every_length_are_found() {
        // One code of each length: 0, 10, 110 and so on.
        let bytes: Vec<u8> = [1; 16].into_iter().chain(100..116).chain([1, 2, 3]).collect();
        let (table, rest) = Huffman::read(&bytes).unwrap();
        assert_eq!(rest, [1, 2, 3]);
        for length in 1..=16_u8 {
            for below in [0, 1, u64::MAX] {
                let held = !(u64::MAX >> (length - 1)) | below & u64::MAX >> length;
                let code = table.find(held).unwrap();
                assert_eq!((code.symbol, code.length), (99 + length, length));
            }
        }
        assert!(table.find(u64::MAX).is_none(), "no code is all ones");
        assert!(Huffman::read(&bytes[..31]).is_none());
        let too_many: Vec<u8> = [1, 3].into_iter().chain([0; 14]).chain([0; 4]).collect();
        assert!(Huffman::read(&too_many).is_none());
    }

    #[test]
    fn values_are_extended_to_their_sign() {
        // T.81, tables F.1 and F.2: the size, the bits, the value.
        for (size, raw, value) in [
            (0, 0, 0),
            (1, 0, -1),
            (1, 1, 1),
            (2, 0, -3),
            (2, 2, 2),
            (11, 0, -2047),
            (15, 16384, 16384),
        ] {
            let held = (raw as u64) << (60 - size) | u64::from(u32::MAX);
            let mut bits = Bits { bytes: &[], at: 0, held, count: 64 };
            let code = Code { symbol: 0x30 | size as u8, length: 4 };
            assert_eq!((bits.take_value(code), bits.count), (Some(value), 60 - size as u32));
        }
        let mut bits = Bits { bytes: &[], at: 0, held: 0, count: 10 };
        assert_eq!(bits.take_value(Code { symbol: 8, length: 3 }), None, "a bit is missing");
    }

    #[test]
    fn bits_are_read_in_order_past_stuffed_bytes_up_to_a_marker() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for length in 0..60 {
            let data: Vec<u8> = (0..length)
                .map(|_| if random.random_bool(0.2) { 0xff } else { random.random() })
                .collect();
            let mut bytes: Vec<u8> = data
                .iter()
                .flat_map(|&byte| if byte == 0xff { vec![0xff, 0] } else { vec![byte] })
                .collect();
            bytes.extend([0xff, 0xff, 0xd3, 0x12]);
            let mut bits = Bits { bytes: &bytes, at: 0, held: 0, count: 0 };
            let mut read = 0;
            while read < length * 8 {
                bits.fill();
                let count = random.random_range(1..=31).min(length * 8 - read);
                for at in read..read + count {
                    let bit = bits.held >> 63;
                    bits.take(1).unwrap();
                    assert_eq!(bit as u8, data[at / 8] >> (7 - at % 8) & 1);
                }
                read += count;
            }
            bits.fill();
            assert_eq!((bits.count, bits.take(1)), (0, None));
            assert!(bits.pass_marker(0xd4).is_none());
            assert_eq!((bits.pass_marker(0xd3), bits.at), (Some(()), bytes.len() - 1));
        }
    }

    #[test]
    fn a_part_is_that_part_of_the_whole() {
        let (width, height) = (83, 45);
        let picture: Vec<u8> =
            (0..width * height * 3).map(|at| ((at * 7) ^ (at / width * 5)) as u8).collect();
        use SamplingFactor::{F_1_1, F_1_2, F_1_4, F_2_1, F_2_2, F_2_4, F_4_1, F_4_2};
        for sampling in [F_1_1, F_1_2, F_1_4, F_2_1, F_2_2, F_2_4, F_4_1, F_4_2] {
            for interval in [0, 1, 4] {
                let mut bytes = Vec::new();
                let mut encoder = Encoder::new(&mut bytes, 85);
                encoder.set_sampling_factor(sampling);
                encoder.set_restart_interval(interval);
                encoder.encode(&picture, width as u16, height as u16, ColorType::Rgb).unwrap();
                for eighths in [1_usize, 2, 4] {
                    let size = ((width * eighths).div_ceil(8), (height * eighths).div_ceil(8));
                    let Some(whole) = decode_part(&bytes, eighths, 0..size.0, 0..size.1) else {
                        // The encoder does not interleave these components.
                        assert!(
                            [F_1_4, F_2_4, F_4_1, F_4_2].contains(&sampling),
                            "{sampling:?} at {eighths} eighths"
                        );
                        continue;
                    };
                    for (columns, rows) in [
                        (0..1, 0..1),
                        (3..9, 2..5),
                        (size.0 - 2..size.0, 1..size.1),
                        (1..size.0, 0..3),
                    ] {
                        let wanted: Vec<u8> = rows
                            .clone()
                            .flat_map(|row| {
                                &whole[(row * size.0 + columns.start) * 3..][..columns.len() * 3]
                            })
                            .copied()
                            .collect();
                        assert!(decode_part(&bytes, eighths, columns, rows).unwrap() == wanted);
                    }
                    assert!(decode_part(&bytes, eighths, 0..size.0 + 1, 0..1).is_none());
                    assert!(decode_part(&bytes, eighths, 0..1, 0..size.1 + 1).is_none());
                }
            }
        }
    }
}

//! A JPEG encoder that writes the same coefficients in any scan script (ITU-T T.81).

/// Intervals between restarts, in MCUs of the scan.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Restarts {
    None,
    Every(u16),
}

/// An image as quantised coefficients.
#[derive(Clone)]
pub(crate) struct Frame {
    width: usize,
    height: usize,
    components: Vec<Component>,
}

#[derive(Clone)]
struct Component {
    name: u8,
    sampling: (u8, u8),
    /// Blocks across, with those that only fill the last MCU.
    across: usize,
    /// Blocks across and down that hold pixels.
    used: (usize, usize),
    /// Coefficients in zigzag order.
    blocks: Vec<[i32; 64]>,
}

#[rustfmt::skip]
const ZIGZAG: [usize; 64] = [
     0,  1,  8, 16,  9,  2,  3, 10, 17, 24, 32, 25, 18, 11,  4,  5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,  6,  7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// The step of every coefficient.
const STEP: u8 = 3;

impl Frame {
    /// Draws soft waves that differ from component to component.
    pub(crate) fn smooth(width: usize, height: usize, sampling: &[(u8, u8)]) -> Self {
        let most = |of: fn(&(u8, u8)) -> u8| usize::from(sampling.iter().map(of).max().unwrap());
        let (across, down) = (most(|factors| factors.0), most(|factors| factors.1));
        let mcus = (width.div_ceil(8 * across), height.div_ceil(8 * down));
        let components = sampling.iter().enumerate().map(|(number, &(h, v))| {
            let (h, v) = (usize::from(h), usize::from(v));
            let blocks_across = mcus.0 * h;
            // Pixels of the image for one sample.
            let scale = (across as f64 / h as f64, down as f64 / v as f64);
            let level = |x: usize, y: usize| {
                let (x, y) = ((x as f64 + 0.5) * scale.0, (y as f64 + 0.5) * scale.1);
                let phase = number as f64 * 1.3;
                70.0 * (x / 11.0 + phase).sin() * (y / 9.0 - phase).cos() + 20.0 * (x / 40.0).cos()
            };
            let blocks = (0..mcus.1 * v)
                .flat_map(|row| (0..blocks_across).map(move |column| (column, row)))
                .map(|(column, row)| transformed(|x, y| level(column * 8 + x, row * 8 + y)))
                .collect();
            Component {
                name: number as u8 + 1,
                sampling: (h as u8, v as u8),
                across: blocks_across,
                used: (
                    (width * h).div_ceil(across).div_ceil(8),
                    (height * v).div_ceil(down).div_ceil(8),
                ),
                blocks,
            }
        });
        Self { width, height, components: components.collect() }
    }

    /// The same with other names of the components.
    pub(crate) fn named(&self, names: [u8; 3]) -> Self {
        let mut frame = self.clone();
        frame.components.iter_mut().zip(names).for_each(|(own, name)| own.name = name);
        frame
    }

    pub(crate) fn encode(&self, script: &[&[usize]], restarts: Restarts) -> Vec<u8> {
        let mut bytes = vec![0xff, 0xd8];
        segment(&mut bytes, 0xdb, &[&[0][..], &[STEP; 64]].concat());
        let size = |value: usize| (value as u16).to_be_bytes();
        let mut frame = vec![8];
        frame.extend([size(self.height), size(self.width)].concat());
        frame.push(self.components.len() as u8);
        for Component { name, sampling: (h, v), .. } in &self.components {
            frame.extend([*name, h << 4 | v, 0]);
        }
        segment(&mut bytes, 0xc0, &frame);
        // Codes of equal length for all symbols: 4 bits for the 12 sizes of DC, 8 bits for the runs
        // and sizes of AC.
        let lengths = |length: usize, count: u8| {
            let mut counts = [0; 16];
            counts[length - 1] = count;
            counts
        };
        segment(
            &mut bytes,
            0xc4,
            &[&[0][..], &lengths(4, 12), &(0..12).collect::<Vec<u8>>()].concat(),
        );
        let symbols = ac_symbols();
        segment(
            &mut bytes,
            0xc4,
            &[&[0x10][..], &lengths(8, symbols.len() as u8), &symbols].concat(),
        );
        if let Restarts::Every(mcus) = restarts {
            segment(&mut bytes, 0xdd, &mcus.to_be_bytes());
        }
        for scan in script {
            let mut header = vec![scan.len() as u8];
            header.extend(scan.iter().flat_map(|&number| [self.components[number].name, 0]));
            header.extend([0, 63, 0]);
            segment(&mut bytes, 0xda, &header);
            self.encode_scan(scan, restarts, &mut bytes);
        }
        bytes.extend([0xff, 0xd9]);
        bytes
    }

    fn encode_scan(&self, scan: &[usize], restarts: Restarts, bytes: &mut Vec<u8>) {
        // The blocks of each MCU: component and block.
        let mut mcus: Vec<Vec<(usize, usize)>> = Vec::new();
        if let [number] = *scan {
            let Component { across, used, .. } = self.components[number];
            for row in 0..used.1 {
                mcus.extend((0..used.0).map(|column| vec![(number, row * across + column)]));
            }
        } else {
            let first = &self.components[0];
            let mcus_across = first.across / usize::from(first.sampling.0);
            let mcus_down = first.blocks.len() / first.across / usize::from(first.sampling.1);
            for (row, column) in
                (0..mcus_down).flat_map(|row| (0..mcus_across).map(move |at| (row, at)))
            {
                let blocks = scan.iter().flat_map(|&number| {
                    let Component { sampling: (h, v), across, .. } = self.components[number];
                    let (h, v) = (usize::from(h), usize::from(v));
                    (0..v).flat_map(move |down| {
                        (0..h).map(move |right| {
                            (number, (row * v + down) * across + column * h + right)
                        })
                    })
                });
                mcus.push(blocks.collect());
            }
        }
        let mut bits = Bits { bytes, held: 0, count: 0 };
        let mut last = vec![0; self.components.len()];
        let symbols = ac_symbols();
        for (number, mcu) in mcus.iter().enumerate() {
            if let Restarts::Every(interval) = restarts
                && number > 0
                && number % usize::from(interval) == 0
            {
                bits.finish();
                let restart = (number / usize::from(interval) - 1) % 8;
                bits.bytes.extend([0xff, 0xd0 + restart as u8]);
                last.fill(0);
            }
            for &(component, block) in mcu {
                let block = &self.components[component].blocks[block];
                bits.block(block, &mut last[component], &symbols);
            }
        }
        bits.finish();
    }
}

fn segment(bytes: &mut Vec<u8>, marker: u8, content: &[u8]) {
    bytes.extend([0xff, marker]);
    bytes.extend((content.len() as u16 + 2).to_be_bytes());
    bytes.extend(content);
}

/// All pairs of a run of zeros and a size, and the two codes without a size.
fn ac_symbols() -> Vec<u8> {
    let pairs = (0..16).flat_map(|run| (1..=10).map(move |size| run << 4 | size));
    [0x00, 0xf0].into_iter().chain(pairs).collect()
}

/// The forward DCT by its definition, quantised.
fn transformed(level: impl Fn(usize, usize) -> f64) -> [i32; 64] {
    let wave = |pixel: usize, frequency: usize| {
        let scale = if frequency == 0 { 0.5_f64.sqrt() } else { 1.0 };
        scale / 2.0
            * ((2 * pixel + 1) as f64 * frequency as f64 * std::f64::consts::PI / 16.0).cos()
    };
    let waves: [[f64; 8]; 8] = std::array::from_fn(|u| std::array::from_fn(|x| wave(x, u)));
    let levels: [[f64; 8]; 8] = std::array::from_fn(|y| std::array::from_fn(|x| level(x, y)));
    let half: [[f64; 8]; 8] = std::array::from_fn(|y| {
        std::array::from_fn(|u| (0..8).map(|x| levels[y][x] * waves[u][x]).sum())
    });
    ZIGZAG.map(|place| {
        let (u, v) = (place % 8, place / 8);
        let sum: f64 = (0..8).map(|y| half[y][u] * waves[v][y]).sum();
        (sum / f64::from(STEP)).round() as i32
    })
}

struct Bits<'a> {
    bytes: &'a mut Vec<u8>,
    held: u32,
    count: u32,
}

impl Bits<'_> {
    fn put(&mut self, value: u32, count: u32) {
        for at in (0..count).rev() {
            self.held = self.held << 1 | value >> at & 1;
            self.count += 1;
            if self.count == 8 {
                self.bytes.push(self.held as u8);
                if self.held as u8 == 0xff {
                    self.bytes.push(0);
                }
                (self.held, self.count) = (0, 0);
            }
        }
    }

    /// Fills the last byte with ones.
    fn finish(&mut self) {
        while self.count > 0 {
            self.put(1, 1);
        }
    }

    fn value(&mut self, value: i32, size: u32) {
        let raw = if value < 0 { value - 1 } else { value };
        self.put(raw as u32 & ((1 << size) - 1), size);
    }

    fn block(&mut self, block: &[i32; 64], last: &mut i32, symbols: &[u8]) {
        let size = |value: i32| 32 - value.unsigned_abs().leading_zeros();
        let difference = block[0] - *last;
        *last = block[0];
        self.put(size(difference), 4);
        self.value(difference, size(difference));
        let code = |symbol: u32| {
            symbols.iter().position(|&known| u32::from(known) == symbol).unwrap() as u32
        };
        let mut run = 0;
        for &value in &block[1..] {
            if value == 0 {
                run += 1;
                continue;
            }
            while run > 15 {
                self.put(code(0xf0), 8);
                run -= 16;
            }
            self.put(code(run << 4 | size(value)), 8);
            self.value(value, size(value));
            run = 0;
        }
        if run > 0 {
            self.put(code(0), 8);
        }
    }
}

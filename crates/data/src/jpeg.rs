//! JPEG files: which are read, and by which decoder.
//!
//! `zune-jpeg` is fast, but it decodes wrong pixels of some files that the standard allows, without
//! an error: those in several scans, and those whose luminance is sampled more coarsely than their
//! colour. So it gets only what nearly all files are, and `jpeg-decoder` gets the rest. What neither
//! reads is refused with its cause. `tests/jpeg.rs` holds both to each other.
//!
//! Both also decode damaged files without an error. So restart markers are counted in all files, and
//! baseline files of one scan are read once more, to see that their data end with their pixels.

pub(crate) mod reduced;

use jpeg_decoder::ColorTransform;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use crate::raster::from_inks;

const CUT: &str = "truncated JPEG: it ends before its end-of-image marker";

/// What the segments of a file say.
#[derive(Default)]
pub(crate) struct Outline<'a> {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// The first block of EXIF data.
    pub(crate) exif: Option<&'a [u8]>,
    /// The first packet of XMP.
    pub(crate) xmp: Option<&'a [u8]>,
    /// The index of further pictures in the file.
    pub(crate) index: Option<&'a [u8]>,
    is_progressive: bool,
    has_jfif: bool,
    /// Number of the colour transform in Adobe's segment.
    adobe: Option<u8>,
    components: Vec<Component>,
    /// Whether the only scan has all components in their order, and all coefficients.
    is_interleaved: bool,
    /// Number of MCUs between restart markers; 0 for none.
    restart_interval: usize,
    /// Number of MCUs of the last scan.
    mcus: usize,
    /// Where the data of each scan ends: the position of the marker that follows.
    scan_ends: Vec<usize>,
}

struct Component {
    id: u8,
    /// Sampling factors across and down.
    sampling: (u8, u8),
    is_scanned: bool,
}

/// Meaning of the components, by the rules of libjpeg.
#[derive(Clone, Copy, PartialEq)]
enum Colours {
    Grey,
    YCbCr,
    Rgb,
    Cmyk,
    Ycck,
}

impl<'a> Outline<'a> {
    /// Reads all segments. An error names what is missing or what is not supported.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let outline = Self::read_to(0xd9, bytes)?;
        if outline.components.is_empty() {
            return Err("damaged JPEG: it has no frame".into());
        }
        if outline.components.iter().any(|component| !component.is_scanned) {
            return Err("incomplete JPEG: the scan of a component is missing".into());
        }
        if outline.components.len() == 4 && outline.adobe.is_none() {
            return Err(
                "a CMYK JPEG without Adobe's segment, whose inks some programs read inverted \
                        and some do not; convert it to RGB"
                    .into(),
            );
        }
        Ok(outline)
    }

    /// Reads the segments before the first scan, which hold size and orientation.
    pub(crate) fn read_head(bytes: &'a [u8]) -> Result<Self, String> {
        Self::read_to(0xda, bytes)
    }

    fn read_to(last: u8, bytes: &'a [u8]) -> Result<Self, String> {
        let byte = |at: usize| bytes.get(at).copied().ok_or(CUT);
        let mut outline = Self::default();
        let (mut at, mut in_scan, mut restarts) = (2, false, 0);
        loop {
            at += bytes
                .get(at..)
                .and_then(|rest| rest.iter().position(|&byte| byte == 0xff))
                .ok_or(CUT)?;
            let marker_at = at;
            while byte(at)? == 0xff {
                at += 1;
            }
            let marker = byte(at)?;
            at += 1;
            // A stuffed 0xff inside a scan, restarts, and markers without a length.
            if matches!(marker, 0x00 | 0x01 | 0xd0..=0xd8) {
                if in_scan && matches!(marker, 0xd0..=0xd7) {
                    if usize::from(marker & 7) != restarts % 8 {
                        return Err("damaged JPEG: its restart markers are out of order".into());
                    }
                    restarts += 1;
                }
                continue;
            }
            if std::mem::take(&mut in_scan) {
                outline.scan_ends.push(marker_at);
                outline.check_restarts(std::mem::take(&mut restarts))?;
            }
            if marker == last {
                return Ok(outline);
            }
            let length = usize::from(u16::from_be_bytes([byte(at)?, byte(at + 1)?])).max(2);
            let segment = bytes.get(at + 2..at + length).ok_or(CUT)?;
            at += length;
            in_scan = marker == 0xda;
            outline.take(marker, segment)?;
        }
    }

    fn take(&mut self, marker: u8, segment: &'a [u8]) -> Result<(), String> {
        match marker {
            0xc0..=0xc2 => self.take_frame(marker, segment)?,
            0xc3 | 0xc5..=0xcb | 0xcd..=0xcf | 0xde | 0xdf => {
                let kind = match marker {
                    0xc3 => "lossless",
                    0xc9 | 0xca => "arithmetic-coded",
                    0xcb => "lossless, arithmetic-coded",
                    _ => "hierarchical",
                };
                return Err(format!(
                    "{kind} JPEGs are not read; convert it to a baseline JPEG or PNG"
                ));
            }
            0xda => self.take_scan(segment)?,
            0xe0 if segment.starts_with(b"JFIF\0") => self.has_jfif = true,
            0xdd => {
                let interval = segment.first_chunk().ok_or("damaged JPEG: a segment is cut")?;
                self.restart_interval = u16::from_be_bytes(*interval).into();
            }
            // Only what comes before the pixels counts: it is all that is seen of large files.
            0xe1 | 0xe2 if self.scan_ends.is_empty() => {
                let block = |mark: &[u8]| segment.strip_prefix(mark);
                self.exif = self.exif.or(block(b"Exif\0\0"));
                self.xmp = self.xmp.or(block(b"http://ns.adobe.com/xap/1.0/\0"));
                self.index = self.index.or(block(b"MPF\0"));
            }
            0xee if segment.starts_with(b"Adobe") => {
                self.adobe = self.adobe.or(segment.get(11).copied());
            }
            _ => {}
        }
        Ok(())
    }

    fn take_frame(&mut self, marker: u8, segment: &[u8]) -> Result<(), String> {
        let damaged = || "damaged JPEG: its frame is not as it says".to_owned();
        let [bits, h1, h0, w1, w0, count, components @ ..] = segment else { return Err(damaged()) };
        if !self.components.is_empty() {
            return Err("damaged JPEG: it has several frames".into());
        }
        if *bits != 8 {
            return Err(format!(
                "JPEGs with {bits} bits per channel are not read; convert it to 8 bits or to PNG"
            ));
        }
        if !matches!(count, 1 | 3 | 4) {
            return Err(format!(
                "a JPEG with {count} channels; 1 (grey), 3 (colour) and 4 (CMYK) are read"
            ));
        }
        let (components, rest) = components.as_chunks::<3>();
        if components.len() != usize::from(*count) || !rest.is_empty() {
            return Err(damaged());
        }
        self.is_progressive = marker == 0xc2;
        self.height = u16::from_be_bytes([*h1, *h0]).into();
        self.width = u16::from_be_bytes([*w1, *w0]).into();
        if self.height == 0 {
            return Err("a JPEG that gives its height after its pixels; convert it to PNG".into());
        }
        self.components = components
            .iter()
            .map(|&[id, sampling, _]| Component {
                id,
                sampling: (sampling >> 4, sampling & 15),
                is_scanned: false,
            })
            .collect();
        let factors = |component: &Component| {
            [component.sampling.0, component.sampling.1]
                .iter()
                .all(|factor| (1..=4).contains(factor))
        };
        if !self.components.iter().all(factors) {
            return Err(damaged());
        }
        Ok(())
    }

    fn take_scan(&mut self, segment: &[u8]) -> Result<(), String> {
        let damaged = || "damaged JPEG: a scan is not as it says".to_owned();
        let [count, rest @ ..] = segment else { return Err(damaged()) };
        let (selectors, spectrum) =
            rest.split_at_checked(usize::from(*count) * 2).ok_or_else(damaged)?;
        let [first, last, approximation] = *spectrum else { return Err(damaged()) };
        let (selectors, _) = selectors.as_chunks::<2>();
        self.is_interleaved = self.scan_ends.is_empty()
            && (first, last, approximation) == (0, 63, 0)
            && selectors.iter().map(|[id, _]| id).eq(self.components.iter().map(|own| &own.id));
        for [id, _] in selectors {
            let mut named = self.components.iter_mut().filter(|component| component.id == *id);
            let (Some(component), None) = (named.next(), named.next()) else {
                return Err(damaged());
            };
            if component.is_scanned && !self.is_progressive {
                return Err("damaged JPEG: a component is scanned twice".into());
            }
            component.is_scanned |= first == 0;
        }
        self.mcus = self.mcus_of(selectors).ok_or_else(damaged)?;
        Ok(())
    }

    /// Returns the number of MCUs of a scan of these components (T.81, A.2). A single component has
    /// one block in each.
    fn mcus_of(&self, selectors: &[[u8; 2]]) -> Option<usize> {
        let factors = || self.components.iter().map(|component| component.sampling);
        let (across, down) =
            (factors().map(|(across, _)| across).max()?, factors().map(|(_, down)| down).max()?);
        let (wide, high) = match selectors {
            [[id, _]] => {
                let own = self.components.iter().find(|own| own.id == *id)?.sampling;
                let blocks = |length: u32, own: u8, most: u8| {
                    (length * u32::from(own)).div_ceil(most.into()).div_ceil(8)
                };
                (blocks(self.width, own.0, across), blocks(self.height, own.1, down))
            }
            _ => {
                let mcus = |length: u32, most: u8| length.div_ceil(8 * u32::from(most));
                (mcus(self.width, across), mcus(self.height, down))
            }
        };
        Some(wide as usize * high as usize)
    }

    /// Checks the number of restart markers in the last scan: one between any two intervals. A lost
    /// or doubled piece of the file shows here; decoders would fill or shift what comes after.
    fn check_restarts(&self, found: usize) -> Result<(), String> {
        let wanted = match self.restart_interval {
            0 => 0,
            interval => self.mcus.div_ceil(interval).saturating_sub(1),
        };
        if found == wanted {
            return Ok(());
        }
        Err(format!("damaged JPEG: a scan has {found} restart markers and needs {wanted}"))
    }

    fn colours(&self) -> Colours {
        match (self.components.len(), self.adobe) {
            (1, _) => Colours::Grey,
            (3, _) if self.has_jfif => Colours::YCbCr,
            (3, Some(0)) => Colours::Rgb,
            (3, None) if self.components.iter().map(|own| own.id).eq(*b"RGB") => Colours::Rgb,
            (3, _) => Colours::YCbCr,
            (_, Some(0)) => Colours::Cmyk,
            _ => Colours::Ycck,
        }
    }

    /// Returns whether [`reduced`] may read the file. It checks tables less strictly than the decoder
    /// of whole files, and an image must not be damaged at one size and sound at another.
    pub(crate) fn is_reducible(&self, bytes: &[u8]) -> bool {
        !self.is_progressive && self.is_common() && fast_decoder(bytes).decode_headers().is_ok()
    }

    /// Returns whether the fast decoders are known to read such files right.
    fn is_common(&self) -> bool {
        let is_known = match self.components.as_slice() {
            [grey] => [1, 2, 4].contains(&grey.sampling.0),
            [luma, others @ ..] => {
                self.colours() == Colours::YCbCr
                    && self.adobe.is_none_or(|transform| transform == 1)
                    && [[0, 1, 2], [1, 2, 3]]
                        .iter()
                        .any(|names| names.iter().eq(self.components.iter().map(|own| &own.id)))
                    && matches!(luma.sampling, (1 | 2, 1 | 2))
                    && others.iter().all(|chroma| chroma.sampling == (1, 1))
            }
            [] => false,
        };
        is_known && (self.is_progressive || (self.is_interleaved && self.scan_ends.len() == 1))
    }

    /// Decodes the whole file to RGB.
    pub(crate) fn decode(&self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        if self.is_common() {
            // This decoder requires the first scan of a progressive file to end exactly at its
            // marker.
            let ends = match self.scan_ends.as_slice() {
                [_] if self.is_progressive => &[],
                [.., last] => std::slice::from_ref(last),
                [] => &[],
            };
            let pixels = fast_decoder(&self.with_sentinels(bytes, ends))
                .decode()
                .map_err(|error| format!("damaged JPEG: {}", cause(&error)))?;
            if !self.is_progressive && reduced::is_damaged(&self.with_sentinels(bytes, &[])) {
                return Err("damaged JPEG: its data do not fit its pixels".into());
            }
            Ok(pixels)
        } else {
            self.decode_slowly(&self.with_sentinels(bytes, &self.scan_ends))
        }
    }

    fn decode_slowly(&self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let colours = self.colours();
        let mut decoder = jpeg_decoder::Decoder::new(bytes);
        // `RGB` leaves three channels as they are, `CMYK` inverts four: Adobe stores inks inverted.
        decoder.set_color_transform(match colours {
            Colours::Grey => ColorTransform::Grayscale,
            Colours::YCbCr => ColorTransform::YCbCr,
            Colours::Rgb => ColorTransform::RGB,
            Colours::Cmyk => ColorTransform::CMYK,
            Colours::Ycck => ColorTransform::YCCK,
        });
        let pixels = decoder.decode().map_err(|error| format!("damaged JPEG: {error}"))?;
        Ok(match colours {
            Colours::Grey => pixels.iter().flat_map(|&grey| [grey; 3]).collect(),
            Colours::YCbCr | Colours::Rgb => pixels,
            Colours::Cmyk | Colours::Ycck => {
                let (inks, _) = pixels.as_chunks::<4>();
                inks.iter().flat_map(|&inks| from_inks(inks)).collect()
            }
        })
    }

    /// Returns the file up to its end-of-image marker, with a run of one bits at the ends of scans.
    ///
    /// If a scan ends early, decoders silently fill the missing part with grey. No JPEG code word
    /// consists of ones only (ITU-T T.81, C.2). So a decoder that still needs data finds an invalid
    /// code in the run of ones and reports an error. A decoder that has all its data skips the run
    /// like the usual padding.
    fn with_sentinels(&self, bytes: &[u8], ends: &[usize]) -> Vec<u8> {
        let mut complete = Vec::with_capacity(bytes.len() + ends.len() * 32);
        let mut start = 0;
        for &end in ends {
            complete.extend(&bytes[start..end]);
            complete.extend([0xff, 0x00].repeat(16));
            start = end;
        }
        let end = self.scan_ends.last().copied().unwrap_or(start);
        complete.extend(&bytes[start..end]);
        complete.extend([0xff, 0xd9]);
        complete
    }
}

/// Says in plain words what the fast decoder found.
fn cause(error: &DecodeErrors) -> &'static str {
    match error {
        DecodeErrors::HuffmanDecode(_) | DecodeErrors::MCUError(_) => {
            "its data hold a code without a meaning"
        }
        DecodeErrors::DqtError(_) => "a quantization table is not as it should be",
        DecodeErrors::SosError(_) => "the head of a scan is not as it should be",
        DecodeErrors::SofError(_) | DecodeErrors::ZeroError => "its frame is not as it should be",
        DecodeErrors::ExhaustedData | DecodeErrors::IoErrors(_) => "it ends before its pixels",
        _ => "a segment is not as it should be",
    }
}

fn fast_decoder(bytes: &[u8]) -> JpegDecoder<ZCursor<&[u8]>> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    JpegDecoder::new_with_options(ZCursor::new(bytes), options)
}

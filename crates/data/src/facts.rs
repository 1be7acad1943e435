//! What is found out about the file of each image while it is decoded.

/// Kind of file that an image was decoded from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub enum Format {
    /// No image file: drawn, or bytes of CIFAR or IDX.
    Plain,
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// WebP.
    WebP,
    /// BMP.
    Bmp,
    /// GIF.
    Gif,
    /// TIFF.
    Tiff,
    /// PBM, PGM or PPM.
    Pnm,
}

impl Format {
    const ALL: [Self; 8] = [
        Self::Plain,
        Self::Jpeg,
        Self::Png,
        Self::WebP,
        Self::Bmp,
        Self::Gif,
        Self::Tiff,
        Self::Pnm,
    ];

    /// Returns the name as people write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain bytes",
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Bmp => "BMP",
            Self::Gif => "GIF",
            Self::Tiff => "TIFF",
            Self::Pnm => "PNM",
        }
    }
}

/// How the EXIF orientation of an image is treated: the note of a camera that a photograph was
/// taken on its side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exif {
    /// Images are turned upright, as programs show them.
    #[default]
    Turn,
    /// Pixels stay where the file has them, as in torchvision's `ImageFolder`.
    Ignore,
}

impl Exif {
    /// Returns the name: `turn` or `ignore`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Turn => "turn",
            Self::Ignore => "ignore",
        }
    }

    /// Returns whether this is the default.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What the file of an image holds, beyond the pixels that are kept of it.
///
/// ```
/// use selfsame_data::{Format, LoadOptions, load};
///
/// let set = load("glyphs", &LoadOptions::default(), &|_done, _total| {})?;
/// let facts = set.train.facts(0);
/// assert_eq!((facts.format, facts.width, facts.height), (Format::Plain, 32, 32));
/// # Ok::<(), selfsame_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Facts {
    /// Kind of file.
    pub format: Format,
    /// Width in pixels as stored, before the image is turned upright.
    pub width: u32,
    /// Height in pixels as stored.
    pub height: u32,
    /// EXIF orientation that the file gives, 1 to 8. 1 is upright, and stands for files without one.
    pub orientation: u8,
    /// Bits per channel as stored, 1 to 16.
    pub bits: u8,
    /// Least and greatest value of all channels but transparency, if they have 16 bits. A thousandth
    /// of the values at either end does not count: single pixels of a camera are always bright.
    pub range: Option<(u16, u16)>,
    /// Hash of what is dropped: the lower bytes of all channels with 16 bits, and the opacity of pixels
    /// that are not all opaque; otherwise 0. Images of equal pixels whose hashes differ are different
    /// images.
    #[serde(skip)]
    pub dropped: u64,
    /// Whether the file holds further pictures; the first is read.
    pub several: bool,
    /// Whether some pixels are not opaque. They keep their colour.
    pub transparent: bool,
}

impl Facts {
    /// Number of bytes that [`to_bytes`](Self::to_bytes) gives.
    pub(crate) const BYTES: usize = 24;

    /// Facts of an upright, opaque 8-bit image.
    pub(crate) fn new(format: Format, width: u32, height: u32) -> Self {
        Self {
            format,
            width,
            height,
            orientation: 1,
            bits: 8,
            range: None,
            dropped: 0,
            several: false,
            transparent: false,
        }
    }

    /// Returns the form that the cache of decoded images holds.
    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let flags = u8::from(self.several)
            | u8::from(self.transparent) << 1
            | u8::from(self.range.is_some()) << 2;
        let (least, greatest) = self.range.unwrap_or_default();
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&[self.format as u8, self.orientation, self.bits, flags]);
        bytes[4..8].copy_from_slice(&self.width.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.height.to_le_bytes());
        bytes[12..14].copy_from_slice(&least.to_le_bytes());
        bytes[14..16].copy_from_slice(&greatest.to_le_bytes());
        bytes[16..].copy_from_slice(&self.dropped.to_le_bytes());
        bytes
    }

    /// Reads the form of [`to_bytes`](Self::to_bytes). Returns `None` for anything else.
    pub(crate) fn from_bytes(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let (head, dropped) = bytes.split_last_chunk::<8>()?;
        let &[format, orientation, bits, flags, w0, w1, w2, w3, h0, h1, h2, h3, l0, l1, g0, g1] =
            head
        else {
            return None;
        };
        let range = (u16::from_le_bytes([l0, l1]), u16::from_le_bytes([g0, g1]));
        let facts = Self {
            format: *Format::ALL.get(usize::from(format))?,
            width: u32::from_le_bytes([w0, w1, w2, w3]),
            height: u32::from_le_bytes([h0, h1, h2, h3]),
            orientation,
            bits,
            range: (flags & 4 != 0).then_some(range),
            dropped: u64::from_le_bytes(*dropped),
            several: flags & 1 != 0,
            transparent: flags & 2 != 0,
        };
        (facts.to_bytes() == *bytes && (1..=8).contains(&orientation)).then_some(facts)
    }
}

/// Says what was done to images whose files hold more than, or something other than, upright 8-bit
/// pixels.
pub(crate) fn notes(facts: &[Facts], exif: Exif) -> Vec<String> {
    let count = |holds: fn(&Facts) -> bool| facts.iter().filter(|facts| holds(facts)).count();
    let mut notes = Vec::new();
    let sideways = count(|facts| facts.orientation != 1);
    if sideways > 0 {
        let how = match exif {
            Exif::Turn => "were turned upright, as it says",
            Exif::Ignore => "stay as they are stored",
        };
        notes.push(format!(
            "{sideways} of {} images have an EXIF orientation other than upright and {how}.",
            facts.len()
        ));
    }
    notes.extend(deep(facts));
    let several = count(|facts| facts.several);
    if several > 0 {
        notes.push(format!(
            "{several} of {} files hold several pictures, as animations and some cameras' JPEGs do. \
             The first is read.",
            facts.len()
        ));
    }
    let transparent = count(|facts| facts.transparent);
    if transparent > 0 {
        notes.push(format!(
            "{transparent} of {} images are transparent in places. These keep the colour that is \
             stored below.",
            facts.len()
        ));
    }
    notes
}

/// Says how much of their range 16-bit images use. The images are judged one by one: a single one
/// with a wide range does not speak for the others.
fn deep(facts: &[Facts]) -> Option<String> {
    let ranges: Vec<(u16, u16)> = facts.iter().filter_map(|facts| facts.range).collect();
    let least = ranges.iter().map(|range| range.0).min()?;
    let greatest = ranges.iter().map(|range| range.1).max()?;
    let mut levels: Vec<u16> =
        ranges.iter().map(|(least, greatest)| (greatest >> 8) - (least >> 8) + 1).collect();
    levels.sort_unstable();
    let count = levels.len();
    let median = levels[(count - 1) / 2];
    let uses = if count == 1 { "it uses" } else { "half of them use at most" };
    let mut note = format!(
        "{count} of {} images have 16 bits per channel, of which the upper byte is kept. Their \
         values are {least} to {greatest}, and {uses} {median} of 256 levels, {:.0}% of the range.",
        facts.len(),
        f64::from(median) / 2.56
    );
    let narrow = levels.partition_point(|&levels| levels < 128);
    if narrow > 0 {
        let who = if narrow == count { "All".into() } else { format!("{narrow} of them") };
        let s = if narrow == 1 && count > 1 { "s" } else { "" };
        note += &format!(
            " {who} use{s} less than half of the levels and lose{s} most of what they show: bring \
             their values to the whole range, or to 8 bits, before they are read."
        );
    }
    Some(note)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_come_back_from_their_bytes_and_from_no_others() {
        for (number, format) in Format::ALL.into_iter().enumerate() {
            let facts = Facts {
                orientation: number as u8 % 8 + 1,
                bits: 16,
                range: (number % 2 == 0).then_some((3, 60_000)),
                dropped: number as u64 * 0x0123_4567_89ab_cdef,
                several: number % 3 == 0,
                transparent: number % 3 == 1,
                ..Facts::new(format, 70_000, 3)
            };
            assert_eq!(Facts::from_bytes(&facts.to_bytes()), Some(facts));
        }
        for (at, value) in [(0, 8), (1, 0), (1, 9), (3, 8), (12, 1)] {
            let mut bytes = Facts::new(Format::Png, 1, 1).to_bytes();
            bytes[at] = value;
            assert_eq!(Facts::from_bytes(&bytes), None, "byte {at}");
        }
    }

    #[test]
    fn notes_name_what_was_done_and_how_often() {
        let upright = Facts::new(Format::Jpeg, 4, 4);
        assert!(notes(&[upright; 3], Exif::Turn).is_empty());
        let sideways = Facts { orientation: 6, ..upright };
        let deep = |least, greatest| Facts { range: Some((least, greatest)), bits: 16, ..upright };
        let facts = [
            upright,
            sideways,
            sideways,
            deep(100, 4047),
            deep(0, 12),
            Facts { several: true, ..upright },
            Facts { transparent: true, ..upright },
        ];
        let said = notes(&facts, Exif::Turn);
        assert_eq!(said.len(), 4);
        assert!(said[0].starts_with("2 of 7") && said[0].contains("turned upright"));
        assert!(notes(&facts, Exif::Ignore)[0].contains("as they are stored"));
        let wanted =
            "0 to 4047, and half of them use at most 1 of 256 levels, 0% of the range. All";
        assert!(said[1].contains(wanted) && said[1].contains("whole range"), "{}", said[1]);
        assert!(said[2].starts_with("1 of 7 files hold several"));
        assert!(said[3].starts_with("1 of 7 images are transparent"));
        let all = notes(&[deep(0, u16::MAX)], Exif::Turn).remove(0);
        assert!(all.contains("it uses 256 of 256") && !all.contains("whole range"), "{all}");
        let mut one_wide = vec![deep(0, 4047); 9];
        one_wide.push(deep(0, u16::MAX));
        let said = notes(&one_wide, Exif::Turn).remove(0);
        assert!(said.contains("at most 16 of 256 levels, 6%"), "{said}");
        assert!(said.contains("9 of them use less than half"), "{said}");
        let mut one_narrow = vec![deep(0, u16::MAX); 9];
        one_narrow.push(deep(0, 255));
        let said = notes(&one_narrow, Exif::Turn).remove(0);
        assert!(said.contains("at most 256 of 256") && said.contains("1 of them uses"), "{said}");
    }
}

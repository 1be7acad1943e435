//! Labels from a table: a row for each image, with a column for its file and one for its label.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::catalogue::Part;
use crate::leavings::{joined, short};
use crate::parts::{self, listed};
use crate::{DataError, kinds};

/// Largest table in bytes.
const MAX_BYTES: u64 = 256 << 20;
/// Names of columns that hold the file of an image, the likeliest first. Case, spaces, hyphens and
/// underscores do not count.
const FILE_COLUMNS: [&str; 20] = [
    "filename",
    "filepath",
    "imagefile",
    "imagefilename",
    "imagepath",
    "imagename",
    "file",
    "path",
    "image",
    "images",
    "img",
    "imgname",
    "imgpath",
    "imageid",
    "imgid",
    "fname",
    "key",
    "id",
    "name",
    "files",
];
/// Names of columns that hold a label, the likeliest first.
const LABEL_COLUMNS: [&str; 18] = [
    "label",
    "labels",
    "class",
    "classname",
    "classlabel",
    "labelname",
    "category",
    "categoryname",
    "target",
    "targets",
    "classid",
    "labelid",
    "categoryid",
    "y",
    "cls",
    "species",
    "breed",
    "diagnosis",
];
/// Names of columns that hold the split of an image.
const SPLIT_COLUMNS: [&str; 8] =
    ["split", "splitname", "datasplit", "subset", "partition", "set", "usage", "phase"];
/// Names of columns that say of an image, by yes or no, that it is of one part, and the part of the
/// other images.
const SPLIT_FLAGS: [(&str, Part, Part); 5] = [
    ("istrain", Part::Train, Part::Test),
    ("istraining", Part::Train, Part::Test),
    ("istest", Part::Test, Part::Train),
    ("isvalid", Part::Validation, Part::Train),
    ("isval", Part::Validation, Part::Train),
];

/// Files with these names are tables of labels when they lie beside images.
pub(crate) fn is_usual_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let Some((stem, "csv" | "tsv")) = name.rsplit_once('.') else { return false };
    ["metadata", "labels", "train", "annotations", "classes", "trainlabels"]
        .contains(&plain(stem).as_str())
}

/// The rows of a table, found by the names of files.
pub(crate) struct Table {
    /// What messages call the table.
    name: String,
    rows: Vec<Row>,
    /// Rows by the last part of their file: as it is, and without an image's ending.
    by_name: HashMap<String, Vec<usize>>,
    by_stem: HashMap<String, Vec<usize>>,
    /// Sentences about what was read.
    pub(crate) notes: Vec<String>,
}

struct Row {
    /// Folders and name of the file.
    components: Vec<String>,
    label: String,
    part: Option<Part>,
    line: u64,
    /// Name of the image that has taken the row.
    taken_by: Option<String>,
}

impl Row {
    /// Returns how many folders the row and an image in `folders` share, if they do not contradict
    /// each other. Folders may be given from further out than the set's, or from further in.
    fn agrees(&self, folders: &[String]) -> Option<usize> {
        let own = &self.components[..self.components.len() - 1];
        let shared = own.len().min(folders.len());
        (own[own.len() - shared..] == folders[folders.len() - shared..]).then_some(shared)
    }
}

/// What the table says of an image.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Labelled {
    pub(crate) label: String,
    pub(crate) part: Option<Part>,
}

/// Which columns hold what.
#[derive(Debug)]
struct Columns {
    file: usize,
    label: usize,
    split: Option<usize>,
    has_header: bool,
}

impl Table {
    /// Reads the table at `path`.
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(DataError::read(path))?;
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(DataError::read(path))?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Self::parse(&name, &bytes).map_err(|cause| DataError::format(path, cause))
    }

    /// Reads a table from its bytes. An error states the cause without the table's name.
    pub(crate) fn parse(name: &str, bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() as u64 > MAX_BYTES {
            return Err(format!("the table is too large: at most {MAX_BYTES} bytes are read"));
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|_| "it is not UTF-8 text; save the table as CSV in UTF-8".to_owned())?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let bytes = text.as_bytes();
        if text.contains('\0') {
            return Err("it is not a text; save the table as CSV in UTF-8".to_owned());
        }
        let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let delimiter = [b'\t', b';', b',']
            .into_iter()
            .max_by_key(|&by| first.bytes().filter(|&byte| byte == by).count())
            .unwrap_or(b',');
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .trim(csv::Trim::All)
            .from_reader(bytes);
        let mut records = Vec::new();
        // The reader counts empty lines before a record as a part of it. So the line of a record is
        // that of its first character that ends no line, at `place`.
        let (mut line, mut place) = (1, 0);
        for record in reader.records() {
            let record = record.map_err(|error| short(&error.to_string()))?;
            let start = record.position().map_or(0, csv::Position::byte) as usize;
            let ends = bytes[start..].iter().take_while(|byte| b"\r\n".contains(byte)).count();
            let passed = &bytes[place..start + ends];
            line += passed.iter().filter(|&&byte| byte == b'\n').count() as u64;
            place = start + ends;
            if record.iter().any(|field| !field.is_empty()) {
                records.push((line, record));
            }
        }
        if let Some((line, last)) = records.last()
            && text.matches('"').count() % 2 == 1
            && last.iter().any(|field| field.contains('\n'))
        {
            return Err(format!("the double quote that opens in line {line} is not closed"));
        }
        let Some((_, header)) = records.first() else { return Err("it has no rows".to_owned()) };
        let columns = columns(header)?;
        let mut table = Self {
            name: short(name),
            rows: Vec::new(),
            by_name: HashMap::new(),
            by_stem: HashMap::new(),
            notes: Vec::new(),
        };
        let shown = |column: usize| match columns.has_header {
            true => short(&header[column]),
            false => (column + 1).to_string(),
        };
        table.notes.push(format!(
            "Labels are from the column {} of {}, by the files in its column {}.",
            shown(columns.label),
            table.name,
            shown(columns.file)
        ));
        let others: Vec<String> = (0..header.len())
            .filter(|&column| columns.has_header && !columns.holds(column))
            .map(|column| short(&header[column]))
            .filter(|name| !name.is_empty())
            .collect();
        if !others.is_empty() {
            table.notes.push(format!("Its other columns are not read: {}.", listed(others.iter())));
        }
        let rows = &records[usize::from(columns.has_header)..];
        if rows.is_empty() {
            return Err("it has a header and no rows".to_owned());
        }
        let parts = parts_in(rows, header, &columns);
        for (line, record) in rows {
            let most = header.len();
            if record.iter().skip(most).any(|field| !field.is_empty()) {
                return Err(format!(
                    "line {line} has {} columns, and the first row {most}; put what has a comma \
                     into double quotes",
                    record.len()
                ));
            }
            let part = columns.split.and_then(|column| parts.get(record.get(column)?).copied());
            table.add(*line, record, part, &columns)?;
        }
        table.check_parts(&parts, header, &columns);
        Ok(table)
    }

    /// Adds a row, unless an earlier one says the same.
    fn add(
        &mut self,
        line: u64,
        record: &csv::StringRecord,
        part: Option<Part>,
        columns: &Columns,
    ) -> Result<(), String> {
        let (Some(file), Some(label)) = (record.get(columns.file), record.get(columns.label))
        else {
            return Err(format!("line {line} has only {} columns", record.len()));
        };
        if [file, label].iter().any(|field| field.contains(['\n', '\r'])) {
            let cause = "has a field over several lines; a double quote may not be closed";
            return Err(format!("line {line} {cause}"));
        }
        let file = file.replace('\\', "/");
        let components = composed(file.split('/').filter(|part| !part.is_empty() && *part != "."));
        let Some(last) = components.last().cloned() else {
            return Err(format!("line {line} names no file"));
        };
        let same = |&row: &usize| self.rows[row].components == components;
        if let Some(earlier) = self.by_name.get(&last).into_iter().flatten().copied().find(same) {
            let row = &self.rows[earlier];
            if row.label != label {
                return Err(format!(
                    "line {} gives {} the label {}, line {line} the label {}",
                    row.line,
                    short(&file),
                    short(&row.label),
                    short(label)
                ));
            }
            if let (Some(one), Some(other)) = (row.part, part)
                && one != other
            {
                return Err(format!(
                    "line {} has {} for {}, line {line} for {}",
                    row.line,
                    short(&file),
                    one.name(),
                    other.name()
                ));
            }
            return Ok(());
        }
        if (kinds::is_image_name(&last) || kinds::is_picture(&kinds::ending(&last)))
            && let Some((stem, _)) = last.rsplit_once('.')
        {
            self.by_stem.entry(stem.to_owned()).or_default().push(self.rows.len());
        }
        self.by_name.entry(last).or_default().push(self.rows.len());
        let label = label.to_owned();
        self.rows.push(Row { components, label, part, line, taken_by: None });
        Ok(())
    }

    /// Takes the splits from the table only if every row names one.
    fn check_parts(
        &mut self,
        parts: &BTreeMap<String, Part>,
        header: &csv::StringRecord,
        columns: &Columns,
    ) {
        let Some(column) = columns.split else { return };
        let name = header.get(column).map(short).unwrap_or_default();
        let named = self.rows.iter().all(|row| row.part.is_some());
        let some_train = self.rows.iter().any(|row| row.part == Some(Part::Train));
        if named && some_train {
            let read: Vec<String> = parts
                .iter()
                .map(|(value, part)| format!("{} for {}", short(value), part.name()))
                .collect();
            self.notes.push(format!("Splits are from its column {name}: {}.", listed(read.iter())));
        } else {
            self.rows.iter_mut().for_each(|row| row.part = None);
            self.notes.push(format!(
                "Its column {name} does not name train, val or test in every row, so splits are \
                 not from there."
            ));
        }
    }

    /// Returns the error that the table is about none of the `count` images, such as `image`.
    pub(crate) fn fits_none(&self, count: usize, image: &str) -> String {
        let row = self.rows.first().map(|row| (short(&joined(&row.components)), row.line));
        let (file, line) = row.unwrap_or_default();
        format!(
            "{} has a label for none of the {count} images; the first image is {}, and the first \
             row, in line {line}, is about {file}",
            self.name,
            short(image)
        )
    }

    /// Refuses a row that an image has taken, but that fits a picture in another folder as well,
    /// which is not read and whose folders and name are `components`.
    pub(crate) fn check_unread(&self, components: &[String]) -> Result<(), String> {
        let components = composed(components);
        let Some((name, folders)) = components.split_last() else { return Ok(()) };
        let stem = kinds::stem(name);
        for &row in
            [name.as_str(), stem].iter().filter_map(|&name| self.by_name.get(name)).flatten()
        {
            let row = &self.rows[row];
            let Some(taken) = &row.taken_by else { continue };
            let other = taken.rsplit_once('/').map_or("", |(folders, _)| folders);
            if row.agrees(folders).is_some() && joined(folders) != other {
                return Err(format!(
                    "line {} of {} fits {} and {}, which is not read; write their folders into \
                     the table",
                    row.line,
                    self.name,
                    short(taken),
                    short(&joined(&components))
                ));
            }
        }
        Ok(())
    }

    /// Returns what the table says of the image whose folders and name are `components`, or `None`
    /// if it says nothing. An error says why it is not clear.
    pub(crate) fn label(&mut self, components: &[String]) -> Result<Option<Labelled>, String> {
        let full = joined(components);
        let components = composed(components);
        let Some((name, folders)) = components.split_last() else { return Ok(None) };
        let stem = kinds::stem(name);
        let rows = |index: &HashMap<String, Vec<usize>>, name: &str| {
            index.get(name).cloned().unwrap_or_default()
        };
        let mut candidates = rows(&self.by_name, name);
        if candidates.is_empty() {
            candidates = rows(&self.by_name, stem);
        }
        if candidates.is_empty() {
            candidates = rows(&self.by_stem, stem);
        }
        let agree = |row: &usize| self.rows[*row].agrees(folders);
        candidates.retain(|row| agree(row).is_some());
        let longest = candidates.iter().filter_map(agree).max();
        candidates.retain(|row| agree(row) == longest);
        match candidates[..] {
            [] => Ok(None),
            [row] => {
                let row = &mut self.rows[row];
                if let Some(other) = row.taken_by.replace(full.clone()) {
                    return Err(format!(
                        "line {} of {} fits {} and {}; write their folders into the table",
                        row.line,
                        self.name,
                        short(&other),
                        short(&full)
                    ));
                }
                let label = row.label.clone();
                Ok((!label.is_empty()).then_some(Labelled { label, part: row.part }))
            }
            [first, second, ..] => Err(format!(
                "lines {} and {} of {} both fit {}",
                self.rows[first].line,
                self.rows[second].line,
                self.name,
                short(&full)
            )),
        }
    }

    /// Describes the rows that no image has taken. Returns `None` if there are none.
    pub(crate) fn unused(&self) -> Option<String> {
        let mut unused = self.rows.iter().filter(|row| row.taken_by.is_none());
        let first = unused.next()?;
        Some(format!(
            "{} of the {} rows of {} are about no image of the set, the first about {} (line {}).",
            1 + unused.count(),
            self.rows.len(),
            self.name,
            short(&joined(&first.components)),
            first.line
        ))
    }

    /// What messages call the table.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// Returns a column's name without what people write differently.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Returns names with composed accents: file systems store accents in two ways.
fn composed<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Vec<String> {
    let compose = |name: S| match name.as_ref() {
        name if is_nfc(name) => name.to_owned(),
        name => name.nfc().collect(),
    };
    names.into_iter().map(compose).collect()
}

/// Returns what the values of the column with the splits stand for. Values that stand for none are
/// missing.
fn parts_in(
    rows: &[(u64, csv::StringRecord)],
    header: &csv::StringRecord,
    columns: &Columns,
) -> BTreeMap<String, Part> {
    let Some(column) = columns.split else { return BTreeMap::new() };
    let values: BTreeSet<&str> = rows.iter().filter_map(|(_, row)| row.get(column)).collect();
    let name = plain(&header[column]);
    let flag = SPLIT_FLAGS.iter().find(|(flag, ..)| *flag == name);
    let Some(&(_, yes, no)) = flag else {
        let parts = parts::parts_of(&values);
        return parts.into_iter().map(|(value, part)| (value.to_owned(), part)).collect();
    };
    let part = |value: &str| match value.to_lowercase().as_str() {
        "1" | "true" | "yes" | "t" | "y" => Some(yes),
        "0" | "false" | "no" | "f" | "n" => Some(no),
        _ => None,
    };
    values.into_iter().filter_map(|value| Some((value.to_owned(), part(value)?))).collect()
}

impl Columns {
    fn holds(&self, column: usize) -> bool {
        [Some(self.file), Some(self.label), self.split].contains(&Some(column))
    }
}

/// Finds the columns by their names or, without a header, takes the first two.
fn columns(first: &csv::StringRecord) -> Result<Columns, String> {
    let names: Vec<String> = first.iter().map(plain).collect();
    let find =
        |known: &[&str]| known.iter().find_map(|known| names.iter().position(|name| name == known));
    let (file, label) = (find(&FILE_COLUMNS), find(&LABEL_COLUMNS));
    let flag = || find(&SPLIT_FLAGS.map(|(name, ..)| name));
    let split = find(&SPLIT_COLUMNS).or_else(flag);
    let is_image = |column: usize| first.get(column).is_some_and(kinds::is_image_name);
    let is_number = |column: usize| first[column].parse::<f64>().is_ok();
    let mut columns = match (file, label) {
        (Some(file), Some(label)) => Columns { file, label, split, has_header: true },
        // No header: the first row is about an image.
        (None, _) if first.len() >= 2 && is_image(0) => {
            Columns { file: 0, label: 1, split: None, has_header: false }
        }
        (None, _) if first.len() == 2 && is_image(1) => {
            Columns { file: 1, label: 0, split: None, has_header: false }
        }
        (Some(file), None) if first.len() == 2 => {
            Columns { file, label: 1 - file, split: None, has_header: true }
        }
        (None, Some(label)) if first.len() == 2 && !is_number(1 - label) => {
            Columns { file: 1 - label, label, split: None, has_header: true }
        }
        _ => {
            let named: Vec<String> = first.iter().take(8).map(short).collect();
            return Err(format!(
                "its first row is {}; call the column with the files \"file\" and the one with \
                 the labels \"label\"",
                named.join(", ")
            ));
        }
    };
    columns.split = columns.split.filter(|&split| split != columns.file && split != columns.label);
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(table: &str, names: &[&str]) -> Result<Vec<Option<String>>, String> {
        let mut table = Table::parse("labels.csv", table.as_bytes())?;
        names
            .iter()
            .map(|name| {
                let components: Vec<String> = name.split('/').map(str::to_owned).collect();
                Ok(table.label(&components)?.map(|labelled| labelled.label))
            })
            .collect()
    }

    fn some(labels: &[&str]) -> Result<Vec<Option<String>>, String> {
        Ok(labels.iter().map(|&label| Some(label.to_owned())).collect())
    }

    #[test]
    fn tables_are_read_as_people_write_them() {
        for table in [
            "file,label\na.png,cat\nb.png,dog\n",
            "label,file\ncat,a.png\ndog,b.png",
            "\u{feff}Image ID;Class\r\na;cat\r\nb;dog\r\n",
            "id\tbreed\na\tcat\nb\tdog\n",
            "file_name,split,label\ntrain/a.png,train,cat\ntrain/b.png,test,dog\n",
            "\"path\",\"class\"\n\"./x/train/a.png\",\"cat\"\n\"train\\b.png\",\"dog\"\n",
            "a.png,cat\nb.png,dog\n",
            "a.png\tcat\t0\t0\t62\t61\nb.png\tdog\t3\t4\t6\t7\n",
            "file,label\na.jpg,cat\na.jpg,cat\nb.jpg,dog\nmissing.jpg,dog\n",
            "file,label\na.png,cat,\nb.png,dog,,\n",
            "cat,a.png\ndog,b.png\n",
            "file,whatever\na.png,cat\nb.png,dog\n",
        ] {
            assert_eq!(
                look(table, &["train/a.png", "train/b.png"]),
                some(&["cat", "dog"]),
                "{table}"
            );
        }
        let quoted = "file,label\n\"a, b.png\",\"red, \"\"ripe\"\"\"\n";
        assert_eq!(look(quoted, &["a, b.png"]), some(&["red, \"ripe\""]));
        // A first row about an image is no header, whatever its label is called.
        assert_eq!(look("0.png,y\n1.png,n\n", &["0.png", "1.png"]), some(&["y", "n"]));
        // A dot in an id is no ending, and accents are stored in two ways.
        let dotted = "id,label\na.1,cat\nb.jpg,dog\n";
        assert_eq!(look(dotted, &["a.png"]), Ok(vec![None]));
        assert_eq!(look(dotted, &["a.1.png", "b.png"]), some(&["cat", "dog"]));
        assert_eq!(look("file,label\n\u{e9}.png,cat\n", &["e\u{301}.png"]), some(&["cat"]));
        let folders = "file,label\na/1.png,cat\nb/1.png,dog\n";
        assert_eq!(look(folders, &["a/1.png", "b/1.png"]), some(&["cat", "dog"]));
        assert_eq!(look(folders, &["c/1.png"]), Ok(vec![None]));
        assert_eq!(look("file,label\na.png,\n", &["a.png", "b.png"]), Ok(vec![None, None]));
    }

    #[test]
    fn what_is_not_clear_is_an_error() {
        let error = |table: &str, names: &[&str]| look(table, names).unwrap_err();
        assert!(error("file,label\na.png,cat\na.png,dog\n", &[]).contains("line 2 gives a.png"));
        assert!(error("file,label\n1,cat\n", &["a/1.png", "b/1.png"]).contains("fits a/1.png and"));
        assert!(error("file,label\nx/1,cat\ny/1,dog\n", &["1.png"]).contains("lines 2 and 3"));
        assert!(error("image,MEL,NV,BCC\na,1,0,0\n", &[]).contains("image, MEL, NV, BCC"));
        assert!(error("", &[]).contains("no rows"));
        assert!(error("file,label\n", &[]).contains("no rows"));
        assert!(error("file,label\na.png\n", &[]).contains("only 1 columns"));
        assert!(error("file,label\n,cat\n", &[]).contains("names no file"));
        assert!(error("a\0b", &[]).contains("UTF-8"));
        assert!(error("image,MEL,NV,BCC\na,1,0,0\n", &[]).contains("\"file\""));
        // What follows a comma is no label's end, and no line is swallowed by a quote.
        let cut = error("file,label\n\n0.png,red, ripe\n", &[]);
        assert!(cut.contains("line 3 has 3 columns, and the first row 2"), "{cut}");
        let open = error("file,label\r\n0.png,\"cat\r\n1.png,dog\r\n", &[]);
        assert!(open.contains("opens in line 2 is not closed"), "{open}");
        let lines = error("file,label\n0.png,\"a\nb\"\n", &[]);
        assert!(lines.contains("line 2 has a field over several lines"), "{lines}");
        assert!(error("0,y\n1,n\n", &[]).contains("first row is 0, y"));
        assert!(Table::parse("x", b"\xff\xfef\0").err().unwrap().contains("UTF-8"));
    }

    #[test]
    fn splits_are_taken_where_every_row_has_one() {
        let parse = |text: &str| Table::parse("labels.csv", text.as_bytes()).unwrap();
        let mut table = parse("file,label,split\na,x,train\nb,y,Test\n");
        let row = table.label(&["b.png".to_owned()]).unwrap().unwrap();
        assert_eq!(row, Labelled { label: "y".into(), part: Some(Part::Test) });
        assert!(table.unused().unwrap().starts_with("1 of the 2 rows"));
        let mut table = parse("file,label,split\na,x,train\nb,y,3\n");
        assert_eq!(table.label(&["a.png".to_owned()]).unwrap().unwrap().part, None);
        assert!(table.notes[1].contains("does not name train"));
    }

    #[test]
    fn splits_are_read_as_in_folders() {
        let read = |header: &str, values: &[&str]| -> Vec<Option<Part>> {
            let rows: String =
                values.iter().zip(0..).map(|(value, n)| format!("{n}.png,x,{value}\n")).collect();
            let text = format!("file,label,{header}\n{rows}");
            let table = Table::parse("labels.csv", text.as_bytes()).unwrap();
            table.rows.iter().map(|row| row.part).collect()
        };
        let (train, validation, test) =
            (Some(Part::Train), Some(Part::Validation), Some(Part::Test));
        for (header, values, wanted) in [
            ("split", ["train", "eval", "test"], [train, validation, test]),
            ("split", ["train", "eval", "train"], [train, test, train]),
            ("Usage", ["Training", "PublicTest", "PrivateTest"], [train, validation, test]),
            ("Usage", ["Training", "PublicTest", "Training"], [train, test, train]),
            ("is_train", ["1", "0", "True"], [train, test, train]),
            ("is_valid", ["False", "True", "0"], [train, validation, train]),
            ("fold", ["1", "2", "3"], [None; 3]),
        ] {
            assert_eq!(read(header, &values), wanted, "{header} {values:?}");
        }
        let twice = "file,label,split\na.png,x,train\na.png,x,test\n";
        let error = Table::parse("labels.csv", twice.as_bytes()).err().unwrap();
        assert_eq!(error, "line 2 has a.png for training, line 3 for test");
    }
}

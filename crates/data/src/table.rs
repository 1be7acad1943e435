//! Labels from a table: a row for each image, with a column for its file and one for its label.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::catalogue::Part;
use crate::leavings::short;
use crate::{DataError, kinds, parts};

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
const SPLIT_COLUMNS: [&str; 4] = ["split", "subset", "partition", "set"];

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

/// What the table says of an image.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Labelled {
    pub(crate) label: String,
    pub(crate) part: Option<Part>,
}

/// Which columns hold what.
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
            .from_reader(text.as_bytes());
        let mut records = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|error| short(&error.to_string()))?;
            if record.iter().any(|field| !field.is_empty()) {
                records.push(record);
            }
        }
        let Some(header) = records.first() else { return Err("it has no rows".to_owned()) };
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
        for record in &records[usize::from(columns.has_header)..] {
            table.add(record, &columns)?;
        }
        table.check_parts(&records, &columns);
        Ok(table)
    }

    /// Adds a row, unless an earlier one says the same.
    fn add(&mut self, record: &csv::StringRecord, columns: &Columns) -> Result<(), String> {
        let line = record.position().map_or(0, csv::Position::line);
        let (Some(file), Some(label)) = (record.get(columns.file), record.get(columns.label))
        else {
            return Err(format!("line {line} has only {} columns", record.len()));
        };
        let file = file.replace('\\', "/");
        let components: Vec<String> = file
            .split('/')
            .filter(|part| !part.is_empty() && *part != ".")
            .map(str::to_owned)
            .collect();
        let Some(last) = components.last().cloned() else {
            return Err(format!("line {line} names no file"));
        };
        let part = columns.split.and_then(|column| parts::part_of(record.get(column)?));
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
            return Ok(());
        }
        if kinds::may_be_image(&kinds::ending(&last))
            && let Some((stem, ending)) = last.rsplit_once('.')
            && !ending.is_empty()
        {
            self.by_stem.entry(stem.to_owned()).or_default().push(self.rows.len());
        }
        self.by_name.entry(last).or_default().push(self.rows.len());
        let label = label.to_owned();
        self.rows.push(Row { components, label, part, line, taken_by: None });
        Ok(())
    }

    /// Takes the splits from the table only if every row names one.
    fn check_parts(&mut self, records: &[csv::StringRecord], columns: &Columns) {
        let Some(column) = columns.split else { return };
        let header = records[0].get(column).map(short).unwrap_or_default();
        let named = self.rows.iter().all(|row| row.part.is_some());
        let some_train = self.rows.iter().any(|row| row.part == Some(Part::Train));
        if named && some_train {
            self.notes.push(format!("Splits are from its column {header}."));
        } else {
            self.rows.iter_mut().for_each(|row| row.part = None);
            self.notes.push(format!(
                "Its column {header} does not name train, val or test in every row, so splits are \
                 not from there."
            ));
        }
    }

    /// Returns what the table says of the image whose folders and name are `components`, or `None`
    /// if it says nothing. An error says why it is not clear.
    pub(crate) fn label(&mut self, components: &[String]) -> Result<Option<Labelled>, String> {
        let Some(name) = components.last() else { return Ok(None) };
        let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
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
        // Folders may be given from further out than the set's, or from further in.
        let folders = &components[..components.len() - 1];
        let agree = |&row: &usize| {
            let row = &self.rows[row].components;
            let row = &row[..row.len() - 1];
            let shared = row.len().min(folders.len());
            (row[row.len() - shared..] == folders[folders.len() - shared..]).then_some(shared)
        };
        candidates.retain(|row| agree(row).is_some());
        let longest = candidates.iter().filter_map(agree).max();
        candidates.retain(|row| agree(row) == longest);
        let full = components.join("/");
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
            short(&first.components.join("/")),
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

/// Finds the columns by their names or, without a header, takes the first two.
fn columns(first: &csv::StringRecord) -> Result<Columns, String> {
    let names: Vec<String> = first.iter().map(plain).collect();
    let find =
        |known: &[&str]| known.iter().find_map(|known| names.iter().position(|name| name == known));
    let (file, label) = (find(&FILE_COLUMNS), find(&LABEL_COLUMNS));
    let split = find(&SPLIT_COLUMNS);
    let mut columns = match (file, label) {
        (Some(file), Some(label)) => Columns { file, label, split, has_header: true },
        (Some(file), None) if first.len() == 2 => {
            Columns { file, label: 1 - file, split: None, has_header: true }
        }
        (None, Some(label)) if first.len() == 2 => {
            Columns { file: 1 - label, label, split: None, has_header: true }
        }
        // No header: the first row is about an image.
        (None, None) if first.len() >= 2 && kinds::is_image_name(&first[0]) => {
            Columns { file: 0, label: 1, split: None, has_header: false }
        }
        _ => {
            let named: Vec<String> = first.iter().take(8).map(short).collect();
            return Err(format!(
                "its first row is {}; call the column with the files file and the one with the \
                 labels label",
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
        assert!(error("file,label\na.png\n", &[]).contains("only 1 columns"));
        assert!(error("file,label\n,cat\n", &[]).contains("names no file"));
        assert!(error("a\0b", &[]).contains("UTF-8"));
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
}

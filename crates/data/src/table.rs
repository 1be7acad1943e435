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
/// Those of them that may as well hold a number of the row or a name of something else.
const UNSURE_FILE_COLUMNS: [&str; 5] = ["id", "name", "key", "imageid", "imgid"];
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
    /// Whether an image has exactly the row's name.
    is_exact: bool,
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
    /// The column that names the split, or all that say by yes or no whether it is one.
    split: Vec<usize>,
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
        let columns = columns(&records)?;
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
            .filter(|&column| !header[column].is_empty() && !columns.holds(column))
            .map(shown)
            .collect();
        if !others.is_empty() {
            table.notes.push(format!("Its other columns are not read: {}.", listed(others.iter())));
        }
        let rows = &records[usize::from(columns.has_header)..];
        if rows.is_empty() {
            return Err("it has a header and no rows".to_owned());
        }
        let (parts, note) = parts_in(rows, header, &columns.split)?;
        table.notes.extend(note);
        for ((line, record), part) in rows.iter().zip(parts) {
            let most = header.len();
            if record.iter().skip(most).any(|field| !field.is_empty()) {
                return Err(format!(
                    "line {line} has {} columns, and the first row {most}; put what has a comma \
                     into double quotes",
                    record.len()
                ));
            }
            table.add(*line, record, part, &columns)?;
        }
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
        self.rows.push(Row { components, label, part, line, is_exact: false, taken_by: None });
        Ok(())
    }

    /// Tells the table of an image, before any is labelled: a row with exactly its name is about no
    /// image that only shares the stem.
    pub(crate) fn expect(&mut self, components: &[String]) {
        let components = composed(components);
        let Some((name, folders)) = components.split_last() else { return };
        for &row in self.by_name.get(name).into_iter().flatten() {
            let row = &mut self.rows[row];
            row.is_exact |= row.agrees(folders).is_some();
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
            candidates.retain(|&row| !self.rows[row].is_exact);
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

/// Returns the part of every row, if `columns` say one, and what to say about that.
///
/// Columns of which no value stands for a part are about something else. Where only some values do,
/// or where no row is for training, only a person can tell what is meant.
fn parts_in(
    rows: &[(u64, csv::StringRecord)],
    header: &csv::StringRecord,
    columns: &[usize],
) -> Result<(Vec<Option<Part>>, Option<String>), String> {
    let nothing = vec![None; rows.len()];
    if columns.is_empty() {
        return Ok((nothing, None));
    }
    let names: Vec<String> = columns.iter().map(|&column| short(&header[column])).collect();
    let names = names.join(", ");
    let fields = |row: &csv::StringRecord| -> Vec<String> {
        columns.iter().map(|&column| row.get(column).unwrap_or_default().to_owned()).collect()
    };
    let values: BTreeSet<Vec<String>> = rows.iter().map(|(_, row)| fields(row)).collect();
    let flags: Vec<(Part, Part)> =
        columns.iter().filter_map(|&column| flag(&plain(&header[column]))).collect();
    let parts: BTreeMap<Vec<String>, Part> = if flags.is_empty() {
        let parts = parts::parts_of(&values.iter().map(|value| value[0].as_str()).collect());
        parts.into_iter().map(|(value, part)| (vec![value.to_owned()], part)).collect()
    } else {
        let part = |value: Vec<String>| part_by_flags(&flags, &value).map(|part| (value, part));
        values.into_iter().filter_map(part).collect()
    };
    if parts.is_empty() {
        let note = format!("Its column {names} names no split, so splits are not from there.");
        return Ok((nothing, Some(note)));
    }
    if let Some((line, row)) = rows.iter().find(|(_, row)| !parts.contains_key(&fields(row))) {
        return Err(format!(
            "line {line} has \"{}\" in the column {names}, which does not say whether it is for \
             train, val or test, as others do; correct it, take the row away, or take the column \
             away to divide the images by seed",
            short(&fields(row).join(", "))
        ));
    }
    let read = parts
        .iter()
        .map(|(value, part)| format!("{} for {}", short(&value.join("/")), part.name()));
    let read: Vec<String> = read.collect();
    let read = listed(read.iter());
    if !parts.values().any(|&part| part == Part::Train) {
        return Err(format!(
            "its column {names} has {read}, and no row for training; name the rows to learn from \
             train, or take the column away to divide the images by seed"
        ));
    }
    let note = format!("Splits are from its column {names}: {read}.");
    Ok((rows.iter().map(|(_, row)| parts.get(&fields(row)).copied()).collect(), Some(note)))
}

/// Returns what yes and no mean in a column of this name, if it says whether images are of a part.
fn flag(name: &str) -> Option<(Part, Part)> {
    SPLIT_FLAGS.iter().find(|(flag, ..)| *flag == name).map(|&(_, yes, no)| (yes, no))
}

/// Returns the part of a row by the values of all its flags. Several that contradict each other, or
/// that all say no though one is for training, say nothing.
fn part_by_flags(flags: &[(Part, Part)], values: &[String]) -> Option<Part> {
    let mut yes = BTreeSet::new();
    for (&(part, _), value) in flags.iter().zip(values) {
        match value.to_lowercase().as_str() {
            "1" | "true" | "yes" | "t" | "y" => {
                yes.insert(part);
            }
            "0" | "false" | "no" | "f" | "n" => {}
            _ => return None,
        }
    }
    match (yes.len(), flags) {
        (0, [(_, no)]) => Some(*no),
        (0, _) => flags.iter().all(|&(part, _)| part != Part::Train).then_some(Part::Train),
        (1, _) => yes.pop_first(),
        _ => None,
    }
}

impl Columns {
    fn holds(&self, column: usize) -> bool {
        column == self.file || column == self.label || self.split.contains(&column)
    }
}

/// Finds the columns by their names or, without a header, takes the first two.
fn columns(records: &[(u64, csv::StringRecord)]) -> Result<Columns, String> {
    let Some(((_, first), rows)) = records.split_first() else {
        return Err("it has no rows".to_owned());
    };
    let names: Vec<String> = first.iter().map(plain).collect();
    let find =
        |known: &[&str]| known.iter().find_map(|known| names.iter().position(|name| name == known));
    // Beside x, y is a coordinate.
    let is_place =
        |&column: &usize| names[column] == "y" && names.len() > 2 && find(&["x"]).is_some();
    let file = find(&FILE_COLUMNS);
    let label = find(&LABEL_COLUMNS).filter(|column| !is_place(column)).or_else(|| {
        let after = LABEL_COLUMNS.iter().position(|&name| name == "y")? + 1;
        find(&LABEL_COLUMNS[after..])
    });
    let is_image = |column: usize| first.get(column).is_some_and(kinds::is_image_name);
    let is_number = |column: usize| first[column].parse::<f64>().is_ok();
    let filled = first.iter().filter(|field| !field.is_empty()).count();
    let plain_label = |column: usize| !is_image(column) && (filled == 2 || !is_number(column));
    let split = Vec::new();
    let mut columns = match (file, label) {
        (Some(file), Some(label)) => {
            let file = sure_file(first, rows, file, label)?;
            Columns { file, label, split, has_header: true }
        }
        // No header: the first row is about an image.
        (None, _) if first.len() >= 2 && is_image(0) && plain_label(1) => {
            Columns { file: 0, label: 1, split, has_header: false }
        }
        (None, _) if first.len() == 2 && is_image(1) && !is_image(0) => {
            Columns { file: 1, label: 0, split, has_header: false }
        }
        (Some(file), None) if first.len() == 2 => {
            Columns { file, label: 1 - file, split, has_header: true }
        }
        (None, Some(label)) if first.len() == 2 && !is_number(1 - label) && !is_image(label) => {
            Columns { file: 1 - label, label, split, has_header: true }
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
    if columns.has_header {
        let free = |column: &usize| !columns.holds(*column);
        columns.split = match find(&SPLIT_COLUMNS).filter(free) {
            Some(column) => vec![column],
            None => (0..names.len())
                .filter(|column| free(column) && flag(&names[*column]).is_some())
                .collect(),
        };
    }
    Ok(columns)
}

/// Returns the column with the files, which is `file` unless that may hold something else and
/// another column has the names of images.
fn sure_file(
    header: &csv::StringRecord,
    rows: &[(u64, csv::StringRecord)],
    file: usize,
    label: usize,
) -> Result<usize, String> {
    let has_images = |&column: &usize| {
        rows.iter().all(|(_, row)| row.get(column).is_some_and(kinds::is_image_name))
    };
    if !UNSURE_FILE_COLUMNS.contains(&plain(&header[file]).as_str()) || has_images(&file) {
        return Ok(file);
    }
    let others = (0..header.len()).filter(|&column| column != label && column != file);
    let others: Vec<usize> = others.filter(has_images).collect();
    let is_known = |column: usize| FILE_COLUMNS.contains(&plain(&header[column]).as_str());
    match others[..] {
        [] => Ok(file),
        [column] if is_known(column) => Ok(column),
        [column, ..] => Err(format!(
            "its columns {} and {} may both say which file a row is about; call the one with the \
             files \"file\"",
            short(&header[file]),
            short(&header[column])
        )),
    }
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
        let mut table = parse("file,label,split\na,x,1\nb,y,3\n");
        assert_eq!(table.label(&["a.png".to_owned()]).unwrap().unwrap().part, None);
        assert!(table.notes[1].contains("names no split"));
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

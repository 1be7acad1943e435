//! The files of a crate form no circles, and no function is too long to be read at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A module by the names on the way to it; the root of a crate has none.
type Module = Vec<String>;

/// Circles that are still there: crate, module above, and the modules of the circle. Shorten this
/// list; nothing may be added to it.
const CIRCLES: [&str; 0] = [];

/// Lines that a function may have, from its name to its closing brace.
const LONGEST: usize = 100;

/// Functions that are still longer. Shorten this list; nothing may be added to it.
const LONG: [&str; 1] = ["train: every_number_is_that_of_its_source"];

/// Two modules side by side, each with what lies below it, use each other in one direction only.
#[test]
fn modules_form_no_circles() {
    let found: Vec<String> = crates().iter().flat_map(|folder| circles(folder)).collect();
    assert_eq!(found, CIRCLES);
}

#[test]
fn functions_are_short() {
    let mut found = Vec::new();
    for folder in crates() {
        for (_, path) in modules(&folder) {
            let text = std::fs::read_to_string(&path).unwrap();
            for (name, length) in functions(&text) {
                if length > LONGEST {
                    let crate_name = folder.file_name().unwrap().to_string_lossy();
                    found.push(format!("{crate_name}: {name}"));
                }
            }
        }
    }
    found.sort();
    assert_eq!(found, LONG);
}

/// The scan sees what it is to see.
#[test]
fn paths_and_functions_are_read() {
    let text = "use super::a::{self, B, c::{D, E as F}}; // use crate::no;\n\
                pub use crate::x;\nfn short() {}\npub(crate) unsafe fn long(\n    a: u8,\n) {\n    \
                crate::y::z(if a {\n    });\n}\n#[cfg(test)]\nmod tests {\n    use crate::w;\n}";
    let found: Vec<String> = paths(text).iter().map(|path| path.join("::")).collect();
    let expected = ["super::a", "super::a::B", "super::a::c::D", "super::a::c::E", "crate::x"];
    assert_eq!(found, [&expected[..], &["crate::y::z"]].concat());
    assert_eq!(functions(text), [("long".to_owned(), 6)]);
}

fn crates() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut crates: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    crates.sort();
    crates
}

/// The modules of a crate, and their files.
fn modules(folder: &Path) -> BTreeMap<Module, PathBuf> {
    let source = folder.join("src");
    let (mut files, mut folders) = (Vec::new(), vec![source.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension() {
                Some(end) if end == "rs" => files.push(path),
                _ if path.is_dir() => folders.push(path),
                _ => {}
            }
        }
    }
    let module = |path: PathBuf| {
        let inside = path.strip_prefix(&source).unwrap().with_extension("");
        let mut names: Module =
            inside.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        names.pop_if(|last| ["lib", "main", "mod"].contains(&last.as_str()));
        (names, path)
    };
    files.into_iter().map(module).collect()
}

/// The functions of a file that `cargo fmt` has written, each with its lines.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut functions = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let indent = &line[..line.len() - line.trim_start().len()];
        let Some(name) = function_name(line.trim_start()) else { continue };
        let end = lines[start..].iter().position(|line| {
            let rest = line.strip_prefix(indent).unwrap_or_default();
            // The closing brace, or the end of a declaration or of a function on one line.
            rest == "}" || rest.starts_with(") ") && rest.ends_with(';')
        });
        let one_line = line.ends_with('}') || line.ends_with(';');
        if let (false, Some(end)) = (one_line, end) {
            functions.push((name.to_owned(), end + 1));
        }
    }
    functions
}

fn function_name(line: &str) -> Option<&str> {
    let (before, after) = match line.strip_prefix("fn ") {
        Some(after) => ("", after),
        None => line.split_once(" fn ")?,
    };
    let qualifier = |word: &str| {
        ["const", "async", "unsafe", "extern", "\"C\""].contains(&word) || word.starts_with("pub")
    };
    let name = after.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    (before.split_whitespace().all(qualifier) && !name.is_empty()).then_some(name)
}

/// The circles of a crate, in words.
fn circles(folder: &Path) -> Vec<String> {
    let modules = modules(folder);
    let uses: BTreeMap<&Module, Vec<Vec<String>>> = modules
        .iter()
        .map(|(module, path)| (module, paths(&std::fs::read_to_string(path).unwrap())))
        .collect();
    // What each module passes on: the name, and the module that it comes from.
    let passed_on: BTreeMap<(&Module, &String), Module> = uses
        .iter()
        .flat_map(|(module, paths)| paths.iter().map(move |path| (*module, path)))
        .filter_map(|(module, path)| {
            let (from, _) = resolve(&modules, module, path)?;
            Some(((module, path.last()?), from))
        })
        .collect();

    // By the module above: which of those below uses which other.
    let mut edges: BTreeMap<Module, BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
    let mut named = Vec::new();
    for (module, paths) in &uses {
        for path in paths {
            let Some((mut target, item)) = resolve(&modules, module, path) else { continue };
            if let Some(from) = item.and_then(|item| passed_on.get(&(&target, item)))
                && from.starts_with(&target)
            {
                target = from.clone();
            }
            named.push(((*module).clone(), target));
        }
    }
    for (module, target) in &named {
        let common = module.iter().zip(target).take_while(|(a, b)| a == b).count();
        if let (Some(a), Some(b)) = (module.get(common), target.get(common)) {
            let below = edges.entry(module[..common].to_vec()).or_default();
            below.entry(a).or_default().insert(b);
        }
    }
    let name = folder.file_name().unwrap().to_string_lossy();
    let mut found = Vec::new();
    for (above, uses) in &edges {
        let mut circles: BTreeSet<Vec<&str>> = BTreeSet::new();
        for start in uses.keys() {
            let circle: Vec<&str> = reached(uses, start)
                .into_iter()
                .filter(|other| reached(uses, other).contains(start))
                .collect();
            circles.extend((!circle.is_empty()).then_some(circle));
        }
        let place = [&[name.to_string()], &above[..]].concat().join(" ");
        found.extend(circles.iter().map(|circle| format!("{place}: {}", circle.join(", "))));
    }
    found
}

/// All that `start` uses, directly or not.
fn reached<'a>(uses: &BTreeMap<&'a str, BTreeSet<&'a str>>, start: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next = vec![start];
    while let Some(module) = next.pop() {
        for &used in uses.get(module).into_iter().flatten() {
            if reached.insert(used) {
                next.push(used);
            }
        }
    }
    reached
}

/// The module that a path from `module` leads to, and the item of it that is named.
fn resolve<'a>(
    modules: &BTreeMap<Module, PathBuf>,
    module: &Module,
    path: &'a [String],
) -> Option<(Module, Option<&'a String>)> {
    let (first, mut rest) = path.split_first()?;
    let mut target = match first.as_str() {
        "crate" => Vec::new(),
        "self" => module.clone(),
        "super" => module.split_last()?.1.to_vec(),
        child => {
            rest = path;
            let below = [&module[..], &[child.to_owned()]].concat();
            modules.contains_key(&below).then(|| module.clone())?
        }
    };
    while let Some((name, after)) = rest.split_first() {
        match name.as_str() {
            "super" => drop(target.pop()),
            name => {
                let below = [&target[..], &[name.to_owned()]].concat();
                if !modules.contains_key(&below) {
                    break;
                }
                target = below;
            }
        }
        rest = after;
    }
    Some((target, rest.first()))
}

/// The paths that a file names: those of its `use` declarations, spelt out, and those that begin
/// with `crate`, `super` or `self` elsewhere; without comments, and without its tests.
fn paths(text: &str) -> Vec<Vec<String>> {
    let code: Vec<&str> = text
        .split("#[cfg(test)]\nmod ")
        .next()
        .unwrap_or_default()
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect();
    let code = code.join("\n");
    let mut paths = Vec::new();
    for statement in code.split(';') {
        let declaration = statement.rsplit_once("use ").filter(|(before, _)| {
            let word = before.rsplit(['\n', '}']).next().unwrap_or_default().trim();
            word.is_empty() || word.starts_with("pub")
        });
        match declaration {
            Some((_, tree)) => spell_out(tree.trim(), &mut Vec::new(), &mut paths),
            None => {
                for start in ["crate::", "super::", "self::"] {
                    for (at, _) in statement.match_indices(start) {
                        let named = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
                        let before = statement[..at].chars().next_back();
                        if before.is_some_and(named) {
                            continue;
                        }
                        let path = statement[at..].split(|c| !named(c)).next().unwrap_or_default();
                        let names = path.split("::").filter(|name| !name.is_empty());
                        paths.push(names.map(str::to_owned).collect());
                    }
                }
            }
        }
    }
    paths
}

/// The paths of a tree such as `a::{b, c::{self, d}}`, behind those names that stand before it.
fn spell_out(tree: &str, before: &mut Vec<String>, paths: &mut Vec<Vec<String>>) {
    let depth = before.len();
    let (path, group) = match tree.split_once('{') {
        Some((path, group)) => (path, Some(group.rsplit_once('}').map_or(group, |(g, _)| g))),
        None => (tree.split(" as ").next().unwrap_or_default(), None),
    };
    let names = path.split("::").map(str::trim).filter(|name| !name.is_empty());
    before.extend(names.filter(|name| depth == 0 || *name != "self").map(str::to_owned));
    match group {
        None => paths.push(before.clone()),
        Some(group) => {
            let (mut start, mut open) = (0, 0_usize);
            let mut parts = Vec::new();
            for (at, c) in group.char_indices() {
                match c {
                    '{' => open += 1,
                    '}' => open = open.saturating_sub(1),
                    ',' if open == 0 => {
                        parts.push(&group[start..at]);
                        start = at + 1;
                    }
                    _ => {}
                }
            }
            parts.push(&group[start..]);
            for part in parts.into_iter().map(str::trim).filter(|part| !part.is_empty()) {
                spell_out(part, before, paths);
            }
        }
    }
    before.truncate(depth);
}

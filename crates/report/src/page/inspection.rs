//! The inspection of a data set: what it holds, what was left out, copies, images that stand out,
//! and what training would do.

use maud::{Markup, html};

use super::chart::{Dot, Scale, scatter};
use super::{Section, dataset, document, pair_named, protocol, rendering};
use crate::Sprite;
use crate::format::{count, counted, number, percent};
use crate::inspection::{
    COPIES_FILE, Counts, FileSize, Finding, INSPECTION_FILE, ImageName, Inspection, NearCopy,
    Outliers, crosses_splits, labels_differ, words,
};

/// Number of classes that the table shows without a click.
const CLASSES: usize = 20;
/// Number of sizes that are named.
const SIZES: usize = 8;
/// Number of exact copies of a group that are named.
const NAMED: usize = 6;
/// Maximum number of sizes that are drawn.
const DOTS: usize = 1000;

/// Draws an inspection as one HTML page that needs no other file and no network. The same
/// inspection always gives the same bytes.
pub fn render_inspection(inspection: &Inspection) -> String {
    let page = Page { inspection, sheet: inspection.pictures.as_ref() };
    let sections: Vec<Section> = [
        page.leaks(),
        page.copies(),
        page.outliers(),
        Some(page.classes()),
        Some(page.files()),
        Some(page.plan()),
        Some(page.again()),
    ]
    .into_iter()
    .flatten()
    .collect();
    let title = format!("Inspection of {}", inspection.dataset.name);
    document(&title, &inspection.selfsame, page.header(&title), &sections, None)
}

struct Page<'a> {
    inspection: &'a Inspection,
    sheet: Option<&'a Sprite>,
}

impl Page<'_> {
    fn header(&self, title: &str) -> Markup {
        let Inspection { dataset, classes, .. } = self.inspection;
        html! {
            (self.style())
            p.eyebrow { (title) }
            h1.verdict { (words::verdict(self.inspection)) }
            @for finding in words::others(self.inspection) {
                p.judgement { (words::finding(finding)) @if let Some(place) = place(finding) { " " a href={ "#" (place) } { "Look" } } }
            }
            ul.facts {
                li { (counted(dataset.train, "training image", "training images")) }
                li { (count(dataset.validation)) " validation" }
                li { (count(dataset.test)) " test" }
                li { @if classes.is_empty() { "no labels" } @else { (counted(classes.len() as u64, "class", "classes")) } }
                li { (dataset.image_size) " × " (dataset.image_size) " pixels" }
            }
        }
    }

    /// Declares the sheet of pictures once for all sections.
    fn style(&self) -> Markup {
        let Some(sheet) = self.sheet else { return html! {} };
        html! { style { ":root{--sheet:url(" (maud::PreEscaped(sheet.data_uri())) ");--rendering:" (rendering(sheet)) "}" } }
    }

    /// Draws the picture of an image, if the page has it.
    fn picture(&self, image: &ImageName) -> Markup {
        super::picture(self.sheet, image.tile, &image.name)
    }

    fn leaks(&self) -> Option<Section> {
        let pairs: Vec<&NearCopy> = self
            .inspection
            .copies
            .near
            .iter()
            .filter(|pair| crosses_splits(&pair.images))
            .collect();
        let exact: Vec<&Vec<ImageName>> =
            self.inspection.copies.exact.iter().filter(|group| crosses_splits(group)).collect();
        if pairs.is_empty() && exact.is_empty() {
            return None;
        }
        // What is measured comes after what was trained on; the other way round says nothing more.
        let order = ["train", "validation", "test"];
        let place = |split: &str| order.iter().position(|name| *name == split);
        let crossings = &self.inspection.copies.crossings;
        let crossings = crossings.iter().filter(|found| place(found.split) > place(found.of));
        let body = html! {
            p.lead { "A test image that training has seen, or one almost like it, tells nothing about new images." }
            table.protocol { tbody { @for found in crossings {
                tr {
                    th scope="row" { (counted((found.exact + found.near) as u64, "image", "images")) " of " (found.split) }
                    td { "with a copy in " (found.of) ": " (count(found.exact as u64)) " exact, " (count(found.near as u64)) " near" }
                }
            } } }
            (self.groups("Exact copies", &exact))
            (self.pairs("Near copies", &pairs))
        };
        Some(Section { id: "leaks", short: "Leaks", title: "Copies across splits", body })
    }

    fn copies(&self) -> Option<Section> {
        let copies = &self.inspection.copies;
        let pairs: Vec<&NearCopy> =
            copies.near.iter().filter(|pair| !crosses_splits(&pair.images)).collect();
        let exact: Vec<&Vec<ImageName>> =
            copies.exact.iter().filter(|group| !crosses_splits(group)).collect();
        let groups: Vec<&Vec<ImageName>> = copies.groups.iter().collect();
        if copies.exact.is_empty() && copies.near.is_empty() {
            let body =
                html! { p.lead { "Of all splits, " (words::no_copies(self.inspection)) "." } };
            return Some(Section { id: "copies", short: "Copies", title: "Copies", body });
        }
        if pairs.is_empty() && exact.is_empty() && groups.is_empty() {
            return None;
        }
        let body = html! {
            p.lead {
                "Images that are there more than once count more than once, in training and in every measure. "
                code { (COPIES_FILE) } " lists all copies, one on each line."
            }
            (self.groups("Exact copies", &exact))
            (self.pairs("Near copies", &pairs))
            (self.groups("Groups of three and more", &groups))
        };
        Some(Section { id: "copies", short: "Copies", title: "Copies within a split", body })
    }

    fn groups(&self, title: &str, groups: &[&Vec<ImageName>]) -> Markup {
        let shown = groups.iter().filter(|group| group.iter().any(|image| image.tile.is_some()));
        html! {
            @if !groups.is_empty() {
                h3 { (title) ": " (counted(groups.len() as u64, "group", "groups")) }
                div.parts {
                    @for group in shown.clone() {
                        article {
                            p.quiet { (counted(group.len() as u64, "image", "images")) ": " (places(group)) @if labels_differ(group) { " " b { "Their labels differ." } } }
                            div.strip { @for image in group.iter() { (self.picture(image)) } }
                            p.names { @for (at, image) in group.iter().take(NAMED).enumerate() { @if at > 0 { br; } (image.name) }
                                @if group.len() > NAMED { br; "and " (count((group.len() - NAMED) as u64)) " more" } }
                        }
                    }
                }
                (self.rest(shown.count(), groups.len(), ["group", "groups"]))
            }
        }
    }

    fn pairs(&self, title: &str, pairs: &[&NearCopy]) -> Markup {
        let shown = pairs.iter().filter(|pair| pair.images[0].tile.is_some());
        html! {
            @if !pairs.is_empty() {
                h3 { (title) ": " (counted(pairs.len() as u64, "pair", "pairs")) ", those with different labels first, then the closest" }
                div.closest.twins { @for pair in shown.clone() { (self.pair(pair)) } }
                (self.rest(shown.count(), pairs.len(), ["pair", "pairs"]))
            }
        }
    }

    fn pair(&self, pair: &NearCopy) -> Markup {
        let [a, b] = &pair.images;
        let classes = [&a.class, &b.class].map(Option::as_deref);
        html! {
            figure {
                div.strip { (self.picture(a)) (self.picture(b)) }
                figcaption {
                    (pair_named(classes, [a.split, b.split]))
                    " · closeness " (format!("{:.2}", pair.closeness))
                    @if pair.mirrored { " · mirrored" }
                    br; (a.name) br; (b.name)
                }
            }
        }
    }

    fn rest(&self, shown: usize, all: usize, [one, many]: [&str; 2]) -> Markup {
        html! {
            @if shown < all { p.quiet { "And " (counted((all - shown) as u64, one, many)) " more, in " code { (INSPECTION_FILE) } "." } }
        }
    }

    fn outliers(&self) -> Option<Section> {
        let (some, none): (Vec<&Outliers>, Vec<&Outliers>) =
            self.inspection.outliers.iter().partition(|outliers| !outliers.images.is_empty());
        let body = html! {
            p.lead { "Images that differ from the others in ways that are seldom meant. The most extreme come first." }
            @for outliers in &some { (self.kind(outliers)) }
            @if !none.is_empty() {
                details {
                    summary { "Not found: " (none.iter().map(|outliers| words::name(outliers.kind).to_lowercase()).collect::<Vec<_>>().join(", ")) }
                    @for outliers in &none { (self.kind(outliers)) }
                }
            }
        };
        Some(Section { id: "outliers", short: "Outliers", title: "Images that stand out", body })
    }

    fn kind(&self, outliers: &Outliers) -> Markup {
        let shown = outliers.images.iter().filter(|outlier| outlier.image.tile.is_some());
        html! {
            h3 { (words::name(outliers.kind)) ": " (count(outliers.images.len() as u64)) }
            p.quiet { "Measured: " (words::measure(outliers.kind)) ". " (words::threshold(outliers)) }
            @if !outliers.images.is_empty() {
                div.closest { @for outlier in shown.clone() {
                    figure {
                        div.strip.one { (self.picture(&outlier.image)) }
                        figcaption { @if let Some(class) = &outlier.image.class { b { (class) } " " } (number(outlier.value)) br; (outlier.image.name) }
                    }
                } }
                (self.rest(shown.count(), outliers.images.len(), ["image", "images"]))
            }
        }
    }

    fn classes(&self) -> Section {
        let Inspection { classes, balance, examples, .. } = self.inspection;
        let most = classes.iter().map(|class| class.images.all()).max().unwrap_or(1).max(1);
        let row = |(at, class): (usize, &crate::inspection::ClassCounts)| {
            html! {
                tr {
                    th scope="row" { (class.name) }
                    td { (bar(class.images, most)) }
                    td { (count(class.images.train as u64)) }
                    td { (count(class.images.validation as u64)) }
                    td { (count(class.images.test as u64)) }
                    td { div.strip { @for image in examples.get(at).into_iter().flatten() { (self.picture(image)) } } }
                }
            }
        };
        let rows: Vec<Markup> = classes.iter().enumerate().map(row).collect();
        let head = html! { thead { tr { th scope="col" { "Class" } th scope="col" { "Share" } @for (split, short) in [("train", "Train"), ("validation", "Val."), ("test", "Test")] { th scope="col" { i.swatch class=(split) {} (short) } } th scope="col" { "Examples from training" } } } };
        let body = html! {
            @if classes.is_empty() {
                p.lead { "The images have no labels. Some of training:" }
                div.strip.wide { @for image in examples.iter().flatten() { (self.picture(image)) } }
            } @else {
                @if let Some(balance) = balance {
                    p.lead {
                        @if balance.largest.1 == balance.smallest.1 {
                            "Every class has " (counted(balance.largest.1 as u64, "training image", "training images")) "."
                        } @else {
                            "The largest class, " b { (balance.largest.0) } ", has " (counted(balance.largest.1 as u64, "training image", "training images"))
                            "; the smallest, " b { (balance.smallest.0) } ", has " (count(balance.smallest.1 as u64))
                            "."
                        }
                    }
                }
                div.scroll.card tabindex="0" role="region" aria-label="Table of classes" { table.classes.inspected { (head) tbody { @for row in rows.iter().take(CLASSES) { (row) } } } }
                @if rows.len() > CLASSES {
                    details { summary { (counted((rows.len() - CLASSES) as u64, "class", "classes")) " more" }
                        div.scroll.card tabindex="0" role="region" aria-label="Table of further classes" { table.classes.inspected { (head) tbody { @for row in rows.iter().skip(CLASSES) { (row) } } } }
                    }
                }
            }
        };
        Section { id: "classes", short: "Classes", title: "Classes and splits", body }
    }

    fn files(&self) -> Section {
        let Inspection { dataset, files, .. } = self.inspection;
        let named = |counts: &mut dyn Iterator<Item = (String, usize)>| {
            let parts = counts.map(|(name, images)| format!("{name}: {}", count(images as u64)));
            parts.collect::<Vec<_>>().join(", ")
        };
        let sizes = files.sizes.iter().take(SIZES);
        let sizes =
            &mut sizes.map(|size| (format!("{} × {}", size.width, size.height), size.images));
        let rest: usize = files.sizes.iter().skip(SIZES).map(|size| size.images).sum();
        let rest = Some(("others".to_owned(), rest)).filter(|(_, images)| *images > 0);
        let marks = [
            ("turned by EXIF", files.turned),
            ("transparent", files.transparent),
            ("with further pictures", files.several),
        ];
        let marks = marks.iter().filter(|(_, images)| *images > 0);
        let rows = [
            ("Formats", named(&mut files.formats.iter().cloned())),
            ("Sizes", named(&mut sizes.chain(rest))),
            (
                "Bits a channel",
                named(&mut files.bits.iter().map(|(bits, n)| (bits.to_string(), *n))),
            ),
            ("Special", named(&mut marks.map(|(name, images)| ((*name).to_owned(), *images)))),
        ];
        let body = html! {
            table.protocol { tbody { @for (name, value) in &rows { @if !value.is_empty() { tr { th scope="row" { (name) } td { (value) } } } } } }
            (self.shapes())
            @if !dataset.notes.is_empty() { ul.notes { @for note in &dataset.notes { li { (note) } } } }
            @for folder in &dataset.lost { (dataset::lost(folder)) }
            @if dataset.skipped.is_empty() { p { "No image was left out." } }
            @else { (dataset::skipped(&dataset.skipped, INSPECTION_FILE)) }
        };
        Section { id: "files", short: "Files", title: "What was read and what was left out", body }
    }

    /// Draws the sizes of files, if there are several.
    fn shapes(&self) -> Markup {
        let sizes = &self.inspection.files.sizes;
        if sizes.len() < 2 {
            return html! {};
        }
        let dot = |size: &FileSize| Dot {
            x: size.width.into(),
            y: size.height.into(),
            title: format!(
                "{} × {}: {}",
                size.width,
                size.height,
                counted(size.images as u64, "image", "images")
            ),
            label: None,
        };
        let dots: Vec<Dot<'_>> = sizes.iter().take(DOTS).map(dot).collect();
        let heading = html! { h3 { "Height over width, in pixels, as stored" } };
        html! { div.charts { (scatter(heading, "heights over widths of files", "width", &dots, Scale::Plain)) } }
    }

    fn plan(&self) -> Section {
        let plan = &self.inspection.plan;
        let rows = [
            ("Method", plan.method.clone()),
            ("Augmentation", plan.augment.clone()),
            ("Encoder", plan.encoder.clone()),
            ("Batch", counted(plan.batch as u64, "image", "images")),
            ("Epochs", count(plan.epochs as u64)),
            ("Steps", count(plan.steps as u64)),
        ];
        let refused = self.inspection.findings.iter().find_map(|finding| match finding {
            Finding::Refused { .. } => Some(words::finding(finding)),
            _ => None,
        });
        let body = html! {
            @if let Some(refused) = refused { p.lead { (refused) } } @else {
                p.lead { "What " code { "selfsame study" } " would do with these images, unless told otherwise." }
                table.protocol { tbody { @for (name, value) in &rows { tr { th scope="row" { (name) } td { (value) } } } } }
            }
        };
        Section { id: "plan", short: "Training", title: "What training would do", body }
    }

    fn again(&self) -> Section {
        let copies = &self.inspection.copies;
        let body = html! {
            @if copies.searched { p.lead {
                "Images count as near copies if they are much nearer to each other than to other images: once brightness and contrast \
                 are taken out, by the distance of the whole picture and of its details, at " (copies.side) " × " (copies.side)
                " pixels, as they are and mirrored. The unit is an image’s distance from the eighth nearest of a sample; a closeness of 0 \
                 is a copy, and up to " (number(copies.threshold)) " is near in this set: chance alone would make a pair of one image in 1,000. Pictures that are cropped, turned or moved \
                 by more than a little are not found."
                @if copies.flat > 0 { " " (counted(copies.flat as u64, "flat image was", "flat images were")) " not compared." }
            } } @else {
                p.lead { "Images count as exact copies if all their pixels are equal once decoded. Near copies were not searched for." }
            }
            p { code { (INSPECTION_FILE) } " lists everything by name." }
            @if !self.inspection.command.is_empty() { (protocol::command(&self.inspection.command)) }
        };
        Section { id: "protocol", short: "Protocol", title: "How it was measured", body }
    }
}

/// Returns the section that shows what a finding is about.
fn place(finding: &Finding) -> Option<&'static str> {
    match finding {
        Finding::Leak { .. } => Some("leaks"),
        Finding::Repeats { .. } => Some("copies"),
        Finding::Untrained { .. } | Finding::Untested { .. } | Finding::Imbalance(_) => {
            Some("classes")
        }
        Finding::Lost { .. } | Finding::LeftOut { .. } | Finding::Unread { .. } => Some("files"),
        Finding::Outliers { .. } => Some("outliers"),
        Finding::Contradiction { .. }
        | Finding::Refused { .. }
        | Finding::FewTested { .. }
        | Finding::Unlabelled => None,
    }
}

/// Draws the images of a class as a bar, split by split, beside the largest class of `most` images.
fn bar(images: Counts, most: usize) -> Markup {
    let share = images.all() as f64 / most as f64;
    html! {
        span.splits style={ "width:" (format!("{:.1}%", 100.0 * share)) } title=(percent(share)) {
            @for (name, count) in [("train", images.train), ("validation", images.validation), ("test", images.test)] {
                @if count > 0 { span class=(name) style={ "flex-grow:" (count) } {} }
            }
        }
    }
}

/// Names the classes and splits of a group of images.
fn places(group: &[ImageName]) -> String {
    let mut parts: Vec<String> = Vec::new();
    for image in group {
        let class = image.class.as_ref().map(|class| format!("{class}, ")).unwrap_or_default();
        let place = format!("{class}{}", image.split);
        if !parts.contains(&place) {
            parts.push(place);
        }
    }
    parts.join("; ") + "."
}

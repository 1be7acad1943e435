//! The page of a forecast: the recommendation, the ranking, the curves, unusual images, the nearest
//! views, and how to repeat the forecast.

use maud::{Markup, html};

use super::chart::{Axis, whisker};
use super::lines::{Line, Lines, Path, style};
use super::{Section, dataset, document, next, protocol};
use crate::forecast::{
    ClassForecast, Closest, Delta, Forecast, Measured, PolicyForecast, distance, sign,
};
use crate::format::{count, counted, number, percent, sentence_list, signed};
use crate::next::{after_forecast, images, option};
use crate::sprite::Sprite;

/// Maximum number of groups of copies that are shown.
const GROUPS: usize = 40;
/// Maximum number of images shown of a main part, and of the unusual images of a class.
const SHOWN: usize = 24;

/// Draws a forecast as one HTML page that needs no other file and no network. The same forecast
/// always gives the same bytes.
///
/// All text is escaped. Works for any record; missing parts are left out.
pub fn render_forecast(forecast: &Forecast) -> String {
    let sections = [
        Some(ranking(forecast)),
        next::section(&after_forecast(forecast, &data(forecast), "abcde")),
        curves(forecast),
        classes(forecast),
        copies(forecast),
        closest(forecast),
        Some(again(forecast)),
    ];
    let sections: Vec<Section> = sections.into_iter().flatten().collect();
    let title = format!("Forecast for {}", forecast.dataset);
    document(&title, &forecast.selfsame, header(forecast), &sections, None)
}

/// Returns how the images are typed.
fn data(forecast: &Forecast) -> String {
    let data = option(&forecast.command, "--data").unwrap_or_else(|| forecast.dataset.clone());
    images(&forecast.command, &data)
}

/// Returns the policy whose classes are shown: the recommended policy, or otherwise the first.
fn chosen(forecast: &Forecast) -> Option<&PolicyForecast> {
    forecast.policies.get(forecast.recommended.first().copied().unwrap_or(0))
}

fn header(forecast: &Forecast) -> Markup {
    let advice = forecast.sentences();
    let (first, rest) = match advice.split_first() {
        Some((first, rest)) => (first.as_str(), rest),
        None => ("Nothing could be forecast.", &[][..]),
    };
    html! {
        p.eyebrow { "Forecast for " (forecast.dataset) }
        h1.verdict { (prose(first)) }
        @for sentence in rest { p.judgement { (prose(sentence)) } }
        ul.facts {
            li { (counted(forecast.images.len() as u64, "image", "images")) " \
                of " (counted(forecast.classes.len() as u64, "class", "classes")) }
            @if let Some(from) = taken_from(forecast) { li { (from) } }
            li { (counted(forecast.views as u64, "view", "views")) " of \
                each" @if forecast.original { " beside the image itself" } }
            li { (forecast.space) }
            li { "seed " (forecast.seed) }
            @if forecast.assumed { li.warn { "classes are assumed" } }
        }
        @for note in &forecast.notes { p.warning role="note" { (prose(note)) } }
        @if !forecast.duplicates.is_empty() {
            p.warning role="note" { (counted(forecast.duplicates.len() as u64, "image \
                is", "images are")) " there more than once: \
    see " a href="#copies" { "copies" } "." }
        }
        @if !forecast.skipped.is_empty() { (dataset::skipped(&forecast.skipped, crate::forecast::FORECAST_FILE)) }
    }
}

/// Describes which images the measured images were taken from.
fn taken_from(forecast: &Forecast) -> Option<String> {
    let [measured, training, all] =
        [forecast.images.len(), forecast.training_images, forecast.all_images];
    let [training, all] = [training, all].map(|images| count(images as u64));
    match (measured, forecast.training_images) {
        (_, 0) => None,
        (measured, most) if measured < most => {
            Some(format!("taken from {training} of {all}, those of the training split"))
        }
        _ if training != all => Some(format!("those of the training split, {training} of {all}")),
        _ => None,
    }
}

/// Writes text so that options such as `--per-class` are not broken over lines.
fn prose(text: &str) -> Markup {
    html! {
        @for word in text.split_inclusive(' ') {
            @if word.trim_start_matches('(').starts_with("--") { span.option { (word.trim_end()) } " " } @else { (word) }
        }
    }
}

fn ranking(forecast: &Forecast) -> Section {
    let rows = || forecast.policies.iter().chain(&forecast.baseline);
    // All policies share the ends of the scale.
    let ends = rows()
        .flat_map(|policy| interval(&policy.score))
        .fold([0.0, 0.0], |[least, most]: [f64; 2], score| [least.min(score), most.max(score)]);
    let columns: Vec<(usize, &Delta)> = forecast.columns().collect();
    let body = html! {
        p.lead { (forecast.order.meaning()) @if forecast.halves > 0 { " Policies share a rank where the \
            interval of the difference to the best of the rank holds 0." } }
        div.scroll.card tabindex="0" role="region" aria-label="Table of policies" {
            table.ranking {
                thead {
                    tr {
                        th scope="col" { "Rank" }
                        th scope="col" { "Policy" }
                        th scope="col" { "Score" }
                        th scope="col" { "Gathered" }
                        th scope="col" { "Separation" }
                        @for (_, delta) in &columns {
                            th scope="col" { "σ at " (distance(delta)) }
                            th scope="col" { "Overlap at " (distance(delta)) }
                        }
                    }
                }
                tbody {
                    @for (at, policy) in rows().enumerate() {
                        @let mark = forecast.mark(at).filter(|_| policy.rank > 0);
                        tr.baseline[policy.rank == 0] {
                            td { @if policy.rank > 0 { b { (policy.rank) } } @else { "–" } }
                            th scope="row" {
                                code { (policy.name) }
                                @if let Some(mark) = mark { " " span.mark { (mark) } }
                                small { @if policy.rank > 0 { (policy.steps.join(", ")) } @else { "images as they are" } }
                            }
                            td {
                                (value(&policy.score))
                                (whisker(policy.score.value(), interval(&policy.score), ends))
                            }
                            (cell(Some(&policy.gathered)))
                            (cell(policy.separation.as_ref()))
                            @for (at, _) in &columns {
                                (cell(policy.sigma.get(*at)))
                                (cell(policy.overlap.get(*at)))
                            }
                        }
                    }
                }
            }
        }
        dl.meanings {
            div { dt { "Gathered" } dd { "σ averaged over eight distances. σ is the share of a \
                                          class in its largest main part, whose images all lie \
                                          within the distance of one another by their nearest \
                                          views; mean over the classes. Larger is better, unless \
                                          nothing is left of the images." } }
            div { dt { "Separation" } dd { "How often a same-class pair is closer than a \
                                            different-class pair. At 0.5, chance, the nearest views \
                                            say nothing about classes." } }
            div { dt { "Overlap" } dd { "The share of images with an image of another class \
                                         within the distance." } }
        }
        p.quiet {
            "Values are " (kind(forecast)) ". "
            @if forecast.halves > 0 {
                "In small type: the 95% interval, an estimate from " (forecast.halves)
                " random halves of each class's images: where the value would likely lie with \
                 other images. "
            } @else {
                "There are no intervals: most classes have too few images for them. "
            }
            @if let Some(middle) = forecast.deltas.last() {
                "The middle distance D of two images of a class as they are \
                 is " (distance(middle)) " (δ = " (number(middle.delta)) "); the eight distances \
                     are its eighths."
                @for (_, delta) in &columns { " " (distance(delta)) " \
                    is " (percent(delta.share)) " of it." }
            }
            @if forecast.deltas.iter().any(|delta| delta.levels.is_some()) {
                " Distances are shown as the root mean square difference of one colour channel of \
                 one pixel, in levels of 255."
            }
        }
    };
    Section { id: "ranking", short: "Ranking", title: "The ranking", body }
}

fn kind(forecast: &Forecast) -> &'static str {
    let bounded = |policy: &PolicyForecast| {
        policy
            .sigma
            .iter()
            .chain([&policy.score, &policy.gathered])
            .any(|value| value.quantity.trust.side().is_some())
    };
    match forecast.policies.iter().chain(&forecast.baseline).any(bounded) {
        _ if forecast.assumed => "assumed, for they rest on classes that are clusters",
        true => "exact for these images and views; ≥ and ≤ mark proved bounds where time ran out",
        false => "exact for these images and views",
    }
}

fn cell(measured: Option<&Measured>) -> Markup {
    match measured {
        Some(measured) => html! { td { (value(measured)) } },
        None => html! { td { "–" } },
    }
}

fn value(measured: &Measured) -> Markup {
    html! {
        b { (sign(measured)) (signed(measured.value(), 3)) }
        @if let Some([low, high]) = measured.interval { small { (signed(low, 3)) " \
            to " (signed(high, 3)) } }
    }
}

/// Returns the ends of the interval of a value, or the value twice.
fn interval(measured: &Measured) -> [f64; 2] {
    measured.interval.unwrap_or([measured.value(); 2])
}

fn curves(forecast: &Forecast) -> Option<Section> {
    let scale = forecast
        .deltas
        .first()
        .and_then(|d| Some(d.levels? / d.delta))
        .filter(|s| s.is_finite())
        .unwrap_or(1.0);
    let line = |name: &str, points, at| Line { name: name.to_owned(), points, style: style(at) };
    let policies = forecast.policies.iter().enumerate();
    let mut policies: Vec<Line> = policies
        .map(|(at, policy)| line(&policy.name, average(&policy.classes, scale), at))
        .collect();
    if let Some(baseline) = &forecast.baseline {
        let points = average(&baseline.classes, scale);
        let style = "--c:var(--soft);stroke-dasharray:1 3".into();
        policies.push(Line {
            name: format!("{}: images as they are", baseline.name),
            points,
            style,
        });
    }
    let chosen = chosen(forecast)?;
    let classes = chosen.classes.iter().enumerate();
    let classes: Vec<Line> =
        classes.map(|(at, class)| line(&class.name, steps(class, scale), at)).collect();
    let marks: Vec<f64> = forecast.columns().map(|(_, delta)| delta.delta * scale).collect();
    let label = if forecast.deltas.iter().any(|d| d.levels.is_some()) {
        "distance δ, levels of 255 a channel"
    } else {
        "distance δ"
    };
    let body = html! {
        p.lead { "σ(δ): the share of a class that a distance δ holds together. The further to the \
                  upper left, the more an augmentation concentrates. Dotted: the distances of the \
                  table." }
        div.charts {
            (chart("Policies", html! { "Mean over the classes" }, label, &policies, &marks))
            (chart("Classes", html! { "Each class \
                                       under " code { (chosen.name) } }, label, &classes, &marks))
        }
    };
    Some(Section { id: "curves", short: "Curves", title: "How classes come together", body })
}

/// Returns the steps of σ(δ) of a class, at the distances that are certainly reached.
fn steps(class: &ClassForecast, scale: f64) -> Vec<(f64, f64)> {
    let n = class.curve.len() as f64;
    class
        .curve
        .iter()
        .enumerate()
        .map(|(at, [_, upper])| (upper * scale, (at + 1) as f64 / n))
        .collect()
}

/// Returns the mean of the classes' σ at each distance where the σ of a class changes, thinned to
/// the resolution of a chart.
fn average(classes: &[ClassForecast], scale: f64) -> Vec<(f64, f64)> {
    let steps: Vec<Vec<(f64, f64)>> =
        classes.iter().map(|class| steps(class, scale)).filter(|s| !s.is_empty()).collect();
    let mut places: Vec<f64> = steps.iter().flatten().map(|(x, _)| *x).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    let step = places.len().div_ceil(200).max(1);
    let sigma = |steps: &Vec<(f64, f64)>, x: f64| match steps.partition_point(|(at, _)| *at <= x) {
        0 => 0.0,
        reached => steps[reached - 1].1,
    };
    let mean = |x: f64| steps.iter().map(|class| sigma(class, x)).sum::<f64>() / steps.len() as f64;
    let last = places.len().saturating_sub(1);
    let thinned = places.iter().enumerate().filter(|(at, _)| at % step == 0 || *at == last);
    thinned.map(|(_, &x)| (x, mean(x))).collect()
}

fn chart(title: &str, caption: Markup, label: &str, lines: &[Line], marks: &[f64]) -> Markup {
    let Some(x) =
        Axis::fit(&mut lines.iter().flat_map(|line| &line.points).map(|point| point.0), 5)
    else {
        return html! {};
    };
    Lines {
        title,
        caption,
        alternative: "curves of σ over distance",
        x_label: label,
        x,
        y: Axis::shares(),
        lines,
        marks,
        path: Path::Steps,
    }
    .figure()
}

fn classes(forecast: &Forecast) -> Option<Section> {
    let chosen = chosen(forecast)?;
    let thumbs = forecast.thumbs.as_ref()?;
    let (column, at) =
        forecast.columns().last().map(|(at, delta)| (at, distance(delta))).unwrap_or_default();
    let body = html! {
        p.lead {
            "Under " code { (chosen.name) } ": a largest main part of each class at " (at) ", and \
                the images outside of the tightest nine tenths of the class, the most distant \
                first. A tenth of each class is always listed; "
            b { "wrong labels may be among them" } ", and damaged images."
        }
        div.parts style={ "--sheet:url(" (thumbs.data_uri()) ")" } {
            @for class in &chosen.classes {
                article {
                    h3 { (class.name) }
                    p.quiet {
                        (counted(class.images as u64, "image", "images"))
                        @if let Some([low, _]) = class.sigma.get(column) { ", σ " (percent(*low)) }
                        @if let Some(separation) = class.separation { ", \
                            separation " (format!("{separation:.3}")) }
                    }
                    h4 { "Main part: " (count(class.main_part.len() as u64)) }
                    (strip(forecast, thumbs, &class.main_part))
                    h4 { "Unusual: " (count(class.unusual.len() as u64)) }
                    (strip(forecast, thumbs, &class.unusual))
                    @if !class.unusual.is_empty() {
                        details {
                            summary { "Their names" }
                            ul.skipped { @for name in class.unusual.iter().filter_map(|&image| forecast.images.get(image)) { li { (name.name) } } }
                        }
                    }
                }
            }
        }
    };
    Some(Section { id: "classes", short: "Classes", title: "Main parts and unusual images", body })
}

/// Shows images with the same pixels.
fn copies(forecast: &Forecast) -> Option<Section> {
    let thumbs = forecast.thumbs.as_ref()?;
    let groups = &forecast.duplicates;
    if groups.is_empty() {
        return None;
    }
    let class = |image: usize| {
        let image = forecast.images.get(image)?;
        forecast.classes.get(image.class as usize).map(String::as_str)
    };
    let body = html! {
        p.lead {
            "Images measured whose pixels are the same. They count as often as they are there, \
             lie at distance 0 of one another and so raise σ; they are left out of the nearest \
             views."
        }
        div.parts style={ "--sheet:url(" (thumbs.data_uri()) ")" } {
            @for group in groups.iter().take(GROUPS) {
                @let mut classes: Vec<&str> = group.iter().filter_map(|&image| class(image)).collect();
                @let () = classes.dedup();
                article {
                    h3 { (classes.join(", ")) }
                    @if classes.len() > 1 && !forecast.assumed { p.quiet { b { @if classes.len() == 2 { "One of the two labels is wrong." } @else { "All but one of these labels are wrong." } } } }
                    (strip(forecast, thumbs, group))
                    ul.skipped { @for image in group.iter().filter_map(|&image| forecast.images.get(image)) { li { (image.name) } } }
                }
            }
        }
        @if groups.len() > GROUPS { p.quiet { "And " (count((groups.len() - GROUPS) as u64)) " \
            groups more, in " code { "forecast.json" } "." } }
    };
    Some(Section { id: "copies", short: "Copies", title: "The same image more than once", body })
}

/// Shows the first images of a list, as tiles of the sheet.
fn strip(forecast: &Forecast, thumbs: &Sprite, images: &[usize]) -> Markup {
    html! {
        div.strip {
            @for &image in images.iter().filter(|&&image| image < thumbs.tiles as usize).take(SHOWN) {
                @let name = forecast.images.get(image).map_or("", |image| image.name.as_str());
                i role="img" style=(super::tile(thumbs, image)) title=(name) aria-label=(name) {}
            }
            @if images.len() > SHOWN { span { "and " (count((images.len() - SHOWN) as u64)) " \
                more" } }
        }
    }
}

fn closest(forecast: &Forecast) -> Option<Section> {
    if forecast.policies.iter().all(|policy| policy.closest.is_empty()) {
        return None;
    }
    let scale =
        forecast.deltas.first().and_then(|d| Some(d.levels? / d.delta)).filter(|s| s.is_finite());
    let body = html! {
        p.lead { "Of each class the two different images whose views come nearest: outside the \
                  images, between them the two views. Where you cannot tell what the views show, \
                  too much was taken away." }
        @for policy in &forecast.policies {
            h3 { code { (policy.name) } @if !policy.steps.is_empty() { ": " (policy.steps.join(", ")) } }
            div.closest {
                @for pair in &policy.closest { (figure(forecast, pair, scale)) }
            }
        }
    };
    Some(Section { id: "closest", short: "Nearest views", title: "The nearest views", body })
}

fn figure(forecast: &Forecast, pair: &Closest, scale: Option<f64>) -> Markup {
    let names =
        pair.images.map(|image| forecast.images.get(image).map_or("", |image| image.name.as_str()));
    let class = forecast
        .images
        .get(pair.images[0])
        .and_then(|image| forecast.classes.get(image.class as usize));
    let view = |view: Option<u32>| {
        view.map_or("the image itself".to_owned(), |view| format!("view {}", view + 1))
    };
    let views = [0, 1].map(|index| format!("{}, {}", names[index], view(pair.views[index])));
    let labels = [names[0], &views[0], &views[1], names[1]];
    html! {
        figure {
            div.strip style={ "--sheet:url(" (pair.picture.data_uri()) ")" } {
                @for (at, label) in labels.iter().enumerate().take(pair.picture.tiles as usize) {
                    i role="img" style=(super::tile(&pair.picture, at)) title=(label) aria-label=(label) {}
                }
            }
            figcaption {
                @if let Some(class) = class { b { (class) } " " }
                (match scale { Some(scale) => format!("{:.1}/255", pair.delta * scale), None => number(pair.delta) })
            }
        }
    }
}

fn again(forecast: &Forecast) -> Section {
    let budget = forecast
        .budget
        .map_or("as long as they take".to_owned(), |seconds| format!("{} s each", number(seconds)));
    let side = match forecast.source_size {
        None => format!("{} pixels", forecast.image_size),
        Some(source) => format!(
            "{} pixels; crops from whole images of up to {source} on their shorter side",
            forecast.image_size
        ),
    };
    let files = forecast.policies.iter().filter(|policy| policy.name.ends_with(".toml"));
    let files: Vec<String> = files.map(|policy| policy.name.clone()).collect();
    let rows = [
        ("Images", forecast.dataset.clone()),
        ("Digest", forecast.digest.clone()),
        ("Side", side),
        ("Distances", format!("{}, {} numbers a view", forecast.space, count(forecast.dim as u64))),
        ("Proofs of curves", budget),
        ("selfsame", forecast.selfsame.clone()),
    ];
    let body = html! {
        p.lead { "Views are pure functions of the seed, and distances between bytes are exact, so \
                  this command finds the same again. " code { "forecast.json" } " has every \
                      number." }
        (protocol::command(&forecast.command))
        @if !files.is_empty() { p { "It needs " (sentence_list(&files)) ", as shown below." } }
        details {
            summary { "All settings" }
            table.protocol { tbody { @for (name, value) in &rows { tr { th scope="row" { (name) } td { (value) } } } } }
        }
        @for policy in &forecast.policies {
            details { summary { "The policy " (policy.name) " in full \
                (TOML)" } pre tabindex="0" { code { (policy.toml) } } }
        }
    };
    Section { id: "protocol", short: "Protocol", title: "How to do it again", body }
}

//! `selfsame methods`.

use std::process::ExitCode;

use selfsame::methods::{METHODS, MethodConfig, Setting};
use selfsame::train::{RECIPES, recipe};
use serde_json::{Value, json};

use crate::args::Methods;
use crate::terminal::Terminal;

pub fn run(args: &Methods) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    let result = match &args.method {
        Some(name) => one(name, args.dim, &terminal),
        None => all(&terminal),
    };
    terminal.result(&result);
    Ok(ExitCode::SUCCESS)
}

/// Returns the names of the recipes for a method.
fn recipes(method: &str) -> Vec<&'static str> {
    RECIPES.iter().map(|(name, _)| *name).filter(|name| recipe(name, method).is_some()).collect()
}

fn all(terminal: &Terminal) -> Value {
    for (name, what) in METHODS {
        terminal.say(&format!("{name:<20}{what}"));
        let recipes = recipes(name);
        if !recipes.is_empty() {
            terminal.say(&format!("{:<20}recipes: {}", "", recipes.join(", ")));
        }
    }
    let each = METHODS
        .map(|(name, what)| json!({ "method": name, "what": what, "recipes": recipes(name) }));
    json!({ "methods": each })
}

/// Describes a method's settings, with their values without a recipe and with each recipe.
fn one(name: &str, dim: usize, terminal: &Terminal) -> Value {
    let what = METHODS.iter().find(|(own, _)| own == &name).map_or("", |(_, what)| what);
    terminal.say(&format!("{name}: {what}"));
    let default =
        MethodConfig::by_name(name, dim).map(|method| method.settings()).unwrap_or_default();
    let recipes: Vec<(&str, Vec<Setting>)> = recipes(name)
        .into_iter()
        .filter_map(|named| Some((named, recipe(named, name)?.method.settings())))
        .collect();
    if default.is_empty() {
        terminal.say("It has no settings.");
    } else {
        terminal
            .say(&format!("Set with --set method.KEY=VALUE; values for an encoder of {dim}:\n"));
    }
    let text =
        |value: &Option<Value>| value.as_ref().map_or_else(|| "unset".to_owned(), Value::to_string);
    for setting in &default {
        let of = |(named, settings): &(&str, Vec<Setting>)| {
            let own = settings.iter().find(|own| own.key == setting.key)?;
            (own.value != setting.value).then(|| format!("{named}: {}", text(&own.value)))
        };
        let others: Vec<String> = recipes.iter().filter_map(of).collect();
        let others =
            if others.is_empty() { String::new() } else { format!(" ({})", others.join(", ")) };
        terminal.say(&format!(
            "{:<20}{:<10}{}{others}",
            setting.key,
            text(&setting.value),
            setting.meaning
        ));
    }
    let recipes: Vec<Value> =
        recipes.iter().map(|(name, all)| json!({ "recipe": name, "settings": all })).collect();
    json!({ "method": name, "what": what, "dim": dim, "settings": default, "recipes": recipes })
}

//! The examples run.

#[path = "../examples/certify.rs"]
mod certify;
#[path = "../examples/clique.rs"]
mod clique;
#[path = "../examples/forecast.rs"]
mod forecast;
#[path = "../examples/neighbours.rs"]
mod neighbours;
#[path = "../examples/train.rs"]
mod train;
#[path = "../examples/views.rs"]
mod views;

#[test]
fn certify_runs() {
    certify::main().unwrap();
}

#[test]
fn clique_runs() {
    clique::main().unwrap();
}

#[test]
fn forecast_runs() {
    forecast::main().unwrap();
}

#[test]
fn neighbours_runs() {
    neighbours::main().unwrap();
}

#[test]
fn train_runs() {
    train::main().unwrap();
}

#[test]
fn views_runs() {
    views::main().unwrap();
}

//! Runs a batch through a network in parts, one after the other.

use std::collections::BTreeMap;
use std::ops::Range;

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::state::{self, MapNamed, VisitNamed};

/// Divides a batch of `count` rows into at most `max` consecutive parts of sizes as equal as
/// possible. Each part has at least two rows, because batch normalisation maps a single row to
/// zeros. Only a batch of one row has a part of one row.
///
/// ```
/// use selfsame_nn::parts::even;
///
/// assert_eq!(even(7, 2), [0..3, 3..7]);
/// assert_eq!(even(5, 4), [0..2, 2..5]);
/// ```
pub fn even(count: usize, max: usize) -> Vec<Range<usize>> {
    let parts = max.min(count / 2).max(1);
    (0..parts).map(|part| part * count / parts..(part + 1) * count / parts).collect()
}

/// Calls `pass` for each of `parts`, in order, and returns the results.
///
/// The running statistics of `module` move once, towards the mean of the parts' statistics,
/// weighted by the rows of each part. Otherwise the last parts would count most, and a batch in
/// eight parts would count as much as eight batches.
pub fn in_turn<M: Module, T>(
    module: &M,
    parts: &[Range<usize>],
    mut pass: impl FnMut(Range<usize>) -> T,
) -> Vec<T> {
    let start = Statistics::of(module);
    let mut mean = start.clone();
    let mut rows = 0;
    let mut outputs = Vec::with_capacity(parts.len());
    for part in parts {
        start.put_into(module);
        rows += part.len();
        let share = part.len() as f64 / rows as f64;
        outputs.push(pass(part.clone()));
        mean.approach(Statistics::of(module), share);
    }
    mean.put_into(module);
    outputs
}

/// Running means and variances by name, without gradients.
#[derive(Clone, Default)]
struct Statistics(BTreeMap<String, Tensor<1>>);

impl Statistics {
    fn of<M: Module>(module: &M) -> Self {
        let mut statistics = Self::default();
        // Burn stores updates of running statistics separately; `valid` applies them.
        state::visit(&module.valid(), &mut statistics);
        statistics
    }

    /// Moves the values by `share` of the way towards `others`. Equal values stay the same to the
    /// bit.
    fn approach(&mut self, others: Self, share: f64) {
        for (mean, other) in self.0.values_mut().zip(others.0.into_values()) {
            *mean = mean.clone() + (other - mean.clone()).mul_scalar(share);
        }
    }

    fn put_into<M: Module>(&self, module: &M) {
        // Clones of a module share its running statistics, so this changes those of `module`.
        let _ = state::map(module.clone(), &mut Putter(self));
    }
}

impl VisitNamed for Statistics {
    fn tensor<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
        if state::is_statistic(name) {
            let tensor = param.val();
            let count = tensor.shape().num_elements();
            self.0.insert(name.to_owned(), tensor.reshape([count]));
        }
    }
}

struct Putter<'a>(&'a Statistics);

impl MapNamed for Putter<'_> {
    fn tensor<const D: usize>(&mut self, name: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(statistic) = self.0.0.get(name) else { return param };
        param.map(|old| {
            let new = statistic.clone().reshape(old.dims());
            // A module in evaluation mode stays in evaluation mode.
            if old.device().is_autodiff() { Tensor::from_inner(new) } else { new }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::{BatchNorm, Init};
    use burn::tensor::{Device, TensorData};

    #[test]
    fn parts_cover_all_rows_in_order_and_none_is_alone() {
        for count in 2..=70 {
            for most in 1..=16 {
                let parts = even(count, most);
                assert_eq!(
                    parts.iter().cloned().flatten().collect::<Vec<_>>(),
                    (0..count).collect::<Vec<_>>()
                );
                let lengths = parts.iter().map(ExactSizeIterator::len);
                let (least, largest) = (lengths.clone().min().unwrap(), lengths.max().unwrap());
                assert!(least >= 2 && largest - least <= 1, "{count} in {most}: {parts:?}");
                assert_eq!(parts.len(), most.min(count / 2));
            }
        }
        let alone = even(1, 4);
        assert!(alone.len() == 1 && alone[0] == (0..1), "{alone:?}");
    }

    /// Uses two normalisations. One passes rows and is checked by hand. The other passes no rows
    /// and must stay the same to the bit.
    #[test]
    fn running_statistics_move_once_by_the_mean_of_the_parts() {
        let device = Device::flex().autodiff();
        let norms: Vec<BatchNorm> =
            (0..2).map(|_| BatchNorm::new(1, &mut Init::new(0, &device))).collect();
        let values = [1.0f32, 3.0, 2.0, 4.0, 9.0];
        let rows = Tensor::<2>::from_data(TensorData::new(values.to_vec(), [5, 1]), &device);
        // Pass an earlier batch, so that the statistics of both normalisations are no round
        // numbers.
        norms.iter().for_each(|norm| drop(norm.forward(rows.clone().mul_scalar(0.3))));
        let before = state::read(&norms);
        let outputs =
            in_turn(&norms, &even(5, 2), |part| norms[0].forward(rows.clone().slice([part])));
        assert_eq!(outputs.iter().map(|rows| rows.dims()[0]).collect::<Vec<_>>(), [2, 3]);
        let after = state::read(&norms);
        // The first part has mean 2 and unbiased variance 2, the second part has mean 5 and
        // unbiased variance 13.
        for (name, seen) in
            [("running_mean", 0.4 * 2.0 + 0.6 * 5.0), ("running_var", 0.4 * 2.0 + 0.6 * 13.0)]
        {
            let [old, new] =
                [&before, &after].map(|state| f64::from(state[&format!("0.{name}")].values[0]));
            // The bound allows for about ten roundings of values below 10.
            assert!((new - (0.9 * old + 0.1 * seen)).abs() < 1e-5, "{name}: {old} to {new}");
            let name = format!("1.{name}");
            assert_eq!(before[&name], after[&name], "what no part has moved stays");
        }
    }
}

//! Measures the distances of each policy and the curves of its classes.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use selfsame_augment::{Image, Policy, Purpose, ViewSets};
use selfsame_concentration::curve::{Curve, curve};
use selfsame_concentration::distance::{
    Distances, Embeddings, Options, Run as DistanceRun, Shape, Views,
};
use selfsame_concentration::forecast::{members, within};
use selfsame_data::Dataset;

use super::Encoder;
use super::folder::Folder;
use super::probe::{Probe, embedded};
use super::settings::Settings;
use crate::policy::none;
use crate::{Error, Progress};

/// Time between two saves of the distances, and thus the most that a crash can lose.
const SAVE_EVERY: Duration = Duration::from_secs(20);

/// The measurements of one policy.
pub struct PolicyMeasured {
    pub distances: Distances,
    /// One curve per class.
    pub curves: Vec<Curve>,
    /// Number of values per view.
    pub dim: usize,
}

/// Measures policies, one by one.
pub struct Work<'a> {
    pub dataset: &'a Dataset,
    pub probe: &'a Probe,
    pub settings: &'a Settings,
    pub encoder: Option<&'a Encoder>,
    /// Folder that keeps the unfinished work, if there is one.
    pub folder: Option<&'a Folder>,
}

impl Work<'_> {
    /// Measures a policy, continuing from its files in the folder, whose names begin with `part`.
    pub fn policy(
        &self,
        part: &str,
        name: &str,
        policy: &Policy,
        progress: &mut dyn Progress,
    ) -> Result<PolicyMeasured, Error> {
        let Settings { seed, views, original, .. } = *self.settings;
        // Draw no views for `none`: they would all equal the image.
        let (views, original) = if *policy == none()? { (0, true) } else { (views, original) };
        let views = 0..views as u32;
        let sets = ViewSets { policy, purpose: Purpose::Forecast, seed, views, original };
        let chosen: Vec<usize> = self.probe.images.iter().map(|image| image.index).collect();
        let bytes = sets.draw(&self.dataset.train.numbered(&chosen), self.dataset.image_size);
        let (images, views) = (chosen.len(), sets.each());
        let side = self.dataset.image_size as usize;
        match self.encoder.filter(|_| !self.settings.pixels) {
            None => {
                let shape = Shape { width: side, height: side, channels: 3 };
                let run = DistanceRun::of_views(Views::new(images, views, shape, &bytes)?);
                self.measure(part, name, run, side * side * 3, progress)
            }
            Some(encoder) => {
                let each = Image::squares(self.dataset.image_size, &bytes);
                let (dim, values) = embedded(encoder, &each, "views embedded", progress)?;
                let run = DistanceRun::of_embeddings(Embeddings::new(images, views, dim, &values)?);
                self.measure(part, name, run, dim, progress)
            }
        }
    }

    fn measure(
        &self,
        part: &str,
        name: &str,
        mut run: DistanceRun<'_>,
        dim: usize,
        progress: &mut dyn Progress,
    ) -> Result<PolicyMeasured, Error> {
        self.finish(part, name, &mut run, progress)?;
        let distances = run.into_distances();
        let classes = members(&self.probe.labels, self.probe.classes.len());
        if let Some(folder) = self.folder
            && let Some(curves) = folder.curves(part, &classes)?
        {
            return Ok(PolicyMeasured { distances, curves, dim });
        }
        let curves = self.curves(name, &distances, &classes, progress)?;
        if let Some(folder) = self.folder {
            // Write the curves last: if they exist, all files of the policy exist.
            folder.write_distances(part, name, &distances)?;
            folder.write_curves(part, &curves)?;
        }
        Ok(PolicyMeasured { distances, curves, dim })
    }

    /// Computes the missing distances and saves them from time to time.
    fn finish(
        &self,
        part: &str,
        name: &str,
        run: &mut DistanceRun<'_>,
        progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        let state = self.folder.map(|folder| folder.state(part));
        if let Some(state) = state.as_ref().filter(|state| state.exists()) {
            run.read(state)?;
        }
        while !run.is_finished() {
            let since = Instant::now();
            let _ = run.advance(&Options::default(), &mut |tiles| {
                let (done, total) = (tiles.done as u64, tiles.total as u64);
                progress.advance("tiles of distances", done, total, name);
                let save = state.is_some() && since.elapsed() > SAVE_EVERY;
                match save || progress.stop() {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            });
            if let Some(state) = &state {
                run.write(state)?;
            }
            if progress.stop() && !run.is_finished() {
                progress.finish();
                return Err(Error::Stopped);
            }
        }
        progress.finish();
        Ok(())
    }

    fn curves(
        &self,
        name: &str,
        distances: &Distances,
        classes: &[Vec<usize>],
        progress: &mut dyn Progress,
    ) -> Result<Vec<Curve>, Error> {
        let budget = self.settings.budget.map(Duration::from_secs_f64);
        let threads = rayon::current_num_threads();
        let mut curves = Vec::with_capacity(classes.len());
        for (class, images) in classes.iter().enumerate() {
            let detail = format!("{name}: {}", self.probe.classes[class]);
            progress.advance("curves", class as u64, classes.len() as u64, &detail);
            if progress.stop() {
                progress.finish();
                return Err(Error::Stopped);
            }
            curves.push(curve(images.len(), &within(distances, images), budget, threads));
        }
        progress.finish();
        Ok(curves)
    }
}

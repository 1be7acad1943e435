//! Reports about a verb's progress.

/// Listens to a working verb: receives its notes and its progress, and decides whether it should
/// stop.
///
/// Every verb that takes a while takes a listener. The listener `()` ignores everything and never stops a verb; the
/// command line prints lines and bars. Several threads may call a listener, but never two at once.
///
/// ```
/// use selfsame::Progress;
///
/// /// Keeps every note.
/// #[derive(Default)]
/// struct Notes(Vec<String>);
///
/// impl Progress for Notes {
///     fn note(&mut self, note: &str) {
///         self.0.push(note.to_owned());
///     }
/// }
///
/// let mut notes = Notes::default();
/// notes.note("reading images");
/// notes.advance("images", 1, 2, "");
/// assert_eq!(notes.0, ["reading images"]);
/// ```
pub trait Progress: Send {
    /// Receives a sentence about the current work, or about something that the user should know.
    fn note(&mut self, _note: &str) {}

    /// Receives the progress: `done` of `total` units are done. `unit` names the units in the
    /// plural ("images"). `detail` holds further information and may be empty. A call with another
    /// `unit` starts another stage.
    fn advance(&mut self, _unit: &str, _done: u64, _total: u64, _detail: &str) {}

    /// Receives the end of the stage that [`advance`](Self::advance) reported.
    fn finish(&mut self) {}

    /// Returns whether to stop as soon as that loses no work. A verb that stops returns
    /// [`Error::Stopped`](crate::Error::Stopped). Later, [`forecast`](crate::forecast()) and
    /// [`reproduce`](crate::reproduce()) continue with the same call, and a run with
    /// [`resume`](crate::resume) or [`resume_study`](crate::resume_study). Stages that cannot stop
    /// never ask.
    fn stop(&self) -> bool {
        false
    }
}

impl Progress for () {}

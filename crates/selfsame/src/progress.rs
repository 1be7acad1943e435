//! What a verb tells while it works.

/// Listens to a verb that works: what it notices, how far it is; and says whether it should stop.
///
/// Every verb takes one. `()` listens to nothing and never stops; the command line prints lines and
/// bars. It may be called from several threads, but never from two at once.
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
    /// A sentence about what is under way, or about something that the user should know.
    fn note(&mut self, _note: &str) {}

    /// `done` of `total` units are done. `unit` names them in the plural ("images"); `detail` is
    /// what else there is to say, and may be empty. A call with another `unit` starts another
    /// stage.
    fn advance(&mut self, _unit: &str, _done: u64, _total: u64, _detail: &str) {}

    /// The stage that [`advance`](Self::advance) told of has ended.
    fn finish(&mut self) {}

    /// Whether to stop as soon as nothing is lost by it. A verb that stops returns
    /// [`Error::Stopped`](crate::Error::Stopped), and the same call goes on later. Stages that
    /// cannot stop never ask.
    fn stop(&self) -> bool {
        false
    }
}

impl Progress for () {}

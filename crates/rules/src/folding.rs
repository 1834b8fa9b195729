//! What a rule disregards when it compares texts.

/// What does not matter when a keyword is compared with a message.
///
/// Some folding always happens: both texts are brought to Unicode normalisation
/// form NFKC (so full-width letters, ligatures and composed accents compare as
/// people read them) and characters that cannot be seen are dropped: zero-width
/// spaces and joiners, variation selectors, direction marks, soft hyphens.
///
/// The default disregards all three:
///
/// ```
/// use kabar_rules::Folding;
///
/// assert_eq!(Folding::default(), Folding { case: true, spaces: true, punctuation: true });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
pub struct Folding {
    /// Full Unicode case folding: `Straße` = `STRASSE`, `ΟΔΟΣ` = `οδος`.
    ///
    /// It knows no language: the Turkish `İ` folds to `i` with a dot above,
    /// which is not a plain `i`.
    pub case: bool,
    /// White space at both ends is dropped, and any run of it (line breaks
    /// included) counts as one space.
    pub spaces: bool,
    /// Punctuation (Unicode categories `P*`) is dropped. Between two
    /// characters it leaves a space (`hello,world` = `hello world`); an
    /// apostrophe between two letters leaves nothing (`Jum'at` = `Jumat`).
    /// Symbols such as `+`, `$` and emoji are no punctuation.
    pub punctuation: bool,
}

impl Folding {
    /// Nothing but what always happens: only the same text is the same.
    pub const NONE: Self = Self { case: false, spaces: false, punctuation: false };

    /// Case, spaces and punctuation do not matter.
    pub const ALL: Self = Self { case: true, spaces: true, punctuation: true };
}

impl Default for Folding {
    fn default() -> Self {
        Self::ALL
    }
}

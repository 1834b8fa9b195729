//! Classes of characters. General categories come from the Unicode Character
//! Database; the few lists here are named by the property they are taken from.

use unicode_properties::{GeneralCategoryGroup as Group, UnicodeGeneralCategory};

/// U+200D, which joins emoji to one picture.
pub(super) const JOINER: char = '\u{200D}';

/// Letters, combining marks and numbers: what words are made of.
pub(crate) fn is_word(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric();
    }
    matches!(c.general_category_group(), Group::Letter | Group::Mark | Group::Number)
}

pub(super) fn is_letter(c: char) -> bool {
    c.general_category_group() == Group::Letter
}

pub(super) fn is_mark(c: char) -> bool {
    !c.is_ascii() && c.general_category_group() == Group::Mark
}

pub(super) fn is_punctuation(c: char) -> bool {
    c.general_category_group() == Group::Punctuation
}

/// The signs typed for an apostrophe.
pub(super) fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '\u{2018}' | '\u{2019}')
}

/// Characters that leave nothing to see: `Default_Ignorable_Code_Point`, save
/// the tags, which tell the flags of England and Wales apart.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}'
        | '\u{FFA0}' | '\u{FFF0}'..='\u{FFF8}' | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}' | '\u{E0100}'..='\u{E01EF}')
}

/// White space, and what is taken for nothing at the ends of a captured text.
/// Variation selectors and joiners are not: they belong to the emoji before.
pub(crate) fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{2060}' | '\u{FEFF}')
}

/// Marks that end a sentence or a clause (`Terminal_Punctuation` in the scripts
/// people write chats in).
pub(crate) fn is_sentence_mark(c: char) -> bool {
    matches!(
        c,
        '.' | ',' | ';' | ':' | '!' | '?' | '…' | '‼' | '⁇'
            ..='⁉'
                | '،'
                | '؛'
                | '؟'
                | '۔'
                | '।'
                | '॥'
                | '၊'
                | '။'
                | '។'
                | '、'
                | '。'
                | '！'
                | '，'
                | '．'
                | '：'
                | '；'
                | '？'
                | '｡'
    )
}

/// One half of a flag.
pub(super) fn is_flag_half(c: char) -> bool {
    matches!(c, '\u{1F1E6}'..='\u{1F1FF}')
}

/// A tag that spells out which flag a black flag is.
pub(super) fn is_tag(c: char) -> bool {
    matches!(c, '\u{E0020}'..='\u{E007F}')
}

/// Blocks of the scripts that put no spaces between words: Unicode line
/// breaking classes `SA` and `ID` (UAX #14) as far as they are scripts, and
/// Tibetan, Javanese and Balinese.
pub(super) fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{0E00}'..='\u{109F}' // Thai, Lao, Tibetan, Myanmar
        | '\u{1780}'..='\u{17FF}' // Khmer
        | '\u{1950}'..='\u{19FF}' // Tai Le, New Tai Lue, Khmer symbols
        | '\u{1A20}'..='\u{1AAF}' // Tai Tham
        | '\u{1B00}'..='\u{1B7F}' // Balinese
        | '\u{2E80}'..='\u{2FDF}' // CJK and Kangxi radicals
        | '\u{3005}'..='\u{3007}' // ideographic marks
        | '\u{3040}'..='\u{312F}' // Hiragana, Katakana, Bopomofo
        | '\u{31A0}'..='\u{31FF}' // Bopomofo, strokes and Katakana, extended
        | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{A4CF}' // CJK ideographs, Yi
        | '\u{A980}'..='\u{A9FF}' // Javanese, Myanmar extended
        | '\u{AA60}'..='\u{AADF}' // Myanmar extended, Tai Viet
        | '\u{F900}'..='\u{FAFF}' // CJK compatibility
        | '\u{11700}'..='\u{1174F}' // Ahom
        | '\u{1AFF0}'..='\u{1B16F}' // Kana extended
        | '\u{20000}'..='\u{3FFFF}') // CJK ideographs, extended
}

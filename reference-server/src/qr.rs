//! QR codes: what a phone scans to pair a device.

use qrcode::render::{svg, unicode};
use qrcode::{Color, QrCode};

/// The light margin that a reader needs, in modules (ISO/IEC 18004).
const MARGIN: usize = 4;
/// Pixels of a module. A code of WhatsApp's has about 70 of them a side.
const SCALE: usize = 6;

/// Why a text is not drawn.
#[derive(Debug, thiserror::Error)]
pub enum QrError {
    /// It is too long for a QR code.
    #[error("the text does not fit into a QR code")]
    TooLong(#[from] qrcode::types::QrError),
    /// The picture cannot be written.
    #[error("the picture cannot be written")]
    Png(#[from] png::EncodingError),
}

/// A text as an SVG picture that scales.
///
/// # Errors
/// [`QrError::TooLong`].
pub fn svg(text: &str) -> Result<String, QrError> {
    let code = QrCode::new(text)?;
    Ok(code.render::<svg::Color<'_>>().min_dimensions(320, 320).build())
}

/// A text as a black and white PNG picture.
///
/// # Errors
/// [`QrError`].
pub fn png(text: &str) -> Result<Vec<u8>, QrError> {
    let code = QrCode::new(text)?;
    let side = (code.width() + 2 * MARGIN) * SCALE;
    let line = side.div_ceil(8);
    // One bit a pixel, 1 is white; lines begin at a whole byte.
    let mut pixels = vec![0xFF_u8; line * side];
    for (row, bytes) in pixels.chunks_exact_mut(line).enumerate() {
        for column in (0..side).filter(|column| is_dark(&code, row, *column)) {
            if let Some(byte) = bytes.get_mut(column / 8) {
                *byte &= !(0x80 >> (column % 8));
            }
        }
    }
    let mut picture = Vec::new();
    let pixels_a_side = u32::try_from(side).unwrap_or(u32::MAX);
    let mut encoder = png::Encoder::new(&mut picture, pixels_a_side, pixels_a_side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(picture)
}

/// A text for a terminal, two modules in a character.
///
/// # Errors
/// [`QrError::TooLong`].
pub fn terminal(text: &str) -> Result<String, QrError> {
    let code = QrCode::new(text)?;
    // Terminals are dark more often than light: the modules are drawn the other way round.
    Ok(code
        .render::<unicode::Dense1x2>()
        .dark_color(unicode::Dense1x2::Light)
        .light_color(unicode::Dense1x2::Dark)
        .build())
}

/// Whether the pixel belongs to a dark module; the margin is light.
fn is_dark(code: &QrCode, row: usize, column: usize) -> bool {
    let module = |pixel: usize| (pixel / SCALE).checked_sub(MARGIN);
    match (module(column), module(row)) {
        (Some(x), Some(y)) if x < code.width() && y < code.width() => code[(x, y)] == Color::Dark,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "2@AbCdEf,key,identity,secret";

    #[test]
    fn the_png_has_every_module_where_it_belongs() {
        let code = QrCode::new(CODE).unwrap();
        let picture = png(CODE).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(picture)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        let side = (code.width() + 2 * MARGIN) * SCALE;
        assert_eq!((info.width as usize, info.height as usize), (side, side));
        let is_white =
            |x: usize, y: usize| pixels[y * info.line_size + x / 8] & (0x80 >> (x % 8)) != 0;
        for y in 0..side {
            for x in 0..side {
                assert_eq!(is_white(x, y), !is_dark(&code, y, x), "{x}, {y}");
            }
        }
    }

    #[test]
    fn a_text_that_is_too_long_is_an_error() {
        assert!(svg(&"x".repeat(3_000)).is_err());
        assert!(svg(CODE).unwrap().contains("<svg"));
        assert!(terminal(CODE).unwrap().lines().count() > 10);
    }
}

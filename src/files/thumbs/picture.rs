//! One picture made smaller: bytes in, bytes out. Pure computation, for a thread that may take its time.

use std::io::Cursor;

use image::{
    DynamicImage, Frame, ImageBuffer, ImageDecoder, ImageFormat, ImageReader, ImageResult, Limits, Pixel, RgbaImage,
    codecs::{gif::GifEncoder, jpeg::JpegEncoder, png::PngEncoder},
    imageops::{self, FilterType},
    metadata::Orientation,
};

use super::form::{Area, Form};

/// Bytes of a decoded picture at most: 67 million pixels in three colours. A few kilobytes can claim to be any number.
const MAX_DECODED: u64 = 192 << 20;
/// Between visible loss and large files.
const JPEG_QUALITY: u8 = 85;
/// From 1 (best colours) to 30 (fastest).
const GIF_SPEED: i32 = 10;

/// Kinds of pictures that thumbnails are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Png,
    Jpeg,
    Gif,
    Webp,
}

impl Kind {
    /// By the sniffed type.
    pub fn of(mime: &str) -> Option<Self> {
        Some(match mime {
            "image/png" => Self::Png,
            "image/jpeg" | "image/jpg" => Self::Jpeg,
            "image/gif" => Self::Gif,
            "image/webp" => Self::Webp,
            _ => return None,
        })
    }

    /// The type of its thumbnails.
    pub fn thumbs_are(self) -> &'static str {
        match self {
            Self::Png | Self::Webp => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
        }
    }

    fn format(self) -> ImageFormat {
        match self {
            Self::Png => ImageFormat::Png,
            Self::Jpeg => ImageFormat::Jpeg,
            Self::Gif => ImageFormat::Gif,
            Self::Webp => ImageFormat::WebP,
        }
    }
}

/// Why there is no thumbnail.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    #[error("the picture is too large")]
    Picture,
    #[error("the thumbnail would be too large")]
    Thumbnail,
    #[error(transparent)]
    Broken(#[from] image::ImageError),
}

/// Bytes of memory that [`shrink`] takes for this picture, about. Reads its head only.
pub fn cost(kind: Kind, bytes: &[u8], form: Form) -> Result<u64, Unfit> {
    let mut decoder = decoder(kind, bytes)?;
    let plan = Plan::new(&mut decoder, form)?;
    let (decoded, colour) = (decoder.total_bytes(), decoder.color_type());
    let pixels = |(width, height): (u32, u32)| u64::from(width) * u64::from(height);
    // Cut first, then in eight bits a colour: a grey picture grows by that.
    let copy = pixels(decoder.dimensions()) * if colour.has_alpha() { 4 } else { 3 };
    // A progressive JPEG is kept in 16 bits a value until it is complete.
    let reading = if kind == Kind::Jpeg { 3 * decoded } else { 0 };
    // Four numbers of four bytes a pixel, of a picture that is as high as the thumbnail already.
    let (width, _) = halfway((plan.shown.width, plan.shown.height), plan.size);
    let between =
        if (plan.shown.width, plan.shown.height) == plan.size { 0 } else { 16 * pixels((width, plan.size.1)) };
    Ok(reading.max(decoded + decoded.max(copy)).max(copy + between))
}

/// What is done with a picture as it is stored; only the small result is turned.
struct Plan {
    orientation: Orientation,
    shown: Area,
    size: (u32, u32),
}

impl Plan {
    fn new(decoder: &mut impl ImageDecoder, form: Form) -> Result<Self, Unfit> {
        if decoder.total_bytes() > MAX_DECODED {
            return Err(Unfit::Picture);
        }
        let orientation = decoder.orientation()?;
        let stored = decoder.dimensions();
        let (width, height) = if turns(orientation) { (stored.1, stored.0) } else { stored };
        let (shown, size) = form.layout(width, height).ok_or(Unfit::Thumbnail)?;
        let shown = as_stored(shown, orientation, stored);
        let size = if turns(orientation) { (size.1, size.0) } else { size };
        Ok(Self { orientation, shown, size })
    }
}

/// The thumbnail of a picture, upright as its EXIF data say; of a moving one the first frame.
pub fn shrink(kind: Kind, bytes: &[u8], form: Form) -> Result<Vec<u8>, Unfit> {
    let mut decoder = decoder(kind, bytes)?;
    let Plan { orientation, shown, size } = Plan::new(&mut decoder, form)?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    if (shown.width, shown.height) != (picture.width(), picture.height()) {
        picture = picture.crop_imm(shown.x, shown.y, shown.width, shown.height);
    }
    let mut small = if picture.color().has_alpha() {
        let mut picture = picture.into_rgba8();
        // What cannot be seen must not shine through.
        weigh(&mut picture);
        let mut small = scale(picture, size);
        weigh_back(&mut small);
        DynamicImage::from(small)
    } else {
        DynamicImage::from(scale(picture.into_rgb8(), size))
    };
    small.apply_orientation(orientation);
    Ok(encode(kind, small)?)
}

fn decoder(kind: Kind, bytes: &[u8]) -> ImageResult<impl ImageDecoder + '_> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), kind.format());
    let mut limits = Limits::default();
    limits.max_alloc = Some(2 * MAX_DECODED);
    reader.limits(limits);
    reader.into_decoder()
}

/// Whether it swaps the sides.
fn turns(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate90FlipH | Rotate270 | Rotate270FlipH)
}

/// Where a part of the upright picture lies in the stored one of `width` × `height`.
fn as_stored(part: Area, orientation: Orientation, (width, height): (u32, u32)) -> Area {
    let turned =
        if turns(orientation) { Area { x: part.y, y: part.x, width: part.height, height: part.width } } else { part };
    let mirrored_x = Area { x: width - turned.x - turned.width, ..turned };
    let mirrored_y = |area: Area| Area { y: height - area.y - area.height, ..area };
    match orientation {
        Orientation::NoTransforms => turned,
        Orientation::FlipHorizontal | Orientation::Rotate270 => mirrored_x,
        Orientation::FlipVertical | Orientation::Rotate90 => mirrored_y(turned),
        Orientation::Rotate180 => mirrored_y(mirrored_x),
        // One turns and mirrors along the diagonal, which is the swap alone; the other along the other diagonal.
        Orientation::Rotate90FlipH => turned,
        Orientation::Rotate270FlipH => mirrored_y(mirrored_x),
    }
}

/// Much smaller goes in two steps: the quick one needs each pixel once, the careful one sees only few.
fn scale<P>(picture: ImageBuffer<P, Vec<u8>>, (width, height): (u32, u32)) -> ImageBuffer<P, Vec<u8>>
where
    P: Pixel<Subpixel = u8> + 'static,
{
    if picture.dimensions() == (width, height) {
        return picture;
    }
    let near = halfway(picture.dimensions(), (width, height));
    let picture = if picture.dimensions() == near { picture } else { imageops::thumbnail(&picture, near.0, near.1) };
    imageops::resize(&picture, width, height, FilterType::CatmullRom)
}

/// The size that the quick step leads to; the picture's own where there is none.
fn halfway(picture: (u32, u32), (width, height): (u32, u32)) -> (u32, u32) {
    let near = (width * 3, height * 3);
    if picture.0 > 2 * near.0 && picture.1 > 2 * near.1 { near } else { picture }
}

/// Multiplies colours by opacity.
fn weigh(picture: &mut RgbaImage) {
    for pixel in picture.pixels_mut() {
        let opacity = u16::from(pixel[3]);
        if opacity < 255 {
            for colour in &mut pixel.0[..3] {
                // At most 255 × 255 ÷ 255.
                *colour = ((u16::from(*colour) * opacity + 127) / 255) as u8;
            }
        }
    }
}

fn weigh_back(picture: &mut RgbaImage) {
    for pixel in picture.pixels_mut() {
        let opacity = u16::from(pixel[3]);
        if opacity > 0 && opacity < 255 {
            for colour in &mut pixel.0[..3] {
                *colour = ((u16::from(*colour) * 255 + opacity / 2) / opacity).min(255) as u8;
            }
        }
    }
}

fn encode(kind: Kind, picture: DynamicImage) -> ImageResult<Vec<u8>> {
    let mut out = Vec::new();
    match kind {
        Kind::Jpeg => picture.into_rgb8().write_with_encoder(JpegEncoder::new_with_quality(&mut out, JPEG_QUALITY))?,
        Kind::Png | Kind::Webp => picture.write_with_encoder(PngEncoder::new(&mut out))?,
        Kind::Gif => {
            GifEncoder::new_with_speed(&mut out, GIF_SPEED).encode_frame(Frame::new(picture.into_rgba8()))?;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage, Rgba};

    use super::*;

    const RED: [u8; 3] = [255, 0, 0];
    const GREEN: [u8; 3] = [0, 255, 0];
    const BLUE: [u8; 3] = [0, 0, 255];
    const WHITE: [u8; 3] = [255, 255, 255];

    /// Red, green over blue, white.
    fn quarters(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            Rgb(match (x < width / 2, y < height / 2) {
                (true, true) => RED,
                (false, true) => GREEN,
                (true, false) => BLUE,
                (false, false) => WHITE,
            })
        })
    }

    fn stored(picture: &DynamicImage, kind: Kind) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        picture.write_to(&mut out, kind.format()).unwrap();
        out.into_inner()
    }

    /// A JPEG whose EXIF data tell this orientation.
    fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
        let tiff =
            [0x49, 0x49, 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0, 0, 0, 0, 0];
        let segment = [&[0xff, 0xe1, 0, 8 + tiff.len() as u8], &b"Exif\0\0"[..], &tiff].concat();
        [&jpeg[..2], &segment, &jpeg[2..]].concat()
    }

    fn near(pixel: &Rgba<u8>, colour: [u8; 3]) -> bool {
        pixel.0[..3].iter().zip(colour).all(|(&found, wanted)| found.abs_diff(wanted) < 60)
    }

    /// The colours in the middle of the four quarters.
    fn corners(bytes: &[u8]) -> ((u32, u32), [Rgba<u8>; 4]) {
        let picture = image::load_from_memory(bytes).unwrap().into_rgba8();
        let (width, height) = picture.dimensions();
        let at = |x: u32, y: u32| *picture.get_pixel(width * x / 4, height * y / 4);
        ((width, height), [at(1, 1), at(3, 1), at(1, 3), at(3, 3)])
    }

    #[test]
    fn every_kind_becomes_what_the_wire_says_in_the_right_size() {
        let picture = DynamicImage::from(quarters(200, 100));
        for (kind, format) in [
            (Kind::Png, ImageFormat::Png),
            (Kind::Jpeg, ImageFormat::Jpeg),
            (Kind::Gif, ImageFormat::Gif),
            (Kind::Webp, ImageFormat::Png),
        ] {
            let bytes = stored(&picture, kind);
            assert!(cost(kind, &bytes, Form::Width(50)).unwrap() < 200 * 100 * 4 * 4);
            for (size, expected) in
                [("50x50", (50, 50)), ("30x20f", (30, 15)), ("0x40", (80, 40)), ("400x0", (400, 200)), ("4x4", (4, 4))]
            {
                let thumb = shrink(kind, &bytes, Form::parse(size).unwrap()).unwrap();
                assert_eq!(image::guess_format(&thumb).unwrap(), format);
                let (found, colours) = corners(&thumb);
                assert_eq!(found, expected, "{kind:?} {size}");
                let all = colours.iter().zip([RED, GREEN, BLUE, WHITE]).all(|(pixel, colour)| near(pixel, colour));
                assert!(all, "{kind:?} {size} {colours:?}");
            }
        }
    }

    #[test]
    fn pictures_stand_upright_before_they_are_cut() {
        let upright = quarters(120, 80);
        for orientation in 1..=8 {
            // What a camera held so would have stored.
            let mut picture = DynamicImage::from(upright.clone());
            let inverse = match Orientation::from_exif(orientation).unwrap() {
                Orientation::Rotate90 => Orientation::Rotate270,
                Orientation::Rotate270 => Orientation::Rotate90,
                same => same,
            };
            picture.apply_orientation(inverse);
            let bytes = with_orientation(&stored(&picture, Kind::Jpeg), orientation);
            for (size, expected, colours) in [
                ("60x0", (60, 40), [RED, GREEN, BLUE, WHITE]),
                ("20x80", (20, 80), [RED, GREEN, BLUE, WHITE]),
                ("60x20t", (60, 20), [RED, GREEN, RED, GREEN]),
                ("60x20b", (60, 20), [BLUE, WHITE, BLUE, WHITE]),
            ] {
                let (found, seen) = corners(&shrink(Kind::Jpeg, &bytes, Form::parse(size).unwrap()).unwrap());
                assert_eq!(found, expected, "{orientation} {size}");
                assert!(
                    seen.iter().zip(colours).all(|(pixel, colour)| near(pixel, colour)),
                    "{orientation} {size} {seen:?}"
                );
            }
        }
    }

    #[test]
    fn what_is_transparent_does_not_shine_through() {
        let picture =
            RgbaImage::from_fn(
                64,
                64,
                |x, y| if (x + y) % 2 == 0 { Rgba([255, 0, 0, 255]) } else { Rgba([0, 0, 255, 0]) },
            );
        let bytes = stored(&DynamicImage::from(picture), Kind::Png);
        let (_, colours) = corners(&shrink(Kind::Png, &bytes, Form::parse("8x8").unwrap()).unwrap());
        for pixel in colours {
            assert!(near(&pixel, RED) && pixel[3].abs_diff(128) < 10, "{pixel:?}");
        }
    }

    #[test]
    fn sixteen_bits_and_grey_are_read() {
        for picture in [
            DynamicImage::new_luma8(20, 10),
            DynamicImage::new_luma_a8(20, 10),
            DynamicImage::new_rgb16(20, 10),
            DynamicImage::new_rgba16(20, 10),
        ] {
            let thumb = shrink(Kind::Png, &stored(&picture, Kind::Png), Form::Width(10)).unwrap();
            assert_eq!(corners(&thumb).0, (10, 5));
        }
    }

    /// At the most expensive moment.
    #[test]
    fn the_cost_counts_every_copy() {
        let (small, large) = (Form::Width(10), Form::Width(90));
        for (kind, picture, form, expected) in [
            (Kind::Png, DynamicImage::new_luma8(100, 100), small, 1 + 3),
            (Kind::Png, DynamicImage::new_luma_a8(100, 100), small, 2 + 4),
            (Kind::Png, DynamicImage::new_rgb8(100, 100), small, 3 + 3),
            (Kind::Png, DynamicImage::new_rgba16(100, 100), small, 8 + 8),
            (Kind::Jpeg, DynamicImage::new_luma8(100, 100), small, 1 + 3),
            (Kind::Jpeg, DynamicImage::new_rgb8(100, 100), small, 3 * 3),
            (Kind::Png, DynamicImage::new_rgb8(100, 100), Form::Width(100), 3 + 3),
        ] {
            let cost = cost(kind, &stored(&picture, kind), form).unwrap();
            assert_eq!(cost, expected * 100 * 100, "{kind:?} {:?}", picture.color());
        }
        // Numbers for the whole width, but no longer for the whole height.
        let rgb = stored(&DynamicImage::new_rgb8(100, 100), Kind::Png);
        assert_eq!(cost(Kind::Png, &rgb, large).unwrap(), 3 * 100 * 100 + 16 * 100 * 90);
    }

    #[test]
    fn bombs_are_not_lit() {
        // A PNG of a few bytes that claims 60,000 × 60,000 pixels.
        let mut head = stored(&DynamicImage::new_rgb8(1, 1), Kind::Png);
        head[16..20].copy_from_slice(&60_000u32.to_be_bytes());
        head[20..24].copy_from_slice(&60_000u32.to_be_bytes());
        let checksum = crc32fast::hash(&head[12..29]);
        head[29..33].copy_from_slice(&checksum.to_be_bytes());
        let told = cost(Kind::Png, &head, Form::Width(10));
        assert!(matches!(told, Err(Unfit::Picture)), "{told:?}");
        assert!(matches!(shrink(Kind::Png, &head, Form::Width(10)), Err(Unfit::Picture)));
        let small = stored(&DynamicImage::new_rgb8(1, 9000), Kind::Png);
        assert!(matches!(shrink(Kind::Png, &small, Form::Width(10)), Err(Unfit::Thumbnail)));
    }

    #[test]
    fn whatever_is_no_picture_is_an_error() {
        let picture = DynamicImage::from(quarters(40, 40));
        for kind in [Kind::Png, Kind::Jpeg, Kind::Gif, Kind::Webp] {
            let bytes = stored(&picture, kind);
            for broken in [&b""[..], b"x", &bytes[..8], &bytes[..30.min(bytes.len())]] {
                assert!(shrink(kind, broken, Form::Width(10)).is_err(), "{kind:?}");
            }
            // Every byte changed once: an error or a picture, never a panic.
            for at in (0..bytes.len()).step_by(7) {
                let mut changed = bytes.clone();
                changed[at] ^= 0xa5;
                let _ = shrink(kind, &changed, Form::Width(10));
            }
        }
    }
}

//! What `WxH`, `WxHt`, `WxHb`, `WxHf`, `0xH` and `Wx0` make of a picture (`docs/wire/services-files.md` §5): numbers only.

/// Pixels of a thumbnail at most: a size is allowed by a superuser, who may err.
const MAX_PIXELS: u64 = 16 << 20;
/// Pixels of each side of a thumbnail at most.
const MAX_SIDE: u32 = 8192;

/// A part of a picture, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    pub x: u32,
    pub y: u32,
    pub width: u32,
    pub height: u32,
}

/// How a picture becomes a thumbnail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Exactly this size; what does not fit is cut off.
    Fill { width: u32, height: u32, keep: Keep },
    /// At most this size, nothing cut off, never enlarged.
    Fit { width: u32, height: u32 },
    /// This width, and the height that goes with it.
    Width(u32),
    /// This height, and the width that goes with it.
    Height(u32),
}

/// Which part stays where something is cut off above and below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    Centre,
    Top,
    Bottom,
}

impl Form {
    /// `None` for what is no size.
    pub fn parse(text: &str) -> Option<Self> {
        let (width, rest) = text.split_once('x')?;
        let height = rest.strip_suffix(['t', 'b', 'f']).unwrap_or(rest);
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        Some(match (number(width)?, number(height)?, &rest[height.len()..]) {
            (0, 0, _) => return None,
            (0, height, _) => Self::Height(height),
            (width, 0, _) => Self::Width(width),
            (width, height, "f") => Self::Fit { width, height },
            (width, height, "t") => Self::Fill { width, height, keep: Keep::Top },
            (width, height, "b") => Self::Fill { width, height, keep: Keep::Bottom },
            (width, height, _) => Self::Fill { width, height, keep: Keep::Centre },
        })
    }

    /// The part of a picture of `width` × `height` that is shown, and the size that it is shown in. `None` when that is
    /// too large for a thumbnail.
    pub fn layout(self, width: u32, height: u32) -> Option<(Area, (u32, u32))> {
        let whole = Area { x: 0, y: 0, width, height };
        if width == 0 || height == 0 {
            return None;
        }
        let (shown, size) = match self {
            Self::Width(to) => (whole, (to, side(to, height, width)?)),
            Self::Height(to) => (whole, (side(to, width, height)?, to)),
            Self::Fit { width: most_wide, height: most_high } if width <= most_wide && height <= most_high => {
                (whole, (width, height))
            }
            // Which of the two sides is the narrow one: compared without division.
            Self::Fit { width: most_wide, height: most_high }
                if u64::from(width) * u64::from(most_high) > u64::from(most_wide) * u64::from(height) =>
            {
                (whole, (most_wide, part(most_wide, height, width)))
            }
            Self::Fit { height: most_high, .. } => (whole, (part(most_high, width, height), most_high)),
            Self::Fill { width: to_wide, height: to_high, keep } => {
                (cut(whole, to_wide, to_high, keep), (to_wide, to_high))
            }
        };
        let fits = size.0 <= MAX_SIDE && size.1 <= MAX_SIDE && u64::from(size.0) * u64::from(size.1) <= MAX_PIXELS;
        fits.then_some((shown, size))
    }
}

/// The largest part of `whole` with the proportions of `width` to `height`.
fn cut(whole: Area, width: u32, height: u32, keep: Keep) -> Area {
    let wider = u64::from(whole.width) * u64::from(height) > u64::from(width) * u64::from(whole.height);
    if wider {
        let shown = side(whole.height, width, height).unwrap_or(whole.width).min(whole.width);
        return Area { x: (whole.width - shown) / 2, width: shown, ..whole };
    }
    let shown = side(whole.width, height, width).unwrap_or(whole.height).min(whole.height);
    let y = match keep {
        Keep::Centre => (whole.height - shown) / 2,
        Keep::Top => 0,
        Keep::Bottom => whole.height - shown,
    };
    Area { y, height: shown, ..whole }
}

/// `length` × `numerator` ÷ `denominator`, rounded, at least 1.
fn side(length: u32, numerator: u32, denominator: u32) -> Option<u32> {
    let (product, denominator) = (u64::from(length) * u64::from(numerator), u64::from(denominator));
    u32::try_from((product + denominator / 2) / denominator).ok().map(|side| side.max(1))
}

/// The same, rounded down, for a quotient of at most one.
fn part(length: u32, numerator: u32, denominator: u32) -> u32 {
    let part = u64::from(length) * u64::from(numerator) / u64::from(denominator);
    u32::try_from(part).unwrap_or(length).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        let fill = |width, height, keep| Some(Form::Fill { width, height, keep });
        for (text, expected) in [
            ("100x100", fill(100, 100, Keep::Centre)),
            ("30x20t", fill(30, 20, Keep::Top)),
            ("30x20b", fill(30, 20, Keep::Bottom)),
            ("30x20f", Some(Form::Fit { width: 30, height: 20 })),
            ("0x40", Some(Form::Height(40))),
            ("70x0", Some(Form::Width(70))),
            ("70x0f", Some(Form::Width(70))),
            ("007x1", fill(7, 1, Keep::Centre)),
            ("0x0", None),
            ("0x0t", None),
            ("x", None),
            ("1x", None),
            ("x1", None),
            ("1x1x", None),
            ("1x1tt", None),
            ("+1x1", None),
            ("-1x1", None),
            ("1X1", None),
            ("4294967296x1", None),
            ("", None),
            ("é", None),
        ] {
            assert_eq!(Form::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn sizes_are_the_wires() {
        // The table of the wire is about a source of 200 × 100.
        for (text, (width, height), shown, size) in [
            ("50x50", (200, 100), (50, 0, 100, 100), (50, 50)),
            ("30x20t", (200, 100), (25, 0, 150, 100), (30, 20)),
            ("30x20f", (200, 100), (0, 0, 200, 100), (30, 15)),
            ("0x40", (200, 100), (0, 0, 200, 100), (80, 40)),
            ("70x0", (200, 100), (0, 0, 200, 100), (70, 35)),
            ("0x40", (10, 10), (0, 0, 10, 10), (40, 40)),
            ("300x300f", (200, 100), (0, 0, 200, 100), (200, 100)),
            ("50x50t", (100, 200), (0, 0, 100, 100), (50, 50)),
            ("50x50b", (100, 200), (0, 100, 100, 100), (50, 50)),
            ("50x50", (100, 200), (0, 50, 100, 100), (50, 50)),
            ("100x100", (10_000, 1), (4999, 0, 1, 1), (100, 100)),
            ("100x100", (1, 10_000), (0, 4999, 1, 1), (100, 100)),
            ("100x100f", (10_000, 1), (0, 0, 10_000, 1), (100, 1)),
            ("100x1", (1, 1), (0, 0, 1, 1), (100, 1)),
            ("7x0", (3, 2), (0, 0, 3, 2), (7, 5)),
        ] {
            let (x, y, w, h) = shown;
            let expected = (Area { x, y, width: w, height: h }, size);
            assert_eq!(Form::parse(text).unwrap().layout(width, height), Some(expected), "{text} of {width}x{height}");
        }
    }

    #[test]
    fn what_is_too_large_is_no_thumbnail() {
        for (text, width, height) in [
            ("70x0", 1, 65_535),
            ("0x70", 65_535, 1),
            ("8193x1", 10, 10),
            ("5000x5000", 10, 10),
            ("4294967295x4294967295", 10, 10),
            ("4294967295x0", 1, 4_294_967_295),
            ("10x10", 0, 5),
            ("10x10f", 5, 0),
        ] {
            assert_eq!(Form::parse(text).unwrap().layout(width, height), None, "{text} of {width}x{height}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_shown_lies_within_the_picture(width: u32, height: u32, to in "[0-9]{1,10}x[0-9]{1,10}[tbf]?") {
            if let Some((shown, size)) = Form::parse(&to).and_then(|form| form.layout(width, height)) {
                assert!(shown.width > 0 && shown.height > 0 && size.0 > 0 && size.1 > 0);
                assert!(shown.x.checked_add(shown.width).is_some_and(|end| end <= width));
                assert!(shown.y.checked_add(shown.height).is_some_and(|end| end <= height));
            }
        }
    }
}

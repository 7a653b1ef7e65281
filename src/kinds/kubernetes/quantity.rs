//! Quantities (`500m`, `2Gi`, `1e3`) in the form in which API servers write them back.

/// A quantity's canonical text; `None` for what is none, or is too large or too fine to be told here.
///
/// The number is the same, with no fraction and the largest suffix that allows for that; the suffixes stay of the sort
/// (powers of two, powers of ten, exponents) that was written.
pub(super) fn canonical(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '+' | '-' | '.')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (sign, digits) = match number.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.len() > 18 {
        return None;
    }
    let mantissa: u128 = format!("0{whole}{fraction}").parse().ok()?;
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    if let Some(power) = BINARY.iter().position(|name| *name == suffix && !name.is_empty()) {
        let value = mantissa.checked_mul(1 << (10 * power))?;
        // With a fraction of a byte left, the server writes the number in powers of ten.
        return if value % scale == 0 { Some(format!("{sign}{}", binary(value / scale))) } else { None };
    }
    let exponent: i32 = match DECIMAL.iter().find(|(name, _)| *name == suffix) {
        Some((_, exponent)) => *exponent,
        None => suffix.strip_prefix(['e', 'E'])?.parse().ok()?,
    };
    let is_exponent = suffix.starts_with(['e', 'E']) && suffix.len() > 1;
    // In billionths, which is as fine as quantities get.
    let billionths = mantissa.checked_mul(10_u128.checked_pow(u32::try_from(exponent.checked_add(9)?).ok()?)?)?;
    if billionths % scale != 0 {
        return None;
    }
    Some(format!("{sign}{}", decimal(billionths / scale, is_exponent)))
}

const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];

fn binary(mut value: u128) -> String {
    let mut power = 0;
    while value > 0 && value.is_multiple_of(1024) && power + 1 < BINARY.len() {
        value /= 1024;
        power += 1;
    }
    format!("{value}{}", BINARY[power])
}

fn decimal(mut value: u128, is_exponent: bool) -> String {
    if value == 0 {
        return "0".to_owned();
    }
    let mut power = 0;
    while value.is_multiple_of(1000) && power + 1 < DECIMAL.len() {
        value /= 1000;
        power += 1;
    }
    let (name, exponent) = DECIMAL[power];
    if is_exponent && exponent != 0 { format!("{value}e{exponent}") } else { format!("{value}{name}") }
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn quantities_are_written_as_the_server_writes_them() {
        for (text, expected) in [
            ("1000m", "1"),
            ("0.5", "500m"),
            (".25", "250m"),
            ("1.5", "1500m"),
            ("2", "2"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("1000Mi", "1000Mi"),
            ("2048", "2048"),
            ("1000", "1k"),
            ("1000000", "1M"),
            ("1e3", "1e3"),
            ("1000e3", "1e6"),
            ("100m", "100m"),
            ("0", "0"),
            ("0Mi", "0"),
            ("+1", "1"),
            ("-1000m", "-1"),
            ("1E", "1E"),
        ] {
            assert_eq!(canonical(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "m", "x", "1x", "1 Gi", "12:30", "0.0000000001"] {
            assert_eq!(canonical(text), None, "{text}");
        }
    }
}

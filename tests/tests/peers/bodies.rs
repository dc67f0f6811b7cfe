//! Valid SECS-II texts of given sizes, and hexadecimal as the drivers speak it.

use std::fmt::Write as _;

/// Item lengths at which something changes: none, one, a single SECS-I block and beyond, length octets of 1, 2 and 3.
const SIZES: [usize; 8] = [0, 1, 243, 244, 245, 4_095, 65_535, 65_536];

/// `count` texts, the same for the same `seed`: no text, the sizes that matter, and random ones in every format that both peers
/// carry unchanged.
pub(crate) fn bodies(seed: u64, count: usize) -> Vec<Vec<u8>> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut all = vec![Vec::new()];
    for size in SIZES {
        all.push(item(0x20, &octets(&mut random, size)));
    }
    while all.len() < count {
        let size = random.usize(0..2_000);
        all.push(match random.u8(0..5) {
            0 => item(0x20, &octets(&mut random, size)),
            // ASCII.
            1 => item(0x40, &octets(&mut random, size).iter().map(|octet| octet & 0x7F).collect::<Vec<_>>()),
            // U4 and I2.
            2 => item(0xB0, &octets(&mut random, size / 4 * 4)),
            3 => item(0x68, &octets(&mut random, size / 2 * 2)),
            // <L [3] <A> <L [0]> <B>>
            _ => {
                let mut list = vec![0x01, 3];
                list.extend(item(0x40, b"status"));
                list.extend([0x01, 0]);
                list.extend(item(0x20, &octets(&mut random, size)));
                list
            }
        });
    }
    random.shuffle(&mut all);
    all.truncate(count);
    all
}

/// An item with the fewest length octets that hold its length.
fn item(format: u8, value: &[u8]) -> Vec<u8> {
    let length = u32::try_from(value.len()).expect("short").to_be_bytes();
    let skip = length.iter().take_while(|octet| **octet == 0).count().min(3);
    let mut item = vec![format | u8::try_from(4 - skip).expect("1 to 3")];
    item.extend(&length[skip..]);
    item.extend(value);
    item
}

fn octets(random: &mut fastrand::Rng, count: usize) -> Vec<u8> {
    std::iter::repeat_with(|| random.u8(..)).take(count).collect()
}

/// Lower-case hexadecimal, `-` for nothing.
pub(crate) fn hex(octets: &[u8]) -> String {
    if octets.is_empty() {
        return "-".to_owned();
    }
    octets.iter().fold(String::with_capacity(2 * octets.len()), |mut hex, octet| {
        let _ = write!(hex, "{octet:02x}");
        hex
    })
}

/// The inverse of [`hex`].
pub(crate) fn unhex(hex: &str) -> Vec<u8> {
    let digit = |octet: u8| char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).expect("hex");
    match hex {
        "-" => Vec::new(),
        hex => hex.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect(),
    }
}

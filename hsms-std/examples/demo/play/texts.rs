//! SECS-II texts, octet by octet: a format code with the number of length octets, the length, the value (E5 9).

/// `<B 0>`: accepted.
pub const ACCEPTED: &[u8] = &[0x21, 1, 0];

/// `<L <A DEMO> <A 1.0>>`: model and software revision.
pub const MODEL: &[u8] = b"\x01\x02\x41\x04DEMO\x41\x031.0";

/// `<L <B 0> <L <A DEMO> <A 1.0>>>`: communication accepted, model and software revision.
pub const COMMUNICATING: &[u8] = b"\x01\x02\x21\x01\x00\x01\x02\x41\x04DEMO\x41\x031.0";

/// `<L <A STOP> <L>>`: a remote command without parameters.
pub const STOP: &[u8] = b"\x01\x02\x41\x04STOP\x01\x00";

/// `<L <U4 7>>`: which status variable is asked for.
pub const VARIABLE: &[u8] = &[0x01, 1, 0xb1, 4, 0, 0, 0, 7];

/// `<L <U4 42>>`: its value.
pub const VALUE: &[u8] = &[0x01, 1, 0xb1, 4, 0, 0, 0, 42];

/// `<L <U4 data id> <U4 event> <L>>`: an event report without data.
pub const fn report(data_id: u8, event: u16) -> [u8; 16] {
    let [high, low] = event.to_be_bytes();
    [0x01, 3, 0xb1, 4, 0, 0, 0, data_id, 0xb1, 4, 0, 0, high, low, 0x01, 0]
}

/// `<L <A DEMO> <B ...>>` with as many octets as make the whole text 4 MiB long.
pub fn recipe() -> Vec<u8> {
    const LEN: usize = 4 << 20;
    let mut text = b"\x01\x02\x41\x04DEMO".to_vec();
    // A binary item with three length octets.
    let [.., a, b, c] = (LEN - text.len() - 4).to_be_bytes();
    text.extend([0x23, a, b, c]);
    // Octets that repeat late, so that a piece in the wrong place shows.
    let mut state = 1_u32;
    text.resize_with(LEN, || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    });
    text
}

/// FNV-1a with 64 bits: short to write, and it tells one altered octet for sure.
pub fn checksum(octets: &[u8]) -> u64 {
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |sum, octet| (sum ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3))
}

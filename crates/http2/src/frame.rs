//! Frames, RFC 9113 §4 and §6: the nine bytes in front of each, and those whose payload is numbers.

/// The bytes in front of a payload.
pub const HEAD: usize = 9;

/// What flags mean, by the kinds of frames they stand in.
pub mod flags {
    pub const NONE: u8 = 0;
    /// SETTINGS, PING.
    pub const ACK: u8 = 0x1;
    /// DATA, HEADERS.
    pub const END_STREAM: u8 = 0x1;
    /// HEADERS, CONTINUATION.
    pub const END_HEADERS: u8 = 0x4;
    /// DATA, HEADERS.
    pub const PADDED: u8 = 0x8;
    /// HEADERS.
    pub const PRIORITY: u8 = 0x20;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    pub length: u32,
    pub kind: Kind,
    pub flags: u8,
    /// 0 is the connection.
    pub stream: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Data,
    Headers,
    Priority,
    ResetStream,
    Settings,
    PushPromise,
    Ping,
    GoAway,
    WindowUpdate,
    Continuation,
    /// To be skipped (RFC 9113 §5.5).
    Unknown(u8),
}

/// Why a stream or a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    NoError = 0x0,
    ProtocolError = 0x1,
    InternalError = 0x2,
    FlowControlError = 0x3,
    SettingsTimeout = 0x4,
    StreamClosed = 0x5,
    FrameSizeError = 0x6,
    RefusedStream = 0x7,
    Cancel = 0x8,
    CompressionError = 0x9,
    ConnectError = 0xa,
    EnhanceYourCalm = 0xb,
    InadequateSecurity = 0xc,
    Http11Required = 0xd,
}

/// The settings there are a use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    HeaderTableSize = 0x1,
    EnablePush = 0x2,
    MaxConcurrentStreams = 0x3,
    InitialWindowSize = 0x4,
    MaxFrameSize = 0x5,
}

impl FrameHead {
    pub fn read(bytes: [u8; HEAD]) -> FrameHead {
        let [a, b, c, kind, flags, rest @ ..] = bytes;
        FrameHead {
            length: u32::from_be_bytes([0, a, b, c]),
            kind: Kind::of(kind),
            flags,
            // The first bit is reserved.
            stream: u32::from_be_bytes(rest) & 0x7fff_ffff,
        }
    }

    pub fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.length.to_be_bytes()[1..]);
        out.extend_from_slice(&[self.kind.code(), self.flags]);
        out.extend_from_slice(&self.stream.to_be_bytes());
    }

    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

impl Kind {
    fn of(code: u8) -> Kind {
        match code {
            0x0 => Kind::Data,
            0x1 => Kind::Headers,
            0x2 => Kind::Priority,
            0x3 => Kind::ResetStream,
            0x4 => Kind::Settings,
            0x5 => Kind::PushPromise,
            0x6 => Kind::Ping,
            0x7 => Kind::GoAway,
            0x8 => Kind::WindowUpdate,
            0x9 => Kind::Continuation,
            other => Kind::Unknown(other),
        }
    }

    fn code(self) -> u8 {
        match self {
            Kind::Data => 0x0,
            Kind::Headers => 0x1,
            Kind::Priority => 0x2,
            Kind::ResetStream => 0x3,
            Kind::Settings => 0x4,
            Kind::PushPromise => 0x5,
            Kind::Ping => 0x6,
            Kind::GoAway => 0x7,
            Kind::WindowUpdate => 0x8,
            Kind::Continuation => 0x9,
            Kind::Unknown(other) => other,
        }
    }
}

impl Setting {
    /// `None`: one to be ignored (RFC 9113 §6.5.2).
    pub fn of(code: u16) -> Option<Setting> {
        Some(match code {
            0x1 => Setting::HeaderTableSize,
            0x2 => Setting::EnablePush,
            0x3 => Setting::MaxConcurrentStreams,
            0x4 => Setting::InitialWindowSize,
            0x5 => Setting::MaxFrameSize,
            _ => return None,
        })
    }
}

/// A frame whose payload is here.
pub fn frame(kind: Kind, flags: u8, stream: u32, payload: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(payload.len()).expect("no payload is longer than a frame can be");
    FrameHead { length, kind, flags, stream }.write(out);
    out.extend_from_slice(payload);
}

pub fn settings(settings: &[(Setting, u32)], out: &mut Vec<u8>) {
    let mut payload = Vec::with_capacity(settings.len() * 6);
    for (setting, value) in settings {
        payload.extend_from_slice(&(*setting as u16).to_be_bytes());
        payload.extend_from_slice(&value.to_be_bytes());
    }
    frame(Kind::Settings, flags::NONE, 0, &payload, out);
}

pub fn window_update(stream: u32, by: u32, out: &mut Vec<u8>) {
    frame(Kind::WindowUpdate, flags::NONE, stream, &by.to_be_bytes(), out);
}

pub fn reset_stream(stream: u32, code: ErrorCode, out: &mut Vec<u8>) {
    frame(Kind::ResetStream, flags::NONE, stream, &(code as u32).to_be_bytes(), out);
}

pub fn go_away(last_stream: u32, code: ErrorCode, out: &mut Vec<u8>) {
    let mut payload = [0; 8];
    payload[..4].copy_from_slice(&last_stream.to_be_bytes());
    payload[4..].copy_from_slice(&(code as u32).to_be_bytes());
    frame(Kind::GoAway, flags::NONE, 0, &payload, out);
}

/// A block of fields, in as many frames as its length asks for.
pub fn headers(stream: u32, block: &[u8], most: usize, out: &mut Vec<u8>) {
    let (mut kind, mut rest) = (Kind::Headers, block);
    loop {
        let (part, more) = rest.split_at(rest.len().min(most));
        let end = if more.is_empty() { flags::END_HEADERS } else { flags::NONE };
        frame(kind, end, stream, part, out);
        if more.is_empty() {
            return;
        }
        (kind, rest) = (Kind::Continuation, more);
    }
}

/// Makes room for more in a DATA frame whose payload ends where `frame` ends: how much of `wanted` it
/// takes, and is to be followed by, so that no payload is longer than `most`.
pub fn lengthen(frame: &mut [u8], most: usize, wanted: usize) -> usize {
    let Some(head) = frame.first_chunk_mut::<HEAD>() else { return 0 };
    let FrameHead { length, kind, .. } = FrameHead::read(*head);
    if kind != Kind::Data {
        return 0;
    }
    let more = most.saturating_sub(length as usize).min(wanted);
    head[..3].copy_from_slice(&(length + more as u32).to_be_bytes()[1..]);
    more
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> FrameHead {
        FrameHead::read(bytes[..HEAD].try_into().unwrap())
    }

    #[test]
    fn a_head_is_read_as_it_was_written() {
        for code in 0..=u8::MAX {
            let head = FrameHead {
                length: 0x12_34_56,
                kind: Kind::of(code),
                flags: flags::PADDED,
                stream: 0x7fff_fffe,
            };
            let mut out = Vec::new();
            head.write(&mut out);
            assert_eq!((out[3], read(&out)), (code, head));
        }
    }

    #[test]
    fn the_reserved_bit_is_not_a_part_of_the_stream() {
        assert_eq!(read(&[0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]).stream, 0x7fff_ffff);
    }

    #[test]
    fn frames_of_numbers() {
        let mut out = Vec::new();
        settings(&[(Setting::InitialWindowSize, 65_536)], &mut out);
        assert_eq!(out, [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0]);
        out.clear();
        go_away(3, ErrorCode::CompressionError, &mut out);
        assert_eq!(out, [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 9]);
        out.clear();
        reset_stream(1, ErrorCode::Cancel, &mut out);
        assert_eq!(out, [0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8]);
        out.clear();
        window_update(0, 1, &mut out);
        assert_eq!(out, [0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn a_body_goes_on_in_the_same_frame() {
        let mut out = Vec::new();
        frame(Kind::Data, flags::NONE, 1, &[7; 5], &mut out);
        assert_eq!(lengthen(&mut out, 8, 10), 3);
        assert_eq!(read(&out).length, 8);
        assert_eq!(lengthen(&mut out, 8, 10), 0);
        out.clear();
        frame(Kind::Headers, flags::NONE, 1, &[7; 5], &mut out);
        assert_eq!(lengthen(&mut out, 8, 10), 0);
    }

    #[test]
    fn a_long_block_goes_on_in_continuations() {
        let mut out = Vec::new();
        headers(5, &[7; 25], 10, &mut out);
        let mut rest = &out[..];
        let mut seen = Vec::new();
        while !rest.is_empty() {
            let head = read(rest);
            seen.push((head.kind, head.flags, head.length));
            rest = &rest[HEAD + head.length as usize..];
        }
        let more = |length| (Kind::Continuation, flags::NONE, length);
        let end = (Kind::Continuation, flags::END_HEADERS, 5);
        assert_eq!(seen, [(Kind::Headers, flags::NONE, 10), more(10), end]);
    }
}

//! Frames that are about the connection, or end a stream: settings, windows, pings, resets.

use bytes::{Buf, BytesMut};
use http2::{
    DEFAULT_FRAME_SIZE, ErrorCode, FrameHead, Kind, MAX_FRAME_SIZE, MAX_WINDOW, Setting, flags,
    frame,
};

use super::{
    Connection,
    frames::{At, Fatal, depends_on, fatal, number},
};

/// The bytes of one setting.
const SETTING: u32 = 6;

impl Connection {
    pub(super) fn take_priority(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Fatal> {
        self.frames.priorities_left = self.frames.priorities_left.saturating_sub(1);
        if self.frames.priorities_left == 0 {
            let message = "client sent too many PRIORITY frames";
            return Err(fatal(ErrorCode::EnhanceYourCalm, message));
        }
        if head.stream == 0 {
            return Err(self.wrong_stream("PRIORITY"));
        }
        if depends_on(payload) == Some(head.stream) {
            let id = head.stream;
            let message =
                format!("client sent PRIORITY frame for stream {id} with incorrect dependency");
            return Err(fatal(ErrorCode::ProtocolError, message));
        }
        Ok(())
    }

    pub(super) fn take_reset(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Fatal> {
        let id = head.stream;
        if id == 0 {
            return Err(self.wrong_stream("RST_STREAM"));
        }
        let unfinished = self.frames.block.as_ref().is_some_and(|block| block.stream == id);
        debug_assert!(!unfinished, "a block is not interrupted");
        if self.session.reset_by_client(id) {
            let code = number(payload);
            let why = match code {
                8 => format!("client canceled stream {id}"),
                2 => format!("client terminated stream {id} due to internal error"),
                code => format!("client terminated stream {id} with status {code}"),
            };
            self.log(&why);
        }
        Ok(())
    }

    pub(super) fn begin_settings(&mut self, head: FrameHead) -> Result<(), Fatal> {
        if head.stream != 0 {
            return Err(self.wrong_stream("SETTINGS"));
        }
        if head.has(flags::ACK) {
            if head.length != 0 {
                let message = "client sent SETTINGS frame with the ACK flag and nonzero length";
                return Err(fatal(ErrorCode::FrameSizeError, message));
            }
            self.frames.settings_acknowledged = true;
            return Ok(());
        }
        if !head.length.is_multiple_of(SETTING) {
            return Err(self.wrong_length("SETTINGS", head.length));
        }
        self.frames.at = At::Settings { left: head.length, window: None };
        Ok(())
    }

    /// One setting after the other. The window's is applied last, so that what it sets free is sent
    /// under all of them.
    pub(super) fn take_setting(
        &mut self,
        buffer: &mut BytesMut,
        left: u32,
        mut window: Option<u32>,
    ) -> Result<bool, Fatal> {
        if left == 0 {
            self.session.control(|out| frame::frame(Kind::Settings, flags::ACK, 0, &[], out));
            if let Some(size) = window
                && self.session.resize_windows(size).is_err()
            {
                let message = "client sent SETTINGS frame that makes a window too large";
                return Err(fatal(ErrorCode::FlowControlError, message));
            }
            self.frames.at = At::Head;
            return Ok(true);
        }
        if buffer.len() < SETTING as usize {
            return Ok(false);
        }
        let (code, value) = (buffer.get_u16(), buffer.get_u32());
        let wrong =
            |name: &str| format!("client sent SETTINGS frame with incorrect {name} value {value}");
        match Setting::of(code) {
            Some(Setting::InitialWindowSize) if value > MAX_WINDOW => {
                let message = wrong("INITIAL_WINDOW_SIZE");
                return Err(fatal(ErrorCode::FlowControlError, message));
            }
            Some(Setting::InitialWindowSize) => window = Some(value),
            Some(Setting::MaxFrameSize) => {
                if !(DEFAULT_FRAME_SIZE..=MAX_FRAME_SIZE).contains(&value) {
                    return Err(fatal(ErrorCode::ProtocolError, wrong("MAX_FRAME_SIZE")));
                }
                self.session.set_frame_size(value);
            }
            Some(Setting::EnablePush) if value > 1 => {
                return Err(fatal(ErrorCode::ProtocolError, wrong("ENABLE_PUSH")));
            }
            Some(Setting::HeaderTableSize) => self.session.change_table(),
            Some(Setting::EnablePush | Setting::MaxConcurrentStreams) | None => (),
        }
        self.frames.at = At::Settings { left: left - SETTING, window };
        Ok(true)
    }

    pub(super) fn take_ping(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Fatal> {
        if head.stream != 0 {
            return Err(self.wrong_stream("PING"));
        }
        if !head.has(flags::ACK) {
            self.session.control(|out| frame::frame(Kind::Ping, flags::ACK, 0, payload, out));
        }
        Ok(())
    }

    pub(super) fn take_window_update(
        &mut self,
        head: FrameHead,
        payload: &[u8],
    ) -> Result<(), Fatal> {
        let by = number(payload) & 0x7fff_ffff;
        if by == 0 {
            let message = "client sent WINDOW_UPDATE frame with incorrect window increment 0";
            return Err(fatal(ErrorCode::ProtocolError, message));
        }
        let id = head.stream;
        let violated = |what: &str, window: i64| {
            format!(
                "client violated {what}: received WINDOW_UPDATE frame with window increment {by} \
                 not allowed for window {window}"
            )
        };
        if id == 0 {
            return self.session.widen(by).map_err(|window| {
                let message = violated("connection flow control", window);
                fatal(ErrorCode::FlowControlError, message)
            });
        }
        if let Err(window) = self.session.widen_stream(id, by) {
            self.log(&violated(&format!("flow control for stream {id}"), window));
            self.session.reset(id, ErrorCode::FlowControlError);
        }
        Ok(())
    }
}

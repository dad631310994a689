//! The lines of a head. What has been read of a part must stand when more comes, and what has been
//! refused stays refused.

use std::fmt::Debug;

use http1::{FieldLine, field_line, request_line, status_line};

pub(crate) fn run(data: &[u8]) {
    let Some((whole, part, _)) = crate::cut(data) else { return };
    agree(&request_line(part), &request_line(whole));
    agree(&status_line(part), &status_line(whole));
    agree(&field_line(part, 0), &field_line(whole, 0));
    let mut at = 0;
    while let Ok(Some(FieldLine::Field(field))) = field_line(whole, at) {
        assert!(at < field.end && field.end <= whole.len(), "every line moves on");
        assert!(field.name.end < field.value.start || field.value.is_empty());
        assert!(!whole[field.name].is_empty() && !whole[field.value].contains(&b'\n'));
        at = field.end;
    }
}

fn agree<T: PartialEq + Debug, E: Debug>(
    part: &Result<Option<T>, E>,
    whole: &Result<Option<T>, E>,
) {
    match part {
        Ok(None) => (),
        Ok(read) => assert_eq!(read, whole.as_ref().expect("it was read before")),
        Err(error) => assert!(whole.is_err(), "refused with {error:?}, then {whole:?}"),
    }
}
